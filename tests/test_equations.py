"""Eqs. 2-7 on dense maps, each against the loop oracle and against numbers worked out by hand."""

import math

import numpy as np
import oracles
import pytest
import torch
import toy
from oracles import Tracklet
from torch.testing import assert_close

from heatprop import balance, balance_size, extend_length, extend_score, extend_size, temporal_average

SHAPE = (3, 7, 9)
EXTEND = {"score": extend_score, "length": extend_length, "size": extend_size}


def random_tracklets(seed, count=12):
    """Crowded tracklets with many equal scores, in the returned order."""
    random = np.random.default_rng(seed)
    cells = random.choice(math.prod(SHAPE), size=count, replace=False)
    found = []
    for cell in cells:
        label, y, x = (int(index) for index in np.unravel_index(cell, SHAPE))
        score = int(random.integers(0, 9)) / 8
        length, size = int(random.integers(1, 30)), tuple(random.uniform(0, 9, 2))
        found.append(Tracklet(label, x, y, score, length, size, track_id=len(found)))
    return sorted(found, key=lambda t: (-t.score, t.label, t.y, t.x))


@pytest.mark.parametrize("radius", range(7))
@pytest.mark.parametrize("field", ["score", "length", "size"])
def test_extended_maps_equal_the_loop_oracle(field, radius):
    streams = [random_tracklets(1), random_tracklets(2, count=5), []]
    actual = EXTEND[field](toy.tracklets(streams), SHAPE, radius=radius)
    oracle = getattr(oracles, f"extend_{field}")
    expected = np.stack([oracle(stream, SHAPE, radius) for stream in streams])
    np.testing.assert_array_equal(actual.numpy(), expected)


def test_the_oracles_eq2_equals_the_score_of_its_winners():
    found = random_tracklets(3)
    winners = oracles.find_winners(found, SHAPE, 2)
    expected = np.array([0.0 if place < 0 else found[place].score for place in winners.flat]).reshape(SHAPE)
    np.testing.assert_array_equal(oracles.extend_score(found, SHAPE, 2), expected)


def test_eq2_makes_a_square_of_2p_plus_1_cells_in_its_own_class_alone():
    score = extend_score(toy.tracklets([[Tracklet(1, 4, 3, 0.7, 1, (2, 2))]]), SHAPE, radius=2)
    expected = torch.zeros(1, *SHAPE, dtype=torch.float64)
    expected[0, 1, 1:6, 2:7] = 0.7
    assert_close(score, expected, rtol=0, atol=0)


def test_eq2_clips_a_square_at_the_border():
    score = extend_score(toy.tracklets([[Tracklet(0, 8, 0, 0.7, 1, (2, 2))]]), SHAPE, radius=2)
    expected = torch.zeros(1, *SHAPE, dtype=torch.float64)
    expected[0, 0, 0:3, 6:9] = 0.7
    assert_close(score, expected, rtol=0, atol=0)


def test_eq2_has_radius_2_by_default():
    state = toy.tracklets([[Tracklet(0, 4, 3, 0.7, 1, (2, 2))]])
    assert_close(extend_score(state, SHAPE), extend_score(state, SHAPE, radius=2), rtol=0, atol=0)
    assert extend_score(state, SHAPE).count_nonzero() == 25


def test_eq2_ignores_places_that_are_not_valid():
    state = toy.tracklets([[Tracklet(0, 4, 3, 0.7, 3, (2, 2))]])
    state = state._replace(valid=torch.zeros_like(state.valid))
    assert extend_score(state, SHAPE).count_nonzero() == 0
    assert extend_length(state, SHAPE).count_nonzero() == 0
    assert extend_size(state, SHAPE).count_nonzero() == 0


@pytest.mark.parametrize("field", ["length", "size"])
def test_a_carried_score_of_zero_casts_no_square(field):
    state = toy.tracklets([[Tracklet(0, 4, 3, 0.0, 3, (2, 2))]])
    assert EXTEND[field](state, SHAPE).count_nonzero() == 0


def test_eq3_takes_the_length_of_the_higher_score_where_squares_overlap():
    weak, strong = Tracklet(0, 2, 3, 0.4, 50, (1, 1)), Tracklet(0, 4, 3, 0.6, 2, (1, 1))
    for stream in ([strong, weak], [weak, strong]):
        length = extend_length(toy.tracklets([stream]), SHAPE, radius=1)
        assert length[0, 0, 3].tolist() == [0, 50, 50, 2, 2, 2, 0, 0, 0]


def test_eq3_takes_the_earlier_of_equal_scores_where_squares_overlap():
    left, right = Tracklet(0, 2, 3, 0.5, 7, (1, 1)), Tracklet(0, 4, 3, 0.5, 2, (1, 1))
    first_left = extend_length(toy.tracklets([[left, right]]), SHAPE, radius=1)
    first_right = extend_length(toy.tracklets([[right, left]]), SHAPE, radius=1)
    assert first_left[0, 0, 3].tolist() == [0, 7, 7, 7, 2, 2, 0, 0, 0]
    assert first_right[0, 0, 3].tolist() == [0, 7, 7, 2, 2, 2, 0, 0, 0]


def test_eq3_counts_in_int32():
    state = toy.tracklets([[Tracklet(0, 4, 3, 0.5, 70_000, (1, 1))]])
    length = extend_length(state, SHAPE)
    assert length.dtype == torch.int32
    assert length.max() == 70_000


def test_eq4_lays_w_before_h():
    size = extend_size(toy.tracklets([[Tracklet(2, 4, 3, 0.5, 1, (8.0, 3.0))]]), SHAPE, radius=0)
    assert size.shape == (1, 3, 2, 7, 9)
    assert size[0, 2, :, 3, 4].tolist() == [8.0, 3.0]


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0, 1000.0, math.inf])
def test_eq5_equals_the_loop_oracle(beta):
    heatmap, score = torch.rand(2, 1, 2, 4, 5, dtype=torch.float64)
    length = torch.randint(0, 40, (1, 2, 4, 5), dtype=torch.int32)
    score = score * (length > 0)
    expected = np.vectorize(oracles.temporal_average)(heatmap.numpy(), score.numpy(), length.numpy(), beta)
    assert_close(temporal_average(heatmap, score, length, beta=beta).numpy(), expected, rtol=0, atol=1e-12)


def test_eq5_is_the_papers_fraction():
    y, h = torch.tensor([[0.25]]), torch.tensor([[0.75]])
    average = temporal_average(y, h, torch.tensor([[3]], dtype=torch.int32), beta=2.0)
    assert_close(average, torch.tensor([[(0.25 + 2 * 0.75 * 3) / (1 + 2 * 3)]]))


def test_eq5_keeps_cells_without_a_square_bit_for_bit():
    heatmap = torch.rand(1, 2, 4, 5)
    zeros = torch.zeros_like(heatmap)
    assert torch.equal(temporal_average(heatmap, zeros, zeros.int()), heatmap)


def test_eq5_is_exact_at_beta_infinity():
    heatmap, score = torch.rand(2, 1, 2, 4, 5, dtype=torch.float64)
    length = torch.tensor([0, 1, 2, 3, 4], dtype=torch.int32).expand(1, 2, 4, 5)
    average = temporal_average(heatmap, score, length, beta=math.inf)
    assert_close(average, torch.where(length > 0, score, heatmap), rtol=0, atol=1e-15)


def test_eq5_ignores_the_past_at_beta_0():
    heatmap, score = torch.rand(2, 1, 2, 4, 5, dtype=torch.float64)
    average = temporal_average(heatmap, score, torch.ones_like(heatmap).int(), beta=0)
    assert torch.equal(average, heatmap)


def test_eq5_has_beta_2_by_default():
    heatmap, score = torch.rand(2, 1, 2, 4, 5)
    length = torch.ones_like(heatmap).int()
    assert torch.equal(temporal_average(heatmap, score, length), temporal_average(heatmap, score, length, beta=2.0))


@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.98, 1.0])
def test_eq6_equals_the_loop_oracle(alpha):
    heatmap, average = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    expected = oracles.balance(heatmap.numpy(), average.numpy(), alpha)
    assert_close(balance(heatmap, average, alpha=alpha).numpy(), expected, rtol=0, atol=1e-14)


def test_eq6_has_alpha_0_98_by_default():
    assert_close(balance(torch.zeros(1, 1, 1, 1), torch.ones(1, 1, 1, 1)), torch.full((1, 1, 1, 1), 0.98))


@pytest.mark.parametrize("beta", [0.0, 0.5, 2.0, math.inf])
def test_rule_4_is_eqs_5_and_6_in_one_line(beta):
    random = np.random.default_rng(0)
    for y, h, length in zip(random.random(50), random.random(50), random.integers(1, 99, 50), strict=True):
        expected = oracles.balance(y, oracles.temporal_average(y, h, length, beta), 0.9)
        assert oracles.blend(y, h, length, 0.9, beta) == pytest.approx(expected, abs=1e-12)


def test_eq7_equals_the_loop_oracle():
    heatmap, score = torch.rand(2, 2, 3, 4, 5, dtype=torch.float64)
    score = score * (score > 0.5)
    size, prior_size = torch.rand(2, 2, 4, 5, dtype=torch.float64) * 9, torch.rand(2, 3, 2, 4, 5, dtype=torch.float64)
    actual = balance_size(heatmap, size, score, prior_size)
    expected = np.empty(prior_size.shape)
    for stream, label, y, x in np.ndindex(*heatmap.shape):
        cell, own = (stream, label, y, x), (stream, slice(None), y, x)
        prior = prior_size[stream, label, :, y, x].numpy()
        expected[stream, label, :, y, x] = oracles.balance_size(
            heatmap[cell].item(), size[own].numpy(), score[cell].item(), prior
        )
    assert actual.shape == (2, 3, 2, 4, 5)
    assert_close(actual.numpy(), expected, rtol=1e-12, atol=0)


def test_eq7_weighs_sizes_by_their_scores():
    score = torch.full((1, 1, 1, 1), 0.6)
    size = torch.tensor([4.0, 8.0]).view(1, 2, 1, 1)
    prior_size = torch.tensor([8.0, 0.0]).view(1, 1, 2, 1, 1)
    balanced = balance_size(torch.full_like(score, 0.2), size, score, prior_size)
    assert_close(balanced.flatten(), torch.tensor([7.0, 2.0]))  # a quarter of the new, three quarters of the old


def test_eq7_keeps_the_networks_size_bit_for_bit_without_a_square():
    heatmap, size = torch.rand(1, 3, 4, 5), torch.rand(1, 2, 4, 5)
    balanced = balance_size(heatmap, size, torch.zeros_like(heatmap), torch.zeros(1, 3, 2, 4, 5))
    assert torch.equal(balanced, size[:, None].expand(1, 3, 2, 4, 5))


def test_eq7_keeps_the_networks_size_where_neither_score_weighs():
    zeros, size = torch.zeros(1, 1, 2, 2), torch.rand(1, 2, 2, 2)
    balanced = balance_size(zeros, size, zeros, torch.zeros(1, 1, 2, 2, 2))
    assert torch.equal(balanced, size[:, None])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_equations_keep_the_dtype(dtype):
    heatmap, score = torch.rand(2, 1, 2, 4, 5).to(dtype)
    length = torch.ones_like(score).int()
    average = temporal_average(heatmap, score, length)
    assert average.dtype == dtype
    assert balance(heatmap, average).dtype == dtype
    sizes = balance_size(heatmap, torch.rand(1, 2, 4, 5).to(dtype), score, torch.rand(1, 2, 2, 4, 5).to(dtype))
    assert sizes.dtype == dtype


def test_equations_do_not_write_to_their_arguments():
    heatmap, score = torch.rand(2, 1, 2, 4, 5)
    length, size, prior_size = torch.ones_like(score).int(), torch.rand(1, 2, 4, 5), torch.rand(1, 2, 2, 4, 5)
    arguments = [heatmap, score, length, size, prior_size]
    before = [argument.clone() for argument in arguments]
    balance(heatmap, temporal_average(heatmap, score, length))
    balance_size(heatmap, size, score, prior_size)
    assert all(torch.equal(argument, copy) for argument, copy in zip(arguments, before, strict=True))
