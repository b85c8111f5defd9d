"""Displacement from a propagator's own detections against plain loops, and on maps whose motion is known."""

import math
from dataclasses import replace

import numpy as np
import pytest

from heatprop.evaluation import suggest_radius, tracked_displacement, uncovered_pairs

KEYS = ("boxes", "labels", "track_ids", "ages", "network_scores", "carried")


def by_loops(frames, *, stride, score):
    """Object by object, as the docstring says it."""

    def center(frame, place):
        x1, y1, x2, y2 = frame["boxes"][place]
        return (x1 + x2) / 2 / stride, (y1 + y2) / 2 / stride

    def apart(frame, place, other, there):
        one, two = center(frame, place), center(other, there)
        return max(abs(one[0] - two[0]), abs(one[1] - two[1]))

    def sure(frame, place):
        return not frame["carried"][place] and frame["network_scores"][place] >= score

    out = []
    for number, now in enumerate(frames):
        for place in range(len(now["boxes"])):
            out.append(math.nan)
            before = frames[number - 1] if number else {"track_ids": []}
            same = [there for there, track in enumerate(before["track_ids"]) if track == now["track_ids"][place]]
            if not same or now["ages"][place] < 2 or not sure(now, place) or not sure(before, same[0]):
                continue
            if before["labels"][same[0]] != now["labels"][place]:
                continue
            moved = apart(now, place, before, same[0])
            others_before = [k for k in range(len(before["boxes"])) if before["labels"][k] == now["labels"][place]]
            others_now = [k for k in range(len(now["boxes"])) if now["labels"][k] == now["labels"][place]]
            if any(apart(now, place, before, k) < moved for k in others_before):
                continue
            if any(apart(now, k, before, same[0]) < moved for k in others_now):
                continue
            out[-1] = moved
    return out


def random_frames(seed):
    """Detections on a coarse grid, so that distances tie; most go on from frame to frame, some ids switch."""
    rng = np.random.default_rng(seed)
    corners, labels, tracks = 4.0 * rng.integers(0, 12, (5, 2)), rng.integers(0, 2, 5), rng.permutation(8)[:5]
    frames = []
    for _ in range(rng.integers(1, 7)):
        corners = corners + 4.0 * rng.integers(-1, 2, corners.shape)
        labels = np.where(rng.random(5) < 0.1, 1 - labels, labels)
        tracks = rng.permutation(8)[:5] if rng.random() < 0.2 else tracks
        shown = rng.permutation(5)[: rng.integers(0, 6)]
        count = len(shown)
        frames.append(
            {
                "boxes": np.hstack([corners, corners + 8.0])[shown],
                "labels": labels[shown],
                "track_ids": tracks[shown],
                "ages": rng.integers(1, 9, count),
                "network_scores": rng.choice([0.1, 0.3, 0.9], count),
                "carried": rng.random(count) < 0.2,
            }
        )
    return frames


@pytest.mark.parametrize(("stride", "score"), [(4, 0.3), (8, 0.0), (4, 0.5)])
def test_it_equals_the_plain_loops(stride, score):
    known = 0
    for seed in range(500):
        frames = random_frames(seed)
        result = tracked_displacement(frames, stride=stride, score=score)
        expected = by_loops(frames, stride=stride, score=score)
        np.testing.assert_array_equal(result, np.array(expected, float))
        known += int((~np.isnan(result)).sum())
    assert known > 50


def row(x, *, track=0, age=2, score=0.9, carried=False, label=0):
    return {
        "boxes": [x - 8, 0, x + 8, 16],
        "labels": label,
        "track_ids": track,
        "ages": age,
        "network_scores": score,
        "carried": carried,
    }


def frame(*rows):
    one = {key: np.array([each[key] for each in rows]) for key in KEYS}
    return one | {"boxes": one["boxes"].reshape(-1, 4)}


def test_an_object_that_the_memory_carried_gives_no_pair():
    frames = [frame(row(20)), frame(row(20, carried=True)), frame(row(28)), frame(row(36))]
    np.testing.assert_array_equal(tracked_displacement(frames), [np.nan, np.nan, np.nan, 2])


def test_identities_that_switch_between_two_objects_give_no_pair():
    """Both stand still, 10 cells apart, and change their ids."""
    frames = [frame(row(20, track=0), row(60, track=1)), frame(row(60, track=0), row(20, track=1))]
    assert np.isnan(tracked_displacement(frames)).all()


def test_an_identity_that_jumps_onto_another_object_gives_no_pair():
    """The first object vanishes, its id goes on to the second one, whose id is lost."""
    frames = [frame(row(20, track=0), row(28, track=1)), frame(row(28, track=0))]
    assert np.isnan(tracked_displacement(frames)).all()


def test_two_objects_that_walk_side_by_side_give_both_pairs():
    frames = [frame(row(20, track=0), row(60, track=1)), frame(row(26, track=0), row(66, track=1))]
    np.testing.assert_array_equal(tracked_displacement(frames)[2:], [1.5, 1.5])


def test_ids_that_begin_anew_after_a_reset_are_other_objects():
    frames = [frame(row(20)), frame(row(32, age=1))]
    assert np.isnan(tracked_displacement(frames)).all()


def test_what_the_network_is_not_sure_of_gives_no_pair():
    frames = [frame(row(20)), frame(row(24, score=0.2)), frame(row(28))]
    assert np.isnan(tracked_displacement(frames)).all()
    np.testing.assert_array_equal(tracked_displacement(frames, score=0.2), [np.nan, 1, 1])


def test_no_frames_and_frames_of_nothing_give_nothing():
    assert tracked_displacement([]).shape == (0,)
    nothing = {key: np.zeros(0) for key in KEYS} | {"boxes": np.zeros((0, 4))}
    assert tracked_displacement([nothing, nothing]).shape == (0,)
    assert tracked_displacement([nothing, frame(row(20)), nothing]).shape == (1,)


def test_it_feeds_table_2():
    frames = [frame(row(20 + 10 * time)) for time in range(5)]
    moved = tracked_displacement(frames)
    assert uncovered_pairs(moved, [2, 3]) == {2: 1.0, 3: 0.0}
    assert suggest_radius(moved) == 3


def test_bad_frames_are_refused_with_their_number():
    good = frame(row(20))
    without = {key: value for key, value in good.items() if key != "ages"}
    with pytest.raises(
        ValueError, match=r"frame 1 must have ages, got boxes, .*; pass what Detections\.unpad\(\) gives"
    ):
        tracked_displacement([good, without])
    with pytest.raises(ValueError, match=r"carried of frame 0 must have shape \(1,\), got \(2,\)"):
        tracked_displacement([good | {"carried": np.zeros(2)}])
    with pytest.raises(ValueError, match="at most one detection in a frame, got two of one track in frame 0"):
        tracked_displacement([frame(row(20), row(40))])


# --- with a propagator ------------------------------------------------------------------------------------------------


def moving(steps, *, scores=None, frames=12):
    """Saved maps of objects that go by so many cells a frame, one per row of the picture, peaks in whole cells."""
    from heatprop.evaluation import GroundTruth
    from heatprop.maps.saved import SavedMaps

    heatmap = np.full((frames, 1, 12 * len(steps), 96), 0.001)
    rows = []
    for track, step in enumerate(steps):
        for time in range(frames):
            x, y = 4 + step * time, 12 * track + 6
            heatmap[time, 0, y, x] = 0.9 if scores is None else scores[time]
            rows.append((time, track, [4 * x - 6, 4 * y - 6, 4 * x + 10, 4 * y + 10]))
    number, track, box = zip(*rows, strict=True)
    truth = GroundTruth(["a"] * len(rows), number, track, [0] * len(rows), box)
    size, offset = (np.full((frames, 2, *heatmap.shape[2:]), value) for value in (4.0, 0.5))
    return SavedMaps("a", heatmap, offset, size, 4.0, (384, 48 * len(steps)), ("ball",), truth)


def test_objects_that_are_followed_give_what_ground_truth_gives():
    pytest.importorskip("torch", reason="follows objects with a propagator")
    from heatprop.evaluation import displacement
    from heatprop.maps.following import displacement_in_maps

    maps = moving([0, 1, 3, 6])
    moved, expected = displacement_in_maps(maps), displacement(maps.truth)
    assert sorted(moved[~np.isnan(moved)]) == pytest.approx(sorted(expected[~np.isnan(expected)]), abs=1e-5)
    assert suggest_radius(np.round(moved, 4)) == suggest_radius(expected) == 6


def test_motions_beyond_the_radius_are_not_seen():
    pytest.importorskip("torch", reason="follows objects with a propagator")
    from heatprop.maps.following import FOLLOW, displacement_in_maps

    moved = displacement_in_maps(moving([1, 5]), setting=replace(FOLLOW, radius=3))
    assert moved[~np.isnan(moved)] == pytest.approx([1.0] * 11)
    wide = displacement_in_maps(moving([1, 5]), setting=FOLLOW)
    assert sorted(wide[~np.isnan(wide)]) == pytest.approx([1.0] * 11 + [5.0] * 11)


def test_a_missed_frame_costs_two_pairs():
    pytest.importorskip("torch", reason="follows objects with a propagator")
    from heatprop.maps.following import displacement_in_maps

    moved = displacement_in_maps(moving([1], scores=[0.9] * 5 + [0.001] + [0.9] * 6))
    assert moved[~np.isnan(moved)] == pytest.approx([1.0] * 9)
