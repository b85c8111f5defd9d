"""The propagator's options: defaults, checks, how they are shown, and the preset."""

import inspect
import math
import re

import pytest
import torch
import toy
from steady_options import STEADY

import heatprop
from heatprop import (
    HeatmapPropagator,
)


def test_the_propagators_options_are_those_of_the_design():
    parameters = inspect.signature(heatprop.HeatmapPropagator).parameters.values()
    assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters)
    assert {parameter.name: parameter.default for parameter in parameters} == {  # the paper's, then those that are not
        "radius": 2,
        "alpha": 0.98,
        "beta": 2.0,
        "top_k": 100,
        "score_threshold": 0.05,
        "nms_threshold": 0.3,
        "peak_kernel": None,
        "stride": 4,
        "carry": "balanced",
        "average": "arithmetic",
        "claim_once": False,
        "max_length": None,
        "evidence": False,
        "max_unseen": None,
        "border": 0.0,
        "velocity": False,
        "radius_per_size": 0.0,
        "max_radius": 4,
        "identity": "square",
        "remember": None,
        "motion": None,
    }


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


def test_a_subclass_with_options_of_its_own_shows_the_propagators():
    class Slow(HeatmapPropagator):
        def __init__(self, rate: int) -> None:
            super().__init__(radius=5 if rate < 10 else 2)

    assert "radius=5" in repr(Slow(5))


def test_there_are_100_places_by_default():
    assert toy.fed()[2].detections.valid.shape == (2, 100)


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


@pytest.mark.parametrize("options", [{}, {"radius": 0, "alpha": 0.5, "beta": float("inf")}, {"carry": "network"}])
def test_off_values_change_no_bit(options):
    maps = toy.crowd(0, dtype=torch.float32)
    plain, off = HeatmapPropagator(**options), HeatmapPropagator(**options, **OFF)
    for time in range(6):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (plain, off))
        assert torch.equal(one.heatmap, other.heatmap)
        assert torch.equal(one.detections.boxes, other.detections.boxes)
        assert torch.equal(one.detections.track_ids, other.detections.track_ids)


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
        ("motion", True),
        ("motion", 2),
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


def test_a_largest_radius_below_the_radius_is_refused():
    with pytest.raises(ValueError, match="max_radius must be at least radius 3, got 2"):
        HeatmapPropagator(radius=3, radius_per_size=0.1, max_radius=2)


def test_whole_numbers_serve_as_options():
    maps = toy.crowd(0, frames=3, dtype=torch.float32)
    floats = HeatmapPropagator(alpha=1.0, beta=2.0, score_threshold=0.0, nms_threshold=1.0, stride=4.0)
    wholes = HeatmapPropagator(alpha=1, beta=2, score_threshold=0, nms_threshold=1, stride=4)
    for time in range(3):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (floats, wholes))
        assert torch.equal(one.heatmap, other.heatmap)
        assert torch.equal(one.detections.boxes, other.detections.boxes)


def test_rule_8_the_defaults_are_the_papers():
    maps = toy.crowd(10, frames=3)
    plain, explicit = HeatmapPropagator(), HeatmapPropagator(radius=2, alpha=0.98, beta=2.0)
    for time in range(3):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (plain, explicit))
        assert torch.equal(one.heatmap, other.heatmap)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("radius", 1_000_000),
        ("top_k", 100_000_000),
        ("max_length", 2**40),
        ("max_radius", 10**6),
        ("peak_kernel", 10**7 + 1),
    ],
)
def test_absurd_options_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be at most"):
        HeatmapPropagator(**{option: value})
