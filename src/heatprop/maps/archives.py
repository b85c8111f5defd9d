"""Read ``.npz`` archives that nobody vouches for: their contents are measured before they are unpacked."""

import errno
import lzma
import os
import struct
import zipfile
import zlib
from collections.abc import Sequence
from os import PathLike
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

ALWAYS_READ = 1 << 30
"""Arrays of so many bytes together are read from any archive, of more only where they fit the size of the file."""
MOST_INFLATION = 100
"""Larger archives may hold so many times their own size; maps of real videos hold 2 to 60 times."""

_DAMAGE = (
    *(ValueError, TypeError, KeyError, IndexError, OverflowError, EOFError, MemoryError, RecursionError),
    *(NotImplementedError, RuntimeError, struct.error, zipfile.BadZipFile, zlib.error, lzma.LZMAError),
)
"""What zipfile and numpy raise on damaged files, and on files made to break them."""


def read_archive(path: str | PathLike[str], keys: Sequence[str] | None = None) -> dict[str, NDArray[Any]]:
    """Read plain arrays of an ``.npz``.

    Args:
        path: The archive.
        keys: Which; all by default. The others are not read.

    Returns:
        Name -> array.

    Raises:
        ValueError: If it is no archive of plain arrays, is damaged, one is missing, or the arrays are far larger than
            the file (`ALWAYS_READ`, `MOST_INFLATION`).
    """
    with open(path, "rb") as file:
        try:
            with zipfile.ZipFile(file) as archive:
                names = {name.removesuffix(".npy"): name for name in archive.namelist() if name.endswith(".npy")}
                wanted = list(names) if keys is None else list(keys)
                if missing := [key for key in wanted if key not in names]:
                    raise ValueError(f"no {', '.join(missing)}")
                _check_sizes(archive, [names[key] for key in wanted], os.fstat(file.fileno()).st_size)
                return {key: _read_array(archive, names[key]) for key in wanted}
        except (*_DAMAGE, OSError) as problem:
            if isinstance(problem, OSError) and problem.errno != errno.EINVAL:  # which is a place before the file
                raise
            came = str(problem) or type(problem).__name__
            raise ValueError(f"{path} must be an .npz archive of plain arrays, got {came}") from None


def _check_sizes(archive: zipfile.ZipFile, members: Sequence[str], size: int) -> None:
    """Refuse arrays that would fill the memory from a small file."""
    inflated = sum(archive.getinfo(member).file_size for member in members)
    most = max(ALWAYS_READ, MOST_INFLATION * size)
    if inflated > most:
        raise ValueError(f"arrays of {inflated:,} bytes in a file of {size:,}; at most {most:,} are read from it")


def _read_array(archive: zipfile.ZipFile, member: str) -> NDArray[Any]:
    with archive.open(member) as file:
        _check_header(file, archive.getinfo(member).file_size)
    with archive.open(member) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _check_header(file: IO[bytes], size: int) -> None:
    """Refuse an array that claims to be larger than the file: numpy would allocate it first."""
    version = np.lib.format.read_magic(file)
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read(file)
    count = 1
    for side in shape:
        count *= int(side)
    if min(shape, default=0) < 0 or count * max(dtype.itemsize, 1) > size:
        raise ValueError(f"an array that is said to have shape {shape}, more than the file holds")
