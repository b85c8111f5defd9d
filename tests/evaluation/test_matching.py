"""Matching, IoU and thresholds against the plain loops, and the devkit's rule in small."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import random_case, tables

from heatprop.evaluation import COCO, GroundTruth, Predictions, Rule, iou, iou_thresholds, match, overlap


@pytest.mark.parametrize("same_label", [True, False])
@pytest.mark.parametrize("plus_one", [True, False])
def test_match_equals_the_plain_loops(same_label, plus_one):
    for seed in range(50):
        case = random_case(seed)
        result = match(*tables(*case), rule=Rule(plus_one=plus_one), same_label=same_label)
        for judged in oracles.match(*case, plus_one=plus_one, same_label=same_label):
            expected = (-1 if judged.truth is None else judged.truth, judged.ignored)
            assert (result.truth_index[judged.row], result.ignored[judged.row]) == expected


def test_chunks_of_pairs_give_what_one_chunk_gives(monkeypatch):
    expected = [match(*tables(*random_case(seed))) for seed in range(50)]
    monkeypatch.setattr(overlap, "PAIRS_AT_ONCE", 3)
    for seed in range(50):
        for one, other in zip(match(*tables(*random_case(seed))), expected[seed], strict=True):
            np.testing.assert_array_equal(one, other)


def test_each_detection_takes_the_free_object_that_it_overlaps_most():
    """The second one overlaps object 0 most, but that is taken: it gets object 1."""
    truth = GroundTruth([0, 0], [0, 0], None, [1, 1], [[0, 0, 100, 100], [20, 0, 120, 100]])
    found = Predictions([0] * 2, [0] * 2, [1] * 2, [0.9, 0.8], [[0, 0, 100, 100], [9, 0, 109, 100]])
    assert match(truth, found).truth_index.tolist() == [0, 1]


def test_the_first_of_two_equal_objects_is_taken_first():
    truth = GroundTruth([0, 0], [0, 0], None, [1, 1], [[0, 0, 50, 50]] * 2)
    found = Predictions([0] * 2, [0] * 2, [1] * 2, [0.8, 0.9], [[0, 0, 50, 50]] * 2)
    assert match(truth, found).truth_index.tolist() == [1, 0]


def test_an_object_that_counts_goes_before_an_ignored_one_of_larger_overlap():
    boxes = [[0, 0, 100, 100], [10, 0, 110, 100]]
    truth = GroundTruth([0, 0], [0, 0], None, [1, 1], boxes, ignore=[True, False])
    found = Predictions([0] * 3, [0] * 3, [1] * 3, [0.9, 0.8, 0.7], [boxes[0]] * 3)
    result = match(truth, found)
    assert result.truth_index.tolist() == [1, -1, -1]
    assert result.ignored.tolist() == [False, True, True]


def test_labels_can_be_left_out_of_the_matching():
    truth = GroundTruth([0], [0], None, [1], [[0, 0, 50, 50]])
    found = Predictions([0], [0], [2], [0.8], [[0, 0, 50, 50]])
    assert match(truth, found).truth_index.tolist() == [-1]
    assert match(truth, found, same_label=False).truth_index.tolist() == [0]


def test_boxes_without_area_overlap_nothing_even_at_threshold_zero():
    box = [[5, 5, 5, 9], [9, 9, 2, 2]]
    truth = GroundTruth([0] * 2, [0] * 2, None, [1] * 2, box)
    found = Predictions([0] * 2, [0] * 2, [1] * 2, [0.9] * 2, box)
    assert match(truth, found, rule=COCO._replace(iou_threshold=0)).truth_index.tolist() == [-1, -1]


@pytest.mark.parametrize("plus_one", [True, False])
def test_iou_equals_the_plain_formula(plus_one):
    rng = np.random.default_rng(3)
    boxes, others = rng.normal(0, 10, (2, 2000, 4))
    expected = [oracles.iou(tuple(a), tuple(b), plus_one) for a, b in zip(boxes, others, strict=True)]
    np.testing.assert_allclose(iou(boxes, others, plus_one=plus_one), expected, atol=1e-12)


@pytest.mark.parametrize("plus_one", [True, False])
@pytest.mark.parametrize("small_objects", [True, False])
def test_thresholds_equal_the_plain_formula(plus_one, small_objects):
    boxes = np.random.default_rng(4).normal(0, 30, (2000, 4))
    boxes[:3] = [[0, 0, -11, 5], [0, 0, -11, -1], [0, 0, 0, 0]]  # where the formula would divide by 0
    expected = [oracles.threshold(tuple(b), 0.5, small_objects, plus_one) for b in boxes]
    result = iou_thresholds(boxes, Rule(small_objects=small_objects, plus_one=plus_one))
    np.testing.assert_allclose(result, expected, atol=1e-12)


def test_the_threshold_is_full_from_24_14_pixels_on():
    sides = np.array([24.14, 24.15])
    boxes = np.stack([sides * 0, sides * 0, sides, sides], axis=1)
    below, full = iou_thresholds(boxes, Rule(plus_one=False))
    assert below < 0.5
    assert full == 0.5


def test_a_threshold_that_is_no_share_is_refused():
    with pytest.raises(ValueError, match=r"rule.iou_threshold must be between 0 and 1, got 50"):
        match(GroundTruth([], [], [], [], []), Predictions([], [], [], [], []), rule=Rule(50))


def test_numbers_in_one_table_and_names_in_the_other_are_refused():
    truth = GroundTruth(["a"], [0], None, [1], [[0, 0, 5, 5]])
    with pytest.raises(ValueError, match="video must be text everywhere or numbers everywhere, got <U1 and int64"):
        match(truth, Predictions([0], [0], [1], [0.5], [[0, 0, 5, 5]]))
