"""Average precision against the plain-loop oracle, hand-worked numbers, and what must not change it."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import random_case, tables
from hypothesis import given, settings
from hypothesis import strategies as st

from heatprop.evaluation import COCO, VID, GroundTruth, Predictions, Rule, average_precision

SQUARE = [0, 0, 49, 49]
RULES = [VID, COCO, VID._replace(iou_threshold=0.75), VID._replace(plus_one=False), Rule(0.3, False, True, 11)]


def assert_same(result, expected):
    assert result.mean == pytest.approx(expected.mean, abs=1e-9, nan_ok=True)
    assert result.per_class == pytest.approx(expected.per_class, abs=1e-9)
    assert result.without_ground_truth == expected.without


def test_vid_average_precision_equals_the_plain_loops():
    for seed in range(300):
        case = random_case(seed)
        assert_same(average_precision(*tables(*case)), oracles.average_precision(*case))


@pytest.mark.parametrize("rule", RULES)
def test_every_named_option_equals_the_plain_loops(rule):
    for seed in range(60):
        case = random_case(seed)
        result = average_precision(*tables(*case), rule=rule)
        assert_same(result, oracles.average_precision(*case, **rule._asdict()))


def test_hand_worked_two_classes():
    """Class 1: right, wrong, right of 2: 0.5 * 1 + 0.5 * 2/3. Class 2: one of 4 found: 0.25. Class 3: no object."""
    truth = GroundTruth([0] * 6, [0, 1, 0, 1, 2, 3], None, [1, 1, 2, 2, 2, 2], [SQUARE] * 6)
    found = Predictions([0] * 5, [0, 5, 1, 3, 0], [1, 1, 1, 2, 3], [0.9, 0.8, 0.7, 0.6, 0.5], [SQUARE] * 5)
    result = average_precision(truth, found)
    assert result.per_class == pytest.approx({1: 5 / 6, 2: 0.25})
    assert result.mean == pytest.approx((5 / 6 + 0.25) / 2)
    assert result.without_ground_truth == [3]


def test_a_10_pixel_object_is_found_at_an_iou_of_a_quarter_only_by_the_devkits_rule():
    truth = GroundTruth([0], [0], None, [1], [[1, 1, 10, 10]])
    found = Predictions([0], [0], [1], [0.9], [[1, 1, 10, 4]])  # 40 of 100 pixels
    assert average_precision(truth, found).mean == 1
    assert average_precision(truth, found, rule=VID._replace(small_objects=False)).mean == 0


def test_plus_one_decides_at_the_threshold():
    """9 of 17 pixels without, 10 of 18 with +1: 0.529 and 0.556."""
    truth = GroundTruth([0], [0], None, [1], [[0, 0, 13, 99]])
    found = Predictions([0], [0], [1], [0.9], [[4, 0, 17, 99]])
    flat = Rule(0.54, small_objects=False)
    assert average_precision(truth, found, rule=flat).mean == 1
    assert average_precision(truth, found, rule=flat._replace(plus_one=False)).mean == 0


def test_a_second_detection_of_an_object_is_wrong():
    truth = GroundTruth([0, 0], [0, 1], None, [1, 1], [SQUARE] * 2)
    found = Predictions([0] * 3, [0, 0, 1], [1] * 3, [0.9, 0.8, 0.7], [SQUARE] * 3)
    assert average_precision(truth, found).mean == pytest.approx(0.5 + 0.5 * 2 / 3)


def test_equal_scores_come_by_frame_and_not_by_row():
    """The devkit sorts by frame first: the wrong box of frame 1 comes after the right one of frame 0."""
    truth = GroundTruth([0], [0], None, [1], [SQUARE])
    found = Predictions([0, 0], [1, 0], [1, 1], [0.5, 0.5], [SQUARE] * 2)
    assert average_precision(truth, found).mean == 1


def test_equal_scores_in_one_frame_come_as_given():
    truth = GroundTruth([0], [0], None, [1], [SQUARE])
    boxes = [[100, 100, 120, 120], SQUARE]
    found = Predictions([0, 0], [0, 0], [1, 1], [0.5, 0.5], boxes)
    assert average_precision(truth, found).mean == 0.5
    assert average_precision(truth, found.select(slice(None, None, -1))).mean == 1


def test_a_detection_on_an_ignored_box_is_neither_right_nor_wrong():
    truth = GroundTruth([0, 0], [0, 1], None, [1, 1], [SQUARE] * 2, ignore=[True, False])
    found = Predictions([0] * 3, [0, 0, 1], [1] * 3, [0.9, 0.8, 0.7], [SQUARE] * 3)
    assert average_precision(truth, found).mean == 1


def test_a_class_of_ignored_boxes_only_is_reported_and_not_averaged():
    truth = GroundTruth([0, 0], [0, 0], None, ["car", "dog"], [SQUARE] * 2, ignore=[True, False])
    found = Predictions([0], [0], ["cat"], [0.9], [SQUARE])
    result = average_precision(truth, found)
    assert (result.mean, result.per_class, result.without_ground_truth) == (0.0, {"dog": 0.0}, ["car", "cat"])


def test_nothing_at_all_has_no_mean():
    result = average_precision(GroundTruth([], [], [], [], []), Predictions([], [], [], [], []))
    assert np.isnan(result.mean)
    assert (result.per_class, result.without_ground_truth) == ({}, [])


def test_names_of_videos_and_classes_give_what_numbers_give():
    truths, founds = random_case(8)
    truth, found = tables(truths, founds)
    named_truth = truth._replace(video=truth.video.astype(str), label=truth.label.astype(str))
    named_found = found._replace(video=found.video.astype(str), label=found.label.astype(str))
    result = average_precision(named_truth, named_found)
    assert result.mean == average_precision(truth, found).mean
    assert set(result.per_class) == {str(label) for label in average_precision(truth, found).per_class}


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), place=st.integers(0, 5), label=st.integers(0, 3))
def test_a_wrong_detection_below_all_others_never_raises_average_precision(seed, place, label):
    truth, found = tables(*random_case(seed))
    extra = Predictions([0], [place], [label], [-1.0], [[500, 500, 530, 530]])
    more = Predictions(*(np.concatenate(columns) for columns in zip(found, extra, strict=True)))
    before, after = average_precision(truth, found), average_precision(truth, more)
    for name, value in after.per_class.items():
        assert value <= before.per_class[name] + 1e-12


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), order=st.permutations(range(3)))
def test_the_order_of_videos_and_rows_changes_nothing_without_ties(seed, order):
    truth, found = tables(*random_case(seed))
    rng = np.random.default_rng(seed)
    found = found._replace(score=rng.permutation(len(found.score)) / max(len(found.score), 1))
    names, rows = np.array(order), rng.permutation(len(found.score))
    moved = found._replace(video=names[found.video]).select(rows)
    result = average_precision(truth._replace(video=names[truth.video]), moved)
    assert result.per_class == pytest.approx(average_precision(truth, found).per_class, abs=1e-12)


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6), power=st.floats(0.1, 5))
def test_only_the_order_of_scores_matters(seed, power):
    truth, found = tables(*random_case(seed))
    found = found._replace(score=np.round(found.score, 2) + 1)
    changed = found._replace(score=3 * found.score**power - 7)
    assert average_precision(truth, changed).per_class == average_precision(truth, found).per_class


@settings(max_examples=100, deadline=None)
@given(seed=st.integers(0, 10**6))
def test_the_truth_as_prediction_is_perfect(seed):
    truth, _ = tables(*random_case(seed))
    visible = truth.select((truth.box[:, 2] > truth.box[:, 0]) & (truth.box[:, 3] > truth.box[:, 1]) & ~truth.ignore)
    found = Predictions(visible.video, visible.frame, visible.label, np.ones(len(visible.box)), visible.box)
    assert set(average_precision(visible, found, rule=COCO).per_class.values()) <= {1.0}
