"""Where each track was found: what the flicker metrics read."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray, check_real
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.keys import joint_codes
from heatprop.evaluation.matching import VID, RuleLike, match
from heatprop.evaluation.order import starts_of_runs
from heatprop.evaluation.tracks import order_tracks


class TrackHits(NamedTuple):
    """The boxes of each track in order, and the detections that found them.

    Attributes:
        track: Number of the track, rising, shape ``(n,)``.
        frame: Frame number, rising inside a track, shape ``(n,)``.
        hit: Whether a detection found the box, shape ``(n,)``.
        score: Of that detection; NaN without a hit, shape ``(n,)``.
        box: Of that detection, in pixels; NaN without a hit, shape ``(n, 4)``.
        truth_box: Of the object, in pixels, shape ``(n, 4)``.
        thresholds: Video -> score from which detections count.
        left_out: Videos in which no score gives the recall; their tracks are not here.
    """

    track: IntArray
    frame: IntArray
    hit: BoolArray
    score: FloatArray
    box: FloatArray
    truth_box: FloatArray
    thresholds: dict[int | str, float]
    left_out: list[int | str]


def track_hits(
    truth: GroundTruth,
    predictions: Predictions,
    *,
    score: float | None = None,
    recall: float | None = None,
    rule: RuleLike = VID,
) -> TrackHits:
    """Find out in which frames each track was found, at a fixed score or at a fixed recall.

    A box is *hit* if the matching of average precision (`match`) gives it a detection whose score reaches the
    threshold. A recall makes detectors with different scores comparable: each video then has a threshold of its
    own, the highest one at which at least that share of its boxes is hit. Ignored boxes take no part.

    Args:
        truth: Objects with their tracks.
        predictions: Detections.
        score: Threshold for all videos; give this or ``recall``.
        recall: Share of a video's boxes, in (0, 1], that its threshold must find; 0.5 is the usual one.
        rule: When a detection counts.

    Returns:
        All tracks, box after box. With ``recall``, without the videos where even all detections find too little.

    Raises:
        TypeError: If ``score`` or ``recall`` is no number.
        ValueError: If both or none of ``score`` and ``recall`` are given, the recall is not in (0, 1], or a track
            has two boxes in one frame.

    Examples:
        Three frames of one object; the detector misses the second:

        >>> box = [[0, 0, 49, 49]] * 3
        >>> truth = GroundTruth([0] * 3, frame=[0, 1, 2], track=[7] * 3, label=[1] * 3, box=box)
        >>> found = Predictions([0] * 3, frame=[0, 1, 2], label=[1] * 3, score=[0.9, 0.1, 0.8], box=box)
        >>> track_hits(truth, found, score=0.3).hit
        array([ True, False,  True])
        >>> track_hits(truth, found, recall=0.5).thresholds
        {0: 0.8}
    """
    if (score is None) == (recall is None):
        raise ValueError(f"give either score or recall, got score={score} and recall={recall}")
    for name, value in (("score", score), ("recall", recall)):
        if value is not None:
            check_real(name, value)
    tracks = order_tracks(truth)
    finder = _finders(truth, predictions, rule)[tracks.rows]  # (n,)
    scores = np.append(predictions.score, np.nan)[finder]  # (n,), NaN at row -1
    names, (video,) = joint_codes("video", truth.video[tracks.rows])
    limits = _score_at_recall(scores, video, recall) if recall is not None else np.full(len(names), score, np.float64)
    kept = ~np.isnan(limits)[video]
    hit = scores >= limits[video]
    seen = np.where(hit, scores, np.nan)
    boxes = np.where(hit[:, None], np.append(predictions.box, np.full((1, 4), np.nan), axis=0)[finder], np.nan)
    thresholds = dict(zip(names.tolist(), limits.tolist(), strict=True))
    return TrackHits(
        track=tracks.track[kept],
        frame=tracks.frame[kept],
        hit=hit[kept],
        score=seen[kept],
        box=boxes[kept],
        truth_box=truth.box[tracks.rows][kept],
        thresholds={name: limit for name, limit in thresholds.items() if not np.isnan(limit)},
        left_out=[name for name, limit in thresholds.items() if np.isnan(limit)],
    )


def _finders(truth: GroundTruth, predictions: Predictions, rule: RuleLike) -> IntArray:
    """Row of the prediction that found each box, -1 for none."""
    matches = match(truth, predictions, rule=rule)
    matched = np.flatnonzero(matches.truth_index >= 0)
    finder = np.full(len(truth.box), -1)
    finder[matches.truth_index[matched]] = matched
    return finder


def _score_at_recall(scores: FloatArray, video: IntArray, recall: float) -> FloatArray:
    """Highest score per video at which the recall is reached, NaN where it is not; rows come video by video."""
    if not 0 < recall <= 1:
        raise ValueError(f"recall must be above 0 and at most 1, got {recall}")
    starts = starts_of_runs(video)
    boxes = np.diff(starts, append=len(video))
    wanted = np.maximum(np.ceil(recall * boxes - 1e-9).astype(np.int64), 1)
    falling = scores[np.lexsort((-scores, video))]  # NaN comes last in each video
    return falling[starts + wanted - 1]
