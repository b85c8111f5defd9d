"""FGFA's rule on subsets, against its script written anew as loops, and numbers that would fill the memory."""

import numpy as np
import pytest
from evaluation_cases import random_case, tables
from evaluation_oracles import iou

from heatprop.evaluation import (
    COCO,
    VID,
    GroundTruth,
    Predictions,
    average_precision,
    displacement,
    match,
    motion_iou,
    motion_iou_subsets,
    subset_average_precision,
    tracked_displacement,
)
from heatprop.evaluation.curves import area_of_hits


def false_positive(found, truths, inside):
    """How much a detection that found nothing counts on a subset."""
    here = [k for k, t in enumerate(truths) if (t.video, t.frame) == (found.video, found.frame) and not t.ignore]
    counting = [k for k, t in enumerate(truths) if not t.ignore]
    if not here:
        return sum(inside[k] for k in counting) / len(counting) if counting else 0.0
    within = max((iou(found.box, truths[k].box, True) for k in here if inside[k]), default=-1.0)
    without = max((iou(found.box, truths[k].box, True) for k in here if not inside[k]), default=-1.0)
    if within != without:
        return float(within > without)
    return sum(not inside[k] for k in here) / len(here)


def loop_average_precision(truths, founds, truth, predictions, inside):
    """Per class the area under the curve of weighted false positives, best precision from the right."""
    found = match(truth, predictions)
    result = {}
    for label in {t.label for k, t in enumerate(truths) if inside[k] and not t.ignore}:
        objects = sum(inside[k] and not t.ignore and t.label == label for k, t in enumerate(truths))
        rows = [row for row, one in enumerate(founds) if one.label == label]
        rows.sort(key=lambda row: (-founds[row].score, founds[row].video, founds[row].frame, row))
        points, right, wrong = [], 0, 0.0
        for row in rows:
            owner = int(found.truth_index[row])
            if owner >= 0:
                right += bool(inside[owner] and not truths[owner].ignore)
            elif not found.ignored[row]:
                wrong += false_positive(founds[row], truths, inside)
            points.append((right, right / (right + wrong) if right else 0.0))
        area = 0.0
        for hit in range(1, right + 1):
            area += max(precision for count, precision in points if count >= hit) / objects
        result[label] = area
    return result


@pytest.mark.parametrize("seed", range(25))
def test_false_positives_count_as_in_fgfas_script(seed):
    truths, founds = random_case(seed)
    truth, predictions = tables(truths, founds)
    rng = np.random.default_rng(seed)
    inside = rng.random(len(truths)) < 0.4
    for mask in (inside, ~inside):
        ours = subset_average_precision(truth, predictions, {"part": mask}, rule="fgfa")["part"].per_class
        assert ours == pytest.approx(loop_average_precision(truths, founds, truth, predictions, mask), abs=1e-12)


def one_frame(box):
    """A slow object on the left, a fast one on the right; a false positive comes before both are found."""
    boxes = [[0, 0, 49, 49], [200, 0, 249, 49]]
    truth = GroundTruth([0, 0], [0, 0], [0, 1], [1, 1], boxes)
    return truth, Predictions([0] * 3, [0] * 3, [1] * 3, [0.9, 0.8, 0.7], [box, *boxes])


def mean_of(truth, predictions, rule):
    left = {"left": np.array([True, False]), "right": np.array([False, True])}
    return {name: one.mean for name, one in subset_average_precision(truth, predictions, left, rule=rule).items()}


def test_a_detection_that_touches_nothing_counts_for_the_nearest_object_or_by_halves():
    truth, predictions = one_frame([60, 0, 90, 30])
    assert mean_of(truth, predictions, VID) == {"left": 0.5, "right": 1.0}
    assert mean_of(truth, predictions, "fgfa") == pytest.approx({"left": 1 / 1.5, "right": 1 / 1.5})


def test_a_detection_that_touches_an_object_counts_for_it_by_either_rule():
    truth, predictions = one_frame([30, 0, 79, 49])
    for rule in (VID, "vid", "fgfa"):
        assert mean_of(truth, predictions, rule) == {"left": 0.5, "right": 1.0}


def test_a_detection_in_a_frame_without_objects_counts_by_the_share_of_objects():
    truth, predictions = one_frame([0, 0, 9, 9])
    predictions = predictions._replace(frame=np.array([5, 0, 0]))
    assert mean_of(truth, predictions, VID) == {"left": 0.5, "right": 0.5}
    assert mean_of(truth, predictions, "fgfa") == pytest.approx({"left": 1 / 1.5, "right": 1 / 1.5})


def test_whole_data_and_other_rules_do_not_change():
    truth, predictions = tables(*random_case(3))
    assert average_precision(truth, predictions, rule="fgfa") == average_precision(truth, predictions)
    assert average_precision(truth, predictions, rule="coco") == average_precision(truth, predictions, rule=COCO)


def test_an_unknown_rule_is_refused():
    truth, predictions = tables(*random_case(3))
    with pytest.raises(ValueError, match=r"rule must be a Rule or one of 'vid', 'coco', 'fgfa', got 'voc'"):
        average_precision(truth, predictions, rule="voc")


# --- numbers that make no sense ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("points", [10**9, 10**20, 1, 0, -3])
def test_recall_points_that_make_no_sense_are_refused(points):
    truth, predictions = tables(*random_case(3))
    with pytest.raises(ValueError, match=rf"recall_points must be .*, got {points}"):
        average_precision(truth, predictions, rule=VID._replace(recall_points=points))
    with pytest.raises(ValueError, match="recall_points must be"):
        area_of_hits(np.array([0]), 1, recall_points=points)


@pytest.mark.parametrize("points", [101.5, "101", True, float("nan")])
def test_recall_points_are_a_whole_number(points):
    with pytest.raises(TypeError, match="recall_points must be None or a whole number, got"):
        area_of_hits(np.array([0]), 1, recall_points=points)


@pytest.mark.parametrize("value", [0, -4, float("nan"), float("inf")])
def test_displacement_needs_a_stride_and_an_input(value):
    truth = GroundTruth([0, 0], [0, 1], [5, 5], [1, 1], [[0, 0, 9, 9]] * 2)
    with pytest.raises(ValueError, match="stride must be a number above 0, got"):
        displacement(truth, stride=value)
    with pytest.raises(ValueError, match="input_size must be a number above 0, got"):
        displacement(truth, picture_size=(10, 10), input_size=value)
    with pytest.raises(ValueError, match="stride must be a number above 0, got"):
        tracked_displacement([], stride=value)


def test_a_reach_beyond_all_frames_takes_no_longer():
    truth = GroundTruth([0, 0], [0, 3], [5, 5], [1, 1], [[0, 0, 9, 9]] * 2)
    assert motion_iou(truth, reach=10**12).tolist() == [1, 1]
    assert motion_iou_subsets(motion_iou(truth))["slow"].all()
