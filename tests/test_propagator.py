"""HeatmapPropagator's public contract (DESIGN.md section 4), bullet by bullet."""

import math

import pytest
import torch
import toy
from comparing import assert_same_bits, assert_same_state
from torch.testing import assert_close

from heatprop import HeatmapPropagator, Tracklets

SHAPE = (3, 12, 10)


# --- shapes, padding, dtypes ------------------------------------------------------------------------------------------


def test_float16_maps_give_boxes_finer_than_a_pixel_at_1900_pixels():
    heatmap = toy.spots((1, 2, 480), {(0, 1, 470): 0.5}, dtype=torch.float16)
    output = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.125, 0.0), toy.plane(heatmap, 3.0, 1.0))
    assert output.detections.boxes[0, 0].tolist() == [1874.5, 2.0, 1886.5, 6.0]


def test_float16_maps_do_not_overflow_in_nms():
    heatmap = toy.spots((1, 8, 500), {(0, 4, 200): 0.9, (0, 4, 210): 0.8}, dtype=torch.float16)
    output = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, 400.0, 400.0))
    assert output.detections.valid.sum() == 1


@pytest.mark.parametrize(("excess", "count"), [(-1e-9, 2), (1e-9, 1)])
def test_float64_maps_are_float64_throughout_iou_included(excess, count):
    """Two boxes whose overlap misses the threshold by less than float32 can see: 6 of 20."""
    heatmap = toy.spots((1, 5, 30), {(0, 2, 10): 0.9, (0, 2, 17): 0.8}, dtype=torch.float64)
    size = toy.plane(heatmap, 13.0 + excess, 1.0)
    output = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.0, 0.0), size)
    assert output.detections.valid.sum() == count


def test_low_precision_maps_age_past_256_frames():
    """The next whole number that bfloat16 has is 258, then 260."""
    heatmap = toy.spots((1, 3, 3), {(0, 1, 1): 0.75}, dtype=torch.bfloat16)
    propagator = HeatmapPropagator(top_k=4)
    for _ in range(259):
        output = propagator(heatmap)
    assert output.detections.ages[0, 0] == 259
    assert output.detections.scores[0, 0] == 0.75


def test_a_half_heatmap_may_come_with_float32_offset_and_size():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 4): 0.5}, dtype=torch.float16)
    offset, size = toy.plane(heatmap, 0.5, 0.5).float(), toy.plane(heatmap, 2.0, 2.0).float()
    detections = HeatmapPropagator()(heatmap, offset, size).detections
    assert detections.boxes[0, 0].tolist() == [14.0, 14.0, 22.0, 22.0]


# --- reset ------------------------------------------------------------------------------------------------------------


def test_a_chunks_reset_starts_streams_anew_within_it():
    maps = toy.crowd(0, frames=4)
    reset = torch.tensor([[False, False, True, False], [False, False, False, True]])
    output = HeatmapPropagator().forward_chunk(maps.heatmap, maps.offset, maps.size, reset=reset)
    assert torch.equal(output.heatmap[0, 2], maps.heatmap[0, 2])
    assert torch.equal(output.heatmap[1, 3], maps.heatmap[1, 3])
    assert not torch.equal(output.heatmap[1, 2], maps.heatmap[1, 2])
    assert output.detections.ages[0, 2].max() == 1
    assert output.detections.ages[0, 3].max() == 2


# --- forward_chunk ----------------------------------------------------------------------------------------------------


def test_a_chunk_stacks_time_behind_the_streams():
    maps = toy.crowd(0, frames=4)
    output = HeatmapPropagator(top_k=20).forward_chunk(maps.heatmap, maps.offset, maps.size, extras=maps.extras)
    assert output.heatmap.shape == (2, 4, *SHAPE)
    assert output.detections.boxes.shape == (2, 4, 20, 4)
    assert output.detections.valid.shape == (2, 4, 20)
    assert output.detections.extras["depth"].shape == (2, 4, 20, 1)


def test_a_chunk_goes_on_where_the_last_frame_ended():
    maps = toy.crowd(0, frames=5)
    mixed, framed = HeatmapPropagator(), HeatmapPropagator()
    mixed(maps.heatmap[:, 0], maps.offset[:, 0], maps.size[:, 0])
    mixed.forward_chunk(maps.heatmap[:, 1:4], maps.offset[:, 1:4], maps.size[:, 1:4])
    for time in range(4):
        toy.feed(framed, toy.frame(maps, time))
    assert_same_bits(toy.feed(mixed, toy.frame(maps, 4)), toy.feed(framed, toy.frame(maps, 4)))


def test_a_chunk_of_points_needs_no_offset_and_no_size():
    heatmap = toy.crowd(0, frames=3).heatmap
    output, framed = HeatmapPropagator().forward_chunk(heatmap), HeatmapPropagator()
    for time in range(3):
        assert torch.equal(output.detections.boxes[:, time], framed(heatmap[:, time]).detections.boxes)


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["none", "initial"])
def test_step_equals_forward(start):
    maps, propagator = toy.crowd(0, dtype=torch.float32), HeatmapPropagator()
    pure = HeatmapPropagator()
    state = None if start == "none" else pure.initial_state(2)
    for time in range(6):
        frame = toy.frame(maps, time)
        state, output = pure.step(state, frame.heatmap, frame.offset, frame.size, extras=frame.extras)
        assert_same_bits(output, toy.feed(propagator, frame))
        assert_same_state(state, propagator.state)


def test_step_leaves_the_propagator_and_the_given_state_alone():
    propagator, maps, _ = toy.fed()
    given = propagator.state
    before = [tensor.clone() for tensor in given]
    propagator.step(given, maps.heatmap, maps.offset, maps.size, reset=torch.tensor([True, False]))
    assert_same_state(propagator.state, Tracklets(*before))
    assert_same_state(given, Tracklets(*before))


def test_forward_does_not_write_to_its_arguments():
    propagator, maps, _ = toy.fed()
    maps.heatmap[0, 0, 0, 0] = math.nan
    reset = torch.tensor([True, False])
    arguments = [*maps[:3], maps.extras["depth"], reset]
    before = [argument.clone() for argument in arguments]
    toy.feed(propagator, maps, reset=reset)
    for argument, copied in zip(arguments, before, strict=True):
        assert_close(argument, copied, rtol=0, atol=0, equal_nan=True)


# --- a citizen of torch -----------------------------------------------------------------------------------------------


def test_a_propagator_has_no_parameters():
    assert list(toy.fed()[0].parameters()) == []


def test_it_works_in_inference_mode_and_goes_on_outside():
    maps, propagator, expected = toy.crowd(0), HeatmapPropagator(), HeatmapPropagator()
    with torch.inference_mode():
        toy.feed(propagator, toy.frame(maps, 0))
        toy.feed(propagator, toy.frame(maps, 1))
    propagator.reset(0)
    for time in range(2):
        toy.feed(expected, toy.frame(maps, time))
    expected.reset(0)
    assert_same_bits(toy.feed(propagator, toy.frame(maps, 2)), toy.feed(expected, toy.frame(maps, 2)))


def test_a_state_from_inference_mode_serves_a_frame_with_gradients():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 5, 5), {(0, 2, 2): 0.8})
    with torch.inference_mode():
        propagator(heatmap)
    heatmap.requires_grad_()
    propagator(heatmap).heatmap.sum().backward()
    assert heatmap.grad[0, 0, 2, 2].item() == pytest.approx(1 - 0.98 / 1.5)


def test_inference_mode_gives_the_same_bits():
    propagator, maps, _ = toy.fed()
    other, _, _ = toy.fed()
    with torch.inference_mode():
        inferred = toy.feed(propagator, maps)
    assert_same_bits(inferred, toy.feed(other, maps))


def test_gradients_through_the_step_are_those_of_eqs_5_and_6():
    """dY~/dY = 1 - alpha w, dY~/dh = alpha w summed over the square, w = 1 / (1 + 1 / 2) after one frame."""
    propagator, shape = HeatmapPropagator(radius=1), (1, 5, 5)
    first = toy.spots(shape, {(0, 2, 2): 0.8}).requires_grad_()
    second = toy.spots(shape, {(0, 2, 2): 0.3}).requires_grad_()
    state, _ = propagator.step(None, first, size=toy.plane(first.detach(), 2.0, 2.0))
    _, output = propagator.step(state, second, size=toy.plane(second.detach(), 2.0, 2.0))
    output.heatmap.sum().backward()
    trust = 0.98 / 1.5
    expected = torch.ones(1, *shape, dtype=torch.float64)
    expected[0, 0, 1:4, 1:4] = 1 - trust
    assert_close(second.grad, expected)
    assert_close(first.grad, toy.spots(shape, {(0, 2, 2): 9 * trust}))


def test_gradients_reach_boxes_through_eqs_1_and_7():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 5, 5), {(0, 2, 2): 0.6})
    sizes = [toy.plane(heatmap, 2.0, 2.0).requires_grad_() for _ in range(2)]
    offset = toy.plane(heatmap, 0.5, 0.5).requires_grad_()
    state, _ = propagator.step(None, heatmap, offset, sizes[0])
    _, output = propagator.step(state, heatmap, offset, sizes[1])
    output.detections.boxes[0, 0, 2].backward()  # x2 = 4 (x + dx + w / 2), w the mean of both widths
    for size in sizes:
        assert size.grad[0, :, 2, 2].tolist() == pytest.approx([1.0, 0.0])
    assert offset.grad[0, :, 2, 2].tolist() == pytest.approx([4.0, 0.0])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_point_that_moves_slowly_is_one_track_in_half_precision(dtype):
    """Rounded to half precision the square of a long track is a plateau; found on it, one point became many."""
    propagator = HeatmapPropagator()
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(64.0), indexing="ij")
    for frame in range(60):
        blob = 0.9 * torch.exp(-((x - 10 - frame / 2) ** 2 + (y - 20 - frame / 10) ** 2) / 18)
        detections = propagator(blob[None, None].to(dtype)).detections
        assert detections.valid.sum() == 1
        assert detections.track_ids[0, 0] == 0
