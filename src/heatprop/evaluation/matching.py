"""Which detection found which object: the greedy matching of the ILSVRC devkit, all frames at once."""

from typing import Literal, NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.keys import Codes, group_codes, number_rows
from heatprop.evaluation.order import code_order, grouped_order, starts_of_runs
from heatprop.evaluation.overlap import iou, pairs_in_groups

_TOLERANCE = 10
"""Pixels by which the devkit lets a small box be off."""


class Rule(NamedTuple):
    """When a detection counts as found, and how the curve is summed up.

    Attributes:
        iou_threshold: Smallest IoU of a match, in [0, 1].
        small_objects: Lower the threshold for small boxes to ``w h / ((w + 10) (h + 10))`` (the ILSVRC devkit).
        plus_one: Include the last pixel: widths are x2 - x1 + 1 (the ILSVRC devkit, PASCAL VOC).
        recall_points: ``None``: the area under the whole curve (PASCAL VOC 2010, the devkit). A number: the mean
            precision at so many recalls from 0 to 1 (COCO: 101).
    """

    iou_threshold: float = 0.5
    small_objects: bool = True
    plus_one: bool = True
    recall_points: int | None = None


VID = Rule()
"""ImageNet VID, as the ILSVRC2015 devkit has it."""

COCO = Rule(small_objects=False, plus_one=False, recall_points=101)
"""Like COCO at one IoU threshold: flat threshold, no +1, 101 recall points."""

RuleLike = Rule | Literal["vid", "coco", "fgfa"]
"""A rule, or the name of one; ``"fgfa"`` is `VID`, with the false positives of FGFA's script on subsets of objects."""


class Matches(NamedTuple):
    """What became of each prediction; an unmatched one that is not ignored is a false positive.

    Attributes:
        truth_index: Row of the ground truth that it found, -1 for none, shape ``(n,)``.
        ignored: It found nothing but lies on an ignored box: neither right nor wrong, shape ``(n,)``.
    """

    truth_index: IntArray
    ignored: BoolArray


def find_rule(rule: RuleLike) -> Rule:
    """Take a rule by name.

    Args:
        rule: ``"vid"``, ``"coco"``, ``"fgfa"``, or a rule of your own.

    Returns:
        The rule.

    Raises:
        ValueError: If there is none of that name.

    Examples:
        >>> find_rule("coco").recall_points
        101
    """
    if isinstance(rule, Rule):
        return rule
    rules = {"vid": VID, "coco": COCO, "fgfa": VID}
    if rule not in rules:
        raise ValueError(f"rule must be a Rule or one of {', '.join(map(repr, rules))}, got {rule!r}")
    return rules[rule]


def match(truth: GroundTruth, predictions: Predictions, *, rule: RuleLike = VID, same_label: bool = True) -> Matches:
    """Let each detection, by falling score, take the object that it overlaps most (ILSVRC2015 devkit).

    In each frame and class the detections come by falling score, equal scores in the order given. Each takes,
    among the objects not yet taken whose own threshold its IoU reaches, the one of largest IoU, the first of
    equals. Ignored boxes are asked last and take any number (PASCAL VOC's difficult boxes, MOTChallenge's
    distractors; ImageNet VID has none): a detection that finds nothing else and reaches the threshold of an
    ignored box of its class is neither true nor false positive.

    Args:
        truth: Objects.
        predictions: Detections.
        rule: Threshold and widths; its ``recall_points`` play no part.
        same_label: Whether a detection must have the label of its object.

    Returns:
        What became of each prediction.

    Raises:
        ValueError: If the rule's threshold is not in [0, 1], or videos or labels are text in one table only.

    Examples:
        The second detection fits better but comes later: the object is taken, it is a false positive.

        >>> truth = GroundTruth(video=[0], frame=[0], track=[0], label=[1], box=[[0, 0, 99, 99]])
        >>> boxes = [[0, 0, 99, 79], [0, 0, 99, 99]]
        >>> found = Predictions(video=[0, 0], frame=[0, 0], label=[1, 1], score=[0.9, 0.8], box=boxes)
        >>> match(truth, found).truth_index
        array([ 0, -1])
    """
    codes = number_rows(truth, predictions)
    return match_numbered(truth, predictions, codes, rule=find_rule(rule), same_label=same_label)


def match_numbered(
    truth: GroundTruth, predictions: Predictions, codes: Codes, *, rule: Rule, same_label: bool = True
) -> Matches:
    """`match` for rows whose frames and classes are numbered already."""
    if not 0 <= rule.iou_threshold <= 1:
        raise ValueError(f"rule.iou_threshold must be between 0 and 1, got {rule.iou_threshold}")
    truth_groups, groups = group_codes(codes, same_label=same_label)
    found, box, overlap = _candidates(truth, predictions, truth_groups, groups, rule)
    counted = ~truth.ignore[box]
    truth_index = np.full(len(predictions.box), -1)
    place = _places(found[counted], predictions.score, groups)
    _take_greedily(found[counted], box[counted], overlap[counted], place, truth_index)
    ignored = np.zeros(len(truth_index), np.bool_)
    ignored[found[~counted]] = True
    return Matches(truth_index, ignored & (truth_index < 0))


def iou_thresholds(boxes: FloatArray, rule: RuleLike = VID) -> FloatArray:
    r"""Give each object the IoU that a detection of it must reach.

    $$\min\left(t,\ \frac{w h}{(w + 10)(h + 10)}\right)$$

    Args:
        boxes: ``(x1, y1, x2, y2)`` in pixels, shape ``(n, 4)``.
        rule: Threshold t, whether small objects get less, and whether widths have a +1.

    Returns:
        Shape ``(n,)``; 0 for a box without area (which nothing overlaps).

    Examples:
        Squares of 10, 20 and 100 pixels:

        >>> iou_thresholds(np.array([[1.0, 1, 10, 10], [1, 1, 20, 20], [1, 1, 100, 100]]))
        array([0.25      , 0.44444444, 0.5       ])
    """
    rule = find_rule(rule)
    if not rule.small_objects:
        return np.full(len(boxes), float(rule.iou_threshold))
    one = 1.0 if rule.plus_one else 0.0
    width = np.maximum(boxes[:, 2] - boxes[:, 0] + one, 0)
    height = np.maximum(boxes[:, 3] - boxes[:, 1] + one, 0)
    lenient: FloatArray = width * height / ((width + _TOLERANCE) * (height + _TOLERANCE))
    return np.minimum(lenient, rule.iou_threshold)


def _candidates(
    truth: GroundTruth, predictions: Predictions, truth_groups: IntArray, groups: IntArray, rule: Rule
) -> tuple[IntArray, IntArray, FloatArray]:
    """All pairs that reach the object's threshold: detection, object, IoU; by rising detection, then object."""
    thresholds = iou_thresholds(truth.box, rule)
    found, box, overlap = [np.zeros(0, np.int64)], [np.zeros(0, np.int64)], [np.zeros(0)]
    for rows, boxes in pairs_in_groups(groups, truth_groups):
        values = iou(predictions.box[rows], truth.box[boxes], plus_one=rule.plus_one)
        close = (values > 0) & (values >= thresholds[boxes])
        found.append(rows[close])
        box.append(boxes[close])
        overlap.append(values[close])
    return np.concatenate(found), np.concatenate(box), np.concatenate(overlap)


def _places(found: IntArray, score: FloatArray, groups: IntArray) -> IntArray:
    """Rank of each candidate's detection among those of its group that have candidates, best first."""
    rows = found[starts_of_runs(found)]
    order = rows[grouped_order(groups[rows], score[rows])]
    starts = starts_of_runs(groups[order])
    rank = np.zeros(len(score), np.int64)
    rank[order] = np.arange(len(order)) - np.repeat(starts, np.diff(starts, append=len(order)))
    return rank[found]


def _take_greedily(found: IntArray, box: IntArray, overlap: FloatArray, place: IntArray, truth_index: IntArray) -> None:
    """Let first the best detection of every group choose, then the second of every group, and so on."""
    order = grouped_order(found, overlap)  # equal overlaps: by rising object
    order = order[code_order(place[order])]
    found, box = found[order], box[order]
    taken = np.zeros(box.max(initial=-1) + 1, np.bool_)
    counts = np.bincount(place)
    ends = np.cumsum(counts)
    for start, end in zip(ends - counts, ends, strict=True):
        free = ~taken[box[start:end]]
        who, what = found[start:end][free], box[start:end][free]
        best = starts_of_runs(who)
        truth_index[who[best]] = what[best]
        taken[what[best]] = True
