"""HOTA, MOTA and IDF1 are those of ``trackers.eval`` (PyPI ``trackers``)."""

import numpy as np
import pytest

from heatprop.evaluation import GroundTruth, Predictions, clear_mot, hota, identity_f1, iou, join, pair_tracks

pytest.importorskip("trackers.eval", reason="the peer of this test; pip install trackers==2.6.1")

from trackers.eval.clear import aggregate_clear_metrics, compute_clear_metrics
from trackers.eval.hota import aggregate_hota_metrics, compute_hota_metrics
from trackers.eval.identity import aggregate_identity_metrics, compute_identity_metrics


def crowd(seed, video):
    """People who walk through each other, and a tracker that misses, invents, swaps and renames."""
    rng = np.random.default_rng(seed)
    truth, found, track = [], [], []
    start, speed, name = rng.random((12, 2)) * [200, 60], rng.normal(0, 3, (12, 2)), list(range(100, 112))
    for frame in range(60):
        one, other, new = rng.integers(12, size=3)
        if rng.random() < 0.3:
            name[one], name[other] = name[other], name[one]
        if rng.random() < 0.5:
            name[new] = 200 + frame
        for who in range(12):
            left, top = start[who] + speed[who] * frame
            box = np.array([left, top, left + 20, top + 40])
            if rng.random() < 0.9:
                truth.append((video, frame, who, *box))
            if rng.random() < 0.8 and not 30 <= frame < 33:
                found.append((video, frame, *(box + rng.normal(0, 3, 4))))
                track.append(name[who])
        if rng.random() < 0.3:
            left, top = rng.random(2) * 200
            found.append((video, frame, left, top, left + 20, top + 40))
            track.append(10_000 + frame)
    rows, boxes = np.array(truth), np.array(found)
    objects = GroundTruth(rows[:, 0], rows[:, 1], rows[:, 2], np.zeros(len(rows)), rows[:, 3:])
    return objects, Predictions(*boxes[:, :2].T, np.zeros(len(boxes)), np.ones(len(boxes)), boxes[:, 2:]), track


def as_frames(truth, found, track):
    """What ``trackers.eval`` reads: tracks, identities and IoU of each frame."""
    track, columns = np.array(track), []
    for frame in range(60):
        here, seen = truth.frame == frame, found.frame == frame
        boxes, others = truth.box[here], found.box[seen]
        pairs = iou(np.repeat(boxes, len(others), axis=0), np.tile(others, (len(boxes), 1)))
        columns.append((truth.track[here], track[seen], pairs.reshape(len(boxes), len(others))))
    return [list(column) for column in zip(*columns, strict=True)]


def assert_equal_figures(pairs, theirs, clear, identity):
    ours = hota(pairs)
    np.testing.assert_allclose(ours, [theirs["HOTA"], theirs["DetA"], theirs["AssA"]], rtol=1e-12)
    counts = [clear[name] for name in ("IDSW", "Frag", "CLR_TP", "CLR_FP", "CLR_FN", "MT", "ML")]
    assert clear_mot(pairs)[1:] == tuple(counts)
    assert clear_mot(pairs).mota == pytest.approx(clear["MOTA"], rel=1e-12)
    mine = identity_f1(pairs)
    assert mine.true_positives == identity["IDTP"]
    np.testing.assert_allclose(mine[:3], [identity[name] for name in ("IDF1", "IDP", "IDR")], rtol=1e-12)


@pytest.mark.parametrize("seed", range(8))
def test_the_figures_of_a_crowd_are_those_of_trackers(seed):
    truth, found, track = crowd(seed, 0)
    columns = as_frames(truth, found, track)
    clear = compute_clear_metrics(*columns, 0.5)
    assert clear["IDSW"] > 10
    assert clear["Frag"] > 10
    assert_equal_figures(
        pair_tracks(truth, found, track), compute_hota_metrics(*columns), clear, compute_identity_metrics(*columns, 0.5)
    )


def test_several_videos_are_put_together_as_trackers_does():
    crowds = [crowd(seed, seed) for seed in range(3)]
    truths, founds, tracks = zip(*crowds, strict=True)
    columns = [as_frames(*one) for one in crowds]
    assert_equal_figures(
        pair_tracks(join(truths), join(founds), np.concatenate(tracks)),
        aggregate_hota_metrics([compute_hota_metrics(*one) for one in columns]),
        aggregate_clear_metrics([compute_clear_metrics(*one, 0.5) for one in columns]),
        aggregate_identity_metrics([compute_identity_metrics(*one, 0.5) for one in columns]),
    )


def test_a_tracker_that_finds_nothing_has_zeros_in_both():
    truth, found, _ = crowd(0, 0)
    nothing = found.select(np.zeros(len(found.box), bool))
    columns = as_frames(truth, nothing, [])
    pairs = pair_tracks(truth, nothing, [])
    assert hota(pairs) == (0, 0, 0)
    assert compute_hota_metrics(*columns)["HOTA"] == clear_mot(pairs).mota == identity_f1(pairs).idf1 == 0
