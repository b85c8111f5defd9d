"""Precision against recall: the curve, the area under it, and one point of it."""

import numbers
from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray

_MOST_RECALL_POINTS = 1_000_000
"""COCO reads a curve at 101 points."""


class Curve(NamedTuple):
    """Precision against recall while the score threshold falls, one point per counted detection.

    Attributes:
        score: Falling, shape ``(n,)``.
        true_positives: How many so far, shape ``(n,)``.
        false_positives: How many so far, shape ``(n,)``.
        ground_truth: How many objects there are to find.
    """

    score: FloatArray
    true_positives: IntArray
    false_positives: IntArray
    ground_truth: int

    @property
    def precision(self) -> FloatArray:
        """TP / (TP + FP), shape ``(n,)``."""
        return self.true_positives / (self.true_positives + self.false_positives)

    @property
    def recall(self) -> FloatArray:
        """TP / (TP + FN), shape ``(n,)``; NaN without ground truth."""
        if self.ground_truth == 0:
            return np.full(len(self.score), np.nan)
        return self.true_positives / self.ground_truth


class Reading(NamedTuple):
    """One point of a curve, as the paper's Table 3 prints it.

    Attributes:
        ground_truth: Objects to find (GT).
        false_negatives: Objects not found at this score (FN).
        false_positives: Wrong detections down to this score (FP).
        precision: TP / (TP + FP).
        score: Of the last detection that was let through.
    """

    ground_truth: int
    false_negatives: int
    false_positives: int
    precision: float
    score: float


def trace_curve(score: FloatArray, correct: BoolArray, ground_truth: int) -> Curve:
    """Count true and false positives along detections that come best first.

    Args:
        score: Falling, shape ``(n,)``.
        correct: Whether each found an object, shape ``(n,)``; ignored detections are left out.
        ground_truth: How many objects there are to find.

    Returns:
        The curve.

    Examples:
        >>> curve = trace_curve(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), ground_truth=4)
        >>> curve.recall, curve.precision
        (array([0.25, 0.25, 0.5 ]), array([1.        , 0.5       , 0.66666667]))
    """
    hits = np.cumsum(correct, dtype=np.int64)
    return Curve(score, hits, np.arange(1, len(hits) + 1) - hits, ground_truth)


def area_under_curve(curve: Curve, *, recall_points: int | None = None) -> float:
    r"""Sum up a curve, after precision was made to fall: each point gets the best precision at its recall or above.

    $$\sum_k (r_k - r_{k-1}) \max_{r \ge r_k} p(r) \qquad\text{or}\qquad
    \frac{1}{N} \sum_{i < N} \max_{r \ge i/(N-1)} p(r)$$

    Args:
        curve: Precision against recall.
        recall_points: ``None``: the whole area (``VOCap.m`` of the devkit). N: the mean precision at N recalls
            from 0 to 1 (COCO: 101), 0 where the curve does not reach, compared in ``float64`` as by pycocotools.

    Returns:
        In [0, 1]; NaN without ground truth.

    Raises:
        TypeError: If ``recall_points`` is not a whole number.
        ValueError: If there are fewer than 2 recall points, or more than a million.

    Examples:
        Of 4 objects one is found, then nothing, then another: 0.25 * 1 + 0.25 * 2/3.

        >>> curve = trace_curve(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), ground_truth=4)
        >>> round(area_under_curve(curve), 4)
        0.4167
        >>> round(area_under_curve(curve, recall_points=101), 4)  # (26 * 1 + 25 * 2/3) / 101
        0.4224
    """
    hits = np.flatnonzero(np.diff(curve.true_positives, prepend=0))
    return area_of_hits(hits, curve.ground_truth, recall_points=recall_points)


def area_of_hits(hits: IntArray | FloatArray, ground_truth: int, *, recall_points: int | None = None) -> float:
    """`area_under_curve` from the places of the true positives alone: between them recall stands, precision falls.

    Args:
        hits: How many detections come before each true positive, rising, shape ``(k,)``; false positives may count
            as fractions.
        ground_truth: How many objects there are to find.
        recall_points: As in `area_under_curve`.

    Returns:
        In [0, 1]; NaN without ground truth.

    Raises:
        TypeError: If ``recall_points`` is not a whole number.
        ValueError: If there are fewer than 2 recall points, or more than a million.

    Examples:
        >>> round(area_of_hits(np.array([0, 2]), ground_truth=4), 4)
        0.4167
    """
    _check_recall_points(recall_points)
    if ground_truth == 0:
        return float("nan")
    found = np.arange(1, len(hits) + 1)
    best = np.maximum.accumulate((found / (hits + 1))[::-1])[::-1]  # precision at this recall or above
    if recall_points is None:
        return float(best.sum() / ground_truth)
    first = np.searchsorted(found / ground_truth, np.linspace(0, 1, recall_points))  # (N,)
    return float(np.append(best, 0.0)[first].mean())


def read_at_recall(curve: Curve, recall: float) -> Reading | None:
    """Read a curve at a recall: the paper's Table 3 at 0.75 and 0.65.

    The point is the detection with which the number of objects found reaches recall * GT, rounded down (at least
    1). Rounding down is what all of Table 3's FN columns have: 254,190 pairs at 75 % leave 63,548, not 63,547.

    Args:
        curve: Precision against recall.
        recall: In (0, 1].

    Returns:
        The point, or ``None`` where the curve ends before that recall.

    Raises:
        ValueError: If the recall is not in (0, 1].

    Examples:
        >>> curve = trace_curve(np.array([0.9, 0.8, 0.7]), np.array([True, False, True]), ground_truth=4)
        >>> read_at_recall(curve, 0.5)
        Reading(ground_truth=4, false_negatives=2, false_positives=1, precision=0.666..., score=0.7)
        >>> read_at_recall(curve, 0.75) is None
        True
    """
    if not 0 < recall <= 1:
        raise ValueError(f"recall must be above 0 and at most 1, got {recall}")
    wanted = max(1, int(np.floor(recall * curve.ground_truth + 1e-9)))
    point = int(np.searchsorted(curve.true_positives, wanted))
    if point == len(curve.score):
        return None
    return Reading(
        ground_truth=curve.ground_truth,
        false_negatives=curve.ground_truth - wanted,
        false_positives=int(curve.false_positives[point]),
        precision=float(curve.precision[point]),
        score=float(curve.score[point]),
    )


def _check_recall_points(recall_points: int | None) -> None:
    if recall_points is None:
        return
    if not isinstance(recall_points, numbers.Integral) or isinstance(recall_points, bool):
        raise TypeError(f"recall_points must be None or a whole number, got {recall_points!r}")
    if recall_points < 2:
        raise ValueError(f"recall_points must be None or at least 2, got {recall_points}")
    if recall_points > _MOST_RECALL_POINTS:
        raise ValueError(
            f"recall_points must be at most {_MOST_RECALL_POINTS}, got {recall_points}; None takes the whole area"
        )
