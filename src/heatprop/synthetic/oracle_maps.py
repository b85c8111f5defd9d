"""Draw maps like CenterNet's from peaks."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

REACH = 2
"""Offset and size are drawn within this many cells of a centre."""
_OVERLAP = 0.7  # CenterNet's min_overlap

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
Maps = NDArray[np.float16]


class Peaks(NamedTuple):
    """n peaks to draw.

    Attributes:
        frame: Number of the frame, from 0, shape ``(n,)``.
        label: Channel, shape ``(n,)``.
        center: Centre ``(x, y)``, shape ``(n, 2)``, in cells.
        size: Size ``(w, h)``, shape ``(n, 2)``, in cells.
        score: Height of the peak, shape ``(n,)``, in [0, 1].
    """

    frame: IntArray
    label: IntArray
    center: FloatArray
    size: FloatArray
    score: FloatArray


def join_peaks(*tables: Peaks) -> Peaks:
    """Join several tables of peaks.

    Args:
        tables: Tables of peaks, at least one.

    Returns:
        All the peaks, in one table.
    """
    return Peaks._make(np.concatenate(columns) for columns in zip(*tables, strict=True))


def draw_maps(peaks: Peaks, shape: tuple[int, int, int, int]) -> tuple[Maps, Maps, Maps]:
    """Draw Gaussians, and offset and size around their centres.

    Where Gaussians overlap, the higher value counts; where squares of 5 x 5 cells overlap, the nearer centre counts. A
    centre beyond the border is drawn at the nearest cell.

    Args:
        peaks: The peaks to draw.
        shape: Shape of the heatmap, ``(T, C, H, W)``.

    Returns:
        ``heatmap`` of that shape, ``offset`` ``(dx, dy)`` and ``size`` ``(w, h)`` of shape ``(T, 2, H, W)``, in cells.
    """
    frames, _, height, width = shape
    heatmap = np.zeros(shape, np.float32)
    boxes = np.zeros((frames, 4, height, width), np.float32)  # dx, dy, w, h
    nearest = np.full((frames, height, width), math.inf)
    limits = np.array([width, height]) - 1
    for frame, label, center, size, score in zip(*peaks, strict=True):
        cell = np.floor(center).astype(np.int64).clip(0, limits)
        radius = blob_radius(size)
        (y, x), distance = _square(cell, radius, (height, width))
        view = heatmap[frame, label, y, x]
        sigma = (2 * radius + 1) / 6
        np.maximum(view, score * np.exp(-distance / (2 * sigma**2)), out=view, casting="same_kind")
        (y, x), distance = _square(cell, REACH, (height, width))
        closer = distance < nearest[frame, y, x]
        nearest[frame, y, x][closer] = distance[closer]
        values = np.concatenate([center - cell, size])[:, None, None]
        boxes[frame, :, y, x] = np.where(closer, values, boxes[frame, :, y, x])
    return heatmap.astype(np.float16), boxes[:, :2].astype(np.float16), boxes[:, 2:].astype(np.float16)


def blob_radius(size: FloatArray) -> int:
    r"""Compute the radius that CenterNet was trained with, including its well-known bug.

    The smallest of its three roots is always

    $$r = \frac{-b + \sqrt{b^2 + 4 a c}}{2}, \quad a = 4 o,\ b = 2 o (h + w),\ c = (1 - o) w h$$

    with $o = 0.7$; the correct solution would be about a third of it.

    Args:
        size: Size of the box ``(w, h)``, in cells.

    Returns:
        The radius, in cells, at least 0.

    Examples:
        >>> blob_radius(np.array([10.0, 10.0]))
        2
    """
    width, height = np.ceil(size)
    b = 2 * _OVERLAP * (width + height)
    return max(0, int((math.sqrt(b * b + 16 * _OVERLAP * (1 - _OVERLAP) * width * height) - b) / 2))


def _square(cell: IntArray, radius: int, shape: tuple[int, int]) -> tuple[tuple[slice, slice], FloatArray]:
    """Select the rows and columns around a cell that lie in the map, and compute their squared distances."""
    x, y = int(cell[0]), int(cell[1])
    rows = np.arange(max(0, y - radius), min(shape[0], y + radius + 1))
    columns = np.arange(max(0, x - radius), min(shape[1], x + radius + 1))
    distance = (rows[:, None] - y) ** 2.0 + (columns - x) ** 2.0
    return (slice(rows[0], rows[-1] + 1), slice(columns[0], columns[-1] + 1)), distance
