"""Greedy assignment against picking the best pair again and again."""

import numpy as np
import pytest
import torch

from heatprop.matching import match_greedily


@pytest.mark.parametrize("seed", range(40))
def test_greedy_match_equals_picking_the_best_pair_again_and_again(seed):
    rng = np.random.default_rng(seed)
    K, M = rng.integers(1, 12, 2)
    scores = rng.random((1, K, M)) if seed % 2 else rng.integers(0, 4, (1, K, M)) / 4
    allowed, rank = rng.random((1, K, M)) < 0.6, rng.permutation(K)[None]
    pairs = sorted((-scores[0, i, j], rank[0, i], j, i) for i in range(K) for j in range(M) if allowed[0, i, j])
    expected = np.full(K, M)
    for _, _, column, row in pairs:
        if expected[row] == M and column not in expected:
            expected[row] = column
    got = match_greedily(*(torch.from_numpy(x) for x in (scores, allowed, rank)))
    np.testing.assert_array_equal(got[0].numpy(), expected)


def test_of_equal_scores_the_row_of_lower_rank_then_the_lower_column_is_paired():
    scores, allowed = torch.full((1, 2, 2), 0.5), torch.ones(1, 2, 2, dtype=torch.bool)
    assert match_greedily(scores, allowed, torch.tensor([[0, 1]])).tolist() == [[0, 1]]
    assert match_greedily(scores, allowed, torch.tensor([[1, 0]])).tolist() == [[1, 0]]


def test_a_row_without_an_allowed_column_has_no_partner():
    scores, allowed = torch.rand(1, 2, 3), torch.zeros(1, 2, 3, dtype=torch.bool)
    allowed[0, 1, 2] = True
    assert match_greedily(scores, allowed, torch.tensor([[0, 1]])).tolist() == [[3, 2]]
