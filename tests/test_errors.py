"""Bad input is refused at the public edge, in words that say what must hold, what came and what to do."""

import math
import re

import pytest
import torch
import toy

from heatprop import (
    HeatmapPropagator,
    balance,
    balance_size,
    find_peaks,
    temporal_average,
    window_maximum,
)


def maps(batch=2, shape=(3, 6, 5)):
    return torch.rand(batch, *shape), torch.rand(batch, 2, *shape[1:]), torch.rand(batch, 2, *shape[1:])


# --- options ----------------------------------------------------------------------------------------------------------


def test_a_negative_radius_is_refused():
    with pytest.raises(ValueError, match=re.escape("radius must be at least 0, got -1")):
        HeatmapPropagator(radius=-1)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("alpha", -0.1),
        ("alpha", 1.1),
        ("alpha", math.nan),
        ("beta", -1.0),
        ("beta", math.nan),
        ("top_k", 0),
        ("score_threshold", -0.1),
        ("score_threshold", 1.5),
        ("score_threshold", math.nan),
        ("nms_threshold", -0.1),
        ("nms_threshold", 1.5),
        ("peak_kernel", 0),
        ("peak_kernel", 4),
        ("stride", 0),
        ("stride", -4),
        ("stride", math.inf),
        ("carry", "neither"),
        ("average", "harmonic"),
        ("max_length", 0),
        ("max_unseen", -1),
        ("border", -0.1),
        ("border", 1.1),
        ("border", math.nan),
        ("radius_per_size", -0.1),
        ("radius_per_size", math.inf),
        ("radius_per_size", math.nan),
        ("max_radius", -1),
    ],
)
def test_an_option_out_of_range_is_refused_by_name_and_value(option, value):
    with pytest.raises(ValueError, match=rf"^{option} must be .*{re.escape(repr(value))}"):
        HeatmapPropagator(**{option: value})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("radius", 1.5),
        ("radius", "2"),
        ("radius", None),
        ("alpha", "0.5"),
        ("beta", None),
        ("top_k", 10.0),
        ("score_threshold", None),
        ("nms_threshold", "0.3"),
        ("peak_kernel", 3.0),
        ("stride", None),
        ("claim_once", 1),
        ("evidence", None),
        ("velocity", "yes"),
        ("max_length", 2.0),
        ("max_unseen", True),
        ("border", None),
        ("radius_per_size", "0.1"),
        ("max_radius", 2.5),
    ],
)
def test_an_option_of_another_type_is_refused_by_name_and_value(option, value):
    with pytest.raises(TypeError, match=rf"^{option} must be .*{re.escape(repr(value))}"):
        HeatmapPropagator(**{option: value})


def test_an_unknown_option_is_refused():
    with pytest.raises(TypeError, match="gamma"):
        HeatmapPropagator(gamma=1)


# --- one frame --------------------------------------------------------------------------------------------------------


def test_a_channels_last_heatmap_without_batch_is_refused():
    message = "heatmap must have shape (B, C, H, W), got (128, 128, 30)"
    with pytest.raises(ValueError, match=re.escape(message)):
        HeatmapPropagator()(torch.rand(128, 128, 30))


def test_a_chunk_is_refused_by_forward():
    with pytest.raises(ValueError, match=re.escape("heatmap must have shape (B, C, H, W), got (2, 4, 3, 6, 5)")):
        HeatmapPropagator()(torch.rand(2, 4, 3, 6, 5))


@pytest.mark.parametrize("shape", [(0, 3, 6, 5), (2, 0, 6, 5), (2, 3, 0, 5), (2, 3, 6, 0)])
def test_an_empty_heatmap_is_refused(shape):
    with pytest.raises(ValueError, match=rf"heatmap must .*{re.escape(str(shape))}"):
        HeatmapPropagator()(torch.rand(shape))


@pytest.mark.parametrize(("name", "meaning"), [("offset", "(dx, dy)"), ("size", "(w, h)")])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_a_map_with_other_than_2_channels_is_refused(name, meaning, channels):
    heatmap, _, _ = maps()
    with pytest.raises(ValueError, match=re.escape(f"{name} has {channels} channels, expected 2 {meaning}")):
        HeatmapPropagator()(heatmap, **{name: torch.rand(2, channels, 6, 5)})


@pytest.mark.parametrize("name", ["offset", "size"])
@pytest.mark.parametrize("shape", [(1, 2, 6, 5), (2, 2, 5, 6), (2, 2, 6), (2, 6, 5, 2)])
def test_a_map_that_does_not_fit_the_heatmap_is_refused(name, shape):
    heatmap, _, _ = maps()
    with pytest.raises(ValueError, match=rf"^{name} "):
        HeatmapPropagator()(heatmap, **{name: torch.rand(shape)})


@pytest.mark.parametrize("shape", [(1, 4, 6, 5), (2, 4, 5, 6), (2, 6, 5)])
def test_an_extra_that_does_not_fit_the_heatmap_is_refused_by_name(shape):
    heatmap, offset, size = maps()
    with pytest.raises(ValueError, match=r"depth.* \(B, D, H, W\)"):
        HeatmapPropagator()(heatmap, offset, size, extras={"depth": torch.rand(shape)})


def test_extras_that_are_no_mapping_are_refused():
    heatmap, offset, size = maps()
    with pytest.raises(TypeError, match="extras must be a dict"):
        HeatmapPropagator()(heatmap, offset, size, extras=[torch.rand(2, 1, 6, 5)])


def test_an_extra_that_is_no_tensor_is_refused():
    heatmap, offset, size = maps()
    with pytest.raises(TypeError, match=r"depth.*list"):
        HeatmapPropagator()(heatmap, offset, size, extras={"depth": [1, 2]})


@pytest.mark.parametrize("name", ["heatmap", "offset", "size"])
def test_a_map_that_is_no_tensor_is_refused(name):
    named = dict(zip(("heatmap", "offset", "size"), maps(), strict=True))
    named[name] = named[name].numpy()
    with pytest.raises(TypeError, match=rf"^{name} must be a torch.Tensor, got ndarray"):
        HeatmapPropagator()(**named)


@pytest.mark.parametrize("name", ["heatmap", "offset", "size"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_a_map_of_another_kind_of_number_is_refused(name, dtype):
    named = dict(zip(("heatmap", "offset", "size"), maps(), strict=True))
    named[name] = named[name].to(dtype)
    with pytest.raises(TypeError, match=rf"^{name} must .*float.*{dtype}"):
        HeatmapPropagator()(**named)


@pytest.mark.parametrize("name", ["offset", "size"])
def test_a_map_on_another_device_is_refused(name):
    heatmap, _, _ = maps()
    with pytest.raises(ValueError, match=rf"{name} is on meta.*cpu"):
        HeatmapPropagator()(heatmap, **{name: torch.rand(2, 2, 6, 5, device="meta")})


def test_an_extra_on_another_device_is_refused():
    heatmap, _, _ = maps()
    with pytest.raises(ValueError, match=r"depth.*meta.*cpu"):
        HeatmapPropagator()(heatmap, extras={"depth": torch.rand(2, 1, 6, 5, device="meta")})


# --- reset ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), ()])
def test_a_reset_mask_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"reset must have shape \(2,\)"):
        HeatmapPropagator()(*maps(), reset=torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("reset", [torch.tensor([0, 1]), [True, False], True])
def test_a_reset_mask_that_is_no_bool_tensor_is_refused(reset):
    with pytest.raises(TypeError, match="reset must be a bool"):
        HeatmapPropagator()(*maps(), reset=reset)


def test_a_reset_mask_on_another_device_is_refused():
    with pytest.raises(ValueError, match=r"reset is on meta.*cpu"):
        HeatmapPropagator()(*maps(), reset=torch.zeros(2, dtype=torch.bool, device="meta"))


def test_a_chunks_reset_without_time_is_refused():
    with pytest.raises(ValueError, match=r"reset must have shape \(2, 4\)"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), reset=torch.zeros(2, dtype=torch.bool))


@pytest.mark.parametrize("streams", [2, -3, [0, 5], torch.zeros(3, dtype=torch.bool)], ids=["2", "-3", "list", "mask"])
def test_a_stream_that_does_not_exist_cannot_be_reset(streams):
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(ValueError, match="stream"):
        propagator.reset(streams)


# --- motion and skipped frames ----------------------------------------------------------------------------------------


def test_a_largest_radius_below_the_radius_is_refused():
    with pytest.raises(ValueError, match="max_radius must be at least radius 3, got 2"):
        HeatmapPropagator(radius=3, radius_per_size=0.1, max_radius=2)


@pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 3), (2, 3, 2), (2, 3, 3), (2, 2, 5, 6), (2, 1, 6, 5), ()])
def test_a_shift_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=rf"^shift must have shape .*, in cells, got {re.escape(str(shape))}"):
        HeatmapPropagator()(*maps(), shift=torch.zeros(shape))


@pytest.mark.parametrize("shift", [(1.0, 2.0), [[0, 0], [0, 0]], torch.zeros(2, 2, dtype=torch.int64)])
def test_a_shift_of_another_type_is_refused(shift):
    with pytest.raises(TypeError, match=r"^shift must"):
        HeatmapPropagator()(*maps(), shift=shift)


def test_a_shift_on_another_device_is_refused():
    with pytest.raises(ValueError, match=r"shift is on meta.*cpu"):
        HeatmapPropagator()(*maps(), shift=torch.zeros(2, 2, device="meta"))


@pytest.mark.parametrize("shape", [(2, 2), (2, 3, 2), (4, 2), (2,)])
def test_a_chunks_shift_without_its_frames_is_refused(shape):
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"^shift must have shape \(B, T"):
        propagator.forward_chunk(torch.rand(2, 4, 3, 6, 5), shift=torch.zeros(shape))
    assert propagator.state is None


def test_a_chunks_shift_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"^shift must be a torch.Tensor, got list"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), shift=[0, 0])


def test_coasting_before_the_first_frame_is_refused():
    with pytest.raises(RuntimeError, match="coast goes on from a frame"):
        HeatmapPropagator().coast()


@pytest.mark.parametrize(("frames", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_coasting_over_no_whole_number_of_frames_is_refused(frames, error):
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(error, match=rf"^frames must be .*got {frames}"):
        propagator.coast(frames)


def test_coasting_with_a_shift_that_does_not_fit_is_refused():
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(ValueError, match="shift must have shape"):
        propagator.coast(shift=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="shift is on meta"):
        propagator.coast(shift=torch.zeros(2, 2, device="meta"))


# --- chunks -----------------------------------------------------------------------------------------------------------


def test_a_frame_is_refused_by_forward_chunk():
    with pytest.raises(ValueError, match=r"heatmap must have shape \(B, T, C, H, W\).*\(2, 3, 6, 5\)"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 3, 6, 5))


@pytest.mark.parametrize("name", ["offset", "size"])
def test_a_chunks_map_of_another_length_is_refused(name):
    with pytest.raises(ValueError, match=rf"^{name} "):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), **{name: torch.rand(2, 3, 2, 6, 5)})


def test_a_chunks_extra_of_another_length_is_refused():
    with pytest.raises(ValueError, match="depth"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), extras={"depth": torch.rand(2, 3, 1, 6, 5)})


def test_a_refused_chunk_leaves_the_state_alone():
    propagator = HeatmapPropagator()
    propagator(*maps())
    before = propagator.state
    with pytest.raises(ValueError, match="offset"):
        propagator.forward_chunk(torch.rand(2, 4, 3, 6, 5), torch.rand(2, 3, 2, 6, 5))
    assert all(torch.equal(one, other) for one, other in zip(propagator.state, before, strict=True))


# --- between two frames -----------------------------------------------------------------------------------------------


def test_a_shape_change_between_frames_asks_for_reset():
    propagator = HeatmapPropagator()
    propagator(torch.rand(1, 30, 128, 128))
    message = (
        "heatmap changed shape between frames, from (1, 30, 128, 128) to (1, 30, 96, 160). "
        "A new video probably started: call reset() before it."
    )
    with pytest.raises(ValueError, match=re.escape(message)):
        propagator(torch.rand(1, 30, 96, 160))


@pytest.mark.parametrize("shape", [(1, 3, 6, 5), (3, 3, 6, 5), (2, 4, 6, 5), (2, 3, 5, 6)])
def test_another_batch_class_count_or_size_asks_for_reset(shape):
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(ValueError, match=rf"{re.escape(str(shape))}.*reset\(\)"):
        propagator(torch.rand(shape))


def test_another_device_between_frames_asks_for_reset():
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(ValueError, match=r"cpu.*meta.*reset\(\)|meta.*cpu.*reset\(\)"):
        propagator(torch.rand(2, 3, 6, 5, device="meta"))


def test_after_a_refused_frame_the_video_goes_on():
    propagator, untouched, video = HeatmapPropagator(), HeatmapPropagator(), toy.crowd(0, frames=2)
    for one in (propagator, untouched):
        toy.feed(one, toy.frame(video, 0))
    with pytest.raises(ValueError, match=r"reset\(\)"):
        propagator(torch.rand(2, 3, 5, 5))
    one, other = (toy.feed(p, toy.frame(video, 1)) for p in (propagator, untouched))
    assert torch.equal(one.detections.boxes, other.detections.boxes)


def test_after_reset_the_refused_frame_is_taken():
    propagator = HeatmapPropagator()
    propagator(*maps())
    with pytest.raises(ValueError, match=r"reset\(\)"):
        propagator(torch.rand(1, 3, 7, 7))
    propagator.reset()
    assert propagator(torch.rand(1, 3, 7, 7)).detections.ages.max() == 1


# --- state ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("state", [1, "state", {}, (1, 2)])
def test_a_state_that_is_no_tracklets_is_refused(state):
    with pytest.raises(TypeError, match="state must be Tracklets"):
        HeatmapPropagator().state = state


def test_step_refuses_a_state_that_is_no_tracklets():
    with pytest.raises(TypeError, match="state must be Tracklets"):
        HeatmapPropagator().step((1, 2), *maps())


def test_step_refuses_a_state_of_another_batch():
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"2 streams.*3.*reset\(\)"):
        propagator.step(propagator.initial_state(3), *maps())


def test_step_refuses_a_state_of_another_top_k():
    state = HeatmapPropagator(top_k=7).initial_state(2)
    with pytest.raises(ValueError, match=r"7.*top_k.*100"):
        HeatmapPropagator().step(state, *maps())


def test_step_refuses_a_state_on_another_device():
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"state.*meta"):
        propagator.step(propagator.initial_state(2, device="meta"), *maps())


# --- functions --------------------------------------------------------------------------------------------------------


def test_eq5_refuses_maps_of_different_shapes():
    with pytest.raises(ValueError, match=r"score and length must share one shape \(B, C, H, W\), got .*\(2,\)"):
        temporal_average(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 2), torch.ones(2).int())


def test_eq6_refuses_maps_of_different_shapes():
    with pytest.raises(ValueError, match=r"\(1, 1, 2, 2\).*\(1, 1, 2, 3\)"):
        balance(torch.rand(1, 1, 2, 2), torch.rand(1, 1, 2, 3))


def test_eq7_refuses_maps_of_different_shapes():
    ones = torch.ones(1, 3, 2, 2)
    with pytest.raises(ValueError, match="size"):
        balance_size(ones, torch.rand(1, 3, 2, 2), ones, torch.rand(1, 3, 2, 2, 2))


@pytest.mark.parametrize("kernel", [0, 2, -1])
@pytest.mark.parametrize("function", [window_maximum, find_peaks])
def test_a_window_without_a_middle_is_refused(function, kernel):
    with pytest.raises(ValueError, match=rf"kernel must be .*odd.* got {kernel}"):
        function(torch.rand(1, 1, 4, 4), kernel=kernel)
