"""The easy tubelets: chains of boxes that nothing competes with, all at once."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.offline.tubelet_links import Links


class Paths(NamedTuple):
    """Which boxes belong together.

    Attributes:
        path: Number of the path of each box, -1 for a removed one, shape ``(N,)``.
        total: Sum of the scores of each path, added in the order of the frames, shape ``(M,)``.
    """

    path: NDArray[np.int64]
    total: NDArray[np.float64]


def take_chains(scores: NDArray[np.float64], links: Links) -> tuple[Paths, NDArray[np.bool_]]:
    """Take the paths that nothing competes with: chains of boxes without a fork that exclude no box.

    Boxes that stand alone are such chains too. In ordinary video that is nearly everything, and it needs no search.

    Args:
        scores: Score of each box, shape ``(N,)``.
        links: The pairs of the N boxes.

    Returns:
        The chains, and which boxes are in none, shape ``(N,)``.
    """
    count = len(scores)
    tangled = ~surely_extends(scores)
    tangled |= np.bincount(links.leader, minlength=count) > 1
    tangled |= np.bincount(links.follower, minlength=count) > 1
    tangled[links.one] = tangled[links.other] = True
    head = np.arange(count)
    inner = ~tangled[links.follower]
    head[links.follower[inner]] = links.leader[inner]
    while not np.array_equal(head, farther := head[head]):  # twice as far back each time
        head = farther
    into = tangled[links.follower]
    tangled[head[links.leader[into]]] = True  # the head speaks for its chain
    tangled = tangled[head]
    return _sum_chains(scores, np.where(tangled, -1, head)), tangled


def surely_extends(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Whether a box adds more to every path than rounding can hide; never where it adds nothing.

    Args:
        scores: Score of each box, shape ``(N,)``.

    Returns:
        Shape ``(N,)``.
    """
    extends: NDArray[np.bool_] = scores > np.spacing(np.abs(scores).sum())
    return extends


def _sum_chains(scores: NDArray[np.float64], head: NDArray[np.int64]) -> Paths:
    """Add up each chain box by box, all chains at once, so that sums are those of the search to the last bit."""
    boxes = np.flatnonzero(head >= 0)
    boxes = boxes[np.argsort(head[boxes], kind="stable")]  # chain after chain, by frame
    path = np.full(len(head), -1)
    _, starts, path[boxes], length = np.unique(head[boxes], return_index=True, return_inverse=True, return_counts=True)
    by_length = np.argsort(-length, kind="stable")
    longer = np.cumsum(np.bincount(length)[::-1])[::-1]  # how many chains have at least so many boxes
    total = np.zeros(len(starts))
    for step in range(len(longer) - 1):
        chains = by_length[: longer[step + 1]]
        total[chains] += scores[boxes[starts[chains] + step]]
    return Paths(path, total)
