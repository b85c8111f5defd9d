"""Non-maximum suppression across the classes of a group: by distance, or by the overlap of turned boxes."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.adapters.birds_eye import BirdsEyeGrid
from heatprop.birds_eye.metric import metric_boxes
from heatprop.peaks import outranks
from heatprop.structures import Detections
from heatprop.suppression import suppress

_STILL = 1e-12  # below it an edge runs along a side
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
        """Mark which detections are kept, shape ``(B, K)``, ``bool``."""
        center = metric_boxes(detections, self.grid)[..., :2]
        near = (center.unsqueeze(2) - center.unsqueeze(1)).square().sum(3) <= self.squared_distance
        return _keep(detections, near, self.limit)


class RotatedSuppression(NamedTuple):
    """Drop each detection whose turned box overlaps that of a kept better one (``rotate_nms_pcdet``).

    A carried detection whose dimensions are not remembered stands with the upright box of the memory.

    Attributes:
        grid: Where the cells lie.
        iou_threshold: Largest overlap that is let through, in [0, 1] (``nms_iou_threshold``).
        limit: Most detections that are kept (``nms_post_max_size``); ``None`` for all.
    """

    grid: BirdsEyeGrid
    iou_threshold: float = 0.2
    limit: int | None = None

    def __call__(self, detections: Detections) -> Tensor:
        """Mark which detections are kept, shape ``(B, K)``, ``bool``."""
        iou = rotated_iou(_ground_boxes(detections, self.grid))
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
    x, y, across, along, yaw = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).unbind(2)  # (B, K) each
    corners = _corners(across / 2, along / 2, yaw)
    right, up = x.unsqueeze(2) - x.unsqueeze(1), y.unsqueeze(2) - y.unsqueeze(1)  # (B, K, K), second to first
    own, *_ = _edges_inside(corners, (right, up), yaw, (across / 2 * (1 + _MARGIN), along / 2 * (1 + _MARGIN)))
    parts = _edges_inside(corners, (right, up), yaw, (across / 2 * (1 - _MARGIN), along / 2 * (1 - _MARGIN)))
    others, step_x, step_y = (part.transpose(1, 2) for part in parts)
    # each sum is taken around the centre of the box that clips: bring the second one to the same point
    common = ((own + others + right * step_y - up * step_x) / 2).clamp(min=0)
    area = across * along
    return common / (area.unsqueeze(2) + area.unsqueeze(1) - common)


def _keep(detections: Detections, near: Tensor, limit: int | None) -> Tensor:
    valid = detections.valid
    place = torch.arange(valid.shape[1], device=valid.device).expand(valid.shape)
    kept = suppress(outranks(detections.scores.detach(), place) & near, valid)
    return kept if limit is None else kept & (kept.cumsum(1) <= limit)


def _ground_boxes(detections: Detections, grid: BirdsEyeGrid) -> Tensor:
    """``(x, y, across, along, yaw)``, shape ``(B, K, 5)``, in metres."""
    boxes, ends = metric_boxes(detections, grid), detections.boxes
    width, height = (ends[..., 2:] - ends[..., :2]).unbind(-1)
    upright = torch.stack([width * grid.voxel_size[0], height * grid.voxel_size[1]], dim=-1)
    sides = torch.where(boxes[..., 3:5] > 0, boxes[..., 3:5], upright)
    return torch.cat([boxes[..., :2], sides, boxes[..., -1:]], dim=-1)


def _corners(across: Tensor, along: Tensor, yaw: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The four corners ``(x, y)`` around each box's own centre, counterclockwise, ``(B, K)`` each."""
    cosine, sine = yaw.cos(), yaw.sin()  # one side points to (cosine, -sine), the other to (sine, cosine)
    signs = ((-1, -1), (1, -1), (1, 1), (-1, 1))
    return [(i * across * cosine + j * along * sine, j * along * cosine - i * across * sine) for i, j in signs]


def _edges_inside(
    corners: list[tuple[Tensor, Tensor]], offset: tuple[Tensor, Tensor], yaw: Tensor, half: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor, Tensor]:
    """Clip the edges of each first box by each second one.

    Args:
        corners: Of the first, around its centre, four times ``(x, y)``, ``(B, K)`` each.
        offset: From the second's centre to the first's, x and y, ``(B, K, K)`` each.
        yaw: Of the second, shape ``(B, K)``.
        half: Half sides of the second, ``(B, K)`` each.

    Returns:
        Sum of the cross products of the parts inside, around the second's centre, and sum of the parts as vectors, x
        and y, ``(B, K, K)`` each.
    """
    cosine, sine = yaw.cos().unsqueeze(1), yaw.sin().unsqueeze(1)  # (B, 1, K)
    across, along = (side.unsqueeze(1) for side in half)
    crosses, sum_x, sum_y = (torch.zeros_like(offset[0]) for _ in range(3))
    for start, end in zip(corners, corners[1:] + corners[:1], strict=True):
        x, y = (part.unsqueeze(2) + away for part, away in zip(start, offset, strict=True))  # (B, K, K)
        step_x, step_y = (there.unsqueeze(2) - here.unsqueeze(2) for here, there in zip(start, end, strict=True))
        enters, leaves = torch.zeros_like(x), torch.ones_like(x)
        for along_x, along_y, limit in ((cosine, -sine, across), (sine, cosine, along)):
            place, speed = x * along_x + y * along_y, step_x * along_x + step_y * along_y
            pace = torch.where(speed.abs() < _STILL, _STILL, speed).reciprocal()
            middle, reach = -place * pace, limit * pace.abs()
            enters, leaves = torch.maximum(enters, middle - reach), torch.minimum(leaves, middle + reach)
        share = (leaves - enters).clamp_(min=0)
        crosses += share * (x * step_y - y * step_x)
        sum_x += share * step_x
        sum_y += share * step_y
    return crosses, sum_x, sum_y
