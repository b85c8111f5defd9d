"""Write files that appear under their name only when complete; until then, each is a private file next to its place."""

import itertools
import os
import re
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from os import PathLike
from pathlib import Path
from stat import S_IMODE, S_ISREG
from typing import IO, Any

try:
    import fcntl
except ImportError:  # Windows, where a file that is open cannot be removed anyway
    fcntl = None  # type: ignore[assignment]

_PRIVATE = 0o600
_NAME = re.compile(r"\.heatprop-[0-9a-f]{32}\.part")
_FLAGS = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0)


class WholeFile:
    """A private file next to ``path`` that is moved there when it is complete.

    Its name cannot be guessed, this process alone creates it (``O_EXCL``, no link is followed), and only its owner can
    read it until it is kept. A lock on it tells `sweep` that its process is alive.

    Args:
        path: Where the file goes; its folder must exist.

    Attributes:
        path: Where the file goes.
        temporary: Where the file is until then.
        handle: Its open file descriptor, until it is kept or dropped.
        saved_to: Where it was kept; ``None`` before that, or if it was dropped.

    Raises:
        OSError: If the folder is missing or cannot be written to.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.saved_to: Path | None = None
        self._open = True
        while True:
            self.temporary = self.path.with_name(f".heatprop-{secrets.token_hex(16)}.part")
            self.handle = os.open(self.temporary, _FLAGS | os.O_CREAT | os.O_EXCL, _PRIVATE)
            if _lock(self.handle, wait=True) and os.fstat(self.handle).st_nlink:
                return
            os.close(self.handle)  # another process swept it before it was locked

    @property
    def address(self) -> str:
        """A name that opens this very file, even if somebody replaces it with another one."""
        through_handle = Path("/proc/self/fd", str(self.handle))
        return str(through_handle if through_handle.exists() else self.temporary.absolute())

    def keep(self, *, partial: bool = False) -> Path:
        """Move the file to its place, or to `partial_path`, replacing any file there, and return that path."""
        place = partial_path(self.path) if partial else self.path
        same = os.fstat(self.handle).st_ino == os.lstat(self.temporary).st_ino  # a library may put its own file there
        os.chmod(self.handle if same and os.chmod in os.supports_fd else self.temporary, 0o666 & ~_umask())
        if fcntl is None:
            self._close()  # Windows moves no open file
        os.replace(self.temporary, place)
        self.saved_to = place
        self._close()
        return place

    def drop(self) -> None:
        """Remove the file, unless it was kept."""
        if self.saved_to is None and self._open:
            self.temporary.unlink(missing_ok=True)
        self._close()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self.handle)


@contextmanager
def replacing(path: str | PathLike[str], mode: str = "w") -> Iterator[IO[Any]]:
    r"""Open a file that appears under its name only when the block ends without an error.

    Nobody ever reads half a file, and an old file stays until the new one is complete. Missing folders are created.

    Args:
        path: Where the file goes.
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
    whole = WholeFile(path)
    try:
        with open(whole.handle, mode, closefd=False, **text) as file:  # type: ignore[call-overload] # as mode says
            yield file
        whole.keep()
    finally:
        whole.drop()


def partial_path(path: Path) -> Path:
    """Name the part of a file that an interrupted run keeps: ``<stem>.partial<suffix>``."""
    return path.with_name(f"{path.stem}.partial{path.suffix}")


def sweep(folder: str | PathLike[str], *, spare: Iterable[Path] = (), deep: bool = False) -> list[Path]:
    """Remove private files that dead processes left; those of living processes are locked and stay.

    Args:
        folder: Folder to search; nothing happens if it does not exist.
        spare: Files to keep whatever their names, such as inputs.
        deep: Whether to search the folders below, too.

    Returns:
        Paths of the removed files.
    """
    spared = {path.resolve() for path in spare}
    walk = os.walk(folder) if deep else itertools.islice(os.walk(folder), 1)
    found = [Path(place, name) for place, _, names in walk for name in names if _NAME.fullmatch(name)]
    return [path for path in found if path.resolve() not in spared and _remove_stale(path)]


def _remove_stale(path: Path) -> bool:
    """Remove a private file if nobody holds it."""
    with suppress(OSError):  # gone in the meantime, a link, or another user's
        handle = os.open(path, _FLAGS)
        try:
            found = os.fstat(handle)
            ours = S_ISREG(found.st_mode) and found.st_nlink == 1 and (os.name == "nt" or _is_private(found))
            if ours and _lock(handle, wait=False):
                path.unlink()
                return True
        finally:
            os.close(handle)
    return False


def _is_private(found: os.stat_result) -> bool:
    return S_IMODE(found.st_mode) == _PRIVATE and found.st_uid == os.geteuid()


def _lock(handle: int, *, wait: bool) -> bool:
    """Lock an open file until it is closed; return True if the system has no locks."""
    if fcntl is not None:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            return False
        except OSError:  # a file system without locks: write, but sweep nothing
            return wait
    return True


def _umask() -> int:
    """Read the umask of the process, which is only possible by setting it."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask
