"""What a reader does with a malformed row: name its place and stop, or count it, list it and go on."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from os import PathLike
from typing import Any

LISTED = 1000
"""How many malformed rows are listed; more are only counted."""


class Skipped:
    """The malformed rows that readers left out. Handed to a reader, it asks for that.

    One may serve several readers. It is true when something was left out.

    Attributes:
        count: How many rows.
        messages: File, place and fault of the first `LISTED` of them.

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
    """Add file and place to a `ValueError` from inside, or leave the rest of the block out and count that.

    Args:
        path: File that is read.
        place: Where in it, such as ``"line 3"``.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Raises:
        ValueError: If the row is malformed and rows are not to be skipped.
    """
    try:
        yield
    except ValueError as problem:
        message = f"{path}, {place}: {problem}"
        if skipped is None:
            raise ValueError(message) from None
        skipped.add(message)


def parse_number(name: str, value: Any) -> float:
    """Require a finite number, as text or as JSON holds it.

    Args:
        name: What it is, for the error.
        value: What came.

    Returns:
        The number.

    Raises:
        ValueError: If it is none.
    """
    try:
        number = math.nan if value is None or isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise ValueError(f"{name} must be a finite number, got {value!r}")
    return number


def parse_whole(name: str, value: Any, *, low: int | None = None) -> int:
    """Require a whole number, as text or as JSON holds it; ``3.0`` is one.

    Args:
        name: What it is, for the error.
        value: What came.
        low: Smallest value allowed.

    Returns:
        The number.

    Raises:
        ValueError: If it is none or too small.
    """
    if isinstance(value, int) and not isinstance(value, bool):
        whole = value
    else:
        number = parse_number(name, value)
        if number != int(number):
            raise ValueError(f"{name} must be a whole number, got {value!r}")
        whole = int(number)
    if low is not None and whole < low:
        raise ValueError(f"{name} must be at least {low}, got {value!r}")
    return whole
