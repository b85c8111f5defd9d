"""Non-maximum suppression across the classes of a group: by distance, or by the overlap of turned boxes."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.adapters.birds_eye import BirdsEyeGrid
from heatprop.birds_eye.metric import metric_boxes
from heatprop.peaks import outranks
from heatprop.structures import Detections
from heatprop.suppression import suppress

_MARGIN = 1e-5  # share of a side: of two edges that coincide exactly one counts


class CircleSuppression(NamedTuple):
    """Drop each detection whose centre lies near that of a kept better one (``circular_nms``).

    Attributes:
        grid: Where the cells lie.
        squared_distance: Largest **squared** distance that suppresses, in square metres: CenterPoint's ``min_radius``
            is compared with it as it is.
        limit: Most detections that are kept (``nms_post_max_size``); ``None`` for all.
    """

    grid: BirdsEyeGrid
    squared_distance: float
    limit: int | None = None

    def __call__(self, detections: Detections) -> Tensor:
        """Tell which detections are kept, shape ``(B, K)``, ``bool``."""
        center = metric_boxes(detections, self.grid)[..., :2]
        near = (center.unsqueeze(2) - center.unsqueeze(1)).square().sum(3) <= self.squared_distance
        return _keep(detections, near, self.limit)


class RotatedSuppression(NamedTuple):
    """Drop each detection whose turned box overlaps that of a kept better one (``rotate_nms_pcdet``).

    Attributes:
        grid: Where the cells lie.
        iou_threshold: Largest overlap that is let through, in [0, 1] (``nms_iou_threshold``).
        limit: Most detections that are kept (``nms_post_max_size``); ``None`` for all.
    """

    grid: BirdsEyeGrid
    iou_threshold: float = 0.2
    limit: int | None = None

    def __call__(self, detections: Detections) -> Tensor:
        """Tell which detections are kept, shape ``(B, K)``, ``bool``."""
        boxes = metric_boxes(detections, self.grid)
        iou = rotated_iou(torch.cat([boxes[..., :2], boxes[..., 3:5], boxes[..., -1:]], dim=-1))
        return _keep(detections, iou > self.iou_threshold, self.limit)


def rotated_iou(boxes: Tensor) -> Tensor:
    """Divide the common area of each two turned rectangles by the area of their union.

    The border of the common part consists of the edges of each rectangle that lie in the other one: their cross
    products add up to its area, without sorting corners.

    Args:
        boxes: ``(x, y, across, along, yaw)``, shape ``(B, K, 5)``: at yaw 0 the side ``across`` lies along x; the yaw
            is CenterPoint's, in radians, positive clockwise where x points right and y up.

    Returns:
        Shape ``(B, K, K)``, exact to about 1e-4; NaN where the union is 0.

    Examples:
        >>> import math, torch
        >>> from heatprop.birds_eye import rotated_iou
        >>> square, turned = [0.0, 0, 2, 2, 0], [0.0, 0, 2, 2, math.pi / 4]  # the common part is an octagon
        >>> rotated_iou(torch.tensor([[square, turned]]))[0, 0, 1]
        tensor(0.7071)
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    half, area = boxes[..., 2:4] / 2, boxes[..., 2] * boxes[..., 3]
    corners = _corners(boxes)  # (B, K, 4, 2), around the box's own centre, counterclockwise
    to_other = boxes[:, :, None, :2] - boxes[:, None, :, :2]  # (B, K, K, 2), from the second's centre
    own = _edges_inside(corners, to_other, boxes[..., 4], half * (1 + _MARGIN))
    others = _edges_inside(corners, to_other, boxes[..., 4], half * (1 - _MARGIN))
    # each part is measured around the centre of the box that clips: bring the second one to the same point
    common = (own[0] + others[0].transpose(1, 2) - _cross(others[1].transpose(1, 2), to_other)) / 2
    common = common.clamp(min=0)
    return common / (area.unsqueeze(2) + area.unsqueeze(1) - common)


def _keep(detections: Detections, near: Tensor, limit: int | None) -> Tensor:
    valid = detections.valid
    place = torch.arange(valid.shape[1], device=valid.device).expand(valid.shape)
    kept = suppress(outranks(detections.scores.detach(), place) & near, valid)
    return kept if limit is None else kept & (kept.cumsum(1) <= limit)


def _axes(yaw: Tensor) -> Tensor:
    """Directions of the two sides, shape ``(B, K, 2, 2)``: side, then (x, y)."""
    cosine, sine = yaw.cos(), yaw.sin()
    return torch.stack([torch.stack([cosine, -sine], dim=-1), torch.stack([sine, cosine], dim=-1)], dim=-2)


def _corners(boxes: Tensor) -> Tensor:
    """Corners around each box's own centre, counterclockwise, shape ``(B, K, 4, 2)``."""
    across, along = (_axes(boxes[..., 4]) * boxes[..., 2:4, None] / 2).unbind(2)  # (B, K, 2) each
    return torch.stack([-across - along, across - along, across + along, along - across], dim=2)


def _edges_inside(corners: Tensor, offset: Tensor, yaw: Tensor, half: Tensor) -> tuple[Tensor, Tensor]:
    """Clip the edges of each first box by each second one.

    Args:
        corners: Of the first, around its centre, shape ``(B, K, 4, 2)``.
        offset: From the second's centre to the first's, shape ``(B, K, K, 2)``.
        yaw: Of the second, shape ``(B, K)``.
        half: Half sides of the second, shape ``(B, K, 2)``.

    Returns:
        Sum of the cross products of the parts inside, around the second's centre, shape ``(B, K, K)``, and sum of the
        parts as vectors, shape ``(B, K, K, 2)``.
    """
    axes, half = _axes(yaw).unsqueeze(1), half.unsqueeze(1)  # (B, 1, K, ...)
    crosses, vectors = torch.zeros_like(offset[..., 0]), torch.zeros_like(offset)
    for edge in range(4):
        start = corners[:, :, None, edge] + offset  # (B, K, K, 2)
        step = (corners[:, :, (edge + 1) % 4] - corners[:, :, edge]).unsqueeze(2)  # (B, K, 1, 2)
        place = (axes * start.unsqueeze(3)).sum(4)  # (B, K, K, 2), along the second's sides
        speed = (axes * step.unsqueeze(3)).sum(4)
        speed = torch.where(speed.abs() < 1e-12, 1e-12, speed)
        first, second = (-half - place) / speed, (half - place) / speed
        enters = torch.minimum(first, second).amax(3).clamp(min=0)
        leaves = torch.maximum(first, second).amin(3).clamp(max=1)
        share = (leaves - enters).clamp(min=0)  # (B, K, K)
        crosses = crosses + share * _cross(start, step)
        vectors = vectors + share.unsqueeze(3) * step
    return crosses, vectors


def _cross(first: Tensor, second: Tensor) -> Tensor:
    return first[..., 0] * second[..., 1] - first[..., 1] * second[..., 0]
