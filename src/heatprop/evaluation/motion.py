"""How fast each object moves: the paper's displacement in cells, and FGFA's motion IoU."""

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import FloatArray, check_above_zero
from heatprop.evaluation.columns import GroundTruth
from heatprop.evaluation.overlap import iou
from heatprop.evaluation.picture_sizes import PictureSize, picture_sizes
from heatprop.evaluation.tracks import boxes_at, follows, order_tracks


def displacement(
    truth: GroundTruth,
    *,
    picture_size: PictureSize | None = None,
    input_size: int = 512,
    stride: float = 4,
    quantize: bool = False,
) -> FloatArray:
    r"""Measure how far each object moved since the frame before, in heatmap cells (Sec. 5.3).

    $$\Delta_i = \max\left(|x_i^{t+1} - x_i^t|,\ |y_i^{t+1} - y_i^t|\right)$$

    of the box centres. The pair of boxes is written at its second box.

    Args:
        truth: Objects, in pixels of their pictures.
        picture_size: Size of the pictures, ``(width, height)`` or ``{video: (width, height)}``. The boxes are then
            letterboxed to ``input_size`` as CenterNet does. ``None``: boxes are in pixels of the network input.
        input_size: Side of the square network input, in pixels.
        stride: Pixels of the network input per cell.
        quantize: Round both corners to whole cells first (halves to even), so that centres lie on half cells;
            the paper's shares, such as 39.6 % of the pairs at exactly 0 (Table 2), fit that grid.

    Returns:
        In cells, shape ``(n,)``; NaN for the first box of a track, the first after a gap, and ignored boxes.

    Raises:
        ValueError: If a track has two boxes in one frame, a picture size is missing, or ``input_size`` or ``stride``
            is not above 0.

    Examples:
        >>> boxes = [[0, 0, 40, 40], [12, 4, 52, 44], [12, 4, 52, 44]]
        >>> truth = GroundTruth(video=[0] * 3, frame=[0, 1, 3], track=[5] * 3, label=[1] * 3, box=boxes)
        >>> displacement(truth)
        array([nan,  3., nan])
        >>> displacement(truth, picture_size=(1024, 512))  # half as large on the 512 px input
        array([nan, 1.5, nan])
    """
    for name, value in (("input_size", input_size), ("stride", stride)):
        check_above_zero(name, value)
    boxes = truth.box
    if picture_size is not None:
        sizes = picture_sizes(picture_size, truth.video)  # (n, 2)
        ratio = input_size / sizes.max(axis=1, keepdims=True)  # (n, 1)
        boxes = boxes * ratio + np.tile((input_size - ratio * sizes) / 2, 2)  # (n, 4)
    cells = boxes / stride
    if quantize:
        cells = np.rint(cells)
    tracks = order_tracks(truth)
    centers = ((cells[:, :2] + cells[:, 2:]) / 2)[tracks.rows]  # (n, 2)
    moved = np.abs(np.diff(centers, axis=0, prepend=centers[:1])).max(axis=1)  # (n,)
    result = np.full(len(truth.box), np.nan)
    result[tracks.rows] = np.where(follows(tracks), moved, np.nan)
    return result


def motion_iou(truth: GroundTruth, *, reach: int = 10, plus_one: bool = True) -> FloatArray:
    """Average each box's IoU with the same object's boxes in the frames around it (FGFA).

    Args:
        truth: Objects.
        reach: How many frames before and after; frames without the object are left out.
        plus_one: Include the last pixel.

    Returns:
        In [0, 1], high for slow objects, shape ``(n,)``; NaN where no frame around has the object, and for ignored
        boxes.

    Raises:
        ValueError: If a track has two boxes in one frame, or ``reach`` is below 1.

    Examples:
        The middle box meets itself once and a box shifted by half its width once: (1 + 1/3) / 2.

        >>> boxes = [[1, 1, 10, 10], [1, 1, 10, 10], [6, 1, 15, 10]]
        >>> truth = GroundTruth(video=[0] * 3, frame=[0, 1, 2], track=[5] * 3, label=[1] * 3, box=boxes)
        >>> motion_iou(truth, reach=1)
        array([1.        , 0.66666667, 0.33333333])
    """
    if reach < 1:
        raise ValueError(f"reach must be at least 1 frame, got {reach}")
    tracks = order_tracks(truth)
    boxes = truth.box[tracks.rows]
    total, count = np.zeros(len(boxes)), np.zeros(len(boxes))
    reach = min(reach, int(np.ptp(tracks.frame)) if len(boxes) else 0)  # farther away there is nothing
    for distance in [*range(-reach, 0), *range(1, reach + 1)]:
        place = boxes_at(tracks, distance)
        here = np.flatnonzero(place >= 0)
        total[here] += iou(boxes[here], boxes[place[here]], plus_one=plus_one)
        count[here] += 1
    result = np.full(len(truth.box), np.nan)
    result[tracks.rows] = np.divide(total, count, out=np.full(len(boxes), np.nan), where=count > 0)
    return result


def uncovered_pairs(displacements: NDArray[np.float64], radii: Iterable[float] = range(11)) -> dict[float, float]:
    """Return the share of object pairs that move farther than a radius reaches (Table 2, second row).

    Args:
        displacements: From `displacement`, in cells, shape ``(n,)``; NaN is no pair.
        radii: The paper's P, in cells.

    Returns:
        Radius -> share of the pairs with displacement > radius, in [0, 1]; NaN without pairs.

    Examples:
        >>> uncovered_pairs(np.array([np.nan, 0.0, 0.5, 1.0, 3.0]), radii=[0, 1, 2, 3])
        {0: 0.75, 1: 0.25, 2: 0.25, 3: 0.0}
    """
    pairs = displacements[~np.isnan(displacements)]
    return {radius: float((pairs > radius).mean()) if len(pairs) else float("nan") for radius in radii}


def suggest_radius(displacements: NDArray[np.float64], *, uncovered: float = 0.05) -> int:
    """Return the smallest whole radius that leaves few enough pairs uncovered.

    On ImageNet VID, 11.3 % are uncovered at 1 and 3.7 % at 2 (Table 2): the default gives the paper's choice, 2.

    Args:
        displacements: From `displacement`, in cells, shape ``(n,)``; NaN is no pair.
        uncovered: Largest share of pairs that may move farther, in [0, 1].

    Returns:
        In cells, 0 or more.

    Raises:
        ValueError: If there is no pair, or the share is not in [0, 1].

    Examples:
        >>> suggest_radius(np.array([0.0] * 96 + [2.5, 2.5, 7.0, 9.0]))
        0
        >>> suggest_radius(np.array([0.0] * 96 + [2.5, 2.5, 7.0, 9.0]), uncovered=0.02)
        3
    """
    if not 0 <= uncovered <= 1:
        raise ValueError(f"uncovered must be between 0 and 1, got {uncovered}")
    pairs = np.sort(displacements[~np.isnan(displacements)])
    if len(pairs) == 0:
        raise ValueError(
            "displacements must hold at least one pair, got none; objects need tracks over frames t, t + 1"
        )
    let_go = int(np.floor(uncovered * len(pairs) + 1e-9))
    largest = pairs[-1 - let_go] if let_go < len(pairs) else 0.0  # the largest that must be covered
    return int(np.ceil(largest))
