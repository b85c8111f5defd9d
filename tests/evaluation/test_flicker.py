"""Gaps, jitter and delay against the plain loops, and by hand."""

import evaluation_oracles as oracles
import numpy as np
import pytest
from evaluation_cases import random_case, tables

from heatprop.evaluation import (
    GroundTruth,
    Predictions,
    box_jitter,
    detection_delay,
    gaps,
    score_jitter,
    track_hits,
)

SQUARE = [0, 0, 49, 49]
POINTS = [{"score": 0.3}, {"score": 0.0}, {"recall": 0.5}, {"recall": 0.9}]


def one_track(scores, frames=None, ignore=None):
    count = len(scores)
    frames = range(count) if frames is None else frames
    truth = GroundTruth([0] * count, list(frames), [7] * count, [1] * count, [SQUARE] * count, ignore)
    return truth, Predictions([0] * count, list(frames), [1] * count, scores, [SQUARE] * count)


@pytest.mark.parametrize("point", POINTS)
def test_flicker_equals_the_plain_loops(point):
    for seed in range(50):
        case = random_case(seed)
        hits = track_hits(*tables(*case), **point)
        paths = oracles.tracks(*case, **point)
        assert gaps(hits).lengths.tolist() == oracles.gaps(paths)
        assert score_jitter(hits) == pytest.approx(oracles.score_jitter(paths), abs=1e-9, nan_ok=True)
        jitter = box_jitter(hits)
        assert jitter[:2] == pytest.approx(oracles.box_jitter(paths), abs=1e-9, nan_ok=True)
        assert jitter.pairs == len(oracles.pairs(paths))
        assert detection_delay(hits) == pytest.approx(oracles.detection_delay(paths), abs=1e-9, nan_ok=True)


def test_misses_before_the_first_and_after_the_last_hit_are_no_gap():
    truth, found = one_track([0.1, 0.9, 0.1, 0.9, 0.1])
    assert gaps(track_hits(truth, found, score=0.3))[:3] == (1, 1, 1)
    assert gaps(track_hits(truth, found, score=0.95))[:3] == (0, 0, 0)


def test_a_gap_in_the_annotation_neither_ends_nor_lengthens_a_gap():
    truth, found = one_track([0.9, 0.1, 0.1, 0.9], frames=[0, 1, 8, 9])
    assert gaps(track_hits(truth, found, score=0.3)).lengths.tolist() == [2]


def test_ignored_boxes_are_neither_hit_nor_missed():
    truth, found = one_track([0.9, 0.1, 0.9], ignore=[False, True, False])
    hits = track_hits(truth, found, score=0.3)
    assert gaps(hits).number == 0
    assert np.isnan(score_jitter(hits))


def test_the_threshold_at_half_recall_finds_half_of_the_boxes_or_a_few_more():
    truth, found = one_track([0.9, 0.2, 0.7, 0.2, 0.1])
    hits = track_hits(truth, found, recall=0.5)  # 3 of 5, and the second 0.2 is let through with the first
    assert hits.thresholds == {0: 0.2}
    assert hits.hit.tolist() == [True, True, True, True, False]


def test_each_video_has_a_threshold_of_its_own_at_a_fixed_recall():
    video = ["a", "a", "b", "b"]
    truth = GroundTruth(video, [0, 1, 0, 1], [7] * 4, [1] * 4, [SQUARE] * 4)
    found = Predictions(video, [0, 1, 0, 1], [1] * 4, [0.9, 0.8, 0.3, 0.2], [SQUARE] * 4)
    assert track_hits(truth, found, recall=0.5).thresholds == {"a": 0.9, "b": 0.3}


def test_a_video_that_never_reaches_the_recall_is_left_out_and_named():
    video = ["a", "a", "b"]
    truth = GroundTruth(video, [0, 1, 0], [7] * 3, [1] * 3, [SQUARE] * 3)
    found = Predictions(["b"], [0], [1], [0.3], [SQUARE])
    hits = track_hits(truth, found, recall=0.5)
    assert (hits.left_out, hits.thresholds, len(hits.hit)) == (["a"], {"b": 0.3}, 1)


def test_a_box_that_follows_its_object_at_a_fixed_distance_has_no_jitter():
    frames = np.arange(6)
    boxes = np.array(SQUARE) + 11 * frames[:, None]
    truth = GroundTruth([0] * 6, frames, [7] * 6, [1] * 6, boxes)
    found = Predictions([0] * 6, frames, [1] * 6, [0.9] * 6, boxes + 3)
    assert box_jitter(track_hits(truth, found, score=0.3)) == (0.0, 0.0, 5)


def test_delay_is_counted_in_frames_and_tracks_never_found_are_reported():
    truth, found = one_track([0.1, 0.9, 0.1], frames=[4, 9, 10])
    assert detection_delay(track_hits(truth, found, score=0.3)) == (5.0, 1, 0)
    mean, number, never = detection_delay(track_hits(truth, found, score=0.95))
    assert np.isnan(mean)
    assert (number, never) == (0, 1)


def test_no_tracks_at_all_have_no_flicker():
    hits = track_hits(GroundTruth([], [], [], [], []), Predictions([], [], [], [], []), recall=0.5)
    assert gaps(hits).number == 0
    assert np.isnan(score_jitter(hits))
    assert np.isnan(box_jitter(hits).center)
    assert detection_delay(hits)[1:] == (0, 0)


@pytest.mark.parametrize("point", [{}, {"score": 0.3, "recall": 0.5}])
def test_score_or_recall_must_be_given_and_not_both(point):
    with pytest.raises(ValueError, match="give either score or recall"):
        track_hits(*one_track([0.9]), **point)


def test_a_recall_in_percent_is_refused():
    with pytest.raises(ValueError, match="recall must be above 0 and at most 1, got 50"):
        track_hits(*one_track([0.9]), recall=50)
