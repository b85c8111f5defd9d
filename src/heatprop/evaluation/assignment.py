"""Optimal assignment of objects to detections: each to at most one, so that the scores add up to the most."""

import numpy as np

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray
from heatprop.evaluation.order import starts_of_runs


def assign(scores: FloatArray) -> tuple[IntArray, IntArray]:
    """Pair rows and columns so that the sum of their scores is the largest possible (the Hungarian method).

    Args:
        scores: Shape ``(n, m)``, finite, 0 or more; a pair of score 0 is no pair.

    Returns:
        Rows and columns of the pairs, by rising row. Where several assignments have the largest sum it is one of them.

    Examples:
        Greedy choice would take 9 and then 0:

        >>> assign(np.array([[9.0, 8.0], [7.0, 0.0]]))
        (array([0, 1]), array([1, 0]))
    """
    if scores.shape[0] > scores.shape[1]:
        columns, rows = assign(scores.T)
        order = np.argsort(rows)
        return rows[order], columns[order]
    rows, columns = np.arange(scores.shape[0]), _columns_of_rows(scores.max(initial=0) - scores)
    paired = scores[rows, columns] > 0
    return rows[paired], columns[paired]


def assign_in_groups(group: IntArray, row: IntArray, column: IntArray, score: FloatArray) -> BoolArray:
    """Choose among pairs of many groups at once: in each group what `assign` does.

    Args:
        group: Group of each pair, rising, shape ``(p,)``.
        row: Row of each pair; one row lies in one group, shape ``(p,)``.
        column: Column of each pair, likewise.
        score: Above 0, shape ``(p,)``; pairs that are not listed have score 0.

    Returns:
        Which pairs are chosen, shape ``(p,)``, ``bool``.

    Examples:
        >>> pairs = np.array([[0, 0, 0, 2], [0, 0, 1, 2], [0, 1, 0, 2]])  # group, row, column of four pairs
        >>> assign_in_groups(*pairs, np.array([9.0, 8.0, 7.0, 1.0]))
        array([False,  True,  True,  True])
    """
    chosen = alone(row, column)
    rest = np.flatnonzero(~chosen)
    starts = starts_of_runs(group[rest])
    for pairs in np.split(rest, starts[1:]) if len(rest) else []:
        chosen[pairs] = assign_pairs(row[pairs], column[pairs], score[pairs])
    return chosen


def assign_pairs(row: IntArray, column: IntArray, score: FloatArray) -> BoolArray:
    """Choose among the pairs of one group, as `assign_in_groups` does."""
    rows, row_place = np.unique(row, return_inverse=True)
    columns, column_place = np.unique(column, return_inverse=True)
    table = np.zeros((len(rows), len(columns)))
    table[row_place, column_place] = score
    best = np.full(len(rows), -1)
    found, partner = assign(table)
    best[found] = partner
    chosen: BoolArray = best[row_place] == column_place
    return chosen


def alone(row: IntArray, column: IntArray) -> BoolArray:
    """Mark the pairs whose row and column are in no other pair: every best assignment has them."""
    if len(row) == 0:
        return np.zeros(0, np.bool_)
    single: BoolArray = (np.bincount(row)[row] == 1) & (np.bincount(column)[column] == 1)
    return single


def _columns_of_rows(cost: FloatArray) -> IntArray:
    """Find the cheapest assignment of all n rows to n of the m columns by shortest augmenting paths."""
    n, m = cost.shape
    row_price, column_price = np.zeros(n), np.zeros(m)
    row_of, column_of = np.full(m, -1), np.full(n, -1)
    for start in range(n):
        distance, before, done, end = _shortest_path(cost, row_price, column_price, row_of, start)
        settled = done & (row_of >= 0)
        row_price[start] += distance[end]
        row_price[row_of[settled]] += distance[end] - distance[settled]
        column_price[done] -= distance[end] - distance[done]
        column = end
        while column >= 0:  # turn the path over: every row on it takes the next column
            row = before[column]
            row_of[column], column_of[row], column = row, column, column_of[row]
    return column_of


def _shortest_path(
    cost: FloatArray, row_price: FloatArray, column_price: FloatArray, row_of: IntArray, start: int
) -> tuple[FloatArray, IntArray, BoolArray, int]:
    """Walk from a free row to the nearest free column: distances, the row before each, the settled ones, the end."""
    m = cost.shape[1]
    distance, before, done = np.full(m, np.inf), np.full(m, -1), np.zeros(m, np.bool_)
    row, so_far = start, 0.0
    while True:
        through = so_far + cost[row] - row_price[row] - column_price
        shorter = ~done & (through < distance)
        distance[shorter], before[shorter] = through[shorter], row
        column = int(np.where(done, np.inf, distance).argmin())
        so_far, done[column] = float(distance[column]), True
        if row_of[column] < 0:
            return distance, before, done, column
        row = int(row_of[column])
