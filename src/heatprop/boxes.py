"""Boxes from cells (Eq. 1) and their overlap."""

import torch
from torch import Tensor

from heatprop.checks import check_number, check_one_device, check_tensor


def decode_boxes(cells: Tensor, offset: Tensor, size: Tensor, *, stride: float = 4) -> Tensor:
    r"""Turn peaks into boxes.

    $$R \cdot (x + \delta x - w/2,\; y + \delta y - h/2,\; x + \delta x + w/2,\; y + \delta y + h/2) \tag{1}$$

    Args:
        cells: Peak positions ``(x, y)``, shape ``(..., 2)``, in cells.
        offset: Sub-cell offsets ``(dx, dy)``, shape ``(..., 2)``, in cells.
        size: Box sizes ``(w, h)``, shape ``(..., 2)``, in cells.
        stride: $R$, pixels per cell.

    Returns:
        Boxes ``(x1, y1, x2, y2)``, shape ``(..., 4)``, in pixels of the network input, not clipped.

    Raises:
        TypeError: If an argument is no tensor, or ``stride`` no number.
        ValueError: If shapes or devices differ, or ``stride`` is below 0.

    Examples:
        >>> import torch
        >>> decode_boxes(torch.tensor([10, 20]), torch.tensor([0.5, 0.5]), torch.tensor([3.0, 5.0]))
        tensor([36., 72., 48., 92.])
    """
    for name, field in (("cells", cells), ("offset", offset), ("size", size)):
        check_tensor(name, field, floating=name != "cells")
    check_number("stride", stride, low=0)
    if not cells.shape == offset.shape == size.shape or cells.shape[-1:] != (2,):
        came = ", ".join(str(tuple(field.shape)) for field in (cells, offset, size))
        raise ValueError(f"cells, offset and size must share one shape (..., 2), got {came}")
    check_one_device(cells=cells, offset=offset, size=size)
    center = cells + offset
    return torch.cat([center - size / 2, center + size / 2], dim=-1) * stride


def pairwise_iou(boxes: Tensor, others: Tensor | None = None) -> Tensor:
    """Divide the common area of each pair of boxes by the area of their union.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``; areas are computed in ``float32`` at least.
        others: The boxes to compare them with, shape ``(B, M, 4)``; the same boxes when ``None``.

    Returns:
        Shape ``(B, K, M)``, in the dtype of ``boxes``; NaN where the union is 0.

    Raises:
        TypeError: If an argument is no floating tensor.
        ValueError: If shapes or devices do not fit together.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 0, 30, 10]]])
        >>> pairwise_iou(boxes, torch.tensor([[[5.0, 0, 15, 10]]]))
        tensor([[[0.3333],
                 [0.0000]]])
    """
    for name, value in (("boxes", boxes), ("others", boxes if others is None else others)):
        check_tensor(name, value, floating=True, dims=3)
        if value.shape[2] != 4 or value.shape[0] != boxes.shape[0]:
            raise ValueError(f"{name} must have shape (B, K, 4) with B = {boxes.shape[0]}, got {tuple(value.shape)}")
    check_one_device(boxes=boxes, others=boxes if others is None else others)
    left, top, right, bottom, area = (side.unsqueeze(2) for side in _sides_and_area(boxes))  # (B, K, 1) each
    other = boxes if others is None else others
    other_left, other_top, other_right, other_bottom, other_area = (
        side.unsqueeze(1) for side in _sides_and_area(other)
    )
    width = torch.minimum(right, other_right).sub_(torch.maximum(left, other_left)).clamp_(min=0)  # (B, K, M)
    height = torch.minimum(bottom, other_bottom).sub_(torch.maximum(top, other_top)).clamp_(min=0)
    inter = width.mul_(height)
    return (inter / (area + other_area - inter)).to(boxes.dtype)


def _sides_and_area(boxes: Tensor) -> tuple[Tensor, ...]:
    """Left, top, right, bottom and area, ``(B, K)`` each; contiguous, since slices are several times slower."""
    wide = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    left, top, right, bottom = wide.permute(2, 0, 1).contiguous()
    return left, top, right, bottom, (right - left) * (bottom - top)
