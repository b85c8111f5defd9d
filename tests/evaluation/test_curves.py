"""Areas under curves and their readings against the plain loops."""

import evaluation_oracles as oracles
import numpy as np
import pytest

from heatprop.evaluation import Curve, area_under_curve, read_at_recall
from heatprop.evaluation.curves import trace_curve

TABLE_3_FN = [  # GT, recall, FN as the paper prints them
    (254190, 0.75, 63548),
    (14820, 0.75, 3705),
    (3028, 0.75, 757),
    (272038, 0.75, 68010),
    (254190, 0.65, 88967),
    (14820, 0.65, 5187),
    (3028, 0.65, 1060),
    (272038, 0.65, 95214),
]


def random_flags(seed):
    rng = np.random.default_rng(seed)
    flags = rng.random(rng.integers(0, 60)) < rng.random()
    return flags, int(flags.sum() + rng.integers(0, 10)) or 1


def curve_of(flags, objects):
    return trace_curve(-np.arange(len(flags), dtype=float), np.asarray(flags, bool), objects)


@pytest.mark.parametrize("points", [None, 11, 101])
def test_areas_equal_the_plain_loops(points):
    for seed in range(250):
        flags, objects = random_flags(seed)
        recall, precision, _, _ = oracles.curve(flags.tolist(), objects)
        expected = (
            oracles.all_point_area(recall, precision)
            if points is None
            else oracles.point_area(recall, precision, points)
        )
        assert area_under_curve(curve_of(flags, objects), recall_points=points) == pytest.approx(expected, abs=1e-9)


def test_precision_and_recall_equal_the_plain_loops():
    for seed in range(200):
        flags, objects = random_flags(seed)
        recall, precision, hits, misses = oracles.curve(flags.tolist(), objects)
        curve = curve_of(flags, objects)
        np.testing.assert_allclose(curve.recall, recall)
        np.testing.assert_allclose(curve.precision, precision)
        assert curve.true_positives.tolist() == hits
        assert curve.false_positives.tolist() == misses


@pytest.mark.parametrize(("ground_truth", "recall", "missed"), TABLE_3_FN)
def test_readings_leave_as_many_unfound_as_the_papers_table_3(ground_truth, recall, missed):
    found = np.arange(1, ground_truth + 1)
    curve = Curve(np.linspace(1, 0, ground_truth), found, np.zeros_like(found), ground_truth)
    assert read_at_recall(curve, recall).false_negatives == missed


def test_a_reading_has_the_false_positives_above_its_score():
    """GT 4, at 75 %: the third hit is detection 5 (score -4), two wrong ones lie before it."""
    reading = read_at_recall(curve_of([1, 0, 1, 0, 1, 0], 4), 0.75)
    assert reading == (4, 1, 2, 0.6, -4.0)


def test_a_curve_that_ends_too_early_has_no_reading():
    assert read_at_recall(curve_of([1, 0, 1], 4), 0.75) is None
    assert read_at_recall(curve_of([], 4), 0.1) is None


def test_a_reading_finds_at_least_one_object():
    assert read_at_recall(curve_of([0, 1], 1), 0.75).false_negatives == 0


def test_without_ground_truth_there_is_neither_area_nor_recall():
    curve = curve_of([0, 0], 0)
    assert np.isnan(area_under_curve(curve))
    assert np.isnan(curve.recall).all()


def test_wrong_numbers_are_refused():
    with pytest.raises(ValueError, match="recall must be above 0 and at most 1, got 75"):
        read_at_recall(curve_of([1], 1), 75)
    with pytest.raises(ValueError, match="recall_points must be None or at least 2, got 1"):
        area_under_curve(curve_of([1], 1), recall_points=1)
