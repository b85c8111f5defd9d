"""The options beyond the paper against a loop oracle, and that they are off until asked for."""

import comparing
import numpy as np
import pytest
import toy
from oracles import OraclePropagator
from steady_options import STEADY
from steady_oracle import SteadyOracle

from heatprop import HeatmapPropagator

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


@pytest.mark.parametrize("radius", [0, 1, 3])
@pytest.mark.parametrize("number", range(len(SINGLE)), ids=lambda number: str(SINGLE[number]))
def test_an_option_alone_equals_the_oracle(number, radius):
    option, carry = SINGLE[number], ["balanced", "network"][(number + radius) % 2]
    maps = toy.crowd(radius, frames=5, shape=(2, 7, 8), density=0.3)
    comparing.assert_steady_equals(maps, radius=radius, carry=carry, coast=True, **option)
    comparing.assert_steady_equals(maps, radius=radius, carry=carry, coast=number % 2 == 0, dt=True, **option)


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


@pytest.mark.parametrize("seed", range(18))
def test_mixed_options_equal_the_oracle(seed):
    classes, batch, kind = seed % 3 + 1, seed // 3 % 3 + 1, [None, "translation", "affine", "flow"][seed % 4]
    maps = toy.crowd(seed, batch=batch, shape=(classes, 8, 9), density=0.3, largest=[2.0, 5.0, 9.0][seed % 3])
    heatmap = maps.heatmap.clone()
    heatmap[:, 2, :, ::2, ::3] = [np.nan, np.inf, -np.inf][seed % 3]
    heatmap[:, 4] = 0
    maps = maps._replace(heatmap=heatmap, offset=3 * maps.offset - 1)
    how = {"coast": seed % 2 == 0, "reset": seed % 5 == 0, "dt": seed % 3 != 1}
    comparing.assert_steady_equals(maps, shift=kind, **how, **mixed(seed))


@pytest.mark.parametrize("options", [STEADY, STEADY | {"top_k": 4}, STEADY | {"score_threshold": 0.0}], ids=str)
def test_points_places_and_thresholds_of_steady_equal_the_oracle(options):
    maps = toy.crowd(3, shape=(2, 8, 9), density=0.5)
    comparing.assert_steady_equals(maps, **options)
    comparing.assert_steady_equals(maps._replace(size=None), shift="translation", **options)
    comparing.assert_steady_equals(maps._replace(offset=None), shift="affine", coast=True, **options)


@pytest.mark.parametrize("levels", [2, 8])
@pytest.mark.parametrize("average", ["arithmetic", "geometric"])
@pytest.mark.parametrize("once", [False, True])
def test_ties_equal_the_oracle(levels, average, once):
    maps = toy.crowd(31, frames=4, shape=(2, 6, 7), density=0.4, levels=levels, largest=2.0)
    comparing.assert_steady_equals(maps, radius=1, top_k=84, average=average, claim_once=once, velocity=True)


def test_the_sequences_exercise_every_rule():
    """The comparisons above would say little about maps on which nothing happens."""
    maps, events = toy.crowd(2, frames=16, shape=(2, 9, 9), density=0.3), {}
    maps.heatmap[:, 5:8] = 0
    drops, fades = {"max_unseen": 0, "average": "arithmetic"}, {"score_threshold": 0.3, "alpha": 0.7}
    for options in (STEADY, STEADY | drops, STEADY | fades):
        oracle = comparing.assert_steady_equals(maps, shift="translation", dt=True, **options)
        events = {name: events.get(name, 0) + count for name, count in oracle.events.items()}
    assert min(events.values()) > 5, events


def test_without_a_window_of_peaks_nms_is_stricter_unless_told_otherwise():
    assert HeatmapPropagator.steady(peak_kernel=1).nms_threshold == 0.5
    assert HeatmapPropagator.steady(peak_kernel=1, nms_threshold=0.6).nms_threshold == 0.6
    assert HeatmapPropagator.steady().nms_threshold == HeatmapPropagator.steady(peak_kernel=5).nms_threshold == 0.6
