"""Evaluate detections on video: average precision, motion splits, flicker, identities. Needs numpy only.

Data comes as columns, `GroundTruth` and `Predictions`; every quantity is one function of them::

    from heatprop import evaluation

    evaluation.average_precision(truth, predictions)                        # ImageNet VID's rule
    evaluation.average_precision(truth, predictions, rule=evaluation.COCO)  # like COCO

    subsets = evaluation.displacement_subsets(evaluation.displacement(truth))
    evaluation.subset_average_precision(truth, predictions, subsets)

    hits = evaluation.track_hits(truth, predictions, recall=0.5)
    evaluation.gaps(hits), evaluation.score_jitter(hits)

    pairs = evaluation.pair_tracks(truth, predictions, track_ids, score=0.3)
    evaluation.hota(pairs), evaluation.clear_mot(pairs), evaluation.identity_f1(pairs)
"""

from heatprop.evaluation.average_precision import AveragePrecision, average_precision
from heatprop.evaluation.columns import GroundTruth, Predictions, join
from heatprop.evaluation.curves import Curve, Reading, area_under_curve, read_at_recall
from heatprop.evaluation.flicker import (
    BoxJitter,
    DetectionDelay,
    Gaps,
    box_jitter,
    detection_delay,
    gaps,
    score_jitter,
)
from heatprop.evaluation.ghosts import GhostAge, GhostRate, find_ghosts, ghost_age, ghost_rate
from heatprop.evaluation.hits import TrackHits, track_hits
from heatprop.evaluation.matching import COCO, VID, Matches, Rule, iou_thresholds, match
from heatprop.evaluation.motion import displacement, motion_iou, suggest_radius, uncovered_pairs
from heatprop.evaluation.overlap import iou
from heatprop.evaluation.subsets import (
    displacement_subsets,
    motion_iou_subsets,
    nearest_object,
    subset_average_precision,
    subset_curves,
)
from heatprop.evaluation.track_pairs import TrackPairs, pair_tracks
from heatprop.evaluation.tracked_motion import tracked_displacement
from heatprop.evaluation.tracking import HOTA_THRESHOLDS, ClearMot, Hota, IdentityF1, clear_mot, hota, identity_f1

__all__ = [
    "COCO",
    "HOTA_THRESHOLDS",
    "VID",
    "AveragePrecision",
    "BoxJitter",
    "ClearMot",
    "Curve",
    "DetectionDelay",
    "Gaps",
    "GhostAge",
    "GhostRate",
    "GroundTruth",
    "Hota",
    "IdentityF1",
    "Matches",
    "Predictions",
    "Reading",
    "Rule",
    "TrackHits",
    "TrackPairs",
    "area_under_curve",
    "average_precision",
    "box_jitter",
    "clear_mot",
    "detection_delay",
    "displacement",
    "displacement_subsets",
    "find_ghosts",
    "gaps",
    "ghost_age",
    "ghost_rate",
    "hota",
    "identity_f1",
    "iou",
    "iou_thresholds",
    "join",
    "match",
    "motion_iou",
    "motion_iou_subsets",
    "nearest_object",
    "pair_tracks",
    "read_at_recall",
    "score_jitter",
    "subset_average_precision",
    "subset_curves",
    "suggest_radius",
    "track_hits",
    "tracked_displacement",
    "uncovered_pairs",
]
