"""Orders in which equal values stay as given, faster than numpy's own stable sorts, and runs of equal values."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import FloatArray, IntArray


def falling_order(values: FloatArray) -> IntArray:
    """Order values from high to low, ties as given.

    Numpy sorts several times as fast when it need not keep equal values in order; a second such sort, of whole
    numbers that are all different, puts those right.

    Args:
        values: Finite, shape ``(n,)``.

    Returns:
        Places, shape ``(n,)``.

    Examples:
        >>> falling_order(np.array([0.5, 0.9, 0.5, 0.7]))
        array([1, 3, 0, 2])
    """
    order = np.argsort(-values)
    falling = values[order]
    run = np.zeros(len(values), np.int64)
    np.cumsum(falling[1:] != falling[:-1], out=run[1:])
    run *= len(values)
    return np.sort(run + order) - run


def grouped_order(groups: IntArray, values: FloatArray) -> IntArray:
    """Order by rising group, in each from high to low, equal values as given.

    Args:
        groups: 0 or more, shape ``(n,)``; times n they must stay below 2**63.
        values: Finite, shape ``(n,)``.

    Returns:
        Places, shape ``(n,)``.

    Examples:
        >>> grouped_order(np.array([1, 0, 1, 1]), np.array([0.2, 0.1, 0.9, 0.2]))
        array([1, 2, 0, 3])
    """
    order = falling_order(values)
    key = groups[order] * len(order) + np.arange(len(order))  # all different
    return order[np.sort(key) % len(order)] if len(order) else order


def code_order(codes: IntArray) -> IntArray:
    """Order whole numbers of 0 or more, ties as given; up to 65,535 numpy does it in linear time.

    Examples:
        >>> code_order(np.array([2, 0, 2, 1]))
        array([1, 3, 0, 2])
    """
    small = codes.max(initial=0) < 2**16
    return np.argsort(codes.astype(np.uint16) if small else codes, kind="stable")


def starts_of_runs(column: NDArray[Any]) -> IntArray:
    """Find where a run of equal neighbours starts.

    Examples:
        >>> starts_of_runs(np.array([4, 4, 2, 4]))
        array([0, 2, 3])
    """
    if len(column) == 0:
        return np.zeros(0, np.int64)
    return np.concatenate([[0], np.flatnonzero(column[1:] != column[:-1]) + 1])
