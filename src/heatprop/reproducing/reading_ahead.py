"""Read the pictures of a video ahead in threads while the network works; extra ``train`` (torchvision)."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from torch import Tensor

from heatprop.centernet.data.reading import read_picture
from heatprop.formats.bad_rows import Skipped


def read_batches(
    paths: Sequence[Path], *, batch: int, workers: int, skipped: Skipped | None = None
) -> Iterator[list[Tensor | None]]:
    """Read pictures in order, one batch ahead.

    Args:
        paths: Picture files.
        batch: How many pictures a batch holds, at least 1.
        workers: How many threads read, at least 1.
        skipped: Collects pictures that cannot be read; ``None`` stops at the first.

    Yields:
        Batches of RGB pictures, each of shape ``(3, H, W)``, ``uint8``; ``None`` stands for a skipped picture.

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


def _read(path: Path, *, skip: bool) -> Tensor | str:
    """Read a picture, or return what is wrong with it."""
    try:
        return read_picture(path)
    except (ValueError, OSError) as problem:
        if not skip:
            raise ValueError(f"{problem}; --skip-bad leaves it out") from None
        return str(problem)


def _sort_out(one: Tensor | str, skipped: Skipped | None) -> Tensor | None:
    if isinstance(one, str):
        if skipped is not None:
            skipped.add(one)
        return None
    return one
