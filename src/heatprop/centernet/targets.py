"""What the heads learn: turn the boxes of a batch into a heatmap, offsets and sizes, all at once on any device."""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor

from heatprop.checks import check_count, check_number

RadiusRule = Literal["original", "corrected"]


class Targets(NamedTuple):
    """What CenterNet learns from a batch; N objects per image, padded.

    Attributes:
        heatmap: A Gaussian around the centre of each object in the channel of its class, shape ``(B, C, H, W)``,
            in [0, 1]; exactly 1 at the centres and nowhere else.
        index: Flat cell ``y * W + x`` of each centre, shape ``(B, N)``, ``int64``.
        offset: Step ``(dx, dy)`` from that cell to the centre, shape ``(B, N, 2)``, in cells, in [0, 1).
        size: Box size ``(w, h)``, shape ``(B, N, 2)``, in cells.
        valid: Which places hold an object that lies in the picture, shape ``(B, N)``, ``bool``; the other fields
            are 0 elsewhere.
    """

    heatmap: Tensor
    index: Tensor  # type: ignore[assignment]  # hides tuple.index, which a batch has no use for
    offset: Tensor
    size: Tensor
    valid: Tensor


def make_targets(
    boxes: Tensor,
    labels: Tensor,
    valid: Tensor,
    *,
    num_classes: int,
    shape: tuple[int, int],
    stride: int = 4,
    min_overlap: float = 0.7,
    radius_rule: RadiusRule = "original",
) -> Targets:
    """Make the targets of a batch.

    Each box is converted to cells, its corners are clipped to the first and the last cell, and the result gives centre,
    offset, size and radius r. A box that is empty after that (outside the picture, degenerate, not finite) is not
    valid. Its Gaussian has a standard deviation of (2 r + 1) / 6 and ends r cells from its middle in x and in y;
    where Gaussians of one class overlap, the higher value counts. No value is read on the host. The largest
    temporary holds ``(B, N, H, W)`` numbers, so pad to the largest N of the batch, not to the largest N possible.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, N, 4)``, in pixels of the network input. N may be 0.
        labels: Class index from 0, below ``num_classes`` where ``valid``, shape ``(B, N)``, ``int64``.
        valid: Which places hold a box, shape ``(B, N)``, ``bool``.
        num_classes: Channels C of the heatmap, at least 1.
        shape: ``(H, W)`` of the heatmap, in cells.
        stride: Pixels per cell, at least 1.
        min_overlap: See `gaussian_radius`, above 0 and at most 1.
        radius_rule: See `gaussian_radius`.

    Returns:
        The targets in ``float32``, or in ``float64`` if the boxes are, on the device of the boxes.

    Raises:
        TypeError: If a tensor or a number has the wrong type.
        ValueError: If shapes, devices or numbers do not fit.

    Examples:
        >>> import torch
        >>> boxes, labels = torch.tensor([[[8.0, 8.0, 32.0, 24.0]]]), torch.tensor([[1]])
        >>> targets = make_targets(boxes, labels, torch.tensor([[True]]), num_classes=3, shape=(16, 16))
        >>> targets.index.item() == 4 * 16 + 5, targets.size.tolist(), targets.heatmap[0, 1, 4, 5].item()
        (True, [[[6.0, 4.0]]], 1.0)
    """
    _check_boxes(boxes, labels, valid)
    check_count("num_classes", num_classes, low=1)
    check_number("stride", stride, low=1)
    H, W = shape
    check_count("height of the heatmap", H, low=1)
    check_count("width of the heatmap", W, low=1)
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32)) / stride
    x1, x2 = boxes[..., 0::2].clamp(0, W - 1).unbind(-1)  # (B, N) each
    y1, y2 = boxes[..., 1::2].clamp(0, H - 1).unbind(-1)
    valid = valid & (x2 > x1) & (y2 > y1)
    box = torch.where(valid[..., None], torch.stack([x1, y1, x2, y2], dim=-1), 0)  # (B, N, 4), finite
    size = box[..., 2:] - box[..., :2]  # (B, N, 2)
    centre = (box[..., :2] + box[..., 2:]) / 2
    cell = centre.floor()
    radius = gaussian_radius(size, min_overlap=min_overlap, radius_rule=radius_rule)  # (B, N)
    heatmap = _draw(cell, radius, torch.where(valid, labels, 0), valid, (num_classes, H, W))
    index = (cell[..., 1] * W + cell[..., 0]).long()
    return Targets(heatmap, index, centre - cell, size, valid)


def gaussian_radius(size: Tensor, *, min_overlap: float = 0.7, radius_rule: RadiusRule = "original") -> Tensor:
    """Choose how far from its centre the Gaussian of a box reaches.

    The idea: a box whose corners are off by up to r still overlaps the true one by ``min_overlap``. There are three
    ways to be off (moved, smaller, larger), each gives a quadratic equation in r, and the smallest r counts. The
    original code takes (b + sqrt(b^2 - 4ac)) / 2 for all three, the wrong root of two and not divided by a: radii are
    3.35 to 3.8 times too large at 0.7. All published weights were trained this way, so it is the default.

    Args:
        size: ``(w, h)``, shape ``(..., 2)``, in cells; rounded up to whole cells first.
        min_overlap: Overlap that the corners keep, above 0 and at most 1.
        radius_rule: ``"original"``, or ``"corrected"`` for the roots that the idea asks for.

    Returns:
        Radius, shape ``(...)``, whole cells, rounded down, in the dtype of ``size``.

    Raises:
        TypeError: If ``min_overlap`` is not a number.
        ValueError: If ``min_overlap`` is out of range, or ``radius_rule`` is neither of the two.

    Examples:
        >>> import torch
        >>> [gaussian_radius(torch.tensor([20.0, 10.0]), radius_rule=rule).item() for rule in ("original", "corrected")]
        [3.0, 1.0]
    """
    check_number("min_overlap", min_overlap, low=0, high=1)
    if min_overlap == 0:
        raise ValueError("min_overlap must be above 0, got 0")
    if radius_rule not in get_args(RadiusRule):
        raise ValueError(f"radius_rule must be 'original' or 'corrected', got {radius_rule!r}")
    exact = torch.float32 if size.device.type == "mps" else torch.float64  # radii that are whole numbers exist
    w, h = size.ceil().to(exact).unbind(-1)
    total, area, share = w + h, w * h, (1 - min_overlap) / (1 + min_overlap)
    moved = (total**2 - 4 * area * share).sqrt()
    smaller = (4 * total**2 - 16 * area * (1 - min_overlap)).sqrt()
    larger = (4 * (min_overlap * total) ** 2 + 16 * min_overlap * (1 - min_overlap) * area).sqrt()
    if radius_rule == "original":
        radii = (total + moved) / 2, (2 * total + smaller) / 2, (larger - 2 * min_overlap * total) / 2
    else:
        radii = (total - moved) / 2, (2 * total - smaller) / 8, (larger - 2 * min_overlap * total) / (8 * min_overlap)
    return torch.stack(radii).amin(dim=0).clamp(min=0).floor().to(size.dtype)


def _draw(cell: Tensor, radius: Tensor, labels: Tensor, valid: Tensor, shape: tuple[int, int, int]) -> Tensor:
    """Draw Gaussians: separable, so a row and a column per object, then the maximum into the class channels."""
    C, H, W = shape
    B, N = valid.shape
    deviation = ((2 * radius + 1) / 6)[..., None]
    sides = []
    for axis, length in ((1, H), (0, W)):
        away = torch.arange(length, device=cell.device, dtype=cell.dtype) - cell[..., axis, None]  # (B, N, length)
        side = torch.exp(-(away**2) / (2 * deviation**2))
        sides.append(torch.where((away.abs() <= radius[..., None]) & valid[..., None], side, 0))
    gaussians = sides[0][..., :, None] * sides[1][..., None, :]  # (B, N, H, W)
    channel = labels[..., None].expand(B, N, H * W)
    heatmap = gaussians.new_zeros(B, C, H * W)
    return heatmap.scatter_reduce(1, channel, gaussians.flatten(2), "amax").view(B, C, H, W)


def _check_boxes(boxes: Tensor, labels: Tensor, valid: Tensor) -> None:
    for name, field in (("boxes", boxes), ("labels", labels), ("valid", valid)):
        if not isinstance(field, Tensor):
            raise TypeError(f"{name} must be a torch.Tensor, got {type(field).__name__}; torch.as_tensor makes one")
    if not boxes.is_floating_point():
        raise TypeError(f"boxes must hold floating point numbers, got {boxes.dtype}; cast them with .float()")
    for name, field, dtype in (("labels", labels, torch.int64), ("valid", valid, torch.bool)):
        if field.dtype != dtype:
            raise TypeError(f"{name} must be {dtype}, got {field.dtype}; cast with .to({dtype})")
    if boxes.dim() != 3 or boxes.shape[2] != 4:
        raise ValueError(f"boxes must have shape (B, N, 4), got {tuple(boxes.shape)}; pad ragged boxes with collate")
    for name, field in (("labels", labels), ("valid", valid)):
        if field.shape != boxes.shape[:2]:
            raise ValueError(f"{name} must have shape (B, N) = {tuple(boxes.shape[:2])}, got {tuple(field.shape)}")
        if field.device != boxes.device:
            raise ValueError(f"{name} is on {field.device}, boxes on {boxes.device}; move them to one device")
