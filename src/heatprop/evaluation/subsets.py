"""Average precision and curves of part of the objects: slow, median and fast ones, or any others."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.average_precision import AveragePrecision, average_over_classes, in_frame_order
from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.curves import Curve, trace_curve
from heatprop.evaluation.keys import frame_codes, number_rows
from heatprop.evaluation.matching import VID, Matches, Rule, match_numbered
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
    truth: GroundTruth, predictions: Predictions, subsets: Subsets, *, rule: Rule = VID
) -> dict[str, AveragePrecision]:
    """Compute average precision on each subset of the objects (FGFA's motion-specific mAP).

    All objects are matched together, once (`match`). In a subset, then: objects outside it are not to be found; a
    detection that found one of them is neither right nor wrong; a false positive counts where the object nearest
    to it (`nearest_object`) is in the subset, and in every subset where its frame has no object.

    Args:
        truth: Objects.
        predictions: Detections.
        subsets: Name -> mask over the ground truth, from `displacement_subsets`, `motion_iou_subsets` or your own.
        rule: When a detection counts.

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
    codes = number_rows(truth, predictions)
    matches = match_numbered(truth, predictions, codes, rule=rule)
    nearest = _nearest_of_unmatched(truth, predictions, matches, rule)
    result = {}
    for name, mask in subsets.items():
        wanted = _wanted(name, mask, truth)
        correct, counted = _judge(matches, nearest, wanted)
        result[name] = average_over_classes(predictions, codes, correct, counted, wanted, rule)
    return result


def subset_curves(
    truth: GroundTruth, predictions: Predictions, subsets: Subsets, *, rule: Rule = VID, same_label: bool = False
) -> dict[str, Curve]:
    """Trace class-agnostic precision against recall on each subset of the objects (Fig. 5, Table 3).

    The rules are those of `subset_average_precision`, with all classes on one curve. Read the curves with
    `read_at_recall`; the legend of Fig. 5 is their `area_under_curve`.

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
    codes = number_rows(truth, predictions)
    matches = match_numbered(truth, predictions, codes, rule=rule, same_label=same_label)
    nearest = _nearest_of_unmatched(truth, predictions, matches, rule)
    curves = {}
    for name, mask in subsets.items():
        wanted = _wanted(name, mask, truth)
        correct, counted = _judge(matches, nearest, wanted)
        rows = in_frame_order(codes, counted)
        rows = rows[falling_order(predictions.score[rows])]
        curves[name] = trace_curve(predictions.score[rows], correct[rows], int(wanted.sum()))
    return curves


def nearest_object(truth: GroundTruth, predictions: Predictions, *, plus_one: bool = True) -> IntArray:
    """Find the object of the same frame, of any class, that each detection lies nearest to.

    That is the one of highest IoU; among objects that it does not touch, the one of nearest centre; the first of
    equals. Ignored boxes are not asked.

    Args:
        truth: Objects.
        predictions: Detections.
        plus_one: Count the last pixel in.

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


def _nearest_of_unmatched(truth: GroundTruth, predictions: Predictions, matches: Matches, rule: Rule) -> IntArray:
    rows = np.flatnonzero((matches.truth_index < 0) & ~matches.ignored)
    nearest = np.full(len(predictions.box), -1)
    nearest[rows] = nearest_object(truth, predictions.select(rows), plus_one=rule.plus_one)
    return nearest


def _wanted(name: str, mask: NDArray[np.bool_], truth: GroundTruth) -> BoolArray:
    mask = np.asarray(mask)
    if mask.dtype != np.bool_ or mask.shape != truth.ignore.shape:
        came = f"{mask.dtype} {mask.shape}"
        raise ValueError(f"subset {name!r} must be a bool mask of shape {truth.ignore.shape}, got {came}")
    return mask & ~truth.ignore


def _judge(matches: Matches, nearest: IntArray, wanted: BoolArray) -> tuple[BoolArray, BoolArray]:
    """Which detections are right on a subset, and which are on its curve at all."""
    correct = _at(wanted, matches.truth_index, missing=False)
    wrong = (matches.truth_index < 0) & ~matches.ignored & _at(wanted, nearest, missing=True)
    return correct, correct | wrong


def _at(mask: BoolArray, rows: IntArray, *, missing: bool) -> BoolArray:
    return np.append(mask, missing)[rows]  # row -1 is the appended one


def _squared_distance(boxes: FloatArray, others: FloatArray) -> FloatArray:
    """Of the centres, times 4."""
    across = boxes[:, 0] + boxes[:, 2] - (others[:, 0] + others[:, 2])
    down = boxes[:, 1] + boxes[:, 3] - (others[:, 1] + others[:, 3])
    return across * across + down * down
