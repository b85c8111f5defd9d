"""Where tracklets are expected: the picture's motion, an object's own velocity, and the border."""

import comparing
import pytest
import torch
import toy
from devices import devices, on
from hypothesis import given
from hypothesis import strategies as st
from laws import OPTIONS, SEEDS, few_examples, shifts
from oracles import intersection_over_union
from steady_options import STEADY
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
)


@few_examples
@given(seed=SEEDS, options=OPTIONS, dx=st.integers(-2, 2), dy=st.integers(-2, 2))
def test_a_picture_that_moves_by_whole_cells_changes_nothing_but_the_place(seed, options, dx, dy):
    """Frame t of one run lies t steps further in the other; nothing comes near the border of the large map."""
    options |= {"border": 0.0, "top_k": 200}  # places for all: of equal peaks, any may get the last one
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


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_a_mirrored_video_with_mirrored_motion_gives_mirrored_boxes(seed, options):
    options |= {"top_k": 144, "nms_threshold": 1.0}  # a place for every cell
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


@pytest.mark.parametrize("kind", ["translation", "affine", "flow"])
@pytest.mark.parametrize("options", [{}, {"border": 0.9}, STEADY], ids=["paper", "border", "steady"])
def test_a_motion_of_the_picture_equals_the_oracle(kind, options):
    comparing.assert_steady_equals(
        toy.crowd(7, batch=3, shape=(2, 8, 9)), shift=kind, coast=True, reset=True, **options
    )


def test_a_border_without_motion_changes_no_bit():
    maps = toy.crowd(0, dtype=torch.float32)
    one, other = (
        HeatmapPropagator(**options).forward_chunk(maps.heatmap, maps.offset, maps.size)
        for options in ({}, {"border": 1.0})
    )
    assert torch.equal(one.detections.boxes, other.detections.boxes)


def test_autocast_rounds_no_position():
    maps, plain, cast = toy.crowd(0, dtype=torch.float32), HeatmapPropagator.steady(), HeatmapPropagator.steady()
    shift = torch.tensor([[1.01, 0.02, 0.3], [-0.01, 1.02, -0.4]]).repeat(2, 1, 1)
    for time in range(4):
        toy.feed(plain, toy.frame(maps, time), shift=shift)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            toy.feed(cast, toy.frame(maps, time), shift=shift)
    for name, value in plain.state._asdict().items():
        assert torch.equal(value, getattr(cast.state, name)), name


# --- motion from the network ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(8))
def test_motion_from_the_network_equals_the_oracle(seed):
    kind = [None, "translation", "affine", "flow"][seed % 4]
    maps = toy.with_extras(toy.crowd(seed, shape=(2, 8, 9), density=0.3), seed, tracking=2, look=3)
    maps = maps._replace(offset=None if seed == 2 else maps.offset, size=None if seed == 5 else maps.size)
    options = [{"identity": "square"}, {"identity": "memory", "velocity": True}, STEADY, {"border": 0.9}][seed // 2]
    options = options | {"motion": "tracking", "score_threshold": [0.05, 0.0, 0.3][seed % 3]}
    remember = [None, {"look": ("last", 3), "tracking": ("points", 2)}][seed % 2]
    comparing.assert_steady_equals(
        maps, shift=kind, coast=True, reset=seed % 3 == 0, **options | {"remember": remember}
    )


def followed(*, last=8, lost=(), every=1, **options):
    """A blob 3 cells a frame to the right and half a cell down, with CenterTrack's `tracking`; (x, y, id) a frame."""
    propagator, found = HeatmapPropagator(radius=1, **options), []
    for time in range(last):
        x, y = 2.25 + 3 * time, 2.5 + 0.5 * time
        heatmap = toy.spots((1, 9, 32), {} if time in lost else {(0, int(y), int(x)): 0.9})
        tracking = toy.plane(heatmap, x - 3 - int(x), y - 0.5 - int(y))  # the centre before, from this cell
        maps = (heatmap, toy.plane(heatmap, x - int(x), y - int(y)), toy.plane(heatmap, 4.0, 4.0))
        seen = time % every == 0
        detections = propagator(*maps, extras={"tracking": tracking}).detections if seen else propagator.coast()
        [one] = detections.unpad()
        centres = (one["boxes"][:, :2] + one["boxes"][:, 2:]) / 8
        found.append(
            [(*map(float, centre), name) for centre, name in zip(centres, one["track_ids"].tolist(), strict=True)]
        )
    return propagator, found


PATH = [[(2.25 + 3 * time, 2.5 + 0.5 * time, 0)] for time in range(8)]


@pytest.mark.parametrize("identity", ["square", "memory"])
def test_a_fast_object_is_followed_from_its_second_frame_on(identity):
    """A measured velocity is 0 after one frame, so that the square stays behind."""
    propagator, found = followed(motion="tracking", identity=identity)
    assert found == PATH
    assert propagator.state.velocity[0, 0].tolist() == [3, 0.5]
    assert followed(velocity=True)[1][1] != PATH[1]


def test_a_lost_object_and_skipped_frames_move_on_by_the_networks_motion():
    assert followed(motion="tracking", lost=(1, 4, 5))[1] == PATH
    assert followed(motion="tracking", every=2)[1] == PATH
    assert followed(motion="tracking", every=7)[1] == PATH


def test_motion_from_the_network_is_a_map_of_every_frame():
    heatmap = torch.rand(1, 1, 6, 7)
    propagator = HeatmapPropagator(motion="tracking")
    propagator(heatmap, extras={"tracking": torch.zeros(1, 2, 6, 7)})
    before = propagator.state
    for extras, error, message in (
        (None, ValueError, "extras must hold 'tracking', which motion names, got none"),
        ({"dep": torch.zeros(1, 1, 6, 7)}, ValueError, "which motion names, got 'dep'; pass it, or set motion=None"),
        ({"tracking": torch.zeros(1, 3, 6, 7)}, ValueError, r"extras\['tracking'\] has 3 channels, motion needs 2"),
        ({"tracking": torch.zeros(1, 2, 6, 7, dtype=torch.int64)}, TypeError, "must hold floating point numbers"),
    ):
        with pytest.raises(error, match=message):
            propagator(heatmap, extras=extras)
        with pytest.raises(error, match=message):
            propagator.step(None, heatmap, extras=extras)
    assert all(one is other for one, other in zip(propagator.state, before, strict=True))


@devices
def test_motion_from_the_network_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        maps = [torch.empty(2, depth, 12, 10, device=device) for depth in (3, 2, 2)]
        propagator = HeatmapPropagator.steady(motion="tracking")
        for _ in range(2):
            propagator(*maps, extras={"tracking": torch.empty(2, 2, 12, 10, device=device)})
        propagator.coast(2)
        assert {value.device.type for value in propagator.state} == {device}


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_motion_of_nothing_is_a_velocity_of_nothing(seed, options):
    """An object that was in the same place in the frame before stands still, as without the option."""
    maps = toy.crowd(seed, shape=(2, 8, 9), density=0.4)
    options = options | {"velocity": False, "border": 0.0}
    still, moved = HeatmapPropagator(**options), HeatmapPropagator(**options, motion="offset")
    for time in range(5):
        heatmap, offset, size, _ = toy.frame(maps, time)
        offset = (offset * 8).round() / 8  # no rounding in cell + offset - cell
        no_shift = torch.zeros(2, 2, dtype=torch.float64)
        one = still(heatmap, offset, size, extras={"offset": offset}, shift=no_shift)
        other = moved(heatmap, offset, size, extras={"offset": offset})
        assert torch.equal(one.detections.boxes, other.detections.boxes)
        assert torch.equal(one.heatmap, other.heatmap)
    assert not moved.state.velocity.any()
