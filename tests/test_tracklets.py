"""The state between two frames: continued, forgotten stream by stream, copied, moved and never saved."""

import copy
import math
import pickle

import pytest
import torch
import toy
from comparing import assert_same_bits, assert_same_state
from steady_options import STEADY
from torch import nn
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
    Tracklets,
)

# --- reset ------------------------------------------------------------------------------------------------------------


def test_reset_forgets_everything():
    propagator, maps, _ = toy.fed()
    propagator.reset()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


def test_reset_before_the_first_frame_is_allowed():
    propagator, maps = HeatmapPropagator(), toy.frame(toy.crowd(0), 0)
    propagator.reset()
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


def test_maps_may_change_shape_batch_and_dtype_after_reset():
    propagator, _, _ = toy.fed()
    propagator.reset()
    output = propagator(torch.rand(5, 1, 7, 7, dtype=torch.float64))
    assert output.heatmap.shape == (5, 1, 7, 7)
    assert propagator.state.score.dtype == torch.float64


@pytest.mark.parametrize("streams", [1, [1], torch.tensor([False, True])], ids=["index", "list", "mask"])
def test_reset_of_a_stream_leaves_the_others_alone(streams):
    propagator, maps, _ = toy.fed()
    untouched, _, _ = toy.fed()
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
    propagator, maps, _ = toy.fed()
    propagator.reset(streams)
    assert_same_bits(toy.feed(propagator, maps), toy.feed(HeatmapPropagator(), maps))


@pytest.mark.parametrize("streams", [[], torch.tensor([False, False])], ids=["list", "mask"])
def test_reset_of_no_stream_changes_nothing(streams):
    propagator, maps, _ = toy.fed()
    propagator.reset(streams)
    assert_same_bits(toy.feed(propagator, maps), toy.feed(toy.fed()[0], maps))


def test_the_reset_mask_of_forward_equals_reset_before_it():
    one, maps, _ = toy.fed()
    other, _, _ = toy.fed()
    other.reset(0)
    assert_same_bits(toy.feed(one, maps, reset=torch.tensor([True, False])), toy.feed(other, maps))
    assert_same_state(one.state, other.state)


def test_track_ids_restart_on_reset():
    propagator, maps, _ = toy.fed()
    detections = toy.feed(propagator, maps, reset=torch.tensor([True, False])).detections
    count = int(detections.valid[0].sum())
    assert detections.track_ids[0, :count].tolist() == list(range(count))
    assert detections.track_ids[1].max() >= detections.valid[1].sum()
    assert propagator.state.next_id[0] == count


def test_a_reset_stream_is_like_a_fresh_one():
    propagator = HeatmapPropagator()
    propagator(torch.rand(2, 1, 8, 8), size=torch.rand(2, 2, 8, 8))
    propagator.reset(0)
    fresh = propagator.initial_state(2)
    for name in propagator.state._fields:
        assert torch.equal(getattr(propagator.state, name)[0], getattr(fresh, name)[0])


# --- state ------------------------------------------------------------------------------------------------------------


def test_there_is_no_state_before_the_first_frame():
    assert HeatmapPropagator().state is None


def test_a_state_that_is_set_is_continued():
    propagator, maps, _ = toy.fed()
    other = HeatmapPropagator()
    other.state = propagator.state
    assert_same_bits(toy.feed(other, maps), toy.feed(propagator, maps))
    assert_same_state(other.state, propagator.state)


def test_the_state_can_be_wound_back():
    propagator, maps, _ = toy.fed()
    saved = propagator.state
    first = toy.feed(propagator, maps)
    propagator.state = saved
    assert_same_bits(toy.feed(propagator, maps), first)


def test_setting_the_state_to_none_is_reset():
    propagator, maps, _ = toy.fed()
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


def test_forward_and_reset_replace_the_state_instead_of_writing_to_it():
    propagator, maps, _ = toy.fed()
    held = propagator.state
    before = [tensor.clone() for tensor in held]
    toy.feed(propagator, maps)
    propagator.reset(0)
    propagator.reset(torch.tensor([True, True]))
    propagator.reset()
    assert_same_state(held, Tracklets(*before))


# --- copied, moved, never saved ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_continues_the_video_on_its_own(duplicate):
    propagator, maps, _ = toy.fed(radius=1, beta=math.inf)
    other = duplicate(propagator)
    expected = toy.feed(toy.fed(radius=1, beta=math.inf)[0], maps)
    assert_same_bits(toy.feed(other, maps), expected)
    assert_same_bits(toy.feed(propagator, maps), expected)


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_of_a_fresh_propagator_is_fresh(duplicate):
    maps = toy.frame(toy.crowd(0), 0)
    other = duplicate(HeatmapPropagator())
    assert other.state is None
    assert_same_bits(toy.feed(other, maps), toy.feed(HeatmapPropagator(), maps))


def test_a_state_survives_pickle():
    state = toy.fed()[0].state
    assert_same_state(pickle.loads(pickle.dumps(state)), state)


def test_the_state_dict_is_empty_with_and_without_state():
    propagator, _, _ = toy.fed()
    assert HeatmapPropagator().state_dict() == {}
    assert propagator.state_dict() == {}
    propagator.load_state_dict({})


def test_the_state_moves_with_to():
    propagator, _, _ = toy.fed()
    propagator.to("meta")
    assert {tensor.device.type for tensor in propagator.state} == {"meta"}


def test_the_state_moves_with_the_module_that_holds_the_propagator():
    propagator, _, _ = toy.fed()
    nn.Sequential(nn.Conv2d(1, 1, 1), propagator).to("meta")
    assert {tensor.device.type for tensor in propagator.state} == {"meta"}


def test_counts_survive_half():
    propagator, _, _ = toy.fed()
    before = propagator.state
    propagator.half()
    for name in ("label", "x", "y", "length", "track_id", "valid", "next_id"):
        assert torch.equal(getattr(propagator.state, name), getattr(before, name)), name


def test_a_video_goes_on_after_half():
    propagator, maps, _ = toy.fed()
    propagator.half()
    output = propagator(maps.heatmap.half(), maps.offset.half(), maps.size.half())
    assert output.detections.ages.max() == 4
    assert propagator.state.score.dtype == torch.float32


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


# --- fields -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, STEADY], ids=["paper", "steady"])
def test_tracklets_of_nine_fields_are_a_state(options):
    maps, propagator = toy.crowd(0)._replace(offset=None), HeatmapPropagator(**options)
    toy.feed(propagator, toy.frame(maps, 0))
    full = propagator.state
    assert not full.unseen.any()
    assert not full.velocity.any()
    short = Tracklets(*full[:9])
    _, expected = propagator.step(full, *toy.frame(maps, 1)[:3])
    _, stepped = propagator.step(short, *toy.frame(maps, 1)[:3])
    propagator.state = short
    propagator.reset([])
    for output in (stepped, toy.feed(propagator, toy.frame(maps, 1))):
        assert torch.equal(output.detections.boxes, expected.detections.boxes)
        assert torch.equal(output.detections.track_ids, expected.detections.track_ids)


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda module: pickle.loads(pickle.dumps(module))])
def test_a_copy_goes_on_with_positions_velocities_and_gaps(copied):
    maps, propagator = toy.crowd(0), HeatmapPropagator.steady()
    for time in range(4):
        toy.feed(propagator, toy.frame(maps, time))
    other = copied(propagator)
    assert propagator.state.velocity.any()
    assert propagator.state.unseen.any()
    for name, value in propagator.state._asdict().items():
        assert torch.equal(getattr(other.state, name), value), name
    one, two = (toy.feed(module, toy.frame(maps, 4)) for module in (propagator, other))
    assert torch.equal(one.detections.boxes, two.detections.boxes)


def test_the_newer_fields_move_with_the_module_and_are_not_saved():
    propagator = HeatmapPropagator.steady()
    toy.feed(propagator, toy.frame(toy.crowd(0), 0))
    assert propagator.state_dict() == {}
    state = propagator.to("meta").state
    assert {state.position.device.type, state.velocity.device.type, state.unseen.device.type} == {"meta"}
    assert (state.position.shape, state.velocity.shape, state.unseen.dtype) == ((2, 100, 2), (2, 100, 2), torch.float64)


def test_the_state_is_what_was_returned():
    propagator = HeatmapPropagator()
    maps = toy.crowd(13, frames=3)
    for time in range(3):
        detections = toy.feed(propagator, toy.frame(maps, time)).detections
    state, valid = propagator.state, detections.valid
    assert torch.equal(state.valid, valid)
    for name, value in [
        ("label", detections.labels),
        ("x", detections.cells[..., 0]),
        ("y", detections.cells[..., 1]),
        ("score", detections.scores),
        ("length", detections.ages),
        ("track_id", detections.track_ids),
    ]:
        assert torch.equal(getattr(state, name)[valid], value[valid]), name
    sides = (detections.boxes[..., 2:] - detections.boxes[..., :2]) / 4
    assert_close(state.size[valid], sides[valid], rtol=0, atol=1e-12)


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("streams", [2, -3, [0, 5], torch.zeros(3, dtype=torch.bool)], ids=["2", "-3", "list", "mask"])
def test_a_stream_that_does_not_exist_cannot_be_reset(streams):
    propagator = HeatmapPropagator()
    propagator(*toy.random_maps())
    with pytest.raises(ValueError, match="stream"):
        propagator.reset(streams)


@pytest.mark.parametrize("state", [1, "state", {}, (1, 2)])
def test_a_state_that_is_no_tracklets_is_refused(state):
    with pytest.raises(TypeError, match="state must be Tracklets"):
        HeatmapPropagator().state = state


def test_step_refuses_a_state_that_is_no_tracklets():
    with pytest.raises(TypeError, match="state must be Tracklets"):
        HeatmapPropagator().step((1, 2), *toy.random_maps())


def test_step_refuses_a_state_of_another_batch():
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"2 streams.*3.*reset\(\)"):
        propagator.step(propagator.initial_state(3), *toy.random_maps())


def test_step_refuses_a_state_of_another_top_k():
    state = HeatmapPropagator(top_k=7).initial_state(2)
    with pytest.raises(ValueError, match=r"7.*top_k.*100"):
        HeatmapPropagator().step(state, *toy.random_maps())


def test_step_refuses_a_state_on_another_device():
    propagator = HeatmapPropagator()
    with pytest.raises(ValueError, match=r"state.*meta"):
        propagator.step(propagator.initial_state(2, device="meta"), *toy.random_maps())


def state(**changes):
    propagator = HeatmapPropagator(top_k=3)
    propagator(*toy.one_spot(0.9))
    return propagator.state._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": torch.full((1, 3), math.nan)}, "state.score must be finite"),
        ({"score": torch.full((1, 3), 1.5)}, r"state.score must be in \[0, 1\]"),
        ({"size": torch.full((1, 3, 2), math.inf)}, "state.size must be finite"),
        ({"size": torch.full((1, 3, 2), -1.0)}, "state.size must be at least 0"),
        ({"x": torch.full((1, 3), -4)}, "state.x must be at least 0"),
        ({"y": torch.zeros(1, 2, dtype=torch.int64)}, r"state.y must have shape \(1, 3\)"),
        ({"next_id": torch.zeros(3, dtype=torch.int64)}, r"state.next_id must have shape \(1,\)"),
        ({"valid": torch.ones(1, 3)}, "state.valid must be a bool tensor"),
        ({"label": torch.zeros(1, 3)}, "state.label must hold whole numbers"),
        ({"score": torch.zeros(1, 3, dtype=torch.int64)}, "state.score must hold floating point"),
        ({"score": "high"}, "state.score must be a torch.Tensor"),
        ({"position": torch.zeros(1, 3, 2, device="meta")}, "state.position is on meta"),
    ],
)
def test_a_state_that_no_propagator_leaves_is_refused_and_changes_nothing(changes, message):
    propagator = HeatmapPropagator(top_k=3)
    propagator(*toy.one_spot(0.9))
    before = propagator.state
    with pytest.raises((TypeError, ValueError), match=message):
        propagator.state = state(**changes)
    assert all(one is other for one, other in zip(propagator.state, before, strict=True))


def test_a_state_that_is_set_is_a_copy():
    propagator, given = HeatmapPropagator(top_k=3), state()
    propagator.state = given
    given.score.fill_(0.1)
    assert propagator.state.score[0, 0] == 0.9


def test_step_reads_nothing_outside_a_smaller_map():
    large = HeatmapPropagator(top_k=3)
    heatmap = torch.zeros(1, 2, 64, 64)
    heatmap[0, 1, 60, 61] = 0.9
    large(heatmap, size=torch.full((1, 2, 64, 64), 4.0))
    small = torch.zeros(1, 1, 16, 16)
    _, output = large.step(large.state, small, size=torch.full((1, 2, 16, 16), 4.0))
    assert output.heatmap.shape == small.shape


def test_the_first_nine_fields_make_a_state():
    propagator, whole = HeatmapPropagator(top_k=3), state()
    propagator.state = Tracklets(*whole[:9])
    assert propagator(*toy.one_spot(0.0)).detections.carried[0, 0]


def test_a_call_that_finds_the_memory_changed_by_another_thread_says_so(monkeypatch):
    import heatprop.propagator as module

    propagator = HeatmapPropagator()
    propagator(*toy.one_spot(0.9))
    real = module.predict

    def meanwhile(*arguments, **options):
        monkeypatch.setattr(module, "predict", real)
        propagator(*toy.one_spot(0.5))  # what another thread does between reading and writing
        return real(*arguments, **options)

    monkeypatch.setattr(module, "predict", meanwhile)
    with pytest.raises(RuntimeError, match="another thread"):
        propagator(*toy.one_spot(0.7))
