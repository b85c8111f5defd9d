"""Boxes from cells (Eq. 1), their overlap, and non-maximum suppression with static shapes."""

import torch
from torch import Tensor
from torch._higher_order_ops import while_loop


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


def pairwise_iou(boxes: Tensor, others: Tensor | None = None) -> Tensor:
    """Divide the common area of each two boxes by the area of their union.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``; areas are computed in ``float32`` at least.
        others: The boxes to compare them with, shape ``(B, M, 4)``; the same boxes when ``None``.

    Returns:
        Shape ``(B, K, M)``, in the dtype of ``boxes``; NaN where the union is 0.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 0, 30, 10]]])
        >>> pairwise_iou(boxes, torch.tensor([[[5.0, 0, 15, 10]]]))
        tensor([[[0.3333],
                 [0.0000]]])
    """
    low, high, area = _corners_and_areas(boxes)
    other_low, other_high, other_area = (low, high, area) if others is None else _corners_and_areas(others)
    start = torch.maximum(low.unsqueeze(3), other_low.unsqueeze(2))  # (B, 2, K, M)
    side = (torch.minimum(high.unsqueeze(3), other_high.unsqueeze(2)) - start).clamp_(min=0)
    inter = side[:, 0] * side[:, 1]  # (B, K, M)
    return (inter / (area.unsqueeze(2) + other_area.unsqueeze(1) - inter)).to(boxes.dtype)


def nms(
    boxes: Tensor, scores: Tensor, labels: Tensor, valid: Tensor | None = None, *, iou_threshold: float = 0.3
) -> Tensor:
    """Drop each box that overlaps a kept box of its class with a higher score by more than the threshold.

    Equal scores: the earlier place wins. Boxes of no area (a union of 0) are kept. It gives what
    ``torchvision.ops.nms`` gives class by class on ``float64`` boxes.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``.
        scores: Shape ``(B, K)``.
        labels: Class index, shape ``(B, K)``.
        valid: Which places take part, shape ``(B, K)``, ``bool``; all when ``None``.
        iou_threshold: Largest overlap that is let through, in [0, 1].

    Returns:
        Which boxes are kept, shape ``(B, K)``, ``bool``.

    Raises:
        ValueError: If the shapes do not fit together.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10]]])
        >>> nms(boxes, torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 0, 1]]))
        tensor([[ True, False,  True]])
    """
    if boxes.dim() != 3 or boxes.shape[2] != 4 or not boxes.shape[:2] == scores.shape == labels.shape:
        raise ValueError(
            "boxes must have shape (B, K, 4), scores and labels (B, K), got "
            f"{tuple(boxes.shape)}, {tuple(scores.shape)} and {tuple(labels.shape)}; add a batch dimension with x[None]"
        )
    if valid is None:
        valid = torch.ones_like(scores, dtype=torch.bool)
    place = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    better = outranks(scores, place)
    return suppress(better & overlap(boxes, labels, iou_threshold=iou_threshold), valid)


def overlap(boxes: Tensor, labels: Tensor, *, iou_threshold: float) -> Tensor:
    """Tell which boxes of one class overlap by more than the threshold.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``.
        labels: Class index, shape ``(B, K)``.
        iou_threshold: Largest overlap that is let through, in [0, 1].

    Returns:
        Shape ``(B, K, K)``, ``bool``; a box overlaps itself unless it has no area.
    """
    same = labels.unsqueeze(2) == labels.unsqueeze(1)
    return same & (pairwise_iou(boxes) > iou_threshold)


def outranks(scores: Tensor, tie: Tensor) -> Tensor:
    """Tell for each two places whether the first comes before the second: higher score, then lower tie value.

    Args:
        scores: Shape ``(B, K)``.
        tie: What decides among equal scores, shape ``(B, K)``, all different where scores are equal.

    Returns:
        Shape ``(B, K, K)``, ``bool``: entry ``[b, i, j]`` is whether i comes before j.
    """
    one, other = scores.unsqueeze(2), scores.unsqueeze(1)
    return (one > other) | ((one == other) & (tie.unsqueeze(2) < tie.unsqueeze(1)))


def suppress(overlaps: Tensor, valid: Tensor) -> Tensor:
    """Keep each valid box that no kept box suppresses: the one fixed point of that rule.

    No single form is fast everywhere (DESIGN section 5): a loop that stops early needs to wait for the
    device, which is free on the CPU and forbidden elsewhere; a compiled graph holds the loop itself.

    Args:
        overlaps: Entry ``[b, i, j]``: i is better than j and suppresses it if kept, shape ``(B, K, K)``, ``bool``.
        valid: Which places take part, shape ``(B, K)``, ``bool``.

    Returns:
        Which are kept, shape ``(B, K)``, ``bool``.
    """
    if torch.compiler.is_compiling():
        return suppress_while(overlaps, valid)
    if valid.device.type == "cpu" and type(valid) is Tensor:  # a fake tensor has no values to stop early by
        return suppress_eager(overlaps, valid)
    return suppress_unrolled(overlaps, valid)


def suppress_eager(overlaps: Tensor, valid: Tensor) -> Tensor:
    """`suppress` that stops at the first round that changes nothing; waits for the device."""
    matrix, start = _as_numbers(overlaps, valid)
    keep, previous = start, torch.zeros_like(start)
    while not torch.equal(keep, previous):
        keep, previous = _round(matrix, start, keep), keep
    return keep.squeeze(1) > 0


def suppress_unrolled(overlaps: Tensor, valid: Tensor) -> Tensor:
    """`suppress` in K rounds, as many as the longest possible chain needs; never waits."""
    matrix, start = _as_numbers(overlaps, valid)
    keep = start
    for _ in range(start.shape[2]):
        keep = _round(matrix, start, keep)
    return keep.squeeze(1) > 0


def suppress_while(overlaps: Tensor, valid: Tensor) -> Tensor:
    """`suppress` as a loop inside the graph, for compilers and exporters."""
    matrix, start = _as_numbers(overlaps, valid)

    def changed(keep: Tensor, previous: Tensor) -> Tensor:
        return (keep != previous).any()

    def body(keep: Tensor, previous: Tensor) -> tuple[Tensor, Tensor]:
        return _round(matrix, start, keep), keep.clone()

    keep: Tensor = while_loop(changed, body, (start.clone(), torch.zeros_like(start) - 1))[0]  # type: ignore[no-untyped-call]  # untyped in torch
    return keep.squeeze(1) > 0


def _corners_and_areas(boxes: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    wide = boxes.to(torch.promote_types(boxes.dtype, torch.float32)).transpose(1, 2)  # (B, 4, K)
    low, high = wide[:, :2], wide[:, 2:]
    return low, high, (high - low).prod(1)  # (B, 2, K), (B, 2, K), (B, K)


def _as_numbers(overlaps: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    return overlaps.to(torch.float32), valid.to(torch.float32).unsqueeze(1)  # (B, K, K), (B, 1, K)


def _round(matrix: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """Count the kept boxes that suppress each one; 0 leaves what it was, 1 or more leaves 0."""
    return (start - keep @ matrix).relu()
