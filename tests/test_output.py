"""What the user gets: the balanced heatmap, and the maps that are made on request."""

import pytest
import torch
import toy
from comparing import assert_same_bits
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_heatmap_keeps_its_dtype_and_the_rest_has_at_least_float32(dtype):
    propagator, _, output = toy.fed(dtype=dtype)
    wide = torch.promote_types(dtype, torch.float32)
    assert output.heatmap.dtype == dtype
    for value in (output.detections.boxes, output.detections.scores, output.detections.network_scores):
        assert value.dtype == wide
    assert (propagator.state.score.dtype, propagator.state.size.dtype) == (wide, wide)
    assert output.size_map().dtype == wide


def test_labels_cells_and_ids_are_int64_ages_int32_and_flags_bool():
    propagator, _, output = toy.fed(dtype=torch.float16)
    detections, state = output.detections, propagator.state
    for value in (detections.labels, detections.cells, detections.track_ids):
        assert value.dtype == torch.int64
    assert detections.ages.dtype == torch.int32
    assert (detections.valid.dtype, detections.carried.dtype) == (torch.bool, torch.bool)
    assert [value.dtype for value in (state.label, state.x, state.y, state.track_id, state.next_id)] == [
        torch.int64
    ] * 5
    assert (state.length.dtype, state.valid.dtype) == (torch.int32, torch.bool)


def test_the_size_map_of_a_first_frame_is_the_networks_size_in_every_class():
    maps = toy.frame(toy.crowd(0, dtype=torch.float32), 0)
    size_map = toy.feed(HeatmapPropagator(), maps).size_map()
    assert torch.equal(size_map, maps.size[:, None].expand(2, 3, 2, 12, 10))


def test_the_size_map_holds_the_sizes_of_the_boxes():
    propagator, maps, _ = toy.fed(dtype=torch.float64)
    output = toy.feed(propagator, maps)
    size_map, found = output.size_map(), 0
    for stream, unpadded in enumerate(output.detections.unpad()):
        sides = (unpadded["boxes"][:, 2:] - unpadded["boxes"][:, :2]) / 4
        for side, label, (x, y) in zip(sides, unpadded["labels"].tolist(), unpadded["cells"].tolist(), strict=True):
            assert_close(size_map[stream, label, :, y, x], side, rtol=0, atol=1e-12)
            found += 1
    assert found > 5


def test_the_size_map_of_a_chunk_stacks_those_of_its_frames():
    maps, single = toy.crowd(0, frames=4, dtype=torch.float32), HeatmapPropagator()
    chunk = HeatmapPropagator().forward_chunk(maps.heatmap, maps.offset, maps.size)
    frames = [toy.feed(single, toy.frame(maps, time)).size_map() for time in range(4)]
    assert chunk.size_map().shape == (2, 4, 3, 2, 12, 10)
    assert torch.equal(chunk.size_map(), torch.stack(frames, dim=1))


def test_the_size_map_is_of_its_own_frame_whatever_came_after():
    propagator, maps, output = toy.fed()
    before = output.size_map()
    toy.feed(propagator, maps)
    propagator.reset()
    assert torch.equal(output.size_map(), before)


def test_an_output_is_not_changed_by_later_frames():
    propagator, maps, output = toy.fed()
    before = [output.heatmap.clone(), output.detections.boxes.clone(), output.detections.track_ids.clone()]
    toy.feed(propagator, maps)
    after = [output.heatmap, output.detections.boxes, output.detections.track_ids]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_writing_to_an_output_leaves_the_memory_alone():
    propagator, maps, output = toy.fed()
    untouched, _, _ = toy.fed()
    for tensor in (output.heatmap, output.detections.scores, output.detections.ages, output.detections.cells):
        tensor.zero_()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(untouched, maps))


def test_edits_of_the_detections_leave_the_memory_alone():
    edited, left = HeatmapPropagator(), HeatmapPropagator()
    maps = torch.rand(1, 2, 16, 16), None, 4 * torch.rand(1, 2, 16, 16)
    detections = edited(*maps).detections
    left(*maps)
    for field in (detections.scores, detections.labels, detections.ages, detections.track_ids, detections.cells):
        field.zero_()
    detections.valid.logical_not_()
    for one, other in zip(edited.state, left.state, strict=True):
        assert torch.equal(one, other)
