"""How much detections flicker: gaps, jitter of scores and boxes, delay. Read from `track_hits`."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.hits import TrackHits
from heatprop.evaluation.order import starts_of_runs


class Gaps(NamedTuple):
    """Runs of misses inside tracks.

    Attributes:
        number: How many.
        missed: Boxes missed in all of them.
        longest: Boxes missed in the longest.
        lengths: Boxes missed in each, in the order of the tracks.
    """

    number: int
    missed: int
    longest: int
    lengths: IntArray


class BoxJitter(NamedTuple):
    """How much boxes tremble around the object, in pixels per frame.

    Attributes:
        center: Mean length of the centre's movement against the object's.
        size: Mean length of the change of (width, height) against the object's.
        pairs: Pairs of frames averaged over.
    """

    center: float
    size: float
    pairs: int


class DetectionDelay(NamedTuple):
    """How long tracks wait for their first hit.

    Attributes:
        mean: In frames, over the tracks that are found at all; NaN without any.
        tracks: How many are found.
        never: How many are not.
    """

    mean: float
    tracks: int
    never: int


def gaps(hits: TrackHits) -> Gaps:
    """Count the gaps: runs of misses between a track's first and last hit.

    ::

        frame   0 1 2 3 4 5 6 7 8
        hit     . x x . . x . x .      2 gaps, of 2 and 1 boxes; the misses before frame 1 and after 7 are none

    Boxes are counted as annotated: frames without the object neither lengthen a gap nor end it.

    Args:
        hits: From `track_hits`.

    Returns:
        Number and lengths.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, track_hits
        >>> frames, box = np.arange(9), [[0, 0, 49, 49]] * 9
        >>> truth = GroundTruth([0] * 9, frames, track=[7] * 9, label=[1] * 9, box=box)
        >>> found = Predictions([0] * 9, frames, [1] * 9, score=[0.1, 0.9, 0.9, 0.1, 0.1, 0.9, 0.1, 0.9, 0.1], box=box)
        >>> gaps(track_hits(truth, found, score=0.3))
        Gaps(number=2, missed=3, longest=2, lengths=array([2, 1]))
    """
    place = np.flatnonzero(hits.hit)
    same = hits.track[place][1:] == hits.track[place][:-1]
    lengths = (np.diff(place) - 1)[same]
    lengths = lengths[lengths > 0]
    return Gaps(len(lengths), int(lengths.sum()), int(lengths.max(initial=0)), lengths)


def score_jitter(hits: TrackHits) -> float:
    """Average how much a track's score changes from one frame to the next, where both are hit.

    ::

        frame   0    1    2    3    4
        score   0.9  0.7  .    0.8  0.8      |0.7 - 0.9| and |0.8 - 0.8|: jitter 0.1

    Args:
        hits: From `track_hits`.

    Returns:
        Mean absolute change, in the unit of the score; NaN where no two frames are hit one after the other.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, track_hits
        >>> box = [[0, 0, 49, 49]] * 5
        >>> truth = GroundTruth([0] * 5, np.arange(5), track=[7] * 5, label=[1] * 5, box=box)
        >>> found = Predictions([0] * 5, np.arange(5), [1] * 5, score=[0.9, 0.7, 0.1, 0.8, 0.8], box=box)
        >>> round(score_jitter(track_hits(truth, found, score=0.3)), 12)
        0.1
    """
    return _mean(np.abs(np.diff(hits.score, prepend=np.nan))[_hit_twice(hits)])


def box_jitter(hits: TrackHits) -> BoxJitter:
    r"""Average how much a track's box moves and changes size against the object, where two frames are hit.

    $$\left\|(\hat c_{t+1} - \hat c_t) - (c_{t+1} - c_t)\right\|$$

    with $\hat c$ the centre of the detection and c that of the object; the same for $(\hat w, \hat h)$. A detection
    that is off by the same vector in both frames has none, however fast the object is.

    ::

        object     |----|     ->      |----|         centre moves by 4
        detection   |----|    ->     |----|          centre moves by 2: jitter 2

    Args:
        hits: From `track_hits`.

    Returns:
        Centre and size, in pixels per frame; NaN where no two frames are hit one after the other.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, track_hits
        >>> objects, boxes = [[0, 0, 50, 50], [4, 0, 54, 50]], [[1, 0, 51, 50], [3, 0, 53, 53]]
        >>> truth = GroundTruth([0] * 2, frame=[0, 1], track=[7] * 2, label=[1] * 2, box=objects)
        >>> found = Predictions([0] * 2, frame=[0, 1], label=[1] * 2, score=[0.9] * 2, box=boxes)
        >>> box_jitter(track_hits(truth, found, score=0.3))  # centre by (-2, 1.5), height by 3
        BoxJitter(center=2.5, size=3.0, pairs=1)
    """
    twice = _hit_twice(hits)
    error = hits.box - hits.truth_box  # (n, 4)
    change = np.diff(error, axis=0, prepend=np.full((1, 4), np.nan))[twice]
    center = (change[:, :2] + change[:, 2:]) / 2
    size = change[:, 2:] - change[:, :2]
    return BoxJitter(_mean(np.hypot(*center.T)), _mean(np.hypot(*size.T)), int(twice.sum()))


def detection_delay(hits: TrackHits) -> DetectionDelay:
    """Average how many frames pass from a track's first annotated box to its first hit.

    ::

        frame   5 6 7 8
        hit     . . x .      delay 2

    Args:
        hits: From `track_hits`.

    Returns:
        Mean over the tracks that are found, and how many are not.

    Examples:
        >>> from heatprop.evaluation import GroundTruth, Predictions, track_hits
        >>> box = [[0, 0, 49, 49]] * 4
        >>> truth = GroundTruth([0] * 4, frame=[5, 6, 7, 8], track=[7] * 4, label=[1] * 4, box=box)
        >>> found = Predictions([0] * 4, [5, 6, 7, 8], [1] * 4, score=[0.1, 0.1, 0.9, 0.1], box=box)
        >>> detection_delay(track_hits(truth, found, score=0.3))
        DetectionDelay(mean=2.0, tracks=1, never=0)
    """
    starts = starts_of_runs(hits.track)
    begin = np.repeat(hits.frame[starts], np.diff(starts, append=len(hits.track)))
    first = np.flatnonzero(hits.hit)
    first = first[starts_of_runs(hits.track[first])]  # (tracks,)
    delays = (hits.frame - begin)[first]
    return DetectionDelay(_mean(delays.astype(np.float64)), len(first), len(starts) - len(first))


def _hit_twice(hits: TrackHits) -> BoolArray:
    """Rows that are hit, as is the row above, which is the same track one frame earlier."""
    twice = hits.hit.copy()
    twice[:1] = False
    twice[1:] &= hits.hit[:-1] & (hits.track[1:] == hits.track[:-1]) & (hits.frame[1:] == hits.frame[:-1] + 1)
    return twice


def _mean(values: FloatArray) -> float:
    return float(values.mean()) if len(values) else float("nan")
