"""IoU of boxes, and all pairs of boxes that lie in the same group."""

from collections.abc import Iterator

import numpy as np

from heatprop.evaluation.column_checks import FloatArray, IntArray

PAIRS_AT_ONCE = 1 << 20
"""How many pairs are held in memory at a time, about 200 bytes each."""


def iou(boxes: FloatArray, others: FloatArray, *, plus_one: bool = False) -> FloatArray:
    """Divide the common area of each two boxes, row by row, by the area of their union.

    Args:
        boxes: ``(x1, y1, x2, y2)`` in pixels, shape ``(n, 4)``.
        others: The other box of each row, shape ``(n, 4)``.
        plus_one: Include the last pixel: widths are x2 - x1 + 1 (the ILSVRC devkit).

    Returns:
        Shape ``(n,)``, in [0, 1]; 0 where the boxes have no common area, so for every box without area.

    Examples:
        >>> first, second = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])
        >>> iou(first, second)
        array([0.33333333])
        >>> iou(first, second, plus_one=True)  # 6 * 11 / (121 + 121 - 66)
        array([0.375])
    """
    one = 1.0 if plus_one else 0.0
    ax1, ay1, ax2, ay2 = boxes.T
    bx1, by1, bx2, by2 = others.T
    width = np.minimum(ax2, bx2) - np.maximum(ax1, bx1) + one
    height = np.minimum(ay2, by2) - np.maximum(ay1, by1) + one
    inter = width * height
    union = (ax2 - ax1 + one) * (ay2 - ay1 + one) + (bx2 - bx1 + one) * (by2 - by1 + one) - inter
    touching = (width > 0) & (height > 0)  # both boxes then have an area, so the union is above 0
    result: FloatArray = np.divide(inter, union, out=np.zeros_like(inter), where=touching)
    return result


def pairs_in_groups(groups: IntArray, other_groups: IntArray) -> Iterator[tuple[IntArray, IntArray]]:
    """Walk through all pairs of a row and an other row of the same group.

    Args:
        groups: Group of each row, shape ``(n,)``, 0 or more.
        other_groups: Group of each other row, shape ``(m,)``.

    Yields:
        Indices of rows and of other rows, chunk by chunk, by rising row, then rising other row. The pairs of one
        row are never split between chunks.

    Examples:
        >>> [(rows, others)] = pairs_in_groups(np.array([1, 0]), np.array([1, 2, 1]))
        >>> rows, others
        (array([0, 0]), array([0, 2]))
    """
    order = np.argsort(other_groups, kind="stable")
    size = int(max(groups.max(initial=-1), other_groups.max(initial=-1))) + 1
    counts = np.bincount(other_groups, minlength=size)
    starts = np.cumsum(counts) - counts
    rows = np.flatnonzero(counts[groups])
    totals = np.cumsum(counts[groups[rows]])
    done = 0
    while done < len(rows):
        before = totals[done - 1] if done else 0
        end = max(done + 1, int(np.searchsorted(totals, before + PAIRS_AT_ONCE, side="right")))
        chunk = rows[done:end]
        yield _pairs_of(chunk, counts[groups[chunk]], starts[groups[chunk]], order)
        done = end


def _pairs_of(rows: IntArray, counts: IntArray, starts: IntArray, order: IntArray) -> tuple[IntArray, IntArray]:
    first = np.cumsum(counts) - counts  # where each row's pairs begin
    step = np.arange(counts.sum()) - np.repeat(first, counts)
    return np.repeat(rows, counts), order[np.repeat(starts, counts) + step]
