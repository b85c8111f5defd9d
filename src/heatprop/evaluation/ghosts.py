"""Boxes where nothing is: how many there are and how long they stay."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.keys import frame_codes
from heatprop.evaluation.matching import Rule, match
from heatprop.evaluation.overlap import iou, pairs_in_groups
from heatprop.evaluation.picture_sizes import PictureSize, picture_sizes

_GHOST_LINK = Rule(iou_threshold=0.5, small_objects=False, plus_one=False)
"""When a ghost is the same as one of the frame before."""


class GhostRate(NamedTuple):
    """How many confident boxes touch no object.

    Attributes:
        rate: Ghosts per confident box, in [0, 1]; NaN without confident boxes.
        ghosts: How many.
        boxes: Confident boxes.
    """

    rate: float
    ghosts: int
    boxes: int


class GhostAge(NamedTuple):
    """How long ghosts stay.

    Attributes:
        mean: Mean life, in frames; NaN without ghosts.
        longest: Longest life, in frames.
        ages: Life of each ghost, in frames, by rising last appearance.
    """

    mean: float
    longest: int
    ages: IntArray


def find_ghosts(
    truth: GroundTruth,
    predictions: Predictions,
    *,
    score: float = 0.3,
    touch_iou: float = 0.1,
    picture_size: PictureSize | None = None,
) -> BoolArray:
    """Find the ghosts: boxes with a score that touch no object.

    A ghost has score >= 0.3 and IoU < 0.1 with every annotated or ignored box of its frame, of any class. Boxes are
    clipped to the picture first and have no +1; what is left of a box outside the picture touches nothing.

    Args:
        truth: Objects, ignored ones too.
        predictions: Detections.
        score: Smallest score of a ghost.
        touch_iou: IoU from which a box touches an object.
        picture_size: ``(width, height)`` in pixels or ``{video: (width, height)}``; ``None``: do not clip.

    Returns:
        Mask over the predictions, shape ``(n,)``.

    Raises:
        ValueError: If a picture size is missing.

    Examples:
        >>> truth = GroundTruth([0], frame=[0], track=[0], label=[1], box=[[0, 0, 50, 50]])
        >>> boxes = [[10, 0, 60, 50], [60, 60, 90, 90], [60, 60, 90, 90]]
        >>> found = Predictions([0] * 3, frame=[0] * 3, label=[2] * 3, score=[0.9, 0.8, 0.2], box=boxes)
        >>> find_ghosts(truth, found)
        array([False,  True, False])
    """
    confident = predictions.score >= score
    rows = np.flatnonzero(confident)
    truth_frames, frames = frame_codes(truth, predictions)
    boxes, others = _clipped(predictions, picture_size), _clipped(truth, picture_size)
    touching = np.zeros(len(confident), np.bool_)
    for places, objects in pairs_in_groups(frames[rows], truth_frames):
        close = iou(boxes[rows[places]], others[objects]) >= touch_iou
        touching[rows[places[close]]] = True
    return confident & ~touching


def ghost_rate(
    truth: GroundTruth,
    predictions: Predictions,
    *,
    score: float = 0.3,
    touch_iou: float = 0.1,
    picture_size: PictureSize | None = None,
) -> GhostRate:
    """Return the share of the boxes with a score of at least 0.3 that are ghosts (`find_ghosts`).

    Args:
        truth: Objects, ignored ones too.
        predictions: Detections.
        score: Smallest score of a box that counts.
        touch_iou: IoU from which a box touches an object.
        picture_size: ``(width, height)`` in pixels or ``{video: (width, height)}``; ``None``: do not clip.

    Returns:
        Rate and counts.

    Examples:
        >>> truth = GroundTruth([0], frame=[0], track=[0], label=[1], box=[[0, 0, 50, 50]])
        >>> boxes = [[10, 0, 60, 50], [60, 60, 90, 90], [60, 60, 90, 90]]
        >>> found = Predictions([0] * 3, frame=[0] * 3, label=[2] * 3, score=[0.9, 0.8, 0.2], box=boxes)
        >>> ghost_rate(truth, found)
        GhostRate(rate=0.5, ghosts=1, boxes=2)
    """
    ghosts = int(find_ghosts(truth, predictions, score=score, touch_iou=touch_iou, picture_size=picture_size).sum())
    boxes = int((predictions.score >= score).sum())
    return GhostRate(ghosts / boxes if boxes else float("nan"), ghosts, boxes)


def ghost_age(
    truth: GroundTruth,
    predictions: Predictions,
    *,
    score: float = 0.3,
    touch_iou: float = 0.1,
    picture_size: PictureSize | None = None,
) -> GhostAge:
    """Measure how many frames ghosts (`find_ghosts`) stay.

    ::

        frame      0  1  2  3
        ghost      o--o--o  .      one ghost of age 3
        elsewhere  .  o  .  o      two ghosts of age 1

    A ghost box continues one of the frame before if they have the same label and IoU >= 0.5 (clipped, no +1); one to
    one: by falling score, each takes the one of largest IoU that is not taken, as in `match`. The age is the length
    of such a chain.

    Args:
        truth: Objects, ignored ones too.
        predictions: Detections.
        score: Smallest score of a ghost.
        touch_iou: IoU from which a box touches an object.
        picture_size: ``(width, height)`` in pixels or ``{video: (width, height)}``; ``None``: do not clip.

    Returns:
        Mean, longest, and each age.

    Examples:
        >>> truth = GroundTruth([], [], [], [], [])
        >>> boxes = [[0, 0, 50, 50], [5, 0, 55, 50], [80, 80, 90, 90], [10, 0, 60, 50], [80, 80, 90, 90]]
        >>> found = Predictions([0] * 5, frame=[0, 1, 1, 2, 3], label=[1] * 5, score=[0.9] * 5, box=boxes)
        >>> ghost_age(truth, found)
        GhostAge(mean=1.6666..., longest=3, ages=array([1, 3, 1]))
    """
    mask = find_ghosts(truth, predictions, score=score, touch_iou=touch_iou, picture_size=picture_size)
    rows = np.flatnonzero(mask)
    rows = rows[np.argsort(predictions.frame[rows], kind="stable")]
    ghosts = predictions.select(rows)._replace(box=_clipped(predictions, picture_size)[rows])
    count = len(rows)
    before = GroundTruth(ghosts.video, ghosts.frame + 1, np.arange(count), ghosts.label, ghosts.box)
    previous = match(before, ghosts, rule=_GHOST_LINK).truth_index  # (n,), always an earlier row
    age = _chain_lengths(previous)
    last = np.ones(count, np.bool_)
    last[previous[previous >= 0]] = False
    ages = age[last]
    return GhostAge(float(ages.mean()) if len(ages) else float("nan"), int(ages.max(initial=0)), ages)


def _clipped(table: GroundTruth | Predictions, picture_size: PictureSize | None) -> FloatArray:
    if picture_size is None:
        return table.box
    sizes = picture_sizes(picture_size, table.video)  # (n, 2)
    return np.clip(table.box, 0, np.tile(sizes, 2))


def _chain_lengths(previous: IntArray) -> IntArray:
    """Number of rows from each row back to the start of its chain, itself included; -1 starts one.

    Every round looks twice as far back: after k rounds, 2**k rows.
    """
    length = np.ones(len(previous) + 1, np.int64)
    length[-1] = 0  # row -1: beyond the start
    back = np.append(previous, -1)
    while (back >= 0).any():
        length = length + length[back]
        back = back[back]
    return length[:-1]
