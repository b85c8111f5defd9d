"""Files that are there when they are whole, and not before."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a name beside the final one to write to, and move the file into place after the block.

    Args:
        path: The file to be; an older one stays until the new one is whole.

    Yields:
        Where to write. After an exception nothing is left there.
    """
    temporary = path.with_name(f".{path.stem}.partial{path.suffix}")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
