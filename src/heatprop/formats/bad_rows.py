"""What a reader does with a malformed row: say where it is and stop, or count it, list it and go on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from pathlib import PurePosixPath, PureWindowsPath
from typing import Any

LARGEST_EXACT = 2**53
"""Whole numbers below this are exact in ``float64``; above it, neighbours become the same number."""
_LARGEST_WHOLE = 2**63 - 1
"""The largest whole number that a column holds."""
LISTED = 1000
"""How many malformed rows are listed; further ones are only counted."""


class Skipped:
    """The malformed rows that readers left out. Pass one to a reader to skip such rows.

    One object can serve several readers. It is true if something was left out.

    Attributes:
        count: Number of malformed rows.
        messages: File, place and fault of the first `LISTED` rows.

    Examples:
        >>> skipped = Skipped()
        >>> with located("det.txt", "line 3", skipped):
        ...     box = parse_number("x", "twelve")
        >>> print(skipped)
        1 malformed row skipped:
          det.txt, line 3: x must be a finite number, got 'twelve'
    """

    def __init__(self) -> None:
        self.count = 0
        self.messages: list[str] = []

    def add(self, message: str) -> None:
        """Count one more row.

        Args:
            message: File, place and fault.
        """
        self.count += 1
        if len(self.messages) < LISTED:
            self.messages.append(message)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        if not self.count:
            return "no malformed rows"
        unlisted = self.count - len(self.messages)
        rest = [f"... and {unlisted} more"] if unlisted else []
        return "\n  ".join([f"{self.count} malformed row{'s' * (self.count > 1)} skipped:", *self.messages, *rest])


@contextmanager
def located(path: str | PathLike[str], place: str, skipped: Skipped | None) -> Iterator[None]:
    """Add file and place to a `ValueError` from the block, or skip the rest of the block and count it.

    Args:
        path: File that is being read.
        place: Place in the file, such as ``"line 3"``.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Raises:
        ValueError: If the row is malformed and ``skipped`` is ``None``.
    """
    try:
        yield
    except ValueError as problem:
        message = f"{path}, {place}: {problem}"
        if skipped is None:
            raise ValueError(message) from None
        skipped.add(message)


def parse_number(name: str, value: Any) -> float:
    """Require a finite number, from text or JSON.

    Args:
        name: Name of the value, for the error.
        value: The value.

    Returns:
        The number.

    Raises:
        ValueError: If the value is not a finite number.
    """
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {shorten(value)}")
    return number


def parse_whole(name: str, value: Any, *, low: int = -_LARGEST_WHOLE, high: int = _LARGEST_WHOLE) -> int:
    """Require a whole number, from text or JSON; ``3.0`` is one.

    Args:
        name: Name of the value, for the error.
        value: The value.
        low: Smallest value allowed.
        high: Largest value allowed; by default the largest that a column of ``int64`` holds.

    Returns:
        The number, exact.

    Raises:
        ValueError: If the value is not a whole number, or is too small or too large.
    """
    whole = _exact(value)
    if whole is None:
        number = parse_number(name, value)
        if number != int(number):
            raise ValueError(f"{name} must be a whole number, got {shorten(value)}")
        if abs(number) >= LARGEST_EXACT:
            raise ValueError(f"{name} must be below 2**53 to be exact, got {shorten(value)}")
        whole = int(number)
    if whole < low:
        raise ValueError(f"{name} must be at least {low}, got {shorten(value)}")
    if whole > high:
        raise ValueError(f"{name} must be at most {high}, got {shorten(value)}")
    return whole


def parse_path(name: str, value: str) -> str:
    """Require a name that stays below the folder it is joined to.

    Args:
        name: Name of the value, for the error.
        value: The value.

    Returns:
        The name.

    Raises:
        ValueError: If the name is absolute, leaves the folder through ``..``, or cannot name a file.

    Examples:
        >>> parse_path("video", "val/ILSVRC2015_val_00000000")
        'val/ILSVRC2015_val_00000000'
    """
    parts = (*PurePosixPath(value).parts, *PureWindowsPath(value).parts)
    absolute = PurePosixPath(value).is_absolute() or PureWindowsPath(value).anchor
    if absolute or ".." in parts or "\0" in value:
        raise ValueError(f"{name} must stay below its folder, without '..' or a leading '/', got {shorten(value)}")
    return value


def shorten(value: Any) -> str:
    """Show a value for an error in at most 60 characters, however long, deep or large it is.

    Examples:
        >>> shorten("x" * 1000)
        "'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx..."
    """
    if isinstance(value, str | bytes):
        value = value[:100]  # repr goes through all of it
    try:
        text = repr(value)
    except (ValueError, RecursionError):  # more digits than Python prints, or too many brackets
        return f"a {type(value).__name__} too large to show"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _exact(value: Any) -> int | None:
    """Read a whole number without going through ``float``, which holds only 53 bits; ``None`` if that fails."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    try:
        return int(value) if isinstance(value, str) else None
    except ValueError:
        return None
