"""Ghosts and their ages against the plain loops, and by hand."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import SIZES, random_case, tables

from heatprop.evaluation import GroundTruth, Predictions, find_ghosts, ghost_age, ghost_rate

NOTHING = GroundTruth([], [], [], [], [])
SQUARE = [0, 0, 49, 49]


@pytest.mark.parametrize("sizes", [None, SIZES])
def test_ghosts_equal_the_plain_loops(sizes):
    for seed in range(50):
        case = random_case(seed)
        truth, found = tables(*case)
        expected = oracles.ghosts(*case, sizes)
        assert find_ghosts(truth, found, picture_size=sizes).tolist() == expected
        rate = ghost_rate(truth, found, picture_size=sizes)
        assert (rate.ghosts, rate.boxes) == (sum(expected), sum(f.score >= 0.3 for f in case[1]))
        age = ghost_age(truth, found, picture_size=sizes)
        ages = oracles.ghost_ages(*case, sizes)
        assert sorted(age.ages.tolist()) == ages
        assert age.mean == pytest.approx(oracles.mean(ages), abs=1e-9, nan_ok=True)


def test_long_chains_of_ghosts_are_counted_whole():
    frames = np.arange(1000)
    found = Predictions([0] * 1000, frames, [1] * 1000, [0.9] * 1000, [SQUARE] * 1000)
    assert ghost_age(NOTHING, found)[:2] == (1000.0, 1000)


def test_a_ghost_that_skips_a_frame_or_changes_class_is_another_one():
    found = Predictions([0] * 4, [0, 2, 3, 4], [1, 1, 2, 2], [0.9] * 4, [SQUARE] * 4)
    assert ghost_age(NOTHING, found).ages.tolist() == [1, 1, 2]


def test_a_box_on_an_ignored_object_of_another_class_is_no_ghost():
    truth = GroundTruth([0], [0], None, [1], [SQUARE], ignore=[True])
    found = Predictions([0] * 2, [0, 1], [2] * 2, [0.9] * 2, [SQUARE] * 2)
    assert find_ghosts(truth, found).tolist() == [False, True]


def test_clipping_makes_a_large_box_touch_a_small_object():
    """200 x 200 around a 50 x 50 object: IoU 0.06; what is left inside the 60 x 60 picture: 0.69."""
    truth = GroundTruth([0], [0], None, [1], [[0, 0, 50, 50]])
    found = Predictions([0], [0], [1], [0.9], [[-70, -70, 130, 130]])
    assert find_ghosts(truth, found).tolist() == [True]
    assert find_ghosts(truth, found, picture_size=(60, 60)).tolist() == [False]


def test_score_and_touching_are_at_the_threshold():
    truth = GroundTruth([0] * 2, [0, 1], None, [1] * 2, [[0, 0, 10, 10]] * 2)
    found = Predictions([0] * 3, [0, 1, 2], [1] * 3, [0.9, 0.9, 0.3], [[0, 0, 10, 1], [0, 0, 10, 0.99], SQUARE])
    assert find_ghosts(truth, found).tolist() == [False, True, True]


def test_without_boxes_there_is_no_rate():
    found = Predictions([0], [0], [1], [0.29], [SQUARE])
    assert np.isnan(ghost_rate(NOTHING, found).rate)
    assert np.isnan(ghost_age(NOTHING, found).mean)
