"""HOTA, MOTA and IDF1: how well found tracks follow the true ones. Read from `pair_tracks`."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.assignment import alone, assign_in_groups, assign_pairs
from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.order import starts_of_runs
from heatprop.evaluation.track_pairs import TrackPairs

HOTA_THRESHOLDS = np.arange(1, 20) / 20
"""The IoU thresholds 0.05, 0.10, ... 0.95 over which HOTA is a mean."""
_EPSILON = float(np.finfo(np.float64).eps)
_KEEP = 1000.0
"""What a pair that goes on from the frame before is worth more, so that it always stays."""


class Hota(NamedTuple):
    """Higher order tracking accuracy, each the mean over `HOTA_THRESHOLDS`, in [0, 1]; NaN without any box.

    Attributes:
        hota: Mean of the geometric means of the other two.
        detection: DetA, how well boxes are found, whoever they are.
        association: AssA, how well the found boxes are told apart.
    """

    hota: float
    detection: float
    association: float


class ClearMot(NamedTuple):
    """The CLEAR metrics at one IoU.

    Attributes:
        mota: 1 - (misses + false positives + switches) / objects, at most 1, may be negative; NaN without objects.
        switches: How often a true track goes on under another identity.
        fragmentations: How often a true track is lost and found again.
        true_positives: Boxes of objects that are found.
        false_positives: Detections that find nothing.
        misses: Boxes of objects that are not found.
        mostly_tracked: True tracks of which more than 80 % are found.
        mostly_lost: True tracks of which less than 20 % are found.
    """

    mota: float
    switches: int
    fragmentations: int
    true_positives: int
    false_positives: int
    misses: int
    mostly_tracked: int
    mostly_lost: int


class IdentityF1(NamedTuple):
    """The ID metrics: each true track goes with one found track for good, and the other way round.

    Attributes:
        idf1: F1 of the two below, in [0, 1]; NaN without any box.
        precision: IDP, share of the detections that lie on their track; NaN without detections.
        recall: IDR, share of the objects' boxes that their track finds; NaN without objects.
        true_positives: Boxes that their own track finds.
    """

    idf1: float
    precision: float
    recall: float
    true_positives: int


def hota(pairs: TrackPairs) -> Hota:
    r"""Compute HOTA.

    Objects and detections are matched once, for the highest sum of IoU times how well the two tracks fit over the
    whole video. At each threshold $\alpha$ the pairs that reach it count,

    $$\text{HOTA}_\alpha = \sqrt{\text{DetA}_\alpha\,\text{AssA}_\alpha},\quad
    \text{DetA} = \frac{TP}{TP + FN + FP},\quad
    \text{AssA} = \frac{1}{TP} \sum_{c \in TP} \frac{TPA(c)}{TPA(c) + FNA(c) + FPA(c)}$$

    Args:
        pairs: From `pair_tracks`. Several videos and classes are put together by their counts.

    Returns:
        Means over the 19 thresholds.

    Examples:
        Half of the track has the right box and another name:

        >>> from heatprop.evaluation import GroundTruth, Predictions, pair_tracks
        >>> box = [[0, 0, 9, 9]] * 4
        >>> truth = GroundTruth([0] * 4, frame=range(4), track=[7] * 4, label=[1] * 4, box=box)
        >>> found = Predictions([0] * 4, frame=range(4), label=[1] * 4, score=[0.9] * 4, box=box)
        >>> hota(pair_tracks(truth, found, track=[3, 3, 4, 4]))  # each box shares 2 of 4 with its track
        Hota(hota=0.7071067811865476, detection=1.0, association=0.5)
    """
    boxes, detections = len(pairs.truth_track), len(pairs.track)
    if boxes + detections == 0:
        return Hota(float("nan"), float("nan"), float("nan"))
    key, together = _track_pairs(pairs, pairs.row, pairs.column)
    fit = np.bincount(key, _frame_fit(pairs), minlength=len(together))
    score = (fit / (together - fit))[key] * pairs.overlap
    chosen = assign_in_groups(pairs.truth_group[pairs.row], pairs.row, pairs.column, score)
    key, overlap = key[chosen], pairs.overlap[chosen]
    detection, association = np.zeros(len(HOTA_THRESHOLDS)), np.zeros(len(HOTA_THRESHOLDS))
    for place, threshold in enumerate(HOTA_THRESHOLDS):
        count = np.bincount(key[overlap >= threshold - _EPSILON], minlength=len(together))
        hits = int(count.sum())
        detection[place] = hits / (boxes + detections - hits)
        association[place] = (count * count / (together - count)).sum() / max(hits, 1)
    return Hota(float(np.sqrt(detection * association).mean()), float(detection.mean()), float(association.mean()))


def clear_mot(pairs: TrackPairs, *, iou_threshold: float = 0.5) -> ClearMot:
    """Compute MOTA, switches and fragmentations.

    Frame by frame, a pair that was matched in the frame before stays; the rest is matched for the highest sum of IoU.
    A frame in which a class has no object or no detection is passed over: it ends no pair and breaks no track.

    Args:
        pairs: From `pair_tracks`. Several videos and classes are put together by their counts.
        iou_threshold: Smallest IoU of a match, in (0, 1].

    Returns:
        The metrics.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, pair_tracks
        >>> box = [[0, 0, 9, 9]] * 4
        >>> truth = GroundTruth([0] * 4, frame=range(4), track=[7] * 4, label=[1] * 4, box=box)
        >>> found = Predictions([0] * 4, frame=range(4), label=[1] * 4, score=[0.9] * 4, box=box)
        >>> clear_mot(pair_tracks(truth, found, track=[3, 3, 4, 4]))[:3]
        (0.75, 1, 0)
    """
    _check_threshold(iou_threshold)
    before = _boxes_before(pairs)
    partner = _match_in_time(pairs, before, iou_threshold - _EPSILON)
    hit = partner >= 0
    boxes, hits = len(hit), int(hit.sum())
    switches = _count_switches(pairs, partner)
    begins = hit & ~np.append(hit, False)[before]
    tracks = len(pairs.sequence)
    runs = np.bincount(pairs.truth_track[begins], minlength=tracks)
    share = np.bincount(pairs.truth_track[hit], minlength=tracks) / np.bincount(pairs.truth_track, minlength=tracks)
    wrong = len(pairs.track) - hits
    return ClearMot(
        mota=(hits - wrong - switches) / boxes if boxes else float("nan"),
        switches=switches,
        fragmentations=int(np.maximum(runs - 1, 0).sum()),
        true_positives=hits,
        false_positives=wrong,
        misses=boxes - hits,
        mostly_tracked=int((share > 0.8).sum()),
        mostly_lost=int((share < 0.2).sum()),
    )


def identity_f1(pairs: TrackPairs, *, iou_threshold: float = 0.5) -> IdentityF1:
    """Compute IDF1: true and found tracks are paired once, for the most boxes in common.

    Args:
        pairs: From `pair_tracks`. Several videos and classes are put together by their counts.
        iou_threshold: Smallest IoU of boxes in common, in (0, 1].

    Returns:
        The metrics.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, pair_tracks
        >>> box = [[0, 0, 9, 9]] * 4
        >>> truth = GroundTruth([0] * 4, frame=range(4), track=[7] * 4, label=[1] * 4, box=box)
        >>> found = Predictions([0] * 4, frame=range(4), label=[1] * 4, score=[0.9] * 4, box=box)
        >>> identity_f1(pair_tracks(truth, found, track=[3, 3, 4, 3]))
        IdentityF1(idf1=0.75, precision=0.75, recall=0.75, true_positives=3)
    """
    _check_threshold(iou_threshold)
    close = pairs.overlap >= iou_threshold
    row, column = pairs.row[close], pairs.column[close]
    both, counts = np.unique(np.stack([pairs.truth_track[row], pairs.track[column]]), axis=1, return_counts=True)
    order = np.argsort(pairs.sequence[both[0]], kind="stable")
    (track, other), counts = both[:, order], counts[order]
    chosen = assign_in_groups(pairs.sequence[track], track, other, counts.astype(np.float64))
    hits, boxes, detections = int(counts[chosen].sum()), len(pairs.truth_track), len(pairs.track)
    return IdentityF1(_share(2 * hits, boxes + detections), _share(hits, detections), _share(hits, boxes), hits)


def _share(part: int, whole: int) -> float:
    return part / whole if whole else float("nan")


def _check_threshold(iou_threshold: float) -> None:
    if not 0 < iou_threshold <= 1:
        raise ValueError(f"iou_threshold must be above 0 and at most 1, got {iou_threshold}")


def _track_pairs(pairs: TrackPairs, row: IntArray, column: IntArray) -> tuple[IntArray, FloatArray]:
    """Number the pairs of tracks that boxes belong to; and how many boxes both tracks of a pair have together."""
    width = pairs.track.max(initial=0) + 1
    both, key = np.unique(pairs.truth_track[row] * width + pairs.track[column], return_inverse=True)
    boxes, detections = np.bincount(pairs.truth_track), np.bincount(pairs.track)
    together = (boxes[both // width] + detections[both % width]) if len(both) else np.zeros(0)
    return key, together.astype(np.float64)


def _frame_fit(pairs: TrackPairs) -> FloatArray:
    """Divide each IoU by all that its object and its detection have with anybody in the frame."""
    of_box = np.bincount(pairs.row, pairs.overlap, minlength=len(pairs.truth_track))
    of_detection = np.bincount(pairs.column, pairs.overlap, minlength=len(pairs.track))
    fit: FloatArray = pairs.overlap / (of_box[pairs.row] + of_detection[pairs.column] - pairs.overlap)
    return fit


def _boxes_before(pairs: TrackPairs) -> IntArray:
    """Find the same track's box in the frame before, -1 for none; only frames with objects and detections count."""
    sequence = pairs.sequence[pairs.truth_track]
    counted = np.isin(pairs.truth_group, pairs.group)
    groups, first, place = np.unique(pairs.truth_group, return_index=True, return_inverse=True)
    order = np.lexsort((groups, sequence[first]))  # frames of one video and class stand together
    number = np.zeros(len(groups), np.int64)
    number[order] = np.cumsum(counted[first][order])
    rows = np.flatnonzero(counted)
    rows = rows[np.lexsort((number[place[rows]], pairs.truth_track[rows]))]
    earlier, later = rows[:-1], rows[1:]
    follows = (pairs.truth_track[earlier] == pairs.truth_track[later]) & (
        number[place[later]] == number[place[earlier]] + 1
    )
    before = np.full(len(pairs.truth_track), -1)
    before[later[follows]] = earlier[follows]
    return before


def _match_in_time(pairs: TrackPairs, before: IntArray, least: float) -> IntArray:
    """Match the frames in their order: the detection of each object's box, -1 where it has none."""
    close = pairs.overlap >= least
    row, column, overlap = pairs.row[close], pairs.column[close], pairs.overlap[close]
    partner = np.full(len(pairs.truth_track), -1)
    clear = alone(row, column)
    partner[row[clear]] = column[clear]
    rest = np.flatnonzero(~clear)
    starts = starts_of_runs(pairs.truth_group[row[rest]])
    for part in np.split(rest, starts[1:]) if len(rest) else []:
        past = np.where(before[row[part]] >= 0, partner[before[row[part]]], -1)
        stays = (past >= 0) & (pairs.track[past] == pairs.track[column[part]])
        chosen = part[assign_pairs(row[part], column[part], overlap[part] + _KEEP * stays)]
        partner[row[chosen]] = column[chosen]
    return partner


def _count_switches(pairs: TrackPairs, partner: IntArray) -> int:
    rows = np.flatnonzero(partner >= 0)
    rows = rows[np.argsort(pairs.truth_track[rows], kind="stable")]  # by track, then by frame
    track, identity = pairs.truth_track[rows], pairs.track[partner[rows]]
    switched: BoolArray = (track[1:] == track[:-1]) & (identity[1:] != identity[:-1])
    return int(switched.sum())
