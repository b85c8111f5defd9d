"""Maps of points: balls, animals, joints, centroids of cells."""

import logging
import math
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor

from heatprop.adapters.dense_votes import may_wait
from heatprop.adapters.named_maps import Adapter, as_tensor, describe
from heatprop.checks import check_count, check_number, check_tensor
from heatprop.peaks import find_peaks, outranks, top_k
from heatprop.structures import HeadMaps
from heatprop.suppression import suppress

_LOG = logging.getLogger("heatprop")
PEAKS = 256
"""So many of the highest peaks take part in merging, over all classes."""


def points(*, scale: float = 1, pool: int = 1, merge_radius: float | None = None) -> Adapter:
    """Make an adapter for networks that give one map per kind of point, such as ball, body or joint.

    The adapter takes the map ``(B, C, H, W)``, alone or as the only one of a list. Sizes are ``None``, so detections
    are points: boxes without area, no NMS.

    Args:
        scale: What the map is divided by, above 0. Maps of regression networks may exceed 1; divide them by their usual
            highest value. Where the map still exceeds 1, the adapter says so once on ``logging``'s ``heatprop`` (on the
            CPU), and the propagator counts it as 1.
        pool: Side of the block of pixels that becomes one cell, at least 1. A fine map needs it: a ball moves many
            pixels from frame to frame, but the memory looks only ``radius`` cells around. The score of a cell is the
            highest of its block, its offset is the middle of that pixel, the first of equals. The propagator's
            ``stride`` is that of the map times ``pool``.
        merge_radius: Peaks of one class within this distance of a higher one are dropped, in pixels of the map, at
            least 0; distances are measured between the points, offsets included. Only the 256 highest peaks, and
            nothing around them, stay in the map. ``None`` changes nothing.

    Returns:
        An adapter: scores, and offsets where ``pool`` is above 1. With several classes in a block, the offset is that
        of the highest score of all.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of its range.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> ball = torch.zeros(1, 1, 8, 8)
        >>> ball[0, 0, 5, 2] = 1.5
        >>> maps = adapters.points(scale=2, pool=4)(ball)
        >>> maps.heatmap.tolist(), maps.offset[0, :, 1, 0].tolist()
        ([[[[0.0, 0.0], [0.75, 0.0]]]], [0.625, 0.375])
    """
    check_number("scale", scale, low=0)
    if scale in (0, math.inf):
        raise ValueError(f"scale must be finite and above 0, got {scale}")
    check_count("pool", pool, low=1, high=1024)
    if merge_radius is not None:
        check_number("merge_radius", merge_radius, low=0)
        if merge_radius > 100 * pool:
            raise ValueError(f"merge_radius must be at most 100 cells of {pool} pixels, got {merge_radius}")
    return _PointAdapter(scale, pool, merge_radius)


class _PointAdapter:
    def __init__(self, scale: float, pool: int, merge_radius: float | None) -> None:
        self._scale, self._pool, self._merge_radius = scale, pool, merge_radius
        self._told = False

    def __call__(self, raw: Any) -> HeadMaps:
        heatmap = as_tensor(raw[0] if isinstance(raw, list | tuple) and len(raw) == 1 else raw)
        if not isinstance(heatmap, Tensor):
            raise TypeError(f"adapters.points expects one map (B, C, H, W), got {describe(raw)}")
        check_tensor("the map", heatmap, floating=True)
        if heatmap.dim() != 4 or 0 in heatmap.shape:
            raise ValueError(f"adapters.points expects one map (B, C, H, W), got {describe(raw)}")
        if self._scale != 1:
            heatmap = heatmap / self._scale
        self._tell(heatmap)
        maps = pool_points(heatmap, self._pool)
        if self._merge_radius is not None:
            maps = maps._replace(heatmap=merge_points(maps, self._merge_radius / self._pool))
        return maps

    def _tell(self, heatmap: Tensor) -> None:
        """Say once that scores are above 1."""
        if self._told or not may_wait(heatmap):
            return
        highest = heatmap.detach().amax().item()
        if highest > 1:
            self._told = True
            _LOG.warning(
                "the map of points reaches %.3g above 1, which counts as 1: pass adapters.points(scale=%.3g)",
                highest,
                highest * self._scale,
            )

    def __repr__(self) -> str:
        return f"adapters.points(scale={self._scale}, pool={self._pool}, merge_radius={self._merge_radius})"


def pool_points(heatmap: Tensor, pool: int) -> HeadMaps:
    """Take the highest score of each block, and where it is.

    Args:
        heatmap: Scores, shape ``(B, C, H, W)``.
        pool: Side of a block; blocks at the right and lower border may be smaller.

    Returns:
        Scores ``(B, C, h, w)`` and offsets ``(B, 2, h, w)`` in blocks.
    """
    if pool == 1:
        return HeadMaps(heatmap)
    H, W = heatmap.shape[2:]
    blocks = F.pixel_unshuffle(F.pad(heatmap, (0, -W % pool, 0, -H % pool), value=-math.inf), pool)
    blocks = blocks.view(len(heatmap), -1, pool * pool, *blocks.shape[2:])  # (B, C, pool * pool, h, w)
    place = blocks.amax(1).max(1).indices  # (B, h, w), the first of equals
    offset = (torch.stack([place % pool, place // pool], dim=1) + 0.5) / pool
    dtype = torch.promote_types(heatmap.dtype, torch.float32)
    return HeadMaps(blocks.amax(2), offset.to(dtype))


def merge_points(maps: HeadMaps, radius: float) -> Tensor:
    """Keep the peaks that no higher peak of their class is near: greedy, the highest first; all other cells become 0.

    (To clear only the surroundings of a peak would leave a new one on the slope of a wide bump.)

    Args:
        maps: Scores and offsets.
        radius: Largest distance at which points are one, in cells.

    Returns:
        Scores, shape ``(B, C, H, W)``.
    """
    B, C, H, W = maps.heatmap.shape
    scores, index = top_k(find_peaks(maps.heatmap.detach().nan_to_num(0)), PEAKS)  # (B, K)
    x, y = cell_points(maps)  # (B, H * W) each
    label, cell = index // (H * W), index % (H * W)
    point = torch.stack([x.gather(1, cell), y.gather(1, cell)], dim=2)  # (B, K, 2)
    apart = (point.unsqueeze(2) - point.unsqueeze(1)).square().sum(3)
    close = (apart <= radius**2) & (label.unsqueeze(2) == label.unsqueeze(1))
    kept = suppress(close & outranks(scores, index), scores > 0)
    places = torch.where(kept, index, C * H * W)  # one more, for what is dropped
    return scores.new_zeros(B, C * H * W + 1).scatter_(1, places, scores)[:, :-1].view(B, C, H, W)


def cell_points(maps: HeadMaps) -> tuple[Tensor, Tensor]:
    """Where the point of each cell lies: x and y, shape ``(B, H * W)`` each, in cells."""
    B, _, H, W = maps.heatmap.shape
    offset = maps.offset
    if offset is None:
        offset = torch.full((B, 2, H, W), 0.5, device=maps.heatmap.device)
    x = torch.arange(W, device=offset.device) + offset[:, 0]
    y = torch.arange(H, device=offset.device).unsqueeze(1) + offset[:, 1]
    return x.flatten(1), y.flatten(1)
