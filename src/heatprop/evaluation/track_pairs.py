"""Which boxes of true tracks and of found ones overlap, frame by frame: what the metrics of trackers read."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray, check_names, check_real
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.keys import group_codes, joint_codes, number_rows
from heatprop.evaluation.overlap import iou, pairs_in_groups


class TrackPairs(NamedTuple):
    """Boxes of objects and of found tracks in the order of video, frame and class, and all that overlap.

    A track belongs to one video and one class: a name that comes again in another one is another track.

    Attributes:
        truth_track: Track of each object's box, numbers of 0 or more, shape ``(m,)``.
        truth_group: Its video, frame and class, one number for all three, rising, shape ``(m,)``.
        track: Found track of each detection, numbers of 0 or more, shape ``(n,)``.
        group: Its video, frame and class, rising, shape ``(n,)``.
        sequence: Video and class of each true track, shape ``(tracks,)``.
        row: Object's box of each pair, rising, shape ``(p,)``.
        column: Detection of each pair, shape ``(p,)``.
        overlap: IoU of each pair, above 0, shape ``(p,)``.
    """

    truth_track: IntArray
    truth_group: IntArray
    track: IntArray
    group: IntArray
    sequence: IntArray
    row: IntArray
    column: IntArray
    overlap: FloatArray


def pair_tracks(
    truth: GroundTruth,
    predictions: Predictions,
    track: ArrayLike,
    *,
    score: float = -np.inf,
    ignore_iou: float = 0.5,
) -> TrackPairs:
    """Compare the boxes of true tracks with those of found ones; only boxes of one class are compared.

    Args:
        truth: Objects with their tracks. An ignored box is neither to be found nor to be punished: detections that
            overlap it, and no other object, by ``ignore_iou`` are left out.
        predictions: Detections.
        track: Identity of each, whole numbers or text, shape ``(n,)``; detections below 0 have none and are left out.
        score: Detections below this score are left out.
        ignore_iou: Least IoU with an ignored box, above 0.

    Returns:
        The pairs, for `hota`, `clear_mot` and `identity_f1`.

    Raises:
        ValueError: If a track, true or found, has two boxes of one class in one frame.

    Examples:
        >>> truth = GroundTruth([0] * 2, frame=[0, 1], track=[7] * 2, label=[1] * 2, box=[[0, 0, 9, 9]] * 2)
        >>> found = Predictions([0] * 2, frame=[0, 1], label=[1] * 2, score=[0.9] * 2, box=[[0, 0, 9, 9]] * 2)
        >>> pairs = pair_tracks(truth, found, track=[3, 4])
        >>> pairs.truth_track, pairs.track, pairs.overlap
        (array([0, 0]), array([0, 1]), array([1., 1.]))
    """
    check_real("score", score)
    check_real("ignore_iou", ignore_iou)
    names = check_names("track", track, len(predictions.box))
    kept = predictions.score >= score
    if names.dtype.kind != "U":
        kept &= names >= 0
    found, names = predictions.select(kept), names[kept]
    codes = number_rows(truth, found)
    truth_groups, groups = group_codes(codes)
    found_rows = np.flatnonzero(~_on_ignored(truth, found, truth_groups, groups, ignore_iou))
    rows = np.flatnonzero(~truth.ignore)
    rows = rows[np.argsort(truth_groups[rows], kind="stable")]
    found_rows = found_rows[np.argsort(groups[found_rows], kind="stable")]
    truth_sequence, sequence = _sequences(truth, found)
    truth_track = _number("the truth", truth.track[rows], truth_sequence[rows], truth_groups[rows])
    numbers = _number("the predictions", names[found_rows], sequence[found_rows], groups[found_rows])
    of_track = np.zeros(truth_track.max(initial=-1) + 1, np.int64)
    of_track[truth_track] = truth_sequence[rows]
    pairs = _overlaps(truth.box[rows], found.box[found_rows], truth_groups[rows], groups[found_rows])
    return TrackPairs(truth_track, truth_groups[rows], numbers, groups[found_rows], of_track, *pairs)


def _overlaps(
    boxes: FloatArray, others: FloatArray, groups: IntArray, other_groups: IntArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """All pairs of one group that have a common area, by rising row, then column."""
    row, column, overlap = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for first, second in pairs_in_groups(groups, other_groups):
        values = iou(boxes[first], others[second])
        row.append(first[values > 0])
        column.append(second[values > 0])
        overlap.append(values[values > 0])
    return np.concatenate(row), np.concatenate(column), np.concatenate(overlap)


def _on_ignored(
    truth: GroundTruth, found: Predictions, truth_groups: IntArray, groups: IntArray, least: float
) -> BoolArray:
    """Mark the detections that lie on an ignored box and on no other object."""
    row, column, overlap = _overlaps(truth.box, found.box, truth_groups, groups)
    close = overlap >= least
    on = np.zeros((2, len(found.box)), np.bool_)
    on[truth.ignore[row[close]].astype(np.int64), column[close]] = True
    alone: BoolArray = on[1] & ~on[0]
    return alone


def _sequences(truth: GroundTruth, found: Predictions) -> tuple[IntArray, IntArray]:
    """Number video and class of all rows of both tables."""
    _, videos = joint_codes("video", truth.video, found.video)
    labels, classes = joint_codes("label", truth.label, found.label)
    both = [video * max(len(labels), 1) + label for video, label in zip(videos, classes, strict=True)]
    _, (first, second) = joint_codes("sequence", *both)
    return first, second


def _number(what: str, names: NDArray[Any], sequence: IntArray, groups: IntArray) -> IntArray:
    """Number tracks, those of each sequence apart, and refuse a track that is in two places at once."""
    values, (name,) = joint_codes("track", names)
    _, (number,) = joint_codes("track", sequence * max(len(values), 1) + name)
    order = np.lexsort((number, groups))
    twice = (np.diff(groups[order]) == 0) & (np.diff(number[order]) == 0)
    if twice.any():
        raise ValueError(
            f"a track must have at most one box of a class in a frame, {what} have two of track "
            f"{names[order[1:][twice][0]]} in one frame; give each object a track of its own"
        )
    return number
