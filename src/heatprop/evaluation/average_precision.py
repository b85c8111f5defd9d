"""Average precision per class and its mean."""

from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.curves import area_of_hits
from heatprop.evaluation.keys import Codes, number_rows
from heatprop.evaluation.matching import VID, Rule, RuleLike, find_rule, match_numbered
from heatprop.evaluation.order import code_order, falling_order


class AveragePrecision(NamedTuple):
    """Average precision of each class.

    Attributes:
        mean: Over the classes that have ground truth, in [0, 1]; NaN if none has.
        per_class: Label -> average precision, in [0, 1], for these classes.
        without_ground_truth: Labels that were predicted, or annotated as ignored, but have no object to find; they
            have no part in the mean.
    """

    mean: float
    per_class: dict[int | str, float]
    without_ground_truth: list[int | str]


def average_precision(truth: GroundTruth, predictions: Predictions, *, rule: RuleLike = VID) -> AveragePrecision:
    """Compute average precision per class and its mean (ILSVRC2015 devkit, ``eval_vid_detection.m``).

    Detections are matched frame by frame (`match`); those of all frames together, by falling score, give one curve
    per class, whose area is the average precision. Equal scores come by rising video, then frame, then as given.
    All predictions count, so first remove those on frames that are not evaluated.

    Args:
        truth: Objects.
        predictions: Detections; there is no limit per frame.
        rule: `VID`, `COCO`, their names, or your own: ``VID._replace(iou_threshold=0.75)``.

    Returns:
        Mean, average precision of each class, and the classes without ground truth.

    Raises:
        ValueError: If the rule has a wrong number, or videos or labels are text in one table only.

    Examples:
        >>> truth = GroundTruth(video=[0, 0], frame=[0, 1], track=[0, 0], label=[1, 1], box=[[0, 0, 49, 49]] * 2)
        >>> boxes = [[0, 0, 49, 49], [60, 60, 80, 80], [0, 0, 49, 45]]
        >>> found = Predictions([0, 0, 0], frame=[0, 0, 1], label=[1, 1, 1], score=[0.9, 0.8, 0.7], box=boxes)
        >>> average_precision(truth, found)  # 0.5 * 1 + 0.5 * 2/3
        AveragePrecision(mean=0.8333..., per_class={1: 0.8333...}, without_ground_truth=[])
    """
    rule = find_rule(rule)
    codes = number_rows(truth, predictions)
    matches = match_numbered(truth, predictions, codes, rule=rule)
    correct = matches.truth_index >= 0
    return average_over_classes(predictions, codes, correct, ~matches.ignored, ~truth.ignore, rule)


def average_over_classes(
    predictions: Predictions,
    codes: Codes,
    correct: BoolArray,
    counted: BoolArray | FloatArray,
    wanted: BoolArray,
    rule: Rule,
) -> AveragePrecision:
    """Sum up judged detections class by class.

    Args:
        predictions: Detections.
        codes: Frames and classes of both tables.
        correct: Whether each detection found an object, shape ``(n,)``.
        counted: Whether each detection is on the curve at all, shape ``(n,)``; a fraction for one that counts in part.
        wanted: Which objects are to be found, shape ``(m,)``.
        rule: How the curve is summed up.

    Returns:
        Mean, average precision of each class, and the classes without a wanted object.
    """
    objects = np.bincount(codes.truth_label[wanted], minlength=len(codes.labels))
    rows = in_frame_order(codes, counted > 0)
    rows = rows[code_order(codes.label[rows])]  # class by class, in each by frame
    ends = np.cumsum(np.bincount(codes.label[rows], minlength=len(codes.labels)))
    per_class: dict[int | str, float] = {}
    without: list[int | str] = []
    for code, name in enumerate(codes.labels.tolist()):
        if objects[code] == 0:
            without.append(name)
            continue
        same = rows[ends[code - 1] if code else 0 : ends[code]]
        same = same[falling_order(predictions.score[same])]
        hits = np.cumsum(counted[same], dtype=np.float64)[correct[same]] - 1  # how much comes before each true positive
        per_class[name] = area_of_hits(hits, int(objects[code]), recall_points=rule.recall_points)
    mean = float(np.mean(list(per_class.values()))) if per_class else float("nan")
    return AveragePrecision(mean, per_class, without)


def in_frame_order(codes: Codes, counted: BoolArray) -> IntArray:
    """Order detections by rising video, then frame, then as given.

    Args:
        codes: Frames of both tables.
        counted: Which detections are wanted, shape ``(n,)``.

    Returns:
        Rows of the predictions.
    """
    rows = np.flatnonzero(counted)
    if (codes.frame[1:] >= codes.frame[:-1]).all():
        return rows
    return rows[code_order(codes.frame[rows])]
