"""Compute everything that is reported on one set of detections in one call."""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.average_precision import AveragePrecision, average_precision
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.curves import Curve, Reading, area_under_curve, read_at_recall
from heatprop.evaluation.flicker import BoxJitter, DetectionDelay, Gaps, box_jitter, detection_delay, gaps, score_jitter
from heatprop.evaluation.ghosts import GhostAge, GhostRate, ghost_age, ghost_rate
from heatprop.evaluation.hits import TrackHits, track_hits
from heatprop.evaluation.matching import VID, RuleLike, find_rule
from heatprop.evaluation.motion import motion_iou, suggest_radius, uncovered_pairs
from heatprop.evaluation.picture_sizes import PictureSize
from heatprop.evaluation.subsets import (
    displacement_subsets,
    motion_iou_subsets,
    subset_average_precision,
    subset_curves,
)
from heatprop.evaluation.track_pairs import pair_tracks
from heatprop.evaluation.tracking import ClearMot, Hota, IdentityF1, clear_mot, hota, identity_f1

RECALLS = (0.75, 0.65)
"""Recalls at which the paper's Table 3 reads its curves."""
GAP_RECALL, GAP_SCORE = 0.5, 0.3
"""The recall, or else the score, that decides what counts as found in the flicker metrics."""


class SubsetReport(NamedTuple):
    """The results on the objects of one speed.

    Attributes:
        objects: Number of objects.
        share: Their share of all objects whose speed is known, in [0, 1]; NaN if no speed is known.
        average: Average precision on these objects.
        curve: Class-agnostic precision against recall; ``None`` for motion IoU.
        readings: Recall -> Table 3's columns at that recall, ``None`` if the curve does not reach it.
    """

    objects: int
    share: float
    average: AveragePrecision
    curve: Curve | None
    readings: dict[float, Reading | None]

    @property
    def area(self) -> float:
        """Area under the curve, the number in the legend of Fig. 5; NaN without a curve."""
        return float("nan") if self.curve is None else area_under_curve(self.curve)


class TrackFlicker(NamedTuple):
    """How tracks flicker at a threshold.

    Attributes:
        gaps: Runs of misses inside tracks.
        score_jitter: Mean change of the score from frame to frame.
        box_jitter: Mean change of the box from frame to frame, in pixels.
        delay: Frames until the first hit.
        left_out: Number of videos that do not reach the recall.
    """

    gaps: Gaps
    score_jitter: float
    box_jitter: BoxJitter
    delay: DetectionDelay
    left_out: int


class TrackedIdentities(NamedTuple):
    """How well identities are kept.

    Attributes:
        score: Lowest score of the boxes that count; ``None`` for all.
        hota: HOTA, DetA, AssA.
        clear: MOTA, switches, fragmentations, at IoU 0.5.
        identity: IDF1, at IoU 0.5.
    """

    score: float | None
    hota: Hota
    clear: ClearMot
    identity: IdentityF1


class Report(NamedTuple):
    """All results on one set of detections.

    Attributes:
        average: Average precision per class.
        displacement: ``slow``, ``median``, ``fast``, ``overall``: the split of the paper.
        uncovered: Radius -> share of pairs that move farther (Table 2).
        suggested_radius: Radius from `suggest_radius`; ``None`` if there are no pairs.
        motion_iou: ``slow``, ``medium``, ``fast``: the split of FGFA.
        at_recall: Flicker at the score that finds half of each video's boxes.
        at_score: Flicker at score 0.3.
        ghosts: Confident boxes that touch no object.
        ghost_age: How long ghosts stay.
        identities: How well tracks are followed; ``None`` if the detections have no identities.
    """

    average: AveragePrecision
    displacement: dict[str, SubsetReport]
    uncovered: dict[float, float]
    suggested_radius: int | None
    motion_iou: dict[str, SubsetReport]
    at_recall: TrackFlicker
    at_score: TrackFlicker
    ghosts: GhostRate
    ghost_age: GhostAge
    identities: TrackedIdentities | None = None

    @property
    def curves(self) -> dict[str, Curve]:
        """Precision against recall by displacement: Fig. 5."""
        return {name: one.curve for name, one in self.displacement.items() if one.curve is not None}


def evaluate_tracks(
    truth: GroundTruth, predictions: Predictions, track: NDArray[Any], *, score: float | None
) -> TrackedIdentities:
    """Compute the figures that are about identities.

    Args:
        truth: Objects with their tracks.
        predictions: Detections.
        track: Identity of each, shape ``(n,)``; below 0 where there is none.
        score: Detections below this score do not count; ``None``: all count.

    Returns:
        The figures.

    Raises:
        ValueError: If a track, true or found, has two boxes of one class in one frame.
    """
    pairs = pair_tracks(truth, predictions, track, score=-math.inf if score is None else score)
    return TrackedIdentities(score, hota(pairs), clear_mot(pairs), identity_f1(pairs))


def evaluate(
    truth: GroundTruth,
    predictions: Predictions,
    displacements: NDArray[np.float64],
    *,
    rule: RuleLike = VID,
    picture_size: PictureSize | None = None,
) -> Report:
    """Compute all results.

    Args:
        truth: Objects with their tracks.
        predictions: Detections.
        displacements: Displacements from `displacement`, in cells, shape ``(n,)``; all NaN if there are no videos.
        rule: When a detection counts.
        picture_size: Size to which boxes are clipped before ghosts are counted; ``None`` does not clip.

    Returns:
        The results.

    Raises:
        ValueError: If a track has two boxes in one frame.
    """
    slow = displacement_subsets(displacements)
    curves = subset_curves(truth, predictions, slow, rule=rule)
    pairs = bool((~np.isnan(displacements)).any())
    return Report(
        average=average_precision(truth, predictions, rule=rule),
        displacement=_report_subsets(truth, predictions, slow, curves, rule),
        uncovered=uncovered_pairs(displacements),
        suggested_radius=suggest_radius(displacements) if pairs else None,
        motion_iou=_report_subsets(truth, predictions, motion_iou_subsets(_speeds(truth, rule)), {}, rule),
        at_recall=_flicker(track_hits(truth, predictions, recall=GAP_RECALL, rule=rule)),
        at_score=_flicker(track_hits(truth, predictions, score=GAP_SCORE, rule=rule)),
        ghosts=ghost_rate(truth, predictions, picture_size=picture_size),
        ghost_age=ghost_age(truth, predictions, picture_size=picture_size),
    )


def _speeds(truth: GroundTruth, rule: RuleLike) -> NDArray[np.float64]:
    speeds = motion_iou(truth, plus_one=find_rule(rule).plus_one)
    return np.nan_to_num(speeds) if rule == "fgfa" else speeds  # FGFA: an object alone in its frames is fast


def _report_subsets(
    truth: GroundTruth,
    predictions: Predictions,
    subsets: Mapping[str, NDArray[np.bool_]],
    curves: Mapping[str, Curve],
    rule: RuleLike,
) -> dict[str, SubsetReport]:
    averages = subset_average_precision(truth, predictions, subsets, rule=rule)
    known = int(np.logical_or.reduce(list(subsets.values())).sum())
    reports = {}
    for name, mask in subsets.items():
        curve = curves.get(name)
        readings = {} if curve is None or not curve.ground_truth else {at: read_at_recall(curve, at) for at in RECALLS}
        count = int(mask.sum())
        share = count / known if known else float("nan")
        reports[name] = SubsetReport(count, share, averages[name], curve, readings)
    return reports


def _flicker(hits: TrackHits) -> TrackFlicker:
    return TrackFlicker(gaps(hits), score_jitter(hits), box_jitter(hits), detection_delay(hits), len(hits.left_out))
