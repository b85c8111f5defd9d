"""HOTA, MOTA and IDF1 against the plain loops, and by hand."""

import itertools

import numpy as np
import pytest
import tracking_oracle as oracle
from evaluation_cases import random_case, tables

from heatprop.evaluation import GroundTruth, Predictions, clear_mot, hota, identity_f1, pair_tracks
from heatprop.evaluation.assignment import assign, assign_in_groups

NOTHING = GroundTruth([], [], [], [], []), Predictions([], [], [], [], [])
SQUARE = [0, 0, 50, 50]


def random_tracks(founds, seed):
    """Identities that last, change and repeat over videos, but never twice in a frame."""
    rng = np.random.default_rng(seed)
    used, ids = set(), []
    for found in founds:
        name = int(rng.integers(-1, 5))
        while name >= 0 and (found.video, found.frame, found.label, name) in used:
            name += 1
        used.add((found.video, found.frame, found.label, name))
        ids.append(name)
    return ids


def walk(ids, *, frames=None):
    """One object that stands still, and its detections."""
    frames = list(range(len(ids))) if frames is None else frames
    truth = GroundTruth([0] * 6, range(6), [7] * 6, [1] * 6, [SQUARE] * 6)
    found = Predictions([0] * len(ids), frames, [1] * len(ids), [0.9] * len(ids), [SQUARE] * len(ids))
    return pair_tracks(truth, found, ids)


def test_random_scores_equal_the_plain_loops():
    compared = 0
    for seed in range(120):
        truths, founds = random_case(seed)
        if any(len(frame.objects) > 3 or len(frame.detections) > 4 for frame in whole(truths, founds)):
            continue  # the loops try every assignment
        ids = random_tracks(founds, seed)
        truths = [one for n, one in enumerate(truths) if not any(same_place(one, other) for other in truths[:n])]
        pairs = pair_tracks(*tables(truths, founds), ids, score=0.3)
        expected = oracle.scores(truths, founds, ids, score=0.3)
        clear = clear_mot(pairs)
        got = (*hota(pairs), identity_f1(pairs).idf1, clear.mota, *clear[1:3], *clear[6:])
        if "ties" not in kind_of(seed):
            np.testing.assert_allclose(got, expected, atol=1e-12, err_msg=f"seed {seed}")
            compared += 1
        assert clear.true_positives + clear.misses == len(pairs.truth_track)
        assert clear.true_positives + clear.false_positives == len(pairs.track)
    assert compared > 40


def kind_of(seed):
    """Where overlaps tie, the best assignment is not one, and neither are the figures."""
    return ("ties", "tiny", "degenerate", "plain", "crowded")[seed % 5]


def whole(truths, founds):
    """All frames of a case."""
    return itertools.chain(*oracle.sequences(truths, founds, [0] * len(founds), score=0.3))


def same_place(one, other):
    return one[:4] == other[:4]


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (3, 2), (4, 4), (4, 3)])
def test_assignment_has_the_largest_sum_of_all(shape):
    rng = np.random.default_rng(shape[0] * 10 + shape[1])
    for _ in range(30):
        scores = rng.integers(0, 6, shape) / 4 * (rng.random(shape) < 0.7)
        rows, columns = assign(scores)
        assert len(set(rows)) == len(rows)
        assert len(set(columns)) == len(columns)
        best = sum(scores[i, j] for i, j in oracle.best_pairs(scores.tolist()))
        assert scores[rows, columns].sum() == pytest.approx(best, abs=1e-12)


def test_groups_are_assigned_each_for_itself():
    rng = np.random.default_rng(0)
    groups, rows, columns, scores, expected = [], [], [], [], 0.0
    for group in range(20):
        table = rng.random((3, 4)) * (rng.random((3, 4)) < 0.5)
        expected += sum(table[i, j] for i, j in oracle.best_pairs(table.tolist()))
        for i, j in np.argwhere(table):
            groups.append(group)
            rows.append(3 * group + i)
            columns.append(4 * group + j)
            scores.append(table[i, j])
    chosen = assign_in_groups(*(np.array(column) for column in (groups, rows, columns, scores)))
    assert np.array(scores)[chosen].sum() == pytest.approx(expected, abs=1e-12)


def test_assignment_of_nothing_is_nothing():
    for shape in ((0, 0), (0, 3), (3, 0)):
        assert [len(one) for one in assign(np.zeros(shape))] == [0, 0]
    assert len(assign(np.zeros((2, 2)))[0]) == 0


def test_a_perfect_track_has_ones_and_no_switch():
    pairs = walk([3] * 6)
    assert hota(pairs) == (1, 1, 1)
    assert clear_mot(pairs) == (1, 0, 0, 6, 0, 0, 1, 0)
    assert identity_f1(pairs) == (1, 1, 1, 6)


def test_a_switch_counts_also_after_a_gap_and_a_gap_is_a_fragmentation():
    frames, ids = [0, 1, 2, 4, 5], [3, 3, 3, 9, 9]
    truth = GroundTruth([0] * 12, [*range(6)] * 2, [7] * 6 + [8] * 6, [1] * 12, [SQUARE] * 6 + [[200, 0, 250, 50]] * 6)
    found = Predictions([0] * 11, [*frames, *range(6)], [1] * 11, [0.9] * 11, [SQUARE] * 5 + [[200, 0, 250, 50]] * 6)
    clear = clear_mot(pair_tracks(truth, found, [*ids, *[1] * 6]))
    assert (clear.switches, clear.fragmentations, clear.misses) == (1, 1, 1)
    assert clear.mota == pytest.approx(1 - 2 / 12)
    assert identity_f1(pair_tracks(truth, found, [*ids, *[1] * 6])).true_positives == 9


def test_a_frame_without_any_detection_breaks_no_track():
    assert clear_mot(walk([3] * 5, frames=[0, 1, 2, 4, 5])).fragmentations == 0


def test_a_matched_pair_stays_although_another_box_fits_better():
    truth = GroundTruth([0] * 2, [0, 1], [7] * 2, [1] * 2, [SQUARE] * 2)
    found = Predictions([0] * 3, [0, 1, 1], [1] * 3, [0.9] * 3, [SQUARE, [0, 0, 50, 30], SQUARE])
    assert clear_mot(pair_tracks(truth, found, [3, 3, 4])).switches == 0
    assert clear_mot(pair_tracks(truth, found, [3, 5, 4])).switches == 1


def test_videos_and_classes_have_tracks_of_their_own():
    """The same names in another video are other tracks: the figures are those of one video."""
    ids = [3, 3, 4, 4, 5, 5]
    once = walk(ids)
    for videos, labels in (([0] * 6 + [1] * 6, [1] * 12), ([0] * 12, [1] * 6 + [2] * 6)):
        truth = GroundTruth(videos, [*range(6)] * 2, [7] * 12, labels, [SQUARE] * 12)
        found = Predictions(videos, [*range(6)] * 2, labels, [0.9] * 12, [SQUARE] * 12)
        twice = pair_tracks(truth, found, ids * 2)
        assert hota(twice) == pytest.approx(hota(once))
        assert identity_f1(twice).idf1 == identity_f1(once).idf1
        assert clear_mot(twice).switches == 2 * clear_mot(once).switches == 4


def test_what_lies_on_an_ignored_box_is_neither_right_nor_wrong():
    truth = GroundTruth([0] * 2, [0] * 2, [7, 8], [1] * 2, [SQUARE, [100, 0, 150, 50]], [False, True])
    found = Predictions([0] * 3, [0] * 3, [1] * 3, [0.9] * 3, [SQUARE, [100, 0, 150, 49], [100, 0, 150, 20]])
    clear = clear_mot(pair_tracks(truth, found, [1, 2, 3]))
    assert (clear.true_positives, clear.false_positives, clear.misses) == (1, 1, 0)


def test_low_scores_and_boxes_without_identity_are_left_out():
    truth = GroundTruth([0], [0], [7], [1], [SQUARE])
    found = Predictions([0] * 3, [0] * 3, [1] * 3, [0.9, 0.29, 0.3], [SQUARE] * 3)
    assert pair_tracks(truth, found, [-1, 2, 3], score=0.3).track.tolist() == [0]
    assert pair_tracks(truth, found, ["a", "b", "c"], score=0.3).track.tolist() == [0, 1]


def test_without_boxes_nothing_is_defined():
    pairs = pair_tracks(*NOTHING, [])
    assert np.isnan(hota(pairs)).all()
    assert np.isnan(clear_mot(pairs).mota)
    assert np.isnan(identity_f1(pairs)[:3]).all()
    only = pair_tracks(NOTHING[0], Predictions([0], [0], [1], [0.9], [SQUARE]), [3])
    assert hota(only) == (0, 0, 0)
    assert clear_mot(only).false_positives == 1


def test_a_track_in_two_places_at_once_is_refused():
    truth = GroundTruth([0] * 2, [0] * 2, [7] * 2, [1] * 2, [SQUARE] * 2)
    with pytest.raises(ValueError, match="the truth have two of track 7 in one frame"):
        pair_tracks(truth, NOTHING[1], [])
    found = Predictions([0] * 2, [0] * 2, [1] * 2, [0.9, 0.8], [SQUARE] * 2)
    with pytest.raises(ValueError, match="the predictions have two of track a in one frame; give each object"):
        pair_tracks(NOTHING[0], found, ["a", "a"])
    pair_tracks(NOTHING[0], found, ["a", "a"], score=0.85)


def test_an_impossible_threshold_is_refused():
    pairs = walk([3] * 6)
    for metric in (clear_mot, identity_f1):
        for threshold in (0, 1.5, float("nan")):
            with pytest.raises(ValueError, match="iou_threshold must be above 0 and at most 1, got"):
                metric(pairs, iou_threshold=threshold)
