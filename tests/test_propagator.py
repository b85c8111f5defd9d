"""HeatmapPropagator's public contract (DESIGN.md section 4), bullet by bullet."""

import copy
import math
import pickle

import pytest
import torch
import toy
from torch import nn
from torch.testing import assert_close

from heatprop import Detections, HeadMaps, HeatmapPropagator, PropagatorOutput, Tracklets

SHAPE = (3, 12, 10)


def fed(frames=3, *, dtype=torch.float32, seed=0, **options):
    """A propagator that has seen some frames, the next frame's maps, and the last output."""
    maps, propagator = toy.crowd(seed, frames=frames + 1, dtype=dtype), HeatmapPropagator(**options)
    output = None
    for time in range(frames):
        output = toy.feed(propagator, toy.frame(maps, time))
    return propagator, toy.frame(maps, frames), output


def assert_same_bits(one, other):
    assert torch.equal(one.heatmap, other.heatmap)
    for name, value in one.detections._asdict().items():
        if name != "extras":
            assert torch.equal(value, getattr(other.detections, name)), name


def assert_same_state(one, other):
    for name, value in one._asdict().items():
        assert torch.equal(value, getattr(other, name)), name


# --- shapes, padding, dtypes ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("top_k", [1, 100, 400])
def test_there_are_always_top_k_places(top_k):
    propagator, _, output = fed(top_k=top_k)
    detections = output.detections
    assert detections.boxes.shape == (2, top_k, 4)
    assert detections.cells.shape == (2, top_k, 2)
    for name in ("scores", "labels", "valid", "ages", "track_ids", "network_scores", "carried"):
        assert getattr(detections, name).shape == (2, top_k), name
    assert detections.extras["depth"].shape == (2, top_k, 1)
    assert propagator.state.valid.shape == (2, top_k)


def test_there_are_100_places_by_default():
    assert fed()[2].detections.valid.shape == (2, 100)


def test_the_padding_is_0_and_false_and_track_id_minus_1():
    detections = fed()[2].detections
    padding = ~detections.valid
    assert padding.any()
    for name, value in {**detections._asdict(), **detections.extras}.items():
        if name not in ("extras", "valid", "track_ids"):
            assert not value[padding].any(), name
    assert (detections.track_ids[padding] == -1).all()
    assert (detections.track_ids[detections.valid] >= 0).all()


def test_suppressed_places_are_padding_behind_the_valid_ones():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 1): 0.9, (0, 4, 4): 0.8, (0, 4, 7): 0.7}, dtype=torch.float32)
    detections = HeatmapPropagator(radius=1, top_k=4)(heatmap, size=toy.plane(heatmap, 7.0, 7.0)).detections
    assert detections.valid.tolist() == [[True, True, False, False]]
    assert detections.cells.tolist() == [[[1, 4], [7, 4], [0, 0], [0, 0]]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_the_heatmap_keeps_its_dtype_and_the_rest_has_at_least_float32(dtype):
    propagator, _, output = fed(dtype=dtype)
    wide = torch.promote_types(dtype, torch.float32)
    assert output.heatmap.dtype == dtype
    for value in (output.detections.boxes, output.detections.scores, output.detections.network_scores):
        assert value.dtype == wide
    assert (propagator.state.score.dtype, propagator.state.size.dtype) == (wide, wide)
    assert output.size_map().dtype == wide


def test_labels_cells_and_ids_are_int64_ages_int32_and_flags_bool():
    propagator, _, output = fed(dtype=torch.float16)
    detections, state = output.detections, propagator.state
    for value in (detections.labels, detections.cells, detections.track_ids):
        assert value.dtype == torch.int64
    assert detections.ages.dtype == torch.int32
    assert (detections.valid.dtype, detections.carried.dtype) == (torch.bool, torch.bool)
    assert [value.dtype for value in (state.label, state.x, state.y, state.track_id, state.next_id)] == [
        torch.int64
    ] * 5
    assert (state.length.dtype, state.valid.dtype) == (torch.int32, torch.bool)


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


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_maps_age_past_256_frames(dtype):
    propagator, heatmap = HeatmapPropagator(top_k=4), toy.spots((1, 3, 3), {(0, 1, 1): 0.75}, dtype=dtype)
    for _ in range(300):
        output = propagator(heatmap)
    assert output.detections.ages[0, 0] == 300
    assert output.detections.scores[0, 0] == 0.75


def test_a_half_heatmap_may_come_with_float32_offset_and_size():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 4): 0.5}, dtype=torch.float16)
    offset, size = toy.plane(heatmap, 0.5, 0.5).float(), toy.plane(heatmap, 2.0, 2.0).float()
    detections = HeatmapPropagator()(heatmap, offset, size).detections
    assert detections.boxes[0, 0].tolist() == [14.0, 14.0, 22.0, 22.0]


def test_all_containers_are_named_tuples():
    propagator, _, output = fed()
    assert isinstance(output, PropagatorOutput)
    assert isinstance(output.detections, Detections)
    assert isinstance(propagator.state, Tracklets)
    for kind in (PropagatorOutput, Detections, Tracklets, HeadMaps):
        assert issubclass(kind, tuple)
        assert hasattr(kind, "_fields")


# --- offset, size, extras ---------------------------------------------------------------------------------------------


def test_without_offset_the_centre_is_in_the_middle_of_the_cell():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator()(heatmap, size=toy.plane(heatmap, 2.0, 1.0)).detections.boxes
    assert boxes[0, 0].tolist() == [18.0, 12.0, 26.0, 16.0]


def test_without_size_there_are_points_with_boxes_of_zero_size():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.25, 0.75)).detections.boxes
    assert boxes[0, 0].tolist() == [21.0, 15.0, 21.0, 15.0]


def test_without_size_nothing_is_suppressed():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 3): 0.5, (0, 4, 4): 0.5, (0, 5, 4): 0.5}, dtype=torch.float32)
    propagator = HeatmapPropagator(nms_threshold=0.0)
    assert propagator(heatmap).detections.valid.sum() == 3


def test_points_are_remembered_like_boxes():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    propagator(heatmap)
    detections = propagator(torch.zeros_like(heatmap)).detections
    assert detections.cells[0, 0].tolist() == [5, 3]
    assert detections.carried[0, 0]


def test_the_stride_scales_boxes_to_pixels():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator(stride=8)(heatmap, size=toy.plane(heatmap, 2.0, 1.0)).detections.boxes
    assert boxes[0, 0].tolist() == [36.0, 24.0, 52.0, 32.0]


def test_extras_are_read_at_the_peaks():
    heatmap = toy.spots((2, 9, 9), {(0, 3, 5): 0.5, (1, 6, 1): 0.7}, dtype=torch.float32)
    extras = {"landmarks": torch.rand(1, 10, 9, 9), "depth": torch.rand(1, 1, 9, 9)}
    found = HeatmapPropagator()(heatmap, extras=extras).detections.extras
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "landmarks": (1, 100, 10),
        "depth": (1, 100, 1),
    }
    for name, value in extras.items():
        assert torch.equal(found[name][0, 0], value[0, :, 6, 1])
        assert torch.equal(found[name][0, 1], value[0, :, 3, 5])


def test_extras_of_a_carried_object_are_this_frames():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    propagator(heatmap, extras={"depth": torch.zeros(1, 1, 9, 9)})
    found = propagator(torch.zeros_like(heatmap), extras={"depth": torch.full((1, 1, 9, 9), 7.0)}).detections
    assert found.extras["depth"][0, 0].item() == 7.0


def test_without_extras_the_dict_is_empty():
    assert HeatmapPropagator()(torch.rand(1, 1, 4, 4)).detections.extras == {}


# --- network score, carried -------------------------------------------------------------------------------------------


def test_the_network_score_is_the_networks_own_at_the_peak():
    propagator, maps, _ = fed()
    detections = toy.feed(propagator, maps).detections
    found = 0
    for stream, unpadded in enumerate(detections.unpad()):
        for label, (x, y), score in zip(
            unpadded["labels"].tolist(), unpadded["cells"].tolist(), unpadded["network_scores"].tolist(), strict=True
        ):
            assert score == maps.heatmap[stream, label, y, x].item()
            found += 1
    assert found > 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_score_is_that_of_the_balanced_heatmap_at_the_peak(dtype):
    propagator, maps, _ = fed(dtype=dtype)
    output = toy.feed(propagator, maps)
    detections, stream = output.detections, torch.arange(2)[:, None]
    x, y = detections.cells.unbind(-1)
    at_peaks = output.heatmap[stream, detections.labels, y, x]
    assert torch.equal(at_peaks[detections.valid], detections.scores[detections.valid])


def test_carried_is_a_network_score_below_the_threshold():
    propagator, maps, _ = fed(score_threshold=0.2)
    detections = toy.feed(propagator, maps).detections
    carried = detections.valid & (detections.network_scores < 0.2)
    assert torch.equal(detections.carried, carried)
    assert carried.any()
    assert (detections.valid & ~carried).any()


def test_a_network_score_at_the_threshold_is_not_carried():
    propagator, heatmap = HeatmapPropagator(score_threshold=0.25), toy.spots((1, 5, 5), {(0, 2, 2): 0.5})
    propagator(heatmap)
    assert not propagator(heatmap / 2).detections.carried.any()
    assert propagator(heatmap / 2 - 1e-6).detections.carried[0, 0]


# --- unpad, size_map --------------------------------------------------------------------------------------------------


def test_unpad_gives_one_dict_a_stream_without_padding():
    detections = fed()[2].detections
    streams = detections.unpad()
    assert len(streams) == 2
    for stream, found in enumerate(streams):
        count = int(detections.valid[stream].sum())
        assert set(found) == set(Detections._fields) - {"valid"}
        for name, value in found.items():
            if name != "extras":
                assert torch.equal(value, getattr(detections, name)[stream, :count]), name
        assert torch.equal(found["extras"]["depth"], detections.extras["depth"][stream, :count])


def test_unpad_nests_streams_over_frames():
    maps = toy.crowd(0, frames=3)
    output = HeatmapPropagator().forward_chunk(maps.heatmap, maps.offset, maps.size, extras=maps.extras)
    nested, single = output.detections.unpad(), HeatmapPropagator()
    assert [len(frames) for frames in nested] == [3, 3]
    for time in range(3):
        for stream, found in enumerate(toy.feed(single, toy.frame(maps, time)).detections.unpad()):
            assert torch.equal(nested[stream][time]["boxes"], found["boxes"])
            assert torch.equal(nested[stream][time]["extras"]["depth"], found["extras"]["depth"])


def test_unpad_of_no_detection_is_empty_but_typed():
    [found] = HeatmapPropagator()(torch.zeros(1, 2, 4, 4)).detections.unpad()
    assert found["boxes"].shape == (0, 4)
    assert found["labels"].dtype == torch.int64


def test_the_size_map_of_a_first_frame_is_the_networks_size_in_every_class():
    maps = toy.frame(toy.crowd(0, dtype=torch.float32), 0)
    size_map = toy.feed(HeatmapPropagator(), maps).size_map()
    assert torch.equal(size_map, maps.size[:, None].expand(2, 3, 2, 12, 10))


def test_the_size_map_holds_the_sizes_of_the_boxes():
    propagator, maps, _ = fed(dtype=torch.float64)
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
    propagator, maps, output = fed()
    before = output.size_map()
    toy.feed(propagator, maps)
    propagator.reset()
    assert torch.equal(output.size_map(), before)


# --- reset ------------------------------------------------------------------------------------------------------------


def test_reset_forgets_everything():
    propagator, maps, _ = fed()
    propagator.reset()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


def test_reset_before_the_first_frame_is_allowed():
    propagator, maps = HeatmapPropagator(), toy.frame(toy.crowd(0), 0)
    propagator.reset()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


def test_maps_may_change_shape_batch_and_dtype_after_reset():
    propagator, _, _ = fed()
    propagator.reset()
    output = propagator(torch.rand(5, 1, 7, 7, dtype=torch.float64))
    assert output.heatmap.shape == (5, 1, 7, 7)
    assert propagator.state.score.dtype == torch.float64


@pytest.mark.parametrize("streams", [1, [1], torch.tensor([False, True])], ids=["index", "list", "mask"])
def test_reset_of_a_stream_leaves_the_others_alone(streams):
    propagator, maps, _ = fed()
    untouched, _, _ = fed()
    propagator.reset(streams)
    actual, expected = toy.feed(propagator, maps), toy.feed(untouched, maps)
    fresh = toy.feed(HeatmapPropagator(), maps)
    for name in ("boxes", "scores", "labels", "valid", "ages", "track_ids", "carried"):
        values = [getattr(output.detections, name) for output in (actual, expected, fresh)]
        assert torch.equal(values[0][0], values[1][0]), name
        assert torch.equal(values[0][1], values[2][1]), name
    assert torch.equal(actual.heatmap[1], maps.heatmap[1])


@pytest.mark.parametrize("streams", [[0, 1], torch.tensor([True, True])], ids=["list", "mask"])
def test_reset_of_every_stream_starts_all_anew(streams):
    propagator, maps, _ = fed()
    propagator.reset(streams)
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


@pytest.mark.parametrize("streams", [[], torch.tensor([False, False])], ids=["list", "mask"])
def test_reset_of_no_stream_changes_nothing(streams):
    propagator, maps, _ = fed()
    propagator.reset(streams)
    assert_same_bits(toy.feed(propagator, maps), toy.feed(fed()[0], maps))


def test_the_reset_mask_of_forward_equals_reset_before_it():
    one, maps, _ = fed()
    other, _, _ = fed()
    other.reset(0)
    assert_same_bits(toy.feed(one, maps, reset=torch.tensor([True, False])), toy.feed(other, maps))
    assert_same_state(one.state, other.state)


def test_track_ids_restart_on_reset():
    propagator, maps, _ = fed()
    detections = toy.feed(propagator, maps, reset=torch.tensor([True, False])).detections
    count = int(detections.valid[0].sum())
    assert detections.track_ids[0, :count].tolist() == list(range(count))
    assert detections.track_ids[1].max() >= detections.valid[1].sum()
    assert propagator.state.next_id[0] == count


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


def test_there_is_no_state_before_the_first_frame():
    assert HeatmapPropagator().state is None


def test_a_state_that_is_set_is_continued():
    propagator, maps, _ = fed()
    other = HeatmapPropagator()
    other.state = propagator.state
    assert_same_bits(toy.feed(other, maps), toy.feed(propagator, maps))
    assert_same_state(other.state, propagator.state)


def test_the_state_can_be_wound_back():
    propagator, maps, _ = fed()
    saved = propagator.state
    first = toy.feed(propagator, maps)
    propagator.state = saved
    assert_same_bits(toy.feed(propagator, maps), first)


def test_setting_the_state_to_none_is_reset():
    propagator, maps, _ = fed()
    propagator.state = None
    assert propagator.state is None
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


def test_the_initial_state_holds_nothing():
    state = HeatmapPropagator(top_k=7).initial_state(3, dtype=torch.float64)
    assert not state.valid.any()
    assert state.valid.shape == (3, 7)
    assert state.next_id.tolist() == [0, 0, 0]
    assert state.score.dtype == state.size.dtype == torch.float64


def test_the_initial_state_is_float32_on_the_cpu_by_default():
    state = HeatmapPropagator().initial_state(1)
    assert state.score.dtype == torch.float32
    assert state.score.device.type == "cpu"


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
    propagator, maps, _ = fed()
    given = propagator.state
    before = [tensor.clone() for tensor in given]
    propagator.step(given, maps.heatmap, maps.offset, maps.size, reset=torch.tensor([True, False]))
    assert_same_state(propagator.state, Tracklets(*before))
    assert_same_state(given, Tracklets(*before))


def test_forward_and_reset_replace_the_state_instead_of_writing_to_it():
    propagator, maps, _ = fed()
    held = propagator.state
    before = [tensor.clone() for tensor in held]
    toy.feed(propagator, maps)
    propagator.reset(0)
    propagator.reset(torch.tensor([True, True]))
    propagator.reset()
    assert_same_state(held, Tracklets(*before))


def test_forward_does_not_write_to_its_arguments():
    propagator, maps, _ = fed()
    maps.heatmap[0, 0, 0, 0] = math.nan
    reset = torch.tensor([True, False])
    arguments = [*maps[:3], maps.extras["depth"], reset]
    before = [argument.clone() for argument in arguments]
    toy.feed(propagator, maps, reset=reset)
    for argument, copied in zip(arguments, before, strict=True):
        assert_close(argument, copied, rtol=0, atol=0, equal_nan=True)


def test_an_output_is_not_changed_by_later_frames():
    propagator, maps, output = fed()
    before = [output.heatmap.clone(), output.detections.boxes.clone(), output.detections.track_ids.clone()]
    toy.feed(propagator, maps)
    after = [output.heatmap, output.detections.boxes, output.detections.track_ids]
    assert all(torch.equal(one, other) for one, other in zip(before, after, strict=True))


def test_writing_to_an_output_leaves_the_memory_alone():
    propagator, maps, output = fed()
    untouched, _, _ = fed()
    for tensor in (output.heatmap, output.detections.scores, output.detections.ages, output.detections.cells):
        tensor.zero_()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(untouched, maps))


# --- a citizen of torch -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_continues_the_video_on_its_own(duplicate):
    propagator, maps, _ = fed(radius=1, beta=math.inf)
    other = duplicate(propagator)
    expected = toy.feed(fed(radius=1, beta=math.inf)[0], maps)
    assert_same_bits(toy.feed(other, maps), expected)
    assert_same_bits(toy.feed(propagator, maps), expected)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_of_a_fresh_propagator_is_fresh(duplicate):
    maps = toy.frame(toy.crowd(0), 0)
    other = duplicate(HeatmapPropagator())
    assert other.state is None
    assert_same_bits(toy.feed(other, maps), toy.feed(HeatmapPropagator(), maps))


def test_a_state_survives_pickle():
    state = fed()[0].state
    assert_same_state(pickle.loads(pickle.dumps(state)), state)


def test_the_state_dict_is_empty_with_and_without_state():
    propagator, _, _ = fed()
    assert HeatmapPropagator().state_dict() == {}
    assert propagator.state_dict() == {}
    propagator.load_state_dict({})


def test_a_propagator_has_no_parameters():
    assert list(fed()[0].parameters()) == []


def test_the_state_moves_with_to():
    propagator, _, _ = fed()
    propagator.to("meta")
    assert {tensor.device.type for tensor in propagator.state} == {"meta"}


def test_the_state_moves_with_the_module_that_holds_the_propagator():
    propagator, _, _ = fed()
    nn.Sequential(nn.Conv2d(1, 1, 1), propagator).to("meta")
    assert {tensor.device.type for tensor in propagator.state} == {"meta"}


def test_counts_survive_half():
    propagator, _, _ = fed()
    before = propagator.state
    propagator.half()
    for name in ("label", "x", "y", "length", "track_id", "valid", "next_id"):
        assert torch.equal(getattr(propagator.state, name), getattr(before, name)), name


def test_a_video_goes_on_after_half():
    propagator, maps, _ = fed()
    propagator.half()
    output = propagator(maps.heatmap.half(), maps.offset.half(), maps.size.half())
    assert output.detections.ages.max() == 4
    assert propagator.state.score.dtype == torch.float32


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
    propagator, maps, _ = fed()
    other, _, _ = fed()
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


def test_the_modules_state_is_detached():
    propagator = HeatmapPropagator()
    first = toy.spots((1, 5, 5), {(0, 2, 2): 0.8}).requires_grad_()
    second = toy.spots((1, 5, 5), {(0, 2, 2): 0.3}).requires_grad_()
    propagator(first, size=toy.plane(first.detach(), 2.0, 2.0))
    assert not any(tensor.requires_grad for tensor in propagator.state)
    propagator(second, size=toy.plane(first.detach(), 2.0, 2.0)).heatmap.sum().backward()
    assert first.grad is None
    assert second.grad is not None


def test_the_state_of_step_is_not_detached():
    first = toy.spots((1, 5, 5), {(0, 2, 2): 0.8}).requires_grad_()
    state, _ = HeatmapPropagator().step(None, first)
    assert state.score.requires_grad


def test_the_repr_shows_every_option():
    shown = repr(HeatmapPropagator(radius=3, alpha=0.75, top_k=17, carry="network"))
    for option in (
        "radius=3",
        "alpha=0.75",
        "beta=2.0",
        "top_k=17",
        "score_threshold=0.05",
        "nms_threshold=0.3",
        "peak_kernel=None",
        "stride=4",
        "carry='network'",
    ):
        assert option in shown


def test_options_are_plain_attributes():
    propagator = HeatmapPropagator(radius=3, beta=math.inf)
    assert (propagator.radius, propagator.alpha, propagator.beta, propagator.top_k) == (3, 0.98, math.inf, 100)


def test_options_are_keywords():
    with pytest.raises(TypeError, match="positional"):
        HeatmapPropagator(2)


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


def test_a_reset_stream_is_like_a_fresh_one():
    propagator = HeatmapPropagator()
    propagator(torch.rand(2, 1, 8, 8), size=torch.rand(2, 2, 8, 8))
    propagator.reset(0)
    fresh = propagator.initial_state(2)
    for name in propagator.state._fields:
        assert torch.equal(getattr(propagator.state, name)[0], getattr(fresh, name)[0])


def test_extras_of_flags_stay_flags():
    flags = torch.rand(1, 1, 8, 8) > 0.5
    output = HeatmapPropagator()(torch.rand(1, 1, 8, 8), extras={"flag": flags})
    assert output.detections.extras["flag"].dtype == torch.bool


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


def test_a_subclass_with_options_of_its_own_shows_the_propagators():
    class Slow(HeatmapPropagator):
        def __init__(self, rate: int) -> None:
            super().__init__(radius=5 if rate < 10 else 2)

    assert "radius=5" in repr(Slow(5))
