"""The pictures of a video, read ahead by threads while the network works; extra ``cli`` (Pillow)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from heatprop.evaluation.bad_rows import Skipped

Picture = NDArray[np.uint8]


def read_picture(path: Path) -> Picture:
    """Read a picture.

    Args:
        path: JPEG or any other format that Pillow knows.

    Returns:
        RGB, shape ``(H, W, 3)``.

    Raises:
        ValueError: If it is missing or damaged.
    """
    try:
        with Image.open(path) as picture:
            return np.asarray(picture.convert("RGB"))
    except (OSError, SyntaxError, ValueError) as problem:  # what Pillow raises for damaged files
        reason = "no such file" if isinstance(problem, FileNotFoundError) else problem
        raise ValueError(f"{path} must be a picture, got {reason}; --skip-bad goes on without it") from None


def read_batches(
    paths: Sequence[Path], *, batch: int, workers: int, skipped: Skipped | None = None
) -> Iterator[list[Picture | None]]:
    """Read pictures in order, a batch ahead.

    Args:
        paths: Their files.
        batch: Pictures at a time, at least 1.
        workers: Threads that read, at least 1.
        skipped: Collects pictures that cannot be read; ``None`` stops at the first.

    Yields:
        Pictures; ``None`` stands for one that was skipped.

    Raises:
        ValueError: If a picture cannot be read.
    """
    parts = [paths[start : start + batch] for start in range(0, len(paths), batch)]
    read = partial(_read, skip=skipped is not None)
    with ThreadPoolExecutor(workers) as pool:
        coming = pool.map(read, parts[0] if parts else [])
        for following in [*parts[1:], []][: len(parts)]:
            ahead = pool.map(read, following)
            yield [_sort_out(one, skipped) for one in coming]
            coming = ahead


def _read(path: Path, *, skip: bool) -> Picture | str:
    """A picture, or what is wrong with it."""
    try:
        return read_picture(path)
    except ValueError as problem:
        if not skip:
            raise
        return str(problem)


def _sort_out(one: Picture | str, skipped: Skipped | None) -> Picture | None:
    if isinstance(one, str):
        if skipped is not None:
            skipped.add(one)
        return None
    return one
