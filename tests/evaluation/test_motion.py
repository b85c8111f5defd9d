"""Displacement, motion IoU and radius against the plain loops and the paper's Table 2."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import SIZES, random_case, tables

from heatprop.evaluation import GroundTruth, displacement, motion_iou, suggest_radius, uncovered_pairs


@pytest.mark.parametrize("sizes", [None, SIZES])
@pytest.mark.parametrize("quantize", [True, False])
def test_displacement_equals_the_plain_loops(sizes, quantize):
    for seed in range(60):
        truths, founds = random_case(seed)
        truth, _ = tables(truths, founds)
        result = displacement(truth, picture_size=sizes, quantize=quantize)
        expected = oracles.displacement(truths, sizes=sizes, quantize=quantize)
        np.testing.assert_allclose(result, np.array(expected, float), atol=1e-9)


@pytest.mark.parametrize(("reach", "plus_one"), [(10, True), (2, False)])
def test_motion_iou_equals_the_plain_loops(reach, plus_one):
    for seed in range(60):
        truths, founds = random_case(seed)
        truth, _ = tables(truths, founds)
        expected = oracles.motion_iou(truths, reach, plus_one)
        result = motion_iou(truth, reach=reach, plus_one=plus_one)
        np.testing.assert_allclose(result, np.array(expected, float), atol=1e-9)


def test_a_step_of_16_pixels_on_a_full_hd_picture_is_one_cell_and_a_bit():
    """512 / 1920 / 4 cells per pixel: 16 px = 1.0667 cells."""
    truth = GroundTruth([0] * 2, [0, 1], [5] * 2, [1] * 2, [[100, 100, 200, 200], [116, 100, 216, 200]])
    assert displacement(truth, picture_size=(1920, 1080))[1] == pytest.approx(16 * 512 / 1920 / 4)


def test_quantized_displacement_lies_on_half_cells():
    rng = np.random.default_rng(0)
    boxes = np.cumsum(rng.normal(0, 3, (200, 4)), axis=0)
    truth = GroundTruth([0] * 200, np.arange(200), [1] * 200, [1] * 200, boxes)
    doubled = 2 * displacement(truth, quantize=True)[1:]
    np.testing.assert_array_equal(doubled, np.rint(doubled))


def test_a_track_found_again_after_a_gap_has_no_displacement_there():
    truth = GroundTruth([0] * 4, [3, 4, 6, 7], [5] * 4, [1] * 4, [[0, 0, 8, 8]] * 4)
    np.testing.assert_array_equal(displacement(truth), [np.nan, 0, np.nan, 0])


def test_the_same_track_number_in_two_videos_is_two_tracks():
    truth = GroundTruth([0, 1], [0, 1], [5] * 2, [1] * 2, [[0, 0, 8, 8]] * 2)
    assert np.isnan(displacement(truth)).all()
    assert np.isnan(motion_iou(truth)).all()


def test_motion_iou_does_not_reach_into_the_next_track():
    """Track 5 ends at frame 30, track 6 begins at frame 0: far apart, however the rows lie."""
    truth = GroundTruth([0] * 2, [30, 0], [5, 6], [1] * 2, [[0, 0, 8, 8]] * 2)
    assert np.isnan(motion_iou(truth, reach=31)).all()


def test_uncovered_pairs_are_those_that_move_farther():
    moved = np.array([np.nan, 0, 0.5, 1, 1.5, 2, 11])
    assert uncovered_pairs(moved) == pytest.approx({0: 5 / 6, 1: 3 / 6, 2: 1 / 6, **dict.fromkeys(range(3, 11), 1 / 6)})
    assert np.isnan(uncovered_pairs(np.array([np.nan]), [1])[1])


def test_table_2s_shares_suggest_the_papers_radius():
    """60.4, 11.3, 3.7, 1.6, 0.79 and 0.45 % of 10,000 pairs above 0, 1, 2, 3, 4 and 5 cells."""
    above = np.array([10000, 6040, 1130, 370, 160, 79, 45, 0])
    moved = np.repeat([0, 1, 2, 3, 4, 5, 6], above[:-1] - above[1:]).astype(float)
    shares = uncovered_pairs(moved, range(6))
    assert list(shares.values()) == pytest.approx([0.604, 0.113, 0.037, 0.016, 0.0079, 0.0045])
    assert suggest_radius(moved) == 2


@pytest.mark.parametrize("uncovered", [0.0, 0.05, 0.1, 0.3, 1.0])
def test_the_suggested_radius_is_the_smallest_that_covers_enough(uncovered):
    for seed in range(60):
        rng = np.random.default_rng(seed)
        moved = np.round(rng.exponential(2, rng.integers(1, 40)) * 2) / 2
        assert suggest_radius(moved, uncovered=uncovered) == oracles.suggest_radius(moved.tolist(), uncovered)


def test_two_boxes_of_a_track_in_one_frame_are_refused_with_their_place():
    truth = GroundTruth(["a"] * 2, [7, 7], [5] * 2, [1] * 2, [[0, 0, 8, 8]] * 2)
    with pytest.raises(ValueError, match="at most one box in a frame, got two of track 5 in frame 7 of video a"):
        displacement(truth)


def test_wrong_numbers_and_missing_sizes_are_refused():
    truth = GroundTruth(["a"], [7], [5], [1], [[0, 0, 8, 8]])
    with pytest.raises(ValueError, match=r"picture_size must have \(width, height\) of every video, video 'a'"):
        displacement(truth, picture_size={"b": (10, 10)})
    with pytest.raises(ValueError, match=r"picture_size must be \(width, height\), both above 0, got \(0, 9\)"):
        displacement(truth, picture_size=(0, 9))
    with pytest.raises(ValueError, match="reach must be at least 1 frame, got 0"):
        motion_iou(truth, reach=0)
    with pytest.raises(ValueError, match="displacements must hold at least one pair"):
        suggest_radius(displacement(truth))
    with pytest.raises(ValueError, match="uncovered must be between 0 and 1, got 5"):
        suggest_radius(np.zeros(3), uncovered=5)
