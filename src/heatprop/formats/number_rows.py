"""Read tables of numbers from text files, in large pieces, with the line number of each row."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import islice
from os import PathLike

import numpy as np

from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.formats.bad_rows import Skipped, located, parse_number

LINES_AT_ONCE = 1 << 16


def read_number_rows(
    path: str | PathLike[str],
    columns: Sequence[str],
    *,
    separator: str | None = None,
    fields: int | None = None,
    skipped: Skipped | None = None,
) -> Iterator[tuple[IntArray, FloatArray]]:
    """Read the first columns of a table; blank lines do not count as rows, and further columns are allowed.

    Args:
        path: Text file, UTF-8.
        columns: Names of the columns to read, starting with the first.
        separator: Text between columns; ``None`` for whitespace.
        fields: How many columns every row must have; ``None`` for at least the named ones.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Yields:
        Line numbers from 1, ``(n,)``, and values, ``(n, len(columns))``, about 65,000 rows at a time.

    Raises:
        ValueError: If a row is malformed: it has the wrong number of columns, or a value is not a finite number.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        first = 1
        while lines := list(islice(file, LINES_AT_ONCE)):
            number = np.array([first + i for i, line in enumerate(lines) if not line.isspace()], dtype=np.int64)
            filled = [line for line in lines if not line.isspace()]
            values = _parse_all(filled, len(columns), separator, fields)
            if values is None:  # something is wrong: find out where
                rows = list(_parse_each(path, number, filled, columns, separator, fields, skipped))
                number = np.array([line for line, _ in rows], dtype=np.int64)
                values = np.array([row for _, row in rows]).reshape(-1, len(columns))
            yield number, values
            first += len(lines)


def count_fields(path: str | PathLike[str], separator: str) -> int:
    """Count the columns that most rows of a table have; the first count wins a tie, and 0 stands for no rows."""
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        counts = Counter(line.count(separator) + 1 for line in file if not line.isspace())
    return counts.most_common(1)[0][0] if counts else 0


def _parse_all(lines: list[str], columns: int, separator: str | None, fields: int | None) -> FloatArray | None:
    if not lines:
        return np.zeros((0, columns))
    if fields is not None and any(len(line.split(separator)) != fields for line in lines):
        return None
    try:
        values = np.loadtxt(lines, delimiter=separator, usecols=range(columns), ndmin=2, comments=None)
    except ValueError:
        return None
    return values if np.isfinite(values).all() else None


def _parse_each(
    path: str | PathLike[str],
    number: IntArray,
    lines: list[str],
    columns: Sequence[str],
    separator: str | None,
    wanted: int | None,
    skipped: Skipped | None,
) -> Iterator[tuple[int, list[float]]]:
    for line, text in zip(number.tolist(), lines, strict=True):
        with located(path, f"line {line}", skipped):
            fields = text.split(separator)
            if len(fields) < len(columns):
                names = f"{len(columns)} columns ({', '.join(columns)})"
                raise ValueError(f"a row must hold {names}, got {len(fields)}: {_shorten(text)!r}")
            if wanted is not None and len(fields) != wanted:
                raise ValueError(f"a row must hold {wanted} columns, as most rows do, got {len(fields)}")
            yield line, [parse_number(name, field.strip()) for name, field in zip(columns, fields, strict=False)]


def _shorten(text: str) -> str:
    text = text.strip()
    return text if len(text) <= 60 else f"{text[:57]}..."
