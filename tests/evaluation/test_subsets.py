"""Average precision and curves per subset against the plain loops, and the ignore rules in small."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import random_case, tables

from heatprop.evaluation import (
    GroundTruth,
    Predictions,
    average_precision,
    displacement,
    displacement_subsets,
    motion_iou,
    motion_iou_subsets,
    nearest_object,
    read_at_recall,
    subset_average_precision,
    subset_curves,
)

LEFT, RIGHT = [0, 0, 49, 49], [200, 0, 249, 49]


def splits(truth):
    fgfa = motion_iou_subsets(motion_iou(truth))
    return {**displacement_subsets(displacement(truth)), **{f"FGFA {name}": mask for name, mask in fgfa.items()}}


def test_nearest_objects_equal_the_plain_loops():
    for seed in range(60):
        truths, founds = random_case(seed)
        expected = [oracles.nearest(truths, found) for found in founds]
        result = nearest_object(*tables(truths, founds))
        assert result.tolist() == [-1 if k is None else k for k in expected]


def test_subset_average_precision_equals_the_plain_loops():
    for seed in range(50):
        case = random_case(seed)
        truth, found = tables(*case)
        subsets = splits(truth)
        for name, result in subset_average_precision(truth, found, subsets).items():
            expected = oracles.subset_average_precision(*case, subsets[name].tolist())
            assert result.mean == pytest.approx(expected.mean, abs=1e-9, nan_ok=True)
            assert result.per_class == pytest.approx(expected.per_class, abs=1e-9)
            assert result.without_ground_truth == expected.without


@pytest.mark.parametrize("same_label", [True, False])
def test_subset_curves_equal_the_plain_loops(same_label):
    for seed in range(50):
        case = random_case(seed)
        truth, found = tables(*case)
        subsets = splits(truth)
        for name, curve in subset_curves(truth, found, subsets, same_label=same_label).items():
            scores, hits, misses = oracles.subset_curve(*case, subsets[name].tolist(), same_label=same_label)
            assert curve.score.tolist() == scores
            assert curve.true_positives.tolist() == hits
            assert curve.false_positives.tolist() == misses
            assert curve.ground_truth == int((subsets[name] & ~truth.ignore).sum())


def test_the_subset_of_everything_gives_plain_average_precision():
    for seed in range(60):
        truth, found = tables(*random_case(seed))
        result = subset_average_precision(truth, found, {"all": np.ones(len(truth.box), bool)})["all"]
        assert result.per_class == pytest.approx(average_precision(truth, found).per_class)


def test_bins_hold_their_lower_ends():
    bins = displacement_subsets(np.array([np.nan, 0, 1.99, 2, 3.99, 4]))
    assert [int(mask.sum()) for mask in bins.values()] == [2, 2, 1, 5]
    bins = motion_iou_subsets(np.array([np.nan, 0.69, 0.7, 0.9, 0.91]))
    assert [int(mask.sum()) for mask in bins.values()] == [1, 2, 1]


def test_a_detection_of_an_object_outside_the_subset_is_ignored():
    truth = GroundTruth([0] * 2, [0] * 2, None, [1] * 2, [LEFT, RIGHT])
    found = Predictions([0] * 2, [0] * 2, [1] * 2, [0.9, 0.8], [RIGHT, LEFT])
    left = {"left": np.array([True, False])}
    assert subset_average_precision(truth, found, left)["left"].mean == 1


def test_a_false_positive_counts_where_its_nearest_object_is_and_everywhere_on_empty_frames():
    truth = GroundTruth([0] * 2, [0] * 2, None, [1, 2], [LEFT, RIGHT])
    near_right, empty = [150, 0, 199, 49], [0, 0, 9, 9]
    found = Predictions([0] * 2, [0, 1], [1] * 2, [0.9, 0.8], [near_right, empty])
    curves = subset_curves(truth, found, {"left": np.array([True, False]), "right": np.array([False, True])})
    assert curves["left"].score.tolist() == [0.8]
    assert curves["right"].score.tolist() == [0.9, 0.8]


def test_the_first_box_of_a_track_is_in_no_displacement_subset():
    """One object over 3 frames: 2 pairs; the detection of the first box and the wrong one beside it count nowhere."""
    truth = GroundTruth([0] * 3, [0, 1, 2], [7] * 3, [1] * 3, [LEFT] * 3)
    found = Predictions([0] * 4, [0, 0, 1, 2], [1] * 4, [0.9, 0.8, 0.7, 0.6], [LEFT, RIGHT, LEFT, LEFT])
    slow = subset_curves(truth, found, displacement_subsets(displacement(truth)))["slow"]
    assert read_at_recall(slow, 1.0) == (2, 0, 0, 1.0, 0.6)


def test_curves_are_class_agnostic_unless_asked():
    truth = GroundTruth([0], [0], None, [1], [LEFT])
    found = Predictions([0], [0], [2], [0.9], [LEFT])
    everything = {"all": np.array([True])}
    assert subset_curves(truth, found, everything)["all"].true_positives.tolist() == [1]
    assert subset_curves(truth, found, everything, same_label=True)["all"].true_positives.tolist() == [0]


def test_a_mask_that_does_not_fit_is_refused():
    truth = GroundTruth([0], [0], None, [1], [LEFT])
    found = Predictions([], [], [], [], [])
    with pytest.raises(ValueError, match=r"subset 'a' must be a bool mask of shape \(1,\), got bool \(2,\)"):
        subset_curves(truth, found, {"a": np.array([True, False])})
    with pytest.raises(ValueError, match=r"subset 'a' must be a bool mask of shape \(1,\), got int64 \(1,\)"):
        subset_average_precision(truth, found, {"a": np.array([0])})
