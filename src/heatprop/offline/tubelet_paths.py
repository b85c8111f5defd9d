"""Take the best path of boxes out of a video, again and again: the search of Seq-NMS."""

import heapq
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.offline.tubelet_chains import Paths, surely_extends, take_chains
from heatprop.offline.tubelet_links import Links


def choose_paths(scores: NDArray[np.float64], links: Links) -> Paths:
    """Choose the path of the largest score sum, remove what it excludes, and repeat until nothing is left.

    Equal sums: the path that ends first, by frame, then by place in the frame, is chosen first; a
    box follows the first of its equal predecessors. A path never begins or ends with boxes that
    add nothing to its sum.

    Args:
        scores: Score of each box, shape ``(N,)``, finite; boxes are numbered by frame, then place.
        links: The pairs of the N boxes.

    Returns:
        The paths in the order of their choice, that is by falling sum.
    """
    chains, tangled = take_chains(scores, links)
    search = _Search(scores[tangled], links.within(tangled))
    found = search.run()
    path = chains.path.copy()
    path[tangled] = np.where(found.path >= 0, found.path + len(chains.total), -1)
    return _by_falling_total(Paths(path, np.concatenate([chains.total, found.total])))


def _by_falling_total(paths: Paths) -> Paths:
    """Number the paths anew: by falling sum, equal ones by their last boxes."""
    boxes = np.flatnonzero(paths.path >= 0)
    end = np.zeros(len(paths.total), np.int64)
    np.maximum.at(end, paths.path[boxes], boxes)
    order = np.lexsort((end, -paths.total))
    rank = np.full(len(order) + 1, -1)  # the last entry serves the removed boxes, -1
    rank[order] = np.arange(len(order))
    return Paths(rank[paths.path], paths.total[order])


class _Neighbours(NamedTuple):
    """For each of N boxes a rising list of others: those of box i are ``boxes[starts[i]:starts[i + 1]]``.

    Plain lists, since they are read one by one.
    """

    starts: list[int]
    boxes: list[int]


class _Search:
    """The best path to each box, kept up to date while boxes go."""

    def __init__(self, scores: NDArray[np.float64], links: Links) -> None:
        count = len(scores)
        leader, follower, one, other = links
        self.before = _neighbours(follower, leader, count)
        self.after = _neighbours(leader, follower, count)
        self.beside = _neighbours(np.concatenate([one, other]), np.concatenate([other, one]), count)
        self.scores: list[float] = scores.tolist()
        self.alive = [True] * count
        self.total = [0.0] * count  # sum of the best path that ends here
        self.previous = [-1] * count  # the box before on that path, -1 at its start
        for box in range(count):
            self._find_best(box)
        extends = surely_extends(scores)
        self.extends: list[bool] = extends.tolist()
        self.followers: list[int] = np.bincount(leader[extends[follower]], minlength=count).tolist()
        forked = (np.bincount(leader, minlength=count) > 1) | (np.bincount(follower, minlength=count) > 1)
        self.forked: list[bool] = forked.tolist()  # has more links than a path through it uses
        # a box that another one surely extends ends no best path, so the heap can do without it
        self.ends = [(-self.total[box], box) for box in range(count) if not self.followers[box]]
        heapq.heapify(self.ends)

    def run(self) -> Paths:
        """Choose until nothing is left."""
        path = np.full(len(self.scores), -1)
        totals: list[float] = []
        while self.ends:
            negative_total, end = heapq.heappop(self.ends)
            if self.alive[end] and self.total[end] == -negative_total:  # else: an entry that was overtaken
                chosen = self._trace(end)
                path[chosen] = len(totals)
                totals.append(-negative_total)
                self._remove(chosen)
        return Paths(path, np.array(totals, dtype=np.float64))

    def _trace(self, end: int) -> list[int]:
        """The best path to a box, from its start."""
        path = []
        while end >= 0:
            path.append(end)
            end = self.previous[end]
        return path[::-1]

    def _remove(self, path: list[int]) -> None:
        """Take out the path and what it excludes, and mend the paths that led through them."""
        alive, total, previous, followers = self.alive, self.total, self.previous, self.followers
        (after_starts, after), (before_starts, before) = self.after, self.before
        orphans: list[int] = []
        for box in self._kill(path):
            for follower in after[after_starts[box] : after_starts[box + 1]]:
                if previous[follower] == box and alive[follower]:
                    orphans.append(follower)
            if self.extends[box]:
                for leader in before[before_starts[box] : before_starts[box + 1]]:
                    followers[leader] -= 1
                    if not followers[leader] and alive[leader]:
                        heapq.heappush(self.ends, (-total[leader], leader))
        if orphans:
            self._mend(orphans)

    def _kill(self, path: list[int]) -> list[int]:
        """Take out the path and what it excludes; return those of them that others may have been linked to."""
        alive, (starts, beside) = self.alive, self.beside
        inner = path[1:-1]
        touched = [*path[:1], *path[1:][-1:], *(box for box in inner if self.forked[box])]
        for box in path:
            alive[box] = False
            for neighbour in beside[starts[box] : starts[box + 1]]:
                if alive[neighbour]:
                    alive[neighbour] = False
                    touched.append(neighbour)
        return touched

    def _mend(self, orphans: list[int]) -> None:
        """Find new best paths for boxes that lost theirs, frame after frame."""
        heapq.heapify(orphans)  # box indices rise with the frame, so predecessors are done first
        after = self.after
        while orphans:
            box = heapq.heappop(orphans)
            former = self.total[box]
            self._find_best(box)
            if self.total[box] == former:
                continue
            if not self.followers[box]:
                heapq.heappush(self.ends, (-self.total[box], box))
            for follower in after.boxes[after.starts[box] : after.starts[box + 1]]:
                if self.previous[follower] == box and self.alive[follower]:
                    heapq.heappush(orphans, follower)

    def _find_best(self, box: int) -> None:
        starts, boxes = self.before
        best, previous = 0.0, -1
        for leader in boxes[starts[box] : starts[box + 1]]:
            if self.total[leader] > best and self.alive[leader]:
                best, previous = self.total[leader], leader
        self.total[box] = best + self.scores[box]
        self.previous[box] = previous


def _neighbours(box: NDArray[np.int64], neighbour: NDArray[np.int64], count: int) -> _Neighbours:
    order = np.argsort(box * count + neighbour)
    starts = np.concatenate([[0], np.cumsum(np.bincount(box, minlength=count))])
    return _Neighbours(starts.tolist(), neighbour[order].tolist())
