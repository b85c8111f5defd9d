"""Which boxes of a video may follow each other in a tubelet, and which exclude each other."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.overlap import iou

CHUNK = 1 << 17  # pairs that are compared at once: the temporary arrays stay in the cache


class Links(NamedTuple):
    """Pairs of boxes of one class, each pair once, as box indices.

    Attributes:
        leader: Box of a frame, shape ``(n,)``.
        follower: A box of the next frame that may follow it, shape ``(n,)``.
        one: Box of a frame, shape ``(m,)``.
        other: A later box of the same frame; the choice of either removes the other, shape ``(m,)``.
    """

    leader: NDArray[np.int64]
    follower: NDArray[np.int64]
    one: NDArray[np.int64]
    other: NDArray[np.int64]

    def within(self, chosen: NDArray[np.bool_]) -> "Links":
        """Keep the pairs of chosen boxes, and number these anew, 0, 1, 2, ..., in their order.

        Args:
            chosen: Which boxes, shape ``(N,)``.

        Returns:
            The pairs among them.
        """
        number = np.cumsum(chosen) - 1
        linked = chosen[self.leader] & chosen[self.follower]
        exclusive = chosen[self.one] & chosen[self.other]
        return Links(*(number[side[linked]] for side in self[:2]), *(number[side[exclusive]] for side in self[2:]))


def link_boxes(
    boxes: NDArray[np.float64],
    frame: NDArray[np.int64],
    label: NDArray[Any],
    *,
    link_iou: float,
    nms_iou: float,
) -> Links:
    """Compare each box with those of its class in its own and in the next frame.

    A box without area, or with a coordinate that is not finite, overlaps nothing.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(N, 4)``, the boxes of all frames.
        frame: Frame of each box, shape ``(N,)``, rising.
        label: Class of each box, shape ``(N,)``.
        link_iou: Smallest overlap of two boxes that follow each other, above 0.
        nms_iou: Smallest overlap of two boxes of a frame that exclude each other, above 0.

    Returns:
        All pairs that reach the thresholds.
    """
    classes, rank = np.unique(label, return_inverse=True)
    group = frame * max(len(classes), 1) + rank.reshape(-1)
    order = np.argsort(group, kind="stable")
    group = group[order]  # (N,) rising: a frame and class together
    boxes = boxes[order]
    next_group = group + max(len(classes), 1)
    following = np.searchsorted(group, next_group, "left"), np.searchsorted(group, next_group, "right")
    same = np.arange(1, len(group) + 1), np.searchsorted(group, group, "right")
    leader, follower = _overlapping(boxes, *following, threshold=link_iou)
    one, other = _overlapping(boxes, *same, threshold=nms_iou)
    return Links(order[leader], order[follower], order[one], order[other])


def _overlapping(
    boxes: NDArray[np.float64], low: NDArray[np.int64], high: NDArray[np.int64], *, threshold: float
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pairs of a box with one of places ``low`` to ``high`` (exclusive) whose IoU reaches the threshold."""
    sides = np.ascontiguousarray(boxes.T)  # (4, N): one side of all boxes lies together
    left, _, right, _ = sides
    found = [(np.zeros(0, np.int64), np.zeros(0, np.int64))]
    with np.errstate(over="ignore", invalid="ignore"):  # what is not finite compares as no overlap
        for one, other in _pairs(low, high):
            width = np.minimum(right[one], right[other]) - np.maximum(left[one], left[other])
            near = np.flatnonzero(width > 0)  # most pairs end here
            one, other = one[near], other[near]
            linked = iou(sides.take(one, axis=1).T, sides.take(other, axis=1).T) >= threshold
            found.append((one[linked], other[linked]))
    firsts, seconds = zip(*found, strict=True)
    return np.concatenate(firsts), np.concatenate(seconds)


def _pairs(low: NDArray[np.int64], high: NDArray[np.int64]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """All pairs ``(i, j)`` with ``low[i] <= j < high[i]``, about `CHUNK` at a time."""
    count = high - low
    total = np.cumsum(count)
    pairs = int(total[-1]) if len(total) else 0
    cuts = np.searchsorted(total, np.arange(CHUNK, pairs + CHUNK, CHUNK)) + 1
    cuts = np.unique(np.minimum(np.concatenate([[0], cuts]), len(count)))
    for start, stop in pairwise(cuts):
        repeats = count[start:stop]
        before = np.cumsum(repeats) - repeats
        one = np.repeat(np.arange(start, stop), repeats)
        yield one, np.arange(len(one)) + np.repeat(low[start:stop] - before, repeats)
