"""What a column must hold; each check says what came instead, and in which row."""

from collections.abc import Sequence
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

IntArray = NDArray[np.int64]
FloatArray = NDArray[np.float64]
BoolArray = NDArray[np.bool_]

LARGEST_FRAME = 2**31
"""Frame numbers count frames: a time stamp in nanoseconds is none."""


def concatenate(name: str, columns: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """Put columns one after the other that must all hold text or all numbers; empty ones go with both."""
    filled = [column for column in columns if len(column)] or list(columns[:1])
    kinds = {column.dtype.kind == "U" for column in filled}
    if len(kinds) > 1:
        came = " and ".join(sorted({str(column.dtype) for column in filled}))
        raise ValueError(f"{name} must be text everywhere or numbers everywhere, got {came}; convert one of them")
    return np.concatenate(filled)


def check_above_zero(name: str, value: float) -> None:
    """Require a finite number above 0."""
    check_real(name, value)
    if not 0 < value < np.inf:
        raise ValueError(f"{name} must be a number above 0, got {value}")


def check_real(name: str, value: float) -> None:
    """Require a number, not something that only compares like one."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")


def check_boxes(name: str, values: ArrayLike) -> FloatArray:
    """Require boxes ``(n, 4)`` of finite numbers."""
    boxes = _array(name, values)
    if boxes.size == 0:
        boxes = np.zeros((0, 4))
    if boxes.ndim != 2 or boxes.shape[1] != 4:
        raise ValueError(f"{name} must have shape (n, 4), one (x1, y1, x2, y2) per row, got {boxes.shape}")
    return check_finite(name, boxes)


def _array(name: str, values: ArrayLike) -> NDArray[Any]:
    """Make an array; numpy and torch have many words for why they cannot."""
    try:
        return np.asarray(values)
    except (TypeError, ValueError, RuntimeError, OverflowError) as error:
        raise TypeError(
            f"{name} must be an array or a list of numbers or text, got {type(values).__name__}: {error}"
        ) from error


def check_column(name: str, values: ArrayLike, count: int) -> NDArray[Any]:
    """Require one value per box."""
    column = _array(name, values)
    if column.size == 0:
        column = np.zeros(0, np.int64)
    if column.dtype == object:  # text as pandas keeps it
        column = _array(name, column.tolist())
    if column.shape != (count,):
        raise ValueError(f"{name} must have shape ({count},), one value per box, got {column.shape}")
    return column


def check_finite(name: str, column: NDArray[Any]) -> FloatArray:
    """Require real numbers, all finite, as ``float64``."""
    if column.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold real numbers, got {column.dtype}")
    numbers = column.astype(np.float64)
    finite = np.isfinite(numbers)
    if not finite.all():
        row = int(np.argwhere(~finite)[0, 0])
        raise ValueError(f"{name} must be finite, got {numbers[row]} in row {row}; leave such rows out")
    return numbers


def check_names(name: str, values: ArrayLike, count: int) -> NDArray[Any]:
    """Require text, or whole numbers as ``int64``."""
    column = check_column(name, values, count)
    return column if column.dtype.kind == "U" else _whole(name, column, "whole numbers or text")


def check_frames(name: str, values: ArrayLike, count: int) -> IntArray:
    """Require whole numbers that count frames."""
    column = _whole(name, check_column(name, values, count), "whole numbers")
    far = (column >= LARGEST_FRAME) | (column <= -LARGEST_FRAME)
    if far.any():
        raise ValueError(
            f"{name} must count frames (below 2**31), got {column[far][0]}; number the frames 0, 1, 2, ..."
        )
    return column


def check_flags(name: str, values: ArrayLike, count: int) -> BoolArray:
    """Require True and False."""
    column = check_column(name, values, count)
    if not np.isin(column, (0, 1)).all():
        raise ValueError(f"{name} must hold True and False, got {column[~np.isin(column, (0, 1))][0]}")
    return column.astype(np.bool_)


def _whole(name: str, column: NDArray[Any], wanted: str) -> IntArray:
    if column.dtype.kind not in "iuf":
        raise TypeError(f"{name} must hold {wanted}, got {column.dtype}")
    if column.dtype.kind == "f":
        whole = np.isfinite(column) & (column == np.rint(column))
        exact = np.abs(column) < 2.0**53
    else:
        whole, exact = np.ones(len(column), np.bool_), column <= np.iinfo(np.int64).max
    if not (whole & exact).all():
        row = int((~(whole & exact)).argmax())
        advice = "" if not whole[row] else "; numbers so large are exact as int64 only, number them anew or use text"
        raise ValueError(f"{name} must hold {wanted}, got {column[row]} in row {row}{advice}")
    return column.astype(np.int64)
