"""Write a file beside its place and move it there when it is whole."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import IO, Any


@contextmanager
def replacing(path: str | PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a file that appears under its name only when the block ends without an error.

    Nobody ever reads half a file, and a former file stays until the new one is whole. Folders are made.

    Args:
        path: Where the file is to be.
        mode: ``"w"`` for text (UTF-8, ``\n``), ``"wb"`` for bytes.

    Yields:
        The open file.

    Examples:
        >>> import tempfile
        >>> from pathlib import Path
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     with replacing(Path(folder) / "new" / "det.txt") as file:
        ...         _ = file.write("1 2 3")
        ...     (Path(folder) / "new" / "det.txt").read_text()
        '1 2 3'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    text = {} if "b" in mode else {"encoding": "utf-8", "newline": "\n"}
    handle, beside = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, mode, **text) as file:  # type: ignore[call-overload] # the keywords go with the mode
            yield file
        os.chmod(beside, 0o666 & ~_mask())  # mkstemp makes private files
        os.replace(beside, path)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def _mask() -> int:
    """The process's umask, which can only be read by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
