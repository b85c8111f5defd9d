"""What holds for any maps under the options beyond the paper, and what each is for, on small moving pictures."""

import pytest
import torch
import toy
from hypothesis import given
from hypothesis import strategies as st
from oracles import intersection_over_union
from test_properties import SEEDS, assert_same_bits, stack, tensors
from torch.testing import assert_close

from heatprop import HeatmapPropagator
from heatprop.options import STEADY as STEADY_OPTIONS
from heatprop.propagation import NOISE

OPTIONS = st.fixed_dictionaries(
    {
        "radius": st.integers(0, 3),
        "alpha": st.floats(0, 1),
        "beta": st.floats(0, 1000),
        "top_k": st.integers(1, 40),
        "carry": st.sampled_from(["balanced", "network"]),
        "average": st.sampled_from(["arithmetic", "geometric"]),
        "claim_once": st.booleans(),
        "max_length": st.one_of(st.none(), st.integers(1, 4)),
        "evidence": st.booleans(),
        "max_unseen": st.one_of(st.none(), st.integers(0, 3)),
        "border": st.floats(0, 1),
        "velocity": st.booleans(),
        "radius_per_size": st.floats(0, 1),
    }
).map(lambda options: options | {"max_radius": max(options["radius"], 2)})

STEADY = STEADY_OPTIONS.as_keywords()


def shifts(seed, *shape):
    return 2 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def video(seed, **options):
    return toy.crowd(seed, shape=(2, 8, 9), density=0.4, dtype=torch.float32, **options)


# --- laws -------------------------------------------------------------------------------------------------------------


@given(seed=SEEDS, options=OPTIONS)
def test_scores_stay_between_0_and_1(seed, options):
    maps, propagator = video(seed, levels=seed % 3 or None), HeatmapPropagator(**options)
    for time in range(6):
        output = toy.feed(propagator, toy.frame(maps, time), shift=shifts(seed + time, 2, 2))
        for scores in (output.heatmap, output.detections.scores, propagator.coast().scores):
            assert ((scores >= 0) & (scores <= 1)).all()


@given(seed=SEEDS, options=OPTIONS)
def test_the_geometric_average_lies_between_the_network_and_the_past(seed, options):
    maps, propagator = toy.crowd(seed, shape=(2, 8, 9), density=0.4), None
    propagator = HeatmapPropagator(**(options | {"average": "geometric"}))
    for time in range(5):
        output = toy.feed(propagator, toy.frame(maps, time), shift=shifts(seed, 2, 2).double())
        past, network = output.prior_score(), output.network_heatmap
        changed = output.heatmap != network
        assert not (changed & (past == 0)).any()
        low, high = torch.minimum(network, past).clamp(min=NOISE), torch.maximum(network, past).clamp(min=NOISE)
        held = (output.heatmap >= low - 1e-12) & (output.heatmap <= high + 1e-12)
        assert held[changed].all()


@given(seed=SEEDS, options=OPTIONS)
def test_a_batch_equals_its_streams_apart(seed, options):
    maps, together = video(seed, batch=3), HeatmapPropagator(**options)
    apart = [HeatmapPropagator(**options) for _ in range(3)]
    for time in range(5):
        now, motion = toy.frame(maps, time), shifts(seed + time, 3, 2)
        both = tensors(toy.feed(together, now, shift=motion))
        for stream, propagator in enumerate(apart):
            part = slice(stream, stream + 1)
            extras = {"depth": now.extras["depth"][part]}
            alone = propagator(*(value[part] for value in now[:3]), extras=extras, shift=motion[part])
            for name, value in tensors(alone).items():
                assert torch.equal(value[0], both[name][stream]), name


@pytest.mark.parametrize("form", [(2,), (2, 3), (2, 8, 9)], ids=["translation", "affine", "flow"])
@given(seed=SEEDS, options=OPTIONS)
def test_a_chunk_equals_its_frames(seed, options, form):
    maps, one, other = video(seed), HeatmapPropagator(**options), HeatmapPropagator(**options)
    motion, reset = shifts(seed, 2, 6, *form), torch.rand(2, 6) < 0.2
    chunk = one.forward_chunk(*maps[:3], extras=maps.extras, reset=reset, shift=motion)
    frames = [toy.feed(other, toy.frame(maps, t), reset=reset[:, t], shift=motion[:, t]) for t in range(6)]
    for name, value in stack(frames).items():
        assert torch.equal(value, tensors(chunk)[name]), name
    sizes = torch.stack([frame.size_map() for frame in frames], dim=1)
    assert_close(chunk.size_map(), sizes, equal_nan=True)
    assert torch.equal(chunk.prior_score(), torch.stack([frame.prior_score() for frame in frames], dim=1))


@given(seed=SEEDS, options=OPTIONS, moved=st.booleans())
def test_two_skipped_frames_are_one_and_one(seed, options, moved):
    maps, one = video(seed), HeatmapPropagator(**options)
    other, motion = HeatmapPropagator(**options), shifts(seed, 2, 2) if moved else None
    for time in range(3):
        for propagator in (one, other):
            toy.feed(propagator, toy.frame(maps, time))
    at_once = one.coast(2, shift=motion)
    other.coast(shift=motion)
    in_turn = other.coast(shift=motion)
    for name, value in at_once._asdict().items():
        assert name == "extras" or torch.equal(value, getattr(in_turn, name)), name
    assert all(torch.equal(*pair) for pair in zip(one.state, other.state, strict=True))
    assert_same_bits(*(toy.feed(propagator, toy.frame(maps, 3)) for propagator in (one, other)))


@given(seed=SEEDS, options=OPTIONS, dx=st.integers(-2, 2), dy=st.integers(-2, 2))
def test_a_picture_that_moves_by_whole_cells_changes_nothing_but_the_place(seed, options, dx, dy):
    """Frame t of one run lies t steps further in the other; nothing comes near the border of the large map."""
    options |= {"border": 0.0, "top_k": 40}
    maps = toy.crowd(seed, frames=4, shape=(2, 6, 6))
    large = [torch.nn.functional.pad(value, (20, 20, 20, 20)) for value in maps[:3]]
    rolled = [value.clone() for value in large]
    for time in range(4):
        for value, target in zip(large, rolled, strict=True):
            target[:, time] = value[:, time].roll((time * dy, time * dx), dims=(2, 3))
    step = torch.tensor([dx, dy], dtype=torch.float64)
    still = HeatmapPropagator(**options).forward_chunk(*large, shift=torch.zeros(2, 4, 2))
    moving = HeatmapPropagator(**options).forward_chunk(*rolled, shift=step.expand(2, 4, 2))
    found, expected = moving.detections, still.detections
    way = torch.arange(4)[None, :, None, None] * step.long() * expected.valid.unsqueeze(3)
    for name in ("valid", "labels", "track_ids", "ages", "carried", "scores"):
        assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=1e-12)
    assert torch.equal(found.cells, expected.cells + way)
    assert_close(found.boxes, expected.boxes + 4 * way.repeat(1, 1, 1, 2), rtol=0, atol=1e-9)


@given(seed=SEEDS, options=OPTIONS)
def test_a_mirrored_video_with_mirrored_motion_gives_mirrored_boxes(seed, options):
    options |= {"top_k": 300, "nms_threshold": 1.0}
    maps, width = toy.crowd(seed, shape=(2, 8, 9), density=1.0), 9
    mirror = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    motion = shifts(seed, 2, 6, 2).double()
    offset = maps.offset.flip(-1).clone()
    offset[:, :, 0] = 1 - offset[:, :, 0]
    one = HeatmapPropagator(**options).forward_chunk(*maps[:3], shift=motion)
    other = HeatmapPropagator(**options).forward_chunk(
        maps.heatmap.flip(-1), offset, maps.size.flip(-1), shift=motion * mirror
    )
    assert_close(other.heatmap, one.heatmap.flip(-1), rtol=0, atol=1e-9)
    assert torch.equal(other.detections.valid, one.detections.valid)
    boxes, valid = one.detections.boxes, one.detections.valid
    flipped = torch.stack([4 * width - boxes[..., 2], boxes[..., 1], 4 * width - boxes[..., 0], boxes[..., 3]], dim=-1)
    order = [torch.sort(value[valid].sum(-1)).values for value in (other.detections.boxes, flipped)]
    assert_close(*order, rtol=0, atol=1e-7)


# --- what each option is for ------------------------------------------------------------------------------------------


def still(frames, **options):
    """Feed frames given as {(label, y, x): score} of one size; returns the propagator and all detections."""
    propagator, found = HeatmapPropagator(**options), []
    for frame in frames:
        heatmap = toy.spots((1, 9, 15), frame)
        output = propagator(heatmap, toy.plane(heatmap, 0.5, 0.5), toy.plane(heatmap, 2.0, 2.0))
        found.append(output.detections.unpad()[0])
    return propagator, found


@pytest.mark.parametrize(("once", "columns", "ages"), [(True, [4, 8], [2, 1]), (False, [4, 8, 6], [2, 2, 2])])
def test_of_two_peaks_in_a_square_one_is_the_heir(once, columns, ages):
    """Without the option both are, and so is the cell between them that the object has left."""
    frames = [{(0, 4, 6): 0.9}, {(0, 4, 4): 0.8, (0, 4, 8): 0.7}]
    _, [_, found] = still(frames, claim_once=once, peak_kernel=3)
    assert found["cells"][:, 0].tolist() == columns
    assert (found["ages"].tolist(), found["track_ids"].tolist()) == (ages, list(range(len(ages))))
    assert (found["scores"][1].item() == 0.7) is once


def test_claim_once_drops_what_the_network_alone_would_not_find():
    frames = [{(0, 4, 6): 0.9}, {(0, 4, 4): 0.8, (0, 4, 8): 0.04}]
    assert [len(still(frames, claim_once=once, peak_kernel=3)[1][1]["scores"]) for once in (False, True)] == [3, 1]


def leaving(**options):
    """A blob that leaves on the right, seen up to the last column; the detections of each frame."""
    maps, _ = toy.moving_blob(frames=22, speed=1.0, dropped=(), box=(6.0, 4.0))
    output = HeatmapPropagator(radius=1, velocity=True, **options).forward_chunk(maps.heatmap, maps.offset, maps.size)
    return output


def test_an_object_that_leaves_keeps_its_id_but_not_its_score():
    output = leaving(border=0.9)
    streams = output.detections.unpad()[0]
    last = streams[19]  # x = 23 of 24: half of the box is outside
    assert last["track_ids"].tolist() == [0]
    assert last["ages"].tolist() == [20]
    assert_close(output.heatmap[0, 19, 0], output.network_heatmap[0, 19, 0], rtol=0, atol=0)
    assert not torch.equal(output.heatmap[0, 10, 0], output.network_heatmap[0, 10, 0])


@pytest.mark.parametrize(("border", "ghosts"), [(0.9, 0), (0.0, 1)])
def test_an_object_lost_at_the_border_leaves_no_ghost(border, ghosts):
    maps, _ = toy.moving_blob(frames=20, dropped=(19,))
    options = {"radius": 1, "velocity": True, "border": border}
    output = HeatmapPropagator(**options).forward_chunk(maps.heatmap, maps.offset, maps.size)
    assert len(output.detections.unpad()[0][19]["scores"]) == ghosts


def speeding_up(lost):
    """A blob that speeds up gently to 3 cells a frame, invisible in the frame `lost`: maps and true boxes in pixels."""
    speeds = [min(1 + 0.15 * t, 3.0) for t in range(19)]
    centres = [4.0 + sum(speeds[:t]) for t in range(19)]
    shape = (1, 16, 64)
    frames = [toy.gaussian(shape, [] if t == lost else [(0, 8.0, x, 0.9)]) for t, x in enumerate(centres)]
    offset = torch.stack([toy.plane(frames[0], x - round(x), 0.0) for x in centres], dim=1)
    size = torch.stack([toy.plane(frames[0], 6.0, 4.0) for _ in centres], dim=1)
    return torch.stack(frames, dim=1), offset, size, [[4 * x - 12, 24, 4 * x + 12, 40] for x in centres]


@pytest.mark.parametrize("velocity", [False, True])
def test_velocity_follows_a_blob_three_times_as_fast_as_the_radius(velocity):
    *maps, truths = speeding_up(lost := 17)
    propagator = HeatmapPropagator(radius=1, claim_once=True, velocity=velocity)
    [frames] = propagator.forward_chunk(*maps).detections.unpad()
    best = {found["track_ids"][found["network_scores"].argmax()].item() for found in frames if len(found["scores"])}
    assert (best == {0}) is velocity
    overlaps = [intersection_over_union(box, truths[lost]) for box in frames[lost]["boxes"].tolist()]
    assert (max(overlaps, default=0.0) > 0.8) is velocity
    if velocity:
        assert frames[lost]["carried"].tolist() == [True]


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_a_ghost_lives_exactly_as_long_as_max_unseen(limit):
    propagator, found = still([{(0, 4, 6): 0.9}] * 3 + [{}] * 8, max_unseen=limit)
    assert [len(frame["scores"]) for frame in found] == [1] * (3 + limit) + [0] * (8 - limit)
    assert not propagator.state.valid.any()


@pytest.mark.parametrize("limit", [1, 3])
def test_a_coasting_ghost_lives_exactly_as_long_as_max_unseen(limit):
    propagator, _ = still([{(0, 4, 6): 0.9}], max_unseen=limit)
    assert [propagator.coast().valid.sum().item() for _ in range(5)] == [1] * limit + [0] * (5 - limit)


def test_coasting_is_honest_about_age_and_evidence():
    propagator, [*_, seen] = still([{(0, 4, 6): 0.9}] * 3)
    [found] = propagator.coast(4).unpad()
    assert (found["ages"].tolist(), found["carried"].tolist(), found["network_scores"].tolist()) == ([3], [True], [0])
    for name in ("boxes", "scores", "track_ids", "cells"):
        assert torch.equal(found[name], seen[name]), name
    assert found["extras"] == {}
    assert propagator.state.unseen[0, 0] == 4


def test_evidence_shrinks_the_length_of_what_is_not_seen():
    _, found = still([{(0, 4, 6): 0.9}] * 4 + [{}] * 3 + [{(0, 4, 6): 0.9}], evidence=True)
    assert [frame["ages"].item() for frame in found] == [1, 2, 3, 4, 3, 2, 1, 2]


def test_a_size_of_many_cells_widens_the_square():
    heatmap, moved = (toy.spots((1, 9, 30), {(0, 4, x): 0.9}) for x in (10, 13))
    for share, age in ((0.0, 1), (0.1, 1), (0.2, 2)):
        propagator = HeatmapPropagator(radius=1, radius_per_size=share, max_radius=3)
        for frame in (heatmap, moved):
            found = propagator(frame, size=toy.plane(frame, 15.0, 40.0)).detections.unpad()[0]
        assert found["ages"][0] == age


def test_steady_bridges_a_flickering_object_with_one_id():
    maps, truths = toy.moving_blob(frames=16, dropped=(4, 7, 11))
    propagator = HeatmapPropagator(**STEADY)
    for found, truth in zip(propagator.forward_chunk(*maps[:3]).detections.unpad()[0], truths * 4, strict=True):
        assert found["track_ids"].tolist() == [0]
        assert intersection_over_union(found["boxes"][0].tolist(), truth.tolist()) > 0.8
