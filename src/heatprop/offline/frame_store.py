"""Offline: the arrays of a video's frames in a temporary file that nobody has to delete, read in any order."""

import io
import os
import tempfile
import zlib
from array import array
from collections.abc import Sequence
from os import PathLike
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

IN_MEMORY = 2**26
"""Bytes that wait in memory before a file is made."""


class FrameStore:
    """Keep a few arrays per frame, compressed, in a nameless temporary file.

    The file has no name on POSIX systems from the start and on others from its end on: it is gone when the store is
    closed, after an error and when the process is killed. Up to 64 MiB, or ``in_memory``, it is not made at all.

    A context manager; without ``with`` call `close`.

    Args:
        folder: Where the file is; ``None`` for the system's place for such files.
        in_memory: Bytes that wait in memory before the file is made, at least 1; 64 MiB if not given.

    Examples:
        >>> import numpy as np
        >>> with FrameStore() as store:
        ...     for number in range(3):
        ...         store.append([np.full(2, number), np.zeros((0, 4))])
        ...     len(store), store[2][0], store[0][1].shape
        (3, array([2, 2]), (0, 4))
    """

    def __init__(self, folder: str | PathLike[str] | None = None, *, in_memory: int | None = None) -> None:
        place = None if folder is None else os.fspath(folder)
        self._file = tempfile.SpooledTemporaryFile(in_memory or IN_MEMORY, dir=place)  # noqa: SIM115 # close() closes it
        self._starts = array("Q", [0])  # of each frame, and of the one to come

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __len__(self) -> int:
        return len(self._starts) - 1

    @property
    def size(self) -> int:
        """How many bytes all frames take, compressed."""
        return self._starts[-1]

    def append(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Keep the arrays of the next frame: any number of any shape, of numbers or booleans."""
        plain = io.BytesIO()
        for one in arrays:
            np.lib.format.write_array(plain, one, allow_pickle=False)
        packed = zlib.compress(plain.getbuffer(), 1)
        self._file.seek(self._starts[-1])
        self._file.write(packed)
        self._starts.append(self._starts[-1] + len(packed))

    def __getitem__(self, number: int) -> list[NDArray[Any]]:
        """Read the arrays of a frame, from 0; negative numbers count from the end."""
        if not -len(self) <= number < len(self):
            raise IndexError(f"there are {len(self)} frames, got number {number}")
        start = self._starts[number % len(self)]
        self._file.seek(start)
        plain = io.BytesIO(zlib.decompress(self._file.read(self._starts[number % len(self) + 1] - start)))
        arrays = []
        while plain.tell() < len(plain.getbuffer()):
            arrays.append(np.lib.format.read_array(plain, allow_pickle=False))
        return arrays

    def close(self) -> None:
        """Drop all frames; the file is gone."""
        self._file.close()
