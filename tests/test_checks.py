"""Bad input is refused at the public edge, in words that say what must hold, what came and what to do."""

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
    heatmap, _, _ = toy.random_maps()
    with pytest.raises(ValueError, match=re.escape(f"{name} has {channels} channels, expected 2 {meaning}")):
        HeatmapPropagator()(heatmap, **{name: torch.rand(2, channels, 6, 5)})


@pytest.mark.parametrize("name", ["offset", "size"])
@pytest.mark.parametrize("shape", [(1, 2, 6, 5), (2, 2, 5, 6), (2, 2, 6), (2, 6, 5, 2)])
def test_a_map_that_does_not_fit_the_heatmap_is_refused(name, shape):
    heatmap, _, _ = toy.random_maps()
    with pytest.raises(ValueError, match=rf"^{name} "):
        HeatmapPropagator()(heatmap, **{name: torch.rand(shape)})


@pytest.mark.parametrize("shape", [(1, 4, 6, 5), (2, 4, 5, 6), (2, 6, 5)])
def test_an_extra_that_does_not_fit_the_heatmap_is_refused_by_name(shape):
    heatmap, offset, size = toy.random_maps()
    with pytest.raises(ValueError, match=r"depth.* \(B, D, H, W\)"):
        HeatmapPropagator()(heatmap, offset, size, extras={"depth": torch.rand(shape)})


def test_extras_that_are_no_mapping_are_refused():
    heatmap, offset, size = toy.random_maps()
    with pytest.raises(TypeError, match="extras must be a dict"):
        HeatmapPropagator()(heatmap, offset, size, extras=[torch.rand(2, 1, 6, 5)])


def test_an_extra_that_is_no_tensor_is_refused():
    heatmap, offset, size = toy.random_maps()
    with pytest.raises(TypeError, match=r"depth.*list"):
        HeatmapPropagator()(heatmap, offset, size, extras={"depth": [1, 2]})


@pytest.mark.parametrize("name", ["heatmap", "offset", "size"])
def test_a_map_that_is_no_tensor_is_refused(name):
    named = dict(zip(("heatmap", "offset", "size"), toy.random_maps(), strict=True))
    named[name] = named[name].numpy()
    with pytest.raises(TypeError, match=rf"^{name} must be a torch.Tensor, got ndarray"):
        HeatmapPropagator()(**named)


@pytest.mark.parametrize("name", ["heatmap", "offset", "size"])
@pytest.mark.parametrize("dtype", [torch.int64, torch.uint8, torch.bool, torch.complex64])
def test_a_map_of_another_kind_of_number_is_refused(name, dtype):
    named = dict(zip(("heatmap", "offset", "size"), toy.random_maps(), strict=True))
    named[name] = named[name].to(dtype)
    with pytest.raises(TypeError, match=rf"^{name} must .*float.*{dtype}"):
        HeatmapPropagator()(**named)


@pytest.mark.parametrize("name", ["offset", "size"])
def test_a_map_on_another_device_is_refused(name):
    heatmap, _, _ = toy.random_maps()
    with pytest.raises(ValueError, match=rf"{name} is on meta.*cpu"):
        HeatmapPropagator()(heatmap, **{name: torch.rand(2, 2, 6, 5, device="meta")})


def test_an_extra_on_another_device_is_refused():
    heatmap, _, _ = toy.random_maps()
    with pytest.raises(ValueError, match=r"depth.*meta.*cpu"):
        HeatmapPropagator()(heatmap, extras={"depth": torch.rand(2, 1, 6, 5, device="meta")})


# --- reset ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(1,), (3,), (2, 1), ()])
def test_a_reset_mask_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=r"reset must have shape \(2,\)"):
        HeatmapPropagator()(*toy.random_maps(), reset=torch.zeros(shape, dtype=torch.bool))


@pytest.mark.parametrize("reset", [torch.tensor([0, 1]), [True, False], True])
def test_a_reset_mask_that_is_no_bool_tensor_is_refused(reset):
    with pytest.raises(TypeError, match="reset must be a bool"):
        HeatmapPropagator()(*toy.random_maps(), reset=reset)


def test_a_reset_mask_on_another_device_is_refused():
    with pytest.raises(ValueError, match=r"reset is on meta.*cpu"):
        HeatmapPropagator()(*toy.random_maps(), reset=torch.zeros(2, dtype=torch.bool, device="meta"))


def test_a_chunks_reset_without_time_is_refused():
    with pytest.raises(ValueError, match=r"reset must have shape \(2, 4\)"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), reset=torch.zeros(2, dtype=torch.bool))


# --- motion and skipped frames ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 3), (2, 3, 2), (2, 3, 3), (2, 2, 5, 6), (2, 1, 6, 5), ()])
def test_a_shift_of_another_shape_is_refused(shape):
    with pytest.raises(ValueError, match=rf"^shift must have shape .*, in cells, got {re.escape(str(shape))}"):
        HeatmapPropagator()(*toy.random_maps(), shift=torch.zeros(shape))


@pytest.mark.parametrize("shift", [(1.0, 2.0), [[0, 0], [0, 0]], torch.zeros(2, 2, dtype=torch.int64)])
def test_a_shift_of_another_type_is_refused(shift):
    with pytest.raises(TypeError, match=r"^shift must"):
        HeatmapPropagator()(*toy.random_maps(), shift=shift)


def test_a_shift_on_another_device_is_refused():
    with pytest.raises(ValueError, match=r"shift is on meta.*cpu"):
        HeatmapPropagator()(*toy.random_maps(), shift=torch.zeros(2, 2, device="meta"))


@pytest.mark.parametrize("shape", [(2, 2), (2, 3, 2), (4, 2), (2,)])
def test_a_chunks_shift_without_its_frames_is_refused(shape):
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"^shift must have shape \(B, T"):
        propagator.forward_chunk(torch.rand(2, 4, 3, 6, 5), shift=torch.zeros(shape))
    assert propagator.state is None


def test_a_chunks_shift_that_is_no_tensor_is_refused():
    with pytest.raises(TypeError, match=r"^shift must be a torch.Tensor, got list"):
        HeatmapPropagator().forward_chunk(torch.rand(2, 4, 3, 6, 5), shift=[0, 0])


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
    propagator(*toy.random_maps())
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
    propagator(*toy.random_maps())
    with pytest.raises(ValueError, match=rf"{re.escape(str(shape))}.*reset\(\)"):
        propagator(torch.rand(shape))


def test_another_device_between_frames_asks_for_reset():
    propagator = HeatmapPropagator()
    propagator(*toy.random_maps())
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
    propagator(*toy.random_maps())
    with pytest.raises(ValueError, match=r"reset\(\)"):
        propagator(torch.rand(1, 3, 7, 7))
    propagator.reset()
    assert propagator(torch.rand(1, 3, 7, 7)).detections.ages.max() == 1


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


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        (
            (torch.zeros(1, 1, 12, 16).to(torch.float8_e4m3fn),),
            "heatmap must hold floating point numbers of 16 to 64 bits",
        ),
        ((torch.zeros(1, 1, 12, 16).to_sparse(),), "heatmap must be a dense tensor"),
        ((torch.zeros((1, 1, 12, 16), dtype=torch.complex64),), "heatmap must hold floating point"),
        ((torch.zeros(1, 1, 12, 16), torch.zeros(1, 2, 12, 16).to_sparse()), "offset must be a dense tensor"),
    ],
)
def test_maps_of_a_kind_that_the_core_cannot_read_are_refused(maps, message):
    with pytest.raises(TypeError, match=message):
        HeatmapPropagator()(*maps)


@pytest.mark.parametrize("chunk", [False, True])
def test_an_extra_that_is_none_is_refused(chunk):
    heatmap = torch.zeros(1, 1, 1, 12, 16) if chunk else torch.zeros(1, 1, 12, 16)
    call = HeatmapPropagator().forward_chunk if chunk else HeatmapPropagator()
    with pytest.raises(TypeError, match=r"extras\['a'\] must be a torch.Tensor, got NoneType"):
        call(heatmap, extras={"a": None})
