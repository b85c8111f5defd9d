"""The numbers that Section 5.3 works out, first through the dense equations, then through HeatmapPropagator."""

import math
from itertools import pairwise

import pytest
import torch
import toy
from oracles import Tracklet
from torch.testing import assert_close

from heatprop import HeatmapPropagator, balance, extend_length, extend_score, temporal_average

SHAPE = (1, 9, 9)
PEAK = (0, 4, 4)

# What the network sees, the options, and the balanced scores of the last frames.
CLIFF = [0.9] * 20 + [0.1, 0.1]
STORIES = {
    "eq. 6 alone boosts to 0.5 and 0.3": (CLIFF, {"alpha": 0.5, "beta": math.inf}, [0.5, 0.3]),
    "eq. 5 alone gives 0.88 and 0.86": (CLIFF, {"alpha": 1.0, "beta": 2.0}, [0.8805, 0.8623]),
    "a false positive falls to 0.4 in 3 frames": ([0.8] + [0.1] * 3, {"alpha": 0.98, "beta": 2.0}, [0.401]),
    "eq. 6 alone at 0.97 needs 27 frames": ([0.8] + [0.1] * 27, {"alpha": 0.97, "beta": math.inf}, [0.408]),
}
stories = pytest.mark.parametrize(("seen", "options", "expected"), STORIES.values(), ids=STORIES)


def dense_scores(seen, *, alpha, beta):
    """Eqs. 2, 3, 5, 6 in a row on one object; the detection is the peak itself."""
    scores, carried = [], None
    for length, score in enumerate(seen, start=1):
        heatmap = toy.spots(SHAPE, {PEAK: score})
        if carried is not None:
            state = toy.tracklets([[Tracklet(0, 4, 4, carried, length - 1, (1.0, 1.0))]])
            prior_score, prior_length = extend_score(state, SHAPE), extend_length(state, SHAPE)
            average = temporal_average(heatmap, prior_score, prior_length, beta=beta)
            heatmap = balance(heatmap, average, alpha=alpha)
        assert heatmap.max() == heatmap[0, *PEAK]
        carried = heatmap[0, *PEAK].item()
        scores.append(carried)
    return scores


def propagated(seen, *, dtype=torch.float64, **options):
    """The detections of every frame, one object; fails if there is ever another."""
    propagator, found = HeatmapPropagator(**options), []
    for score in seen:
        heatmap = toy.spots(SHAPE, {PEAK: score}, dtype=dtype)
        [stream] = propagator(heatmap, size=toy.plane(heatmap, 2.0, 2.0)).detections.unpad()
        assert stream["cells"].tolist() == [[4, 4]]
        found.append(stream)
    return found


@stories
def test_the_dense_equations_give_the_papers_numbers(seen, options, expected):
    scores = dense_scores(seen, **options)[-len(expected) :]
    assert scores == pytest.approx(expected, abs=5e-4)


@stories
def test_the_propagator_gives_the_papers_numbers(seen, options, expected):
    scores = [found["scores"].item() for found in propagated(seen, **options)][-len(expected) :]
    assert scores == pytest.approx(expected, abs=5e-4)


@stories
def test_the_propagator_gives_the_papers_numbers_at_radius_0(seen, options, expected):
    scores = [found["scores"].item() for found in propagated(seen, radius=0, **options)][-len(expected) :]
    assert scores == pytest.approx(expected, abs=5e-4)


def test_the_defaults_attenuate_a_false_positive_to_0_401():
    scores = [found["scores"].item() for found in propagated([0.8, 0.1, 0.1, 0.1])]
    assert scores[-1] == pytest.approx(0.4012, abs=5e-5)


def test_a_cliff_of_20_frames_ages_to_22_under_one_id():
    found = propagated(CLIFF)
    assert [frame["ages"].item() for frame in found] == list(range(1, 23))
    assert {frame["track_ids"].item() for frame in found} == {0}


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-4), (torch.float16, 2e-3), (torch.bfloat16, 2e-2)])
def test_the_papers_0_88_and_0_86_hold_in_lower_precision(dtype, tolerance):
    scores = [found["scores"].item() for found in propagated(CLIFF, dtype=dtype, alpha=1.0, beta=2.0)][-2:]
    assert scores == pytest.approx([0.8805, 0.8623], abs=tolerance)


def test_eq11_is_the_mean_of_two_network_scores_in_the_dense_equations():
    state = toy.tracklets([[Tracklet(0, 4, 4, 0.8, 1, (1.0, 1.0))]])
    heatmap = toy.spots(SHAPE, {PEAK: 0.3})
    prior = extend_score(state, SHAPE, radius=0), extend_length(state, SHAPE, radius=0)
    average = temporal_average(heatmap, *prior, beta=math.inf)
    assert_close(average, prior[0], rtol=0, atol=1e-15)  # Eq. 9
    assert_close(balance(heatmap, average, alpha=0.5), toy.spots(SHAPE, {PEAK: 0.55}))


def test_eq11_holds_frame_after_frame_with_the_networks_score():
    seen = [0.8, 0.3, 0.6, 0.1, 0.9]
    found = propagated(seen, radius=0, alpha=0.5, beta=math.inf, carry="network")
    expected = [0.8, *((now + before) / 2 for before, now in pairwise(seen))]
    assert [frame["scores"].item() for frame in found] == pytest.approx(expected, abs=1e-12)


def test_eq11_does_not_hold_with_the_balanced_score():
    found = propagated([0.8, 0.3, 0.6], radius=0, alpha=0.5, beta=math.inf)
    assert found[-1]["scores"].item() == pytest.approx(((0.8 + 0.3) / 2 + 0.6) / 2, abs=1e-12)
