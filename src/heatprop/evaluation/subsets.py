"""Average precision and curves of part of the objects: slow, median and fast ones, or any others."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.average_precision import AveragePrecision, average_over_classes, in_frame_order
from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.curves import Curve, trace_curve
from heatprop.evaluation.keys import frame_codes, number_rows
from heatprop.evaluation.matching import VID, Matches, Rule, RuleLike, find_rule, match_numbered
from heatprop.evaluation.order import falling_order, starts_of_runs
from heatprop.evaluation.overlap import iou, pairs_in_groups

Subsets = Mapping[str, NDArray[np.bool_]]
"""Name -> which rows of the ground truth are in the subset, shape ``(n,)``."""


def displacement_subsets(
    displacements: NDArray[np.float64], *, slow: float = 2, fast: float = 4
) -> dict[str, BoolArray]:
    """Split objects as the paper does: slow below 2 cells, median from 2, fast from 4 (Sec. 5.3).

    Args:
        displacements: From `displacement`, in cells, shape ``(n,)``; NaN is in no subset.
        slow: Where slow ends, in cells.
        fast: Where fast begins, in cells.

    Returns:
        ``slow``, ``median``, ``fast`` and ``overall`` (all pairs), masks of shape ``(n,)``.

    Examples:
        >>> displacement_subsets(np.array([np.nan, 1.9, 2.0, 4.0]))["median"]
        array([False, False,  True, False])
    """
    return {
        "slow": displacements < slow,
        "median": (displacements >= slow) & (displacements < fast),
        "fast": displacements >= fast,
        "overall": ~np.isnan(displacements),
    }


def motion_iou_subsets(
    motion_ious: NDArray[np.float64], *, fast: float = 0.7, slow: float = 0.9
) -> dict[str, BoolArray]:
    """Split objects as FGFA does: slow above 0.9, medium 0.7 to 0.9, fast below 0.7.

    Args:
        motion_ious: From `motion_iou`, shape ``(n,)``; NaN is in no subset.
        fast: Where fast ends.
        slow: Where slow begins.

    Returns:
        ``slow``, ``medium`` and ``fast``, masks of shape ``(n,)``.

    Examples:
        >>> motion_iou_subsets(np.array([np.nan, 0.95, 0.9, 0.1]))["medium"]
        array([False, False,  True, False])
    """
    return {
        "slow": motion_ious > slow,
        "medium": (motion_ious >= fast) & (motion_ious <= slow),
        "fast": motion_ious < fast,
    }


def subset_average_precision(
    truth: GroundTruth, predictions: Predictions, subsets: Subsets, *, rule: RuleLike = VID
) -> dict[str, AveragePrecision]:
    """Compute average precision on each subset of the objects (FGFA's motion-specific mAP).

    All objects are matched together, once (`match`). In a subset, objects outside it need not be found, and a detection
    that found one of them is neither right nor wrong. A false positive counts in the subset of the object nearest to it
    (`nearest_object`), and in every subset if its frame has no object.

    With ``rule="fgfa"`` a false positive counts as in FGFA's script: whole where the object that it overlaps most, of
    any class, is in the subset, or where the frame has no other objects. Where that is a tie, as it mostly is when it
    touches nothing, it counts by the share of the frame's objects *outside* the subset; in a frame without
    objects by the share of all objects inside. FGFA's figures also take an object without motion IoU as fast:
    ``motion_iou_subsets(np.nan_to_num(motion_iou(truth)))``.

    Args:
        truth: Objects.
        predictions: Detections.
        subsets: Name -> mask over the ground truth, from `displacement_subsets`, `motion_iou_subsets` or your own.
        rule: When a detection counts, ``"fgfa"`` for instance.

    Returns:
        Name -> average precision.

    Raises:
        ValueError: If a mask does not fit the ground truth.

    Examples:
        >>> boxes = [[0, 0, 49, 49], [60, 0, 99, 49]]
        >>> truth = GroundTruth(video=[0, 0], frame=[0, 0], track=[0, 1], label=[1, 1], box=boxes)
        >>> found = Predictions([0, 0], frame=[0, 0], label=[1, 1], score=[0.9, 0.8], box=[boxes[1], [0, 0, 20, 20]])
        >>> near_left = {"left": np.array([True, False]), "right": np.array([False, True])}
        >>> {name: ap.mean for name, ap in subset_average_precision(truth, found, near_left).items()}
        {'left': 0.0, 'right': 1.0}
    """
    judge = _judge_as_fgfa if rule == "fgfa" else _judge_by_nearest
    rule = find_rule(rule)
    codes = number_rows(truth, predictions)
    matches = match_numbered(truth, predictions, codes, rule=rule)
    wanted = {name: _wanted(name, mask, truth) for name, mask in subsets.items()}
    return {
        name: average_over_classes(predictions, codes, correct, counted, wanted[name], rule)
        for name, (correct, counted) in judge(truth, predictions, matches, wanted, rule).items()
    }


def subset_curves(
    truth: GroundTruth, predictions: Predictions, subsets: Subsets, *, rule: RuleLike = VID, same_label: bool = False
) -> dict[str, Curve]:
    """Trace class-agnostic precision against recall on each subset of the objects (Fig. 5, Table 3).

    The rules are those of `subset_average_precision`, with all classes on one curve; false positives always go to the
    nearest object, since a curve counts whole detections. Read the curves with `read_at_recall`; the legend of Fig. 5
    is their `area_under_curve`.

    Args:
        truth: Objects.
        predictions: Detections.
        subsets: Name -> mask over the ground truth; ``{"all": ~truth.ignore}`` for one curve of everything.
        rule: When a detection counts.
        same_label: Whether a detection must have the label of its object; the paper does not say.

    Returns:
        Name -> curve.

    Raises:
        ValueError: If a mask does not fit the ground truth.
    """
    rule = find_rule(rule)
    codes = number_rows(truth, predictions)
    matches = match_numbered(truth, predictions, codes, rule=rule, same_label=same_label)
    wanted = {name: _wanted(name, mask, truth) for name, mask in subsets.items()}
    curves = {}
    for name, (correct, counted) in _judge_by_nearest(truth, predictions, matches, wanted, rule).items():
        rows = in_frame_order(codes, counted)
        rows = rows[falling_order(predictions.score[rows])]
        curves[name] = trace_curve(predictions.score[rows], correct[rows], int(wanted[name].sum()))
    return curves


def nearest_object(truth: GroundTruth, predictions: Predictions, *, plus_one: bool = True) -> IntArray:
    """Find the object of the same frame, of any class, that each detection lies nearest to.

    That is the one of highest IoU; among objects that it does not touch, the one of nearest centre; the first of
    equals. Ignored boxes are not asked.

    Args:
        truth: Objects.
        predictions: Detections.
        plus_one: Include the last pixel.

    Returns:
        Row of the ground truth, -1 where the frame has no object, shape ``(n,)``.

    Examples:
        >>> boxes = [[0, 0, 9, 9], [90, 90, 99, 99]]
        >>> truth = GroundTruth(video=[0, 0], frame=[0, 0], track=[0, 1], label=[1, 1], box=boxes)
        >>> found = Predictions([0, 0], frame=[0, 1], label=[1, 1], score=[0.9, 0.8], box=[[70, 70, 80, 80]] * 2)
        >>> nearest_object(truth, found)
        array([ 1, -1])
    """
    objects = np.flatnonzero(~truth.ignore)
    truth_frames, frames = frame_codes(truth.select(objects), predictions)
    nearest = np.full(len(predictions.box), -1)
    for rows, places in pairs_in_groups(frames, truth_frames):
        boxes, others = predictions.box[rows], truth.box[objects[places]]
        closeness = iou(boxes, others, plus_one=plus_one)
        closeness = np.where(closeness > 0, closeness, -_squared_distance(boxes, others))
        starts = starts_of_runs(rows)
        best = np.maximum.reduceat(closeness, starts)
        best = np.flatnonzero(closeness == np.repeat(best, np.diff(starts, append=len(rows))))
        first = best[starts_of_runs(rows[best])]
        nearest[rows[first]] = objects[places[first]]
    return nearest


def _wanted(name: str, mask: NDArray[np.bool_], truth: GroundTruth) -> BoolArray:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != truth.ignore.shape:
        came = f"{mask.dtype} {mask.shape}"
        raise ValueError(f"subset {name!r} must be a bool mask of shape {truth.ignore.shape}, got {came}")
    return mask & ~truth.ignore


def _judge_by_nearest(
    truth: GroundTruth, predictions: Predictions, matches: Matches, wanted: Mapping[str, BoolArray], rule: Rule
) -> dict[str, tuple[BoolArray, BoolArray]]:
    """For each subset which detections are right, and which are on its curve at all."""
    wrong = (matches.truth_index < 0) & ~matches.ignored
    nearest = np.full(len(predictions.box), -1)
    nearest[wrong] = nearest_object(truth, predictions.select(wrong), plus_one=rule.plus_one)
    judged = {}
    for name, mask in wanted.items():
        correct = _at(mask, matches.truth_index, missing=False)
        judged[name] = correct, correct | (wrong & _at(mask, nearest, missing=True))
    return judged


def _judge_as_fgfa(
    truth: GroundTruth, predictions: Predictions, matches: Matches, wanted: Mapping[str, BoolArray], rule: Rule
) -> dict[str, tuple[BoolArray, FloatArray]]:
    """For each subset which detections are right, and how much each counts."""
    wrong = np.flatnonzero((matches.truth_index < 0) & ~matches.ignored)
    shares = _shares_of_fgfa(truth, predictions.select(wrong), wanted, plus_one=rule.plus_one)
    judged = {}
    for name, mask in wanted.items():
        correct = _at(mask, matches.truth_index, missing=False)
        counted = correct.astype(np.float64)
        counted[wrong] = shares[name]
        judged[name] = correct, counted
    return judged


def _shares_of_fgfa(
    truth: GroundTruth, wrong: Predictions, wanted: Mapping[str, BoolArray], *, plus_one: bool
) -> dict[str, FloatArray]:
    """For each subset how much of each false positive counts."""
    objects = np.flatnonzero(~truth.ignore)
    truth_frames, frames = frame_codes(truth.select(objects), wrong)
    of_all = {name: mask[objects].mean() if len(objects) else 0.0 for name, mask in wanted.items()}
    shares = {name: np.full(len(frames), share) for name, share in of_all.items()}
    for rows, places in pairs_in_groups(frames, truth_frames):
        overlap = iou(wrong.box[rows], truth.box[objects[places]], plus_one=plus_one)
        starts = starts_of_runs(rows)
        count = np.diff(starts, append=len(rows))
        for name, mask in wanted.items():
            inside = mask[objects[places]]
            within = np.maximum.reduceat(np.where(inside, overlap, -1), starts)
            without = np.maximum.reduceat(np.where(inside, -1, overlap), starts)
            tie = np.add.reduceat(~inside, starts, dtype=np.float64) / count
            shares[name][rows[starts]] = np.where(within > without, 1, np.where(within < without, 0, tie))
    return shares


def _at(mask: BoolArray, rows: IntArray, *, missing: bool) -> BoolArray:
    return np.append(mask, missing)[rows]  # row -1 is the appended one


def _squared_distance(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Of the centres, times 4."""
    across = boxes[:, 0] + boxes[:, 2] - (others[:, 0] + others[:, 2])
    down = boxes[:, 1] + boxes[:, 3] - (others[:, 1] + others[:, 3])
    return across * across + down * down
