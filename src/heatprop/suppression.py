"""Non-maximum suppression per class, exact and with static shapes."""

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor

from heatprop.boxes import pairwise_iou
from heatprop.checks import check_number, check_one_device, check_tensor
from heatprop.peaks import outranks

MATRIX = 300
"""Up to so many boxes one K x K matrix is fastest; more are gone through in blocks."""
BLOCK = 256


def nms(
    boxes: Tensor, scores: Tensor, labels: Tensor, valid: Tensor | None = None, *, iou_threshold: float = 0.3
) -> Tensor:
    """Drop each box that overlaps a kept box of its class with a higher score by more than the threshold.

    In a tie, the earlier place wins. Boxes with no area (a union of 0) are kept. It gives what
    ``torchvision.ops.nms`` gives class by class on ``float64`` boxes.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``.
        scores: Shape ``(B, K)``.
        labels: Class index, shape ``(B, K)``.
        valid: Which places take part, shape ``(B, K)``, ``bool``; all when ``None``.
        iou_threshold: Largest overlap that is allowed, in [0, 1].

    Returns:
        Which boxes are kept, shape ``(B, K)``, ``bool``.

    Raises:
        TypeError: If boxes or scores are no floating tensors, labels no whole numbers, ``valid`` no ``bool``.
        ValueError: If shapes or devices do not fit together, or ``iou_threshold`` is out of its range.

    Examples:
        >>> import torch
        >>> boxes = torch.tensor([[[0.0, 0, 10, 10], [1, 0, 11, 10], [1, 0, 11, 10]]])
        >>> nms(boxes, torch.tensor([[0.9, 0.8, 0.7]]), torch.tensor([[0, 0, 1]]))
        tensor([[ True, False,  True]])
    """
    _check_boxes(boxes, scores, labels, valid, iou_threshold)
    if boxes.dim() != 3 or boxes.shape[2] != 4 or not boxes.shape[:2] == scores.shape == labels.shape:
        raise ValueError(
            "boxes must have shape (B, K, 4), scores and labels (B, K), got "
            f"{tuple(boxes.shape)}, {tuple(scores.shape)} and {tuple(labels.shape)}; add a batch dimension with x[None]"
        )
    if valid is None:
        valid = torch.ones_like(scores, dtype=torch.bool)
    place = torch.arange(scores.shape[1], device=scores.device).expand_as(scores)
    order, kept = rank(boxes, scores, labels, place, valid, iou_threshold=iou_threshold)
    return torch.zeros_like(kept).scatter_(1, order, kept)


def _check_boxes(boxes: Tensor, scores: Tensor, labels: Tensor, valid: Tensor | None, iou_threshold: float) -> None:
    """Require what `nms` takes, beside the shapes of boxes, scores and labels."""
    check_number("iou_threshold", iou_threshold, low=0, high=1)
    check_tensor("boxes", boxes, floating=True)
    check_tensor("scores", scores, floating=True)
    check_tensor("labels", labels, floating=False)
    if labels.is_floating_point() or labels.is_complex():
        raise TypeError(f"labels must hold whole numbers, got {labels.dtype}; cast them with .long()")
    if valid is not None:
        check_tensor("valid", valid, floating=False)
        if valid.dtype != torch.bool:
            raise TypeError(f"valid must be a bool tensor, got {valid.dtype}")
        if valid.shape != scores.shape:
            raise ValueError(f"valid must have the shape of scores {tuple(scores.shape)}, got {tuple(valid.shape)}")
    check_one_device(boxes=boxes, scores=scores, labels=labels, valid=scores if valid is None else valid)


def rank(
    boxes: Tensor, scores: Tensor, labels: Tensor, tie: Tensor, valid: Tensor, *, iou_threshold: float | None
) -> tuple[Tensor, Tensor]:
    """Suppress boxes and put the kept ones first, by falling score.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``.
        scores: Shape ``(B, K)``, at least 0.
        labels: Class index, shape ``(B, K)``.
        tie: What decides among equal scores, the lower first, shape ``(B, K)``, all different.
        valid: Which places take part, shape ``(B, K)``, ``bool``.
        iou_threshold: Largest overlap that is allowed, in [0, 1]; ``None`` suppresses nothing.

    Returns:
        The order, shape ``(B, K)``, ``int64``; and which places of that order are kept, shape ``(B, K)``, ``bool``.
    """
    K = scores.shape[1]
    if iou_threshold is not None and K > MATRIX:
        return _rank_in_blocks(boxes, scores, labels, tie, valid, iou_threshold)
    better = outranks(scores, tie)  # (B, K, K)
    if iou_threshold is not None:
        valid = suppress(better & overlap(boxes, labels, iou_threshold=iou_threshold), valid)
    place = (better & valid.unsqueeze(2)).sum(1)  # how many kept ones come before
    order = torch.where(valid, place, K).argsort(dim=1)
    return order, valid.gather(1, order)


def overlap(boxes: Tensor, labels: Tensor, *, iou_threshold: float) -> Tensor:
    """Mark the pairs of boxes of one class that overlap by more than the threshold.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``.
        labels: Class index, shape ``(B, K)``.
        iou_threshold: Largest overlap that is allowed, in [0, 1].

    Returns:
        Shape ``(B, K, K)``, ``bool``; a box overlaps itself unless it has no area.
    """
    return (labels.unsqueeze(2) == labels.unsqueeze(1)) & (pairwise_iou(boxes) > iou_threshold)


def suppress(overlaps: Tensor, valid: Tensor) -> Tensor:
    """Keep each valid box that no kept box suppresses: the only fixed point of that rule.

    No single form is fast everywhere: a loop that stops early has to wait for the device, which costs nothing on the
    CPU and is forbidden elsewhere; a compiled graph contains the loop itself.

    Args:
        overlaps: Entry ``[b, i, j]``: i is better than j and suppresses it if kept, shape ``(B, K, K)``, ``bool`` or
            0 and 1 in ``float32``.
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
    """Do what `suppress` does, but stop at the first round that changes nothing; this waits for the device."""
    matrix, start = _as_numbers(overlaps, valid)
    keep, previous = start, torch.zeros_like(start)
    while not torch.equal(keep, previous):
        keep, previous = _round(matrix, start, keep), keep
    return keep.squeeze(1) > 0


def suppress_unrolled(overlaps: Tensor, valid: Tensor) -> Tensor:
    """Do what `suppress` does in K rounds, enough for the longest possible chain; this never waits."""
    matrix, start = _as_numbers(overlaps, valid)
    keep = start
    for _ in range(start.shape[2]):
        keep = _round(matrix, start, keep)
    return keep.squeeze(1) > 0


def suppress_while(overlaps: Tensor, valid: Tensor) -> Tensor:
    """Do what `suppress` does as a loop in the graph, for compilers; K rounds if torch has no such loop."""
    try:
        from torch._higher_order_ops import while_loop  # private: it may move
    except ImportError:
        return suppress_unrolled(overlaps, valid)
    matrix, start = _as_numbers(overlaps, valid)

    def changed(keep: Tensor, previous: Tensor) -> Tensor:
        return (keep != previous).any()

    def body(keep: Tensor, previous: Tensor) -> "tuple[Tensor, Tensor]":
        return _round(matrix, start, keep), keep.clone()

    keep: Tensor = while_loop(changed, body, (start.clone(), torch.zeros_like(start) - 1))[0]  # type: ignore[no-untyped-call]  # untyped in torch
    return keep.squeeze(1) > 0


def _rank_in_blocks(
    boxes: Tensor, scores: Tensor, labels: Tensor, tie: Tensor, valid: Tensor, iou_threshold: float
) -> tuple[Tensor, Tensor]:
    """Do what `rank` does for many boxes: compare blocks, by falling score, with the kept boxes before them."""
    first = tie.argsort(dim=1)
    falling = torch.where(valid, scores, -1).gather(1, first).argsort(dim=1, descending=True, stable=True)
    order = first.gather(1, falling)
    boxes = boxes.detach().gather(1, order.unsqueeze(2).expand_as(boxes))
    labels, valid = _numbered(labels).gather(1, order), valid.gather(1, order)
    kept = valid[:, :0]
    for start in range(0, order.shape[1], BLOCK):
        stop = min(start + BLOCK, order.shape[1])
        over = pairwise_iou(boxes[:, :stop], boxes[:, start:stop]).gt_(iou_threshold).to(torch.float32)
        over *= (labels[:, :stop].unsqueeze(2) - labels[:, start:stop].unsqueeze(1)).eq_(0)  # numbers, faster than bool
        beaten = (kept.to(torch.float32).unsqueeze(1) @ over[:, :start]).squeeze(1) > 0
        kept = torch.cat([kept, suppress(over[:, start:].triu(1), valid[:, start:stop] & ~beaten)], dim=1)
    last = (~kept).to(torch.uint8).argsort(dim=1, stable=True)
    return order.gather(1, last), kept.gather(1, last)


def _numbered(labels: Tensor) -> Tensor:
    """Number the classes of each stream, so that `float32` tells them apart whatever they are; shape ``(B, K)``."""
    order = labels.argsort(dim=1)
    rising = labels.gather(1, order)
    new = F.pad(rising[:, 1:] != rising[:, :-1], (1, 0))
    return torch.zeros_like(new, dtype=torch.float32).scatter_(1, order, new.cumsum(1).to(torch.float32))


def _as_numbers(overlaps: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    return overlaps.to(torch.float32), valid.to(torch.float32).unsqueeze(1)  # (B, K, K), (B, 1, K)


def _round(matrix: Tensor, start: Tensor, keep: Tensor) -> Tensor:
    """Count the kept boxes that suppress each box: 0 changes nothing, 1 or more gives 0."""
    return (start - keep @ matrix).relu()
