"""Boxes from cells (Eq. 1) and their overlap."""

import torch
from torch import Tensor


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

    Examples:
        >>> import torch
        >>> decode_boxes(torch.tensor([10, 20]), torch.tensor([0.5, 0.5]), torch.tensor([3.0, 5.0]))
        tensor([36., 72., 48., 92.])
    """
    center = cells + offset
    return torch.cat([center - size / 2, center + size / 2], dim=-1) * stride


def pairwise_iou(boxes: Tensor) -> Tensor:
    """Divide the common area of each two boxes by the area of their union.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``; areas are computed in ``float32`` at least.

    Returns:
        Shape ``(B, K, K)``; NaN where the union is 0.
    """
    wide = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).transpose(1, 2)  # (B, 4, K)
    low, high = wide[:, :2], wide[:, 2:]
    area = (high - low).prod(1)  # (B, K)
    start = torch.maximum(low.unsqueeze(3), low.unsqueeze(2))  # (B, 2, K, K)
    side = (torch.minimum(high.unsqueeze(3), high.unsqueeze(2)) - start).clamp_(min=0)
    inter = side[:, 0] * side[:, 1]  # (B, K, K)
    return (inter / (area.unsqueeze(2) + area.unsqueeze(1) - inter)).to(boxes.dtype)
