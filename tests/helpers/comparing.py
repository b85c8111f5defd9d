"""What it means that two outputs, two states, or an output and the oracle's answer, are the same."""

import numpy as np
import pytest
import torch
import toy
from oracles import OraclePropagator
from steady_oracle import SteadyOracle
from torch.testing import assert_close

from heatprop import Detections, HeatmapPropagator

# --- two outputs ------------------------------------------------------------------------------------------------------


def tensors(output):
    """All tensors of a PropagatorOutput that the contract names."""
    fields = output.detections._asdict()
    extras = fields.pop("extras")
    return {"heatmap": output.heatmap, **fields, **extras}


def stack(outputs):
    """The tensors of T outputs as (B, T, ...)."""
    frames = [tensors(output) for output in outputs]
    return {name: torch.stack([frame[name] for frame in frames], dim=1) for name in frames[0]}


def assert_same_bits(one, other):
    one, other = tensors(one), tensors(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert torch.equal(value, other[name]), name


def assert_close_outputs(one, other):
    one, other = tensors(one), tensors(other)
    assert one.keys() == other.keys()
    for name, value in one.items():
        assert_close(value, other[name], msg=lambda text, name=name: f"{name}: {text}")


def at(detections, time):
    """The detections of one frame of a chunk."""
    fields = {name: value[:, time] for name, value in detections._asdict().items() if name != "extras"}
    return Detections(**fields, extras={name: value[:, time] for name, value in detections.extras.items()})


def assert_same_detections(one, other):
    for name, value in one._asdict().items():
        if name != "extras":
            assert value.dtype == getattr(other, name).dtype, name
            assert torch.equal(value, getattr(other, name)), name
    assert one.extras.keys() == other.extras.keys()
    for name, value in one.extras.items():
        assert torch.equal(value, other.extras[name]), name


def assert_same_state(one, other):
    for name, value in one._asdict().items():
        assert torch.equal(value, getattr(other, name)), name


# --- the oracles ------------------------------------------------------------------------------------------------------

NAMES = {
    "boxes": "box",
    "scores": "score",
    "labels": "label",
    "ages": "age",
    "track_ids": "track_id",
    "network_scores": "network_score",
    "carried": "carried",
    "cells": "cell",
}
FIELDS = ("label", "x", "y", "score", "length", "size", "track_id", "position", "velocity", "unseen")
KNOWN = ("label", "position", "previous", "size", "velocity", "unseen", "sightings")


def assert_near(value, expected, tolerance, name=""):
    """`assert_allclose` for the many small arrays of a sequence: ten times as fast where they are equal."""
    expected = np.asarray(expected)
    assert value.shape == expected.shape, name
    with np.errstate(invalid="ignore"):
        near = np.abs(np.subtract(value, expected, dtype=float)) <= tolerance
    if not near.all():  # not near, or equal infinities, or NaN in both
        np.testing.assert_allclose(value, expected, rtol=0, atol=tolerance, err_msg=name)


def assert_frame_equals(output, expected, tolerance=1e-10):
    """One PropagatorOutput against what the oracle returned for the same frame."""
    size_map = None if output.network_size is None else output.size_map().double().numpy()
    for stream, (found, frame) in enumerate(zip(output.detections.unpad(), expected, strict=True)):
        assert_near(output.heatmap[stream].double().numpy(), frame["heatmap"], tolerance, "heatmap")
        assert len(found["scores"]) == len(frame["detections"])
        for name, key in NAMES.items():
            column = np.array([detection[key] for detection in frame["detections"]])
            column = column.reshape(found[name].shape).astype(found[name].numpy().dtype)
            assert_near(found[name].numpy(), column, tolerance * 100, name)
        assert_extras_near(found["extras"], frame["detections"], tolerance)
        if size_map is not None:
            assert_near(size_map[stream], frame["size_map"], tolerance * 100, "size_map")


def assert_extras_near(extras, expected, tolerance=1e-9):
    """The extras of one frame's detections against those of the oracle's."""
    assert not expected or extras.keys() == expected[0]["extras"].keys()
    for name, values in extras.items():
        column = [detection["extras"][name] for detection in expected]
        assert_near(values.numpy(), np.reshape(column, values.shape), tolerance, name)


def assert_sequence_equals(maps, tolerance=1e-10, reset=None, **options):
    propagator, oracle = HeatmapPropagator(**options), OraclePropagator(**options)
    for time in range(maps.heatmap.shape[1]):
        frame = toy.frame(maps, time)
        mask = None if reset is None else reset[:, time]
        output = toy.feed(propagator, frame, reset=mask)
        expected = oracle.forward(
            frame.heatmap.double().numpy(),
            None if frame.offset is None else frame.offset.numpy(),
            None if frame.size is None else frame.size.numpy(),
            extras=None if frame.extras is None else {name: value.numpy() for name, value in frame.extras.items()},
            reset=None if mask is None else mask.numpy(),
        )
        assert_frame_equals(output, expected, tolerance)
    assert not oracle.tied_at_top_k, "rule 3 leaves this open: choose other maps"
    return oracle


def numpy_or_none(value):
    return None if value is None else value.numpy()


def assert_state_equals(state, oracle, tolerance=1e-9):
    arrays = {name: value.numpy() for name, value in state._asdict().items()}
    for stream, memories in enumerate(oracle.memories):
        valid = arrays["valid"][stream]
        assert valid.sum() == len(memories)
        assert arrays["next_id"][stream] == oracle.next_id[stream]
        for name in FIELDS:
            value = arrays[name][stream][valid]
            assert_near(value, np.reshape([getattr(memory, name) for memory in memories], value.shape), tolerance, name)
        assert arrays["unwatched"][stream] == oracle.unwatched[stream]
        known = oracle.people[stream].known
        known_ids = [-1 if one is None else one.track_id for one in known]
        assert arrays["known_id"][stream].tolist() == known_ids
        places = [place for place, one in enumerate(known) if one is not None]
        assert_extras_equal(arrays["extras"][stream], arrays["has_extras"][stream], valid, oracle, stream, tolerance)
        for name in KNOWN:
            value = arrays[f"known_{name}"][stream][places]
            expected = [getattr(known[place], name) for place in places]
            assert_near(value, np.reshape(expected, value.shape), tolerance, name)


def assert_extras_equal(values, known, valid, oracle, stream, tolerance):
    """What a state remembers of extras, (K, R) and (K, E), against the oracle."""
    assert not values[~valid].any()
    assert not known[~valid].any()
    first, remember = 0, oracle.remember or {}
    for number, (name, (_, depth)) in enumerate(remember.items()):
        column = values[valid][:, first : first + depth]
        expected = [memory.extras.get(name, np.zeros(depth)) for memory in oracle.memories[stream]]
        assert_near(column, np.reshape(expected, column.shape), tolerance, name)
        assert known[valid][:, number].tolist() == [name in memory.extras for memory in oracle.memories[stream]]
        first += depth
    assert values.shape[1:] == (first,)
    assert known.shape[1:] == (len(remember),)


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


TIMES = (0.25, 0.5, 1.0, 1.0, 1.5, 2.0, 4.0)
"""Frames since the last call, of which a stream draws one; all exact in binary."""


def assert_steady_equals(
    maps, *, shift=None, coast=False, reset=False, dt=False, without=None, tolerance=1e-10, **options
):
    """Feed a propagator and the oracle the same frames, motions, resets and times, skip some; return the oracle.

    ``without`` tells the extras that are left out of a frame.
    """
    propagator, oracle, random = HeatmapPropagator(**options), SteadyOracle(**options), np.random.default_rng(1)
    batch, frames, *shape = maps.heatmap.shape
    for time in range(frames):
        now = toy.frame(maps, time)
        left_out = without(time) if without else ()
        now = now._replace(extras={name: value for name, value in now.extras.items() if name not in left_out})
        motion = make_shift(shift, random, batch, shape)
        mask = torch.from_numpy(random.random(batch) < 0.2) if reset else None
        passed = torch.from_numpy(random.choice(TIMES, batch)) if dt else None
        output = toy.feed(propagator, now, reset=mask, shift=motion, dt=passed)
        expected = oracle.forward(
            *(numpy_or_none(value) for value in now[:3]),
            extras={name: value.numpy() for name, value in now.extras.items()},
            reset=numpy_or_none(mask),
            shift=numpy_or_none(motion),
            dt=numpy_or_none(passed),
        )
        assert not oracle.tied_at_top_k, "rule 3 leaves this open: choose other maps"
        assert_frame_equals(output, expected, tolerance)
        assert_state_equals(propagator.state, oracle)
        if coast and time % 2:
            motion = make_shift(shift if shift != "flow" else None, random, batch, shape)
            passed = torch.from_numpy(random.choice(TIMES, batch)) if dt else None
            skipped = propagator.coast(2, shift=motion, dt=passed)
            coasted = oracle.coast(2, numpy_or_none(motion), numpy_or_none(passed))
            for found, stream in zip(skipped.unpad(), coasted, strict=True):
                np.testing.assert_allclose(found["boxes"].numpy(), np.reshape([d["box"] for d in stream], (-1, 4)))
                for name, key in (("scores", "score"), ("ages", "age"), ("track_ids", "track_id"), ("cells", "cell")):
                    assert found[name].tolist() == [pytest.approx(d[key]) for d in stream]
                assert_extras_near(found["extras"], stream)
                assert found["carried"].all()
                assert not found["network_scores"].any()
            assert_state_equals(propagator.state, oracle)
    return oracle
