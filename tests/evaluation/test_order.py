"""Orders against Python's stable sort."""

import numpy as np
import pytest

from heatprop.evaluation.keys import joint_codes
from heatprop.evaluation.order import code_order, falling_order, grouped_order, starts_of_runs


@pytest.mark.parametrize("distinct", [1, 3, 10**6])
def test_orders_equal_pythons_stable_sort(distinct):
    for seed in range(50):
        rng = np.random.default_rng(seed)
        count = int(rng.integers(0, 300))
        values, groups = rng.integers(-distinct, distinct, count) / 7, rng.integers(0, distinct, count)
        rows = range(count)
        assert falling_order(values).tolist() == sorted(rows, key=lambda i: -values[i])
        assert grouped_order(groups, values).tolist() == sorted(rows, key=lambda i: (groups[i], -values[i]))
        assert code_order(groups).tolist() == sorted(rows, key=lambda i: groups[i])


def test_both_zeros_are_equal_values():
    assert falling_order(np.array([-0.0, 0.0, -0.0, 1.0])).tolist() == [3, 0, 1, 2]


def test_orders_of_nothing_are_empty():
    nothing = np.zeros(0, np.int64)
    for result in (falling_order(np.zeros(0)), grouped_order(nothing, np.zeros(0)), code_order(nothing)):
        assert result.tolist() == []
    assert starts_of_runs(nothing).tolist() == []


@pytest.mark.parametrize("column", [[5, 5, 3, 5], [2**62, -(2**62), 0], ["b", "a", "b"], [4, 4, 4], []])
def test_codes_number_the_distinct_values_by_rising_value(column):
    kept = np.array(column, dtype=None if column else np.int64)
    values, (codes, others) = joint_codes("video", kept, kept[:1])
    assert values.tolist() == sorted(set(column))
    assert values[codes].tolist() == column
    assert values[others].tolist() == column[:1]
