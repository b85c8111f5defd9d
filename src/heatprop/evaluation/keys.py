"""Whole numbers that say which rows of two tables belong together: the same frame, the same class."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import IntArray, concatenate
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.order import starts_of_runs


class Codes(NamedTuple):
    """Frame and class of the rows of both tables, as whole numbers of 0 or more.

    Attributes:
        truth_frame: Of the ground truth, by rising video, then frame, shape ``(m,)``.
        frame: Of the predictions, shape ``(n,)``.
        truth_label: Of the ground truth, place in ``labels``, shape ``(m,)``.
        label: Of the predictions, shape ``(n,)``.
        labels: The classes of both tables, rising.
    """

    truth_frame: IntArray
    frame: IntArray
    truth_label: IntArray
    label: IntArray
    labels: NDArray[Any]


def number_rows(truth: GroundTruth, predictions: Predictions) -> Codes:
    """Number the frames and the classes of both tables.

    Raises:
        ValueError: If videos or labels are text in one table and numbers in the other.
    """
    labels, (truth_label, label) = joint_codes("label", truth.label, predictions.label)
    return Codes(*frame_codes(truth, predictions), truth_label, label, labels)


def frame_codes(truth: GroundTruth, predictions: Predictions) -> tuple[IntArray, IntArray]:
    """Number the frames of both tables by rising video, then frame.

    Returns:
        Of each row of the truth, and of each row of the predictions.
    """
    _, (video, found_video) = joint_codes("video", truth.video, predictions.video)
    values, (frame, found_frame) = joint_codes("frame", truth.frame, predictions.frame)
    return _combine(video, frame, found_video, found_frame, len(values))


def group_codes(codes: Codes, *, same_label: bool = True) -> tuple[IntArray, IntArray]:
    """Number the groups within which boxes may match: one frame and one class, or one frame.

    Returns:
        Of each row of the truth, and of each row of the predictions.
    """
    if not same_label:
        return codes.truth_frame, codes.frame
    return _combine(codes.truth_frame, codes.truth_label, codes.frame, codes.label, len(codes.labels))


def joint_codes(name: str, *columns: NDArray[Any]) -> tuple[NDArray[Any], list[IntArray]]:
    """Number the distinct values of several columns by rising value.

    Args:
        name: What they are, for the error.
        columns: Whole numbers everywhere or text everywhere, ``(n,)`` each.

    Returns:
        The distinct values ``(m,)``, and for each column the number 0 to m - 1 of each of its values.

    Raises:
        ValueError: If one holds text and another numbers.

    Examples:
        >>> joint_codes("label", np.array([30, 10, 10]), np.array([20, 30]))
        (array([10, 20, 30]), [array([2, 0, 0]), array([1, 2])])
    """
    joined = concatenate(name, columns)
    values, codes = _number(joined)
    ends = np.cumsum([len(column) for column in columns])
    return values, np.split(codes, ends[:-1])


def _combine(
    major: IntArray, minor: IntArray, found_major: IntArray, found_minor: IntArray, minors: int
) -> tuple[IntArray, IntArray]:
    """Number the (major, minor) pairs in their order, with few numbers left out."""
    pairs, found_pairs = major * minors + minor, found_major * minors + found_minor  # at most rows**2: no overflow
    if max(pairs.max(initial=0), found_pairs.max(initial=0)) <= _close_together(len(pairs) + len(found_pairs)):
        return pairs, found_pairs
    _, (pairs, found_pairs) = joint_codes("pair", pairs, found_pairs)
    return pairs, found_pairs


def _close_together(rows: int) -> int:
    """Numbers up to here can be places of a table."""
    return 4 * rows + 1000


def _number(joined: NDArray[Any]) -> tuple[NDArray[Any], IntArray]:
    """Look at one value of each run only: tables usually come frame after frame."""
    starts = starts_of_runs(joined)
    runs = joined[starts]
    low, high = (0, 0) if joined.dtype.kind == "U" or len(runs) == 0 else (int(runs.min()), int(runs.max()))
    if joined.dtype.kind == "U" or high - low > _close_together(len(runs)):
        values, codes = np.unique(runs, return_inverse=True)
    else:
        values, codes = _number_by_table(runs, low, high)
    return values, np.repeat(codes.astype(np.int64, copy=False), np.diff(starts, append=len(joined)))


def _number_by_table(numbers: IntArray, low: int, high: int) -> tuple[IntArray, IntArray]:
    """Mark the numbers that occur, which is faster than sorting where they lie close together."""
    places = numbers - low
    occurs = np.zeros(high - low + 1, np.bool_)
    occurs[places] = True
    return np.flatnonzero(occurs) + low, (np.cumsum(occurs) - 1)[places]
