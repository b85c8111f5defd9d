"""The options beyond the paper against a loop oracle, and that they are off until asked for."""

import copy
import pickle

import numpy as np
import pytest
import torch
import toy
from oracles import OraclePropagator
from steady_oracle import SteadyOracle
from test_propagation import assert_frame_equals

from heatprop import HeatmapPropagator, Tracklets
from heatprop.options import STEADY as STEADY_OPTIONS

OFF = {
    "average": "arithmetic",
    "claim_once": False,
    "max_length": None,
    "evidence": False,
    "max_unseen": None,
    "border": 0.0,
    "velocity": False,
    "radius_per_size": 0.0,
    "max_radius": 4,
}
SINGLE = [
    {"average": "geometric"},
    {"claim_once": True},
    {"max_length": 2},
    {"evidence": True},
    {"max_unseen": 0},
    {"max_unseen": 2},
    {"velocity": True},
    {"velocity": True, "border": 0.9},
    {"velocity": True, "border": 1.0},
    {"radius_per_size": 0.3, "max_radius": 3},
]
FIELDS = ("label", "x", "y", "score", "length", "size", "track_id", "position", "velocity", "unseen")

STEADY = STEADY_OPTIONS.as_keywords()


def numpy_or_none(value):
    return None if value is None else value.numpy()


def assert_state_equals(state, oracle, tolerance=1e-9):
    for stream, memories in enumerate(oracle.memories):
        valid = state.valid[stream]
        assert valid.sum() == len(memories)
        assert state.next_id[stream] == oracle.next_id[stream]
        for name in FIELDS:
            value = getattr(state, name)[stream][valid].numpy()
            expected = np.reshape([getattr(memory, name) for memory in memories], value.shape)
            np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance, err_msg=name)


def make_shift(kind, random, batch, shape):
    """A random motion of the picture, a few of its numbers not finite; ``None`` for no kind."""
    if kind is None:
        return None
    if kind == "affine":
        turned = np.eye(2) + random.normal(0, 0.1, (batch, 2, 2))
        shift = np.concatenate([turned, random.normal(0, 1, (batch, 2, 1))], axis=2)
    else:
        shift = random.normal(0, 1.5, (batch, 2) if kind == "translation" else (batch, 2, *shape[1:]))
    shift[random.random(shift.shape) < 0.05] = random.choice([np.nan, np.inf])
    return torch.from_numpy(shift)


def assert_sequence_equals(maps, *, shift=None, coast=False, reset=False, tolerance=1e-10, **options):
    """Feed a propagator and the oracle the same frames, motions, resets and skipped frames; return the oracle."""
    propagator, oracle, random = HeatmapPropagator(**options), SteadyOracle(**options), np.random.default_rng(1)
    batch, frames, *shape = maps.heatmap.shape
    for time in range(frames):
        now = toy.frame(maps, time)
        motion = make_shift(shift, random, batch, shape)
        mask = torch.from_numpy(random.random(batch) < 0.2) if reset else None
        output = toy.feed(propagator, now, reset=mask, shift=motion)
        expected = oracle.forward(
            *(numpy_or_none(value) for value in now[:3]),
            extras={name: value.numpy() for name, value in now.extras.items()},
            reset=numpy_or_none(mask),
            shift=numpy_or_none(motion),
        )
        assert not oracle.tied_at_top_k, "rule 3 leaves this open: choose other maps"
        assert_frame_equals(output, expected, tolerance)
        assert_state_equals(propagator.state, oracle)
        if coast and time % 2:
            motion = make_shift(shift if shift != "flow" else None, random, batch, shape)
            skipped = propagator.coast(2, shift=motion)
            for found, stream in zip(skipped.unpad(), oracle.coast(2, numpy_or_none(motion)), strict=True):
                np.testing.assert_allclose(found["boxes"].numpy(), np.reshape([d["box"] for d in stream], (-1, 4)))
                for name, key in (("scores", "score"), ("ages", "age"), ("track_ids", "track_id"), ("cells", "cell")):
                    assert found[name].tolist() == [pytest.approx(d[key]) for d in stream]
                assert found["carried"].all()
                assert not found["network_scores"].any()
            assert_state_equals(propagator.state, oracle)
    return oracle


# --- against the oracle -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_with_every_option_off_both_oracles_agree(radius):
    maps, one, other = toy.crowd(radius), OraclePropagator(radius=radius), SteadyOracle(radius=radius)
    for time in range(6):
        now = [value.numpy() for value in toy.frame(maps, time)[:3]]
        for paper, steady in zip(one.forward(*now), other.forward(*now), strict=True):
            np.testing.assert_allclose(steady["heatmap"], paper["heatmap"], rtol=0, atol=1e-15)
            assert [d["cell"] for d in steady["detections"]] == [d["cell"] for d in paper["detections"]]
            assert [d["track_id"] for d in steady["detections"]] == [d["track_id"] for d in paper["detections"]]


@pytest.mark.parametrize("carry", ["balanced", "network"])
@pytest.mark.parametrize("option", SINGLE, ids=str)
@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_an_option_alone_equals_the_oracle(option, carry, radius):
    maps = toy.crowd(radius, frames=5, shape=(2, 9, 11), density=0.3)
    assert_sequence_equals(maps, radius=radius, carry=carry, coast=True, **option)


@pytest.mark.parametrize("kind", ["translation", "affine", "flow"])
@pytest.mark.parametrize("options", [{}, {"border": 0.9}, STEADY], ids=["paper", "border", "steady"])
def test_a_motion_of_the_picture_equals_the_oracle(kind, options):
    assert_sequence_equals(toy.crowd(7, batch=3), shift=kind, coast=True, reset=True, **options)


def mixed(seed):
    """Some of the options, drawn by a seed."""
    random = np.random.default_rng(seed)
    options = dict(STEADY) if seed % 3 == 0 else {"radius": int(random.integers(0, 4))}
    for option in SINGLE:
        if random.random() < 0.4:
            options |= option
    if "radius_per_size" in options:
        options["max_radius"] = max(options["max_radius"], options["radius"])
    return options | {"alpha": float(random.choice([0.5, 0.96, 1.0])), "beta": float(random.choice([0.5, 10, np.inf]))}


@pytest.mark.parametrize("seed", range(24))
def test_mixed_options_equal_the_oracle(seed):
    classes, batch, kind = seed % 3 + 1, seed // 3 % 3 + 1, [None, "translation", "affine", "flow"][seed % 4]
    maps = toy.crowd(seed, batch=batch, shape=(classes, 9, 11), density=0.3, largest=[2.0, 5.0, 9.0][seed % 3])
    heatmap = maps.heatmap.clone()
    heatmap[:, 2, :, ::2, ::3] = [np.nan, np.inf, -np.inf][seed % 3]
    heatmap[:, 4] = 0
    maps = maps._replace(heatmap=heatmap, offset=3 * maps.offset - 1)
    assert_sequence_equals(maps, shift=kind, coast=seed % 2 == 0, reset=seed % 5 == 0, **mixed(seed))


@pytest.mark.parametrize("options", [STEADY, STEADY | {"top_k": 4}, STEADY | {"score_threshold": 0.0}], ids=str)
def test_points_places_and_thresholds_of_steady_equal_the_oracle(options):
    maps = toy.crowd(3, density=0.5)
    assert_sequence_equals(maps, **options)
    assert_sequence_equals(maps._replace(size=None), shift="translation", **options)
    assert_sequence_equals(maps._replace(offset=None), shift="affine", coast=True, **options)


@pytest.mark.parametrize("levels", [2, 8])
@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("once", [False, True])
def test_ties_equal_the_oracle(levels, average, once):
    maps = toy.crowd(31, frames=4, shape=(2, 6, 7), density=0.4, levels=levels, largest=2.0)
    assert_sequence_equals(maps, radius=1, top_k=84, average=average, claim_once=once, velocity=True)


def test_the_sequences_exercise_every_rule():
    """The comparisons above would say little about maps on which nothing happens."""
    maps, events = toy.crowd(0, frames=12, density=0.3), {}
    maps.heatmap[:, 5:8] = 0
    for options in (STEADY, STEADY | {"max_unseen": 0, "average": "arithmetic"}):
        oracle = assert_sequence_equals(maps, shift="translation", **options)
        events = {name: events.get(name, 0) + count for name, count in oracle.events.items()}
    assert min(events.values()) > 5, events


# --- off by default ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"radius": 0, "alpha": 0.5, "beta": float("inf")}, {"carry": "network"}])
def test_off_values_change_no_bit(options):
    maps = toy.crowd(0, dtype=torch.float32)
    plain, off = HeatmapPropagator(**options), HeatmapPropagator(**options, **OFF)
    for time in range(6):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (plain, off))
        assert torch.equal(one.heatmap, other.heatmap)
        assert torch.equal(one.detections.boxes, other.detections.boxes)
        assert torch.equal(one.detections.track_ids, other.detections.track_ids)


def test_a_border_without_motion_changes_no_bit():
    maps = toy.crowd(0, dtype=torch.float32)
    one, other = (
        HeatmapPropagator(**options).forward_chunk(maps.heatmap, maps.offset, maps.size)
        for options in ({}, {"border": 1.0})
    )
    assert torch.equal(one.detections.boxes, other.detections.boxes)


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


# --- the preset and the state -----------------------------------------------------------------------------------------


def test_steady_is_the_constructor_with_the_preset():
    assert HeatmapPropagator.steady().extra_repr() == HeatmapPropagator(**STEADY).extra_repr()


def test_an_override_replaces_one_option_of_steady():
    propagator = HeatmapPropagator.steady(radius=2, stride=8)
    assert (propagator.radius, propagator.stride, propagator.alpha) == (2, 8, STEADY["alpha"])
    assert STEADY["radius"] == 1


def test_steady_makes_what_it_is_called_on():
    class Mine(HeatmapPropagator):
        pass

    assert type(Mine.steady()) is Mine


def test_steady_refuses_an_unknown_option():
    with pytest.raises(TypeError, match="gamma"):
        HeatmapPropagator.steady(gamma=1)


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
    assert (state.position.shape, state.velocity.shape, state.unseen.dtype) == ((2, 100, 2), (2, 100, 2), torch.int32)
