"""Offline: merge what both directions of time found in one frame into one list of objects."""

from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from heatprop.boxes import pairwise_iou
from heatprop.suppression import nms

Combine = Literal["mean", "maximum"]
NOBODY = -1
"""The identity that one direction gives to what it did not find."""


class FrameObjects(NamedTuple):
    """The n objects of one frame, without padding.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels of the network input.
        scores: Shape ``(n,)``, in [0, 1].
        labels: Class index, shape ``(n,)``.
        ages: Tracklet length, shape ``(n,)``, in frames.
        network_scores: The network's own score at the peak, shape ``(n,)``, in [0, 1].
        cells: Heatmap position ``(x, y)``, shape ``(n, 2)``, in cells.
        forward_ids: Identity in the forward pass, shape ``(n,)``; `NOBODY` where it did not find the object.
        backward_ids: Identity in the backward pass, likewise.
        extras: The extra maps at the peaks, ``{name: (n, D)}``.
    """

    boxes: NDArray[Any]
    scores: NDArray[Any]
    labels: NDArray[np.int64]
    ages: NDArray[np.int32]
    network_scores: NDArray[Any]
    cells: NDArray[np.int64]
    forward_ids: NDArray[np.int64]
    backward_ids: NDArray[np.int64]
    extras: dict[str, NDArray[Any]]

    def select(self, rows: NDArray[Any]) -> "FrameObjects":
        """Take some objects: a mask ``(n,)`` or indices."""
        fields = {name: value[rows] for name, value in self._asdict().items() if name != "extras"}
        return FrameObjects(**fields, extras={name: value[rows] for name, value in self.extras.items()})


def merge_directions(
    forward: FrameObjects,
    backward: FrameObjects,
    *,
    combine: Combine = "mean",
    match_iou: float = 0.5,
    nms_threshold: float | None = 0.3,
    reach: int = 2,
) -> FrameObjects:
    """Make one list of what the forward and the backward pass found in a frame.

    Objects of both passes are paired class by class, the best overlap first, each at most once. A pair becomes one
    object with the box of the pass with the higher score (in a tie, the forward one), the mean or maximum of both
    scores and the larger age. Objects that only one pass found do not change. Then NMS runs, as after each pass.

    Args:
        forward: Objects of the forward pass.
        backward: Objects of the backward pass.
        combine: What of the two scores a pair gets, ``"mean"`` or ``"maximum"``.
        match_iou: Overlap above which two boxes are one object, in [0, 1].
        nms_threshold: Largest IoU within a class, in [0, 1]; ``None`` for points: they are paired by the distance of
            their cells instead, and none is suppressed.
        reach: Largest distance of paired points in x and in y, at least 0, in cells.

    Returns:
        The objects by falling score, equal scores by rising cell (label, y, x).
    """
    if nms_threshold is None:
        closeness, least = _closeness(forward, backward, reach), 0.0
    else:
        closeness, least = _overlaps(forward.boxes, backward.boxes), match_iou
    same_class = forward.labels[:, None] == backward.labels[None]
    first, second = pair_up(np.where(same_class, closeness, 0), least)
    alone = [
        np.setdiff1d(np.arange(len(side.scores)), paired) for side, paired in ((forward, first), (backward, second))
    ]
    parts = [
        _unite(forward.select(first), backward.select(second), combine),
        forward.select(alone[0]),
        backward.select(alone[1]),
    ]
    merged = _join(parts)
    x, y = merged.cells.T
    merged = merged.select(np.lexsort((x, y, merged.labels, -merged.scores)))
    return merged if nms_threshold is None else merged.select(_kept(merged, nms_threshold))


def pair_up(closeness: NDArray[Any], least: float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Pair rows with columns, the closest pair first, each row and column at most once.

    Args:
        closeness: How well a row and a column fit, shape ``(n, m)``.
        least: Only pairs above this value count. In a tie, the earlier row, then the earlier column, comes first.

    Returns:
        Rows and columns of the pairs, of equal length.
    """
    rows, columns = np.nonzero(closeness > least)
    order = np.argsort(-closeness[rows, columns], kind="stable")
    free_row, free_column = np.ones(closeness.shape[0], np.bool_), np.ones(closeness.shape[1], np.bool_)
    pairs = []
    for row, column in zip(rows[order].tolist(), columns[order].tolist(), strict=True):
        if free_row[row] and free_column[column]:
            free_row[row] = free_column[column] = False
            pairs.append((row, column))
    first, second = np.array(pairs, np.int64).reshape(-1, 2).T
    return first, second


def _unite(forward: FrameObjects, backward: FrameObjects, combine: Combine) -> FrameObjects:
    surer = backward.scores > forward.scores  # (n,): the backward one

    def choose(one: NDArray[Any], other: NDArray[Any]) -> NDArray[Any]:
        return np.where(surer.reshape(-1, *[1] * (one.ndim - 1)), other, one)

    fields = {
        name: choose(getattr(forward, name), getattr(backward, name))
        for name in ("boxes", "labels", "network_scores", "cells")
    }
    joined = np.stack([forward.scores, backward.scores])
    return FrameObjects(
        **fields,
        scores=joined.mean(0, dtype=joined.dtype) if combine == "mean" else joined.max(0),
        ages=np.maximum(forward.ages, backward.ages),
        forward_ids=forward.forward_ids,
        backward_ids=backward.backward_ids,
        extras={name: choose(value, backward.extras[name]) for name, value in forward.extras.items()},
    )


def _join(parts: list[FrameObjects]) -> FrameObjects:
    names = [name for name in FrameObjects._fields if name != "extras"]
    fields = {name: np.concatenate([getattr(part, name) for part in parts]) for name in names}
    extras = {name: np.concatenate([part.extras[name] for part in parts]) for name in parts[0].extras}
    return FrameObjects(**fields, extras=extras)


def _kept(objects: FrameObjects, nms_threshold: float) -> NDArray[np.bool_]:
    columns = (objects.boxes, objects.scores, objects.labels)
    boxes, scores, labels = (torch.from_numpy(np.ascontiguousarray(column))[None] for column in columns)
    kept: NDArray[np.bool_] = nms(boxes, scores, labels, iou_threshold=nms_threshold)[0].numpy()
    return kept


def _overlaps(boxes: NDArray[Any], others: NDArray[Any]) -> NDArray[np.float64]:
    """IoU of each two boxes, (n, m); 0 where the union is empty."""
    first, second = (torch.from_numpy(one.astype(np.float64))[None] for one in (boxes, others))
    iou: NDArray[np.float64] = pairwise_iou(first, second)[0].nan_to_num(0).numpy()
    return iou


def _closeness(forward: FrameObjects, backward: FrameObjects, reach: int) -> NDArray[np.float64]:
    """1 for points of one cell, falling to 0 where they are further apart than they may be, (n, m)."""
    distance = np.abs(forward.cells[:, None] - backward.cells[None]).max(-1, initial=0)
    near: NDArray[np.float64] = (1 - distance / (reach + 1)).clip(min=0)
    return near
