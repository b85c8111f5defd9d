"""The option ``remember``: read, checked, and held against the maps that come."""

import copy
import pickle
import re

import numpy as np
import pytest
import torch
import toy

from heatprop import HeatmapPropagator, PropagatorOptions
from heatprop.remembering.rules import Remembered, depth_of, read_rules


def test_rules_are_read_in_their_order():
    rules = read_rules({"b": ("points", 10), "a": ["last", np.int64(3)]})
    assert rules == (Remembered("b", "points", 10), Remembered("a", "last", 3))
    assert depth_of(rules) == 13


@pytest.mark.parametrize("nothing", [None, {}])
def test_nothing_is_remembered_without_names(nothing):
    assert read_rules(nothing) == ()
    assert HeatmapPropagator(remember=nothing).initial_state(2).extras.shape == (2, 100, 0)


@pytest.mark.parametrize(
    ("remember", "error", "message"),
    [
        ([("depth", "blend", 1)], TypeError, "remember must be a dict {name: (rule, depth)}, got [('depth'"),
        ("depth", TypeError, "remember must be a dict {name: (rule, depth)}, got 'depth'"),
        ({1: ("blend", 1)}, TypeError, "remember must have names of extras as keys, got 1"),
        (
            {"d": "blend"},
            TypeError,
            """remember['d'] must be a pair (rule, depth) such as ("blend", 10), got 'blend'""",
        ),
        ({"d": ("blend",)}, TypeError, "remember['d'] must be a pair (rule, depth)"),
        ({"d": 3}, TypeError, "remember['d'] must be a pair (rule, depth)"),
        (
            {"d": ("mean", 1)},
            ValueError,
            """remember['d'] must have the rule "blend", "points", "angle" or "last", got 'mean'""",
        ),
        ({"d": (["blend"], 1)}, ValueError, "got ['blend']"),
        ({"d": ("blend", 0)}, ValueError, "the depth of remember['d'] must be at least 1, got 0"),
        ({"d": ("blend", 1.0)}, TypeError, "the depth of remember['d'] must be a whole number, got 1.0"),
        ({"d": ("blend", True)}, TypeError, "the depth of remember['d'] must be a whole number, got True"),
        ({"d": ("angle", 3)}, ValueError, """must have an even depth, because "angle" reads pairs (sin, cos), got 3"""),
        ({"d": ("points", 5)}, ValueError, """must have an even depth, because "points" reads pairs (dx, dy), got 5"""),
    ],
)
def test_what_cannot_be_remembered_is_refused(remember, error, message):
    with pytest.raises(error, match=re.escape(message)):
        HeatmapPropagator(remember=remember)
    propagator = HeatmapPropagator()
    with pytest.raises(error, match=re.escape(message)):
        propagator.remember = remember
    assert propagator.remember is None


@pytest.mark.parametrize("steady", [False, True])
def test_the_option_is_a_copy_is_shown_and_pickles(steady):
    given = {"landmarks": ("blend", 10)}
    make = HeatmapPropagator.steady if steady else HeatmapPropagator
    propagator = make(remember=given)
    given["more"] = ("last", 1)
    for one in (propagator, copy.deepcopy(propagator), pickle.loads(pickle.dumps(propagator))):
        assert one.remember == {"landmarks": ("blend", 10)}
        assert "remember={'landmarks': ('blend', 10)}" in repr(one)
    options = PropagatorOptions(remember={"a": ("last", 1)})
    assert options == PropagatorOptions(**options.as_keywords()) != PropagatorOptions()
    assert hash(options) == hash(PropagatorOptions(remember={"a": ("last", 1)}))


def maps_with(depth, **kind):
    heatmap = torch.rand(1, 1, 6, 7)
    return {"heatmap": heatmap, "extras": {"look": torch.ones(1, depth, 6, 7, **kind)}}


def test_maps_of_another_depth_or_kind_are_refused_and_change_nothing():
    propagator = HeatmapPropagator(remember={"look": ("last", 3)})
    propagator(**maps_with(3))
    before = propagator.state
    with pytest.raises(ValueError, match=re.escape("extras['look'] has 2 channels, but 3 are remembered; declare")):
        propagator(**maps_with(2))
    with pytest.raises(TypeError, match=re.escape("extras['look'] is remembered and must hold floating point")):
        propagator(**maps_with(3, dtype=torch.int64))
    with pytest.raises(ValueError, match="2 channels, but 3"):
        propagator.step(None, **maps_with(2))
    assert all(one is other for one, other in zip(propagator.state, before, strict=True))


def test_other_extras_may_have_any_depth_and_kind():
    propagator = HeatmapPropagator(remember={"look": ("last", 3)})
    extras = maps_with(3)["extras"] | {"class": torch.ones(1, 2, 6, 7, dtype=torch.int64)}
    found = propagator(torch.rand(1, 1, 6, 7), extras=extras).detections
    assert found.extras["class"].dtype == torch.int64
    assert found.extras["look"].dtype == torch.float32


def test_a_state_that_remembers_others_is_refused():
    state = HeatmapPropagator(remember={"look": ("last", 3)}).initial_state(1)
    message = re.escape("state holds 3 numbers of 1 extras, remember declares 2 of 1; call reset(), or set remember")
    propagator = HeatmapPropagator(remember={"look": ("last", 2)})
    with pytest.raises(ValueError, match=message):
        propagator.state = state
    with pytest.raises(ValueError, match=message):
        propagator.step(state, torch.rand(1, 1, 6, 7))
    assert propagator.state is None


def test_the_option_may_change_after_reset_and_be_turned_on_before_it():
    maps, propagator = toy.crowd(0, dtype=torch.float32), HeatmapPropagator()
    toy.feed(propagator, toy.frame(maps, 0))
    propagator.remember = {"depth": ("last", 1)}
    assert propagator.coast().extras["depth"].eq(0).all()
    assert toy.feed(propagator, toy.frame(maps, 1)).detections.extras["depth"].any()
    propagator.remember = {"depth": ("last", 1), "look": ("last", 3)}
    with pytest.raises(ValueError, match=r"state holds 1 numbers of 1 extras, remember declares 4 of 2; call reset"):
        propagator.coast()
    propagator.reset()
    assert toy.feed(propagator, toy.frame(maps, 2)).detections.extras["look"].shape == (2, 100, 3)
