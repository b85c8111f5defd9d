"""What the detector finds in a frame without any memory: its own boxes, and values that nobody can use."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.boxes import decode_boxes
from heatprop.evidence import clean_scores, read_maps, seen_cells
from heatprop.options import PropagatorOptions
from heatprop.peaks import find_peaks, top_k
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import HeadMaps
from heatprop.suppression import rank

MOST = 1000
"""Largest number of the detector's own boxes in a frame; the memory has its own limit, ``top_k``."""


class OwnBoxes(NamedTuple):
    """What the detector alone finds in a frame.

    Attributes:
        boxes: Boxes ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels.
        scores: Scores, shape ``(n,)``, in [0, 1].
        labels: Class index of each box, shape ``(n,)``.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    labels: NDArray[np.int64]

    def outside(self, boxes: NDArray[np.float64], *, scale: float) -> "OwnBoxes":
        """Leave out boxes that lie inside other boxes.

        Args:
            boxes: The other boxes, shape ``(m, 4)``, in the same pixels.
            scale: Factor on the width and height of the other boxes, at least 1.

        Returns:
            The boxes that do not lie entirely inside one of the others.
        """
        middle, half = (boxes[:, :2] + boxes[:, 2:]) / 2, scale * (boxes[:, 2:] - boxes[:, :2]) / 2
        low, high = self.boxes[:, None, :2], self.boxes[:, None, 2:]  # (n, 1, 2)
        inside = np.any(np.all((low >= middle - half) & (high <= middle + half), axis=2), axis=1)
        return self._only(~inside)

    def of_classes(self, labels: list[int]) -> "OwnBoxes":
        """Keep the boxes of some classes."""
        return self._only(np.isin(self.labels, labels))

    def _only(self, kept: NDArray[np.bool_]) -> "OwnBoxes":
        return self._replace(boxes=self.boxes[kept], scores=self.scores[kept], labels=self.labels[kept])


NO_BOXES = OwnBoxes(np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64))


class Reading(NamedTuple):
    """What the detector finds in a frame.

    Attributes:
        own: Its own boxes of all classes, in pixels of its picture; empty if nobody asked for them.
        unreadable: Whether a score is not finite, or a cell has a score that counts but a box that cannot be read.
        outside: Whether a finite score lies outside [0, 1]: it counts as 0 or 1.
    """

    own: OwnBoxes = NO_BOXES
    unreadable: bool = False
    outside: bool = False


def own_boxes(maps: HeadMaps, options: PropagatorOptions, *, score: float) -> OwnBoxes:
    """Decode a frame without any memory: 3 x 3 peaks and NMS, as CenterNet does.

    Args:
        maps: The detector's maps, ``(1, C, H, W)``, with sizes.
        options: Gives the stride of the maps and the threshold of NMS.
        score: Lowest score, above 0.

    Returns:
        The boxes in pixels of the detector's picture, in order of falling score, at most 1,000.
    """
    dtype = torch.promote_types(maps.heatmap.dtype, torch.float32)
    seen = seen_cells(maps, stride=options.stride)
    peaks, index = top_k(find_peaks(clean_scores(maps.heatmap.to(dtype), seen)), MOST)
    index = index[:, peaks[0] >= score]  # (1, n)
    scores, offset, size = read_maps(maps, seen, index, dtype)
    H, W = maps.heatmap.shape[2:]
    cells = torch.stack([index % W, index // W % H], dim=2)
    boxes = decode_boxes(cells, offset, offset.new_zeros(offset.shape) if size is None else size, stride=options.stride)
    labels = index // (H * W)
    every = torch.ones_like(labels, dtype=torch.bool)
    order, kept = rank(boxes, scores, labels, index, every, iou_threshold=options.nms_threshold)
    place = order[kept]
    values = (boxes[0, place].double(), scores[0, place].double(), labels[0, place])
    return OwnBoxes(*(value.cpu().numpy() for value in values))


def without_memory(propagator: HeatmapPropagator) -> HeatmapPropagator:
    """Make the per-frame baseline: CenterNet's own peaks, the same threshold and NMS, no past."""
    return HeatmapPropagator(
        peak_kernel=3,
        top_k=propagator.top_k,
        score_threshold=propagator.score_threshold,
        nms_threshold=propagator.nms_threshold,
        stride=propagator.stride,
    )


def check_values(maps: HeadMaps, *, stride: float, score: float) -> tuple[bool, bool]:
    """Look for values that nobody can use.

    Args:
        maps: The detector's maps, ``(1, C, H, W)``.
        stride: Pixels per cell.
        score: Lowest score that counts.

    Returns:
        Whether a score is not finite, or a cell has a score that counts but a box that cannot be read; and whether a
        finite score lies outside [0, 1].
    """
    heatmap = maps.heatmap
    finite = heatmap.isfinite()
    lost = ~finite.all()
    seen = seen_cells(maps, stride=stride)
    if seen is not None:
        lost = lost | ((heatmap >= score) & ~seen).any()
    unreadable, outside = torch.stack([lost, _outside(heatmap, finite)]).tolist()
    return unreadable, outside


def _outside(heatmap: Tensor, finite: Tensor) -> Tensor:
    return (finite & ((heatmap < 0) | (heatmap > 1))).any()
