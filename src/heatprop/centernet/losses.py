"""What training minimises: penalty-reduced focal loss on the heatmap, L1 on offset and size at the centres."""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from heatprop.centernet.targets import Targets
from heatprop.checks import check_number
from heatprop.structures import HeadMaps

CLAMP = 1e-4


class Counts(NamedTuple):
    """The counts that losses are divided by: those of a batch, or of a batch spread over several processes.

    Several processes whose gradients are averaged get the loss of one process on the whole batch if each divides by
    the *mean* count: all-reduce both counts of `count_targets` with a sum and divide them by the number of processes.

    Attributes:
        peaks: Number of heatmap cells that are a centre, a scalar; objects of one class in one cell count once.
        objects: Number of valid objects, a scalar.
    """

    peaks: Tensor
    objects: Tensor


class CenterNetLosses(NamedTuple):
    """The loss and its parts, scalars.

    Attributes:
        total: Weighted sum of the parts; call its ``backward``.
        heatmap: Penalty-reduced focal loss.
        size: L1 on width and height, in cells, without its weight.
        offset: L1 on the sub-cell position, in cells, without its weight.
    """

    total: Tensor
    heatmap: Tensor
    size: Tensor
    offset: Tensor


def count_targets(targets: Targets) -> Counts:
    """Count what the losses divide by.

    Args:
        targets: Targets from `make_targets`.

    Returns:
        Two scalars of the heatmap's dtype and device.

    Examples:
        >>> import torch
        >>> from heatprop.centernet.targets import make_targets
        >>> boxes, labels = torch.tensor([[[0.0, 0.0, 9.0, 9.0]] * 2]), torch.zeros(1, 2, dtype=torch.int64)
        >>> targets = make_targets(boxes, labels, torch.ones(1, 2, dtype=torch.bool), num_classes=1, shape=(4, 4))
        >>> [count.item() for count in count_targets(targets)]
        [1.0, 2.0]
    """
    dtype = targets.heatmap.dtype
    return Counts((targets.heatmap == 1).sum().to(dtype), targets.valid.sum().to(dtype))


def penalty_reduced_focal_loss(logits: Tensor, heatmap: Tensor, *, peaks: Tensor | None = None) -> Tensor:
    r"""Compare a predicted heatmap with the target.

    $$L = -\frac{1}{N} \sum \begin{cases} (1 - p)^2 \log p & y = 1 \\ (1 - y)^4 p^2 \log(1 - p) & y < 1 \end{cases}$$

    where p is the sigmoid of the logits, clamped to [1e-4, 1 - 1e-4], with no gradient beyond, as in the original.
    The nearer to a centre, the less a false alarm counts. The loss is a sum over cells, divided by the number of
    centres unless there are none. It is computed in ``float32`` at least, under autocast too.

    Args:
        logits: Heatmap before the sigmoid, shape ``(B, C, H, W)``.
        heatmap: Target, same shape, in [0, 1], exactly 1 at the centres.
        peaks: Divide by this number instead, a scalar, see `Counts`.

    Returns:
        A scalar, at least 0.

    Raises:
        ValueError: If the shapes differ.

    Examples:
        >>> import torch
        >>> logits, target = torch.zeros(1, 1, 2, 2), torch.tensor([[[[1.0, 0.5], [0.5, 0.0]]]])
        >>> round(penalty_reduced_focal_loss(logits, target).item(), 4)  # (1 + 2 / 16 + 1) * log(2) / 4
        0.3682
    """
    if logits.shape != heatmap.shape:
        raise ValueError(
            f"logits and heatmap must share one shape, got {tuple(logits.shape)} and {tuple(heatmap.shape)}; "
            "make the targets with the num_classes and the shape of the maps"
        )
    dtype = torch.promote_types(logits.dtype, torch.float32)
    y, p = heatmap.to(dtype), logits.to(dtype).sigmoid().clamp(CLAMP, 1 - CLAMP)
    centres = y == 1
    right = (1 - p).square() * p.log()
    wrong = (1 - y).square().square() * p.square() * (1 - p).log()
    return -_divide(torch.where(centres, right, wrong).sum(), centres.sum() if peaks is None else peaks)


def masked_l1(field: Tensor, index: Tensor, target: Tensor, valid: Tensor, *, objects: Tensor | None = None) -> Tensor:
    """Compare a map with the targets at the centres.

    The loss is the mean absolute difference over the coordinates of the valid objects, or 0 if there are none. Other
    cells get no gradient. It is computed in ``float32`` at least, under autocast too.

    Args:
        field: Predicted map, shape ``(B, D, H, W)``.
        index: Flat cells ``y * W + x``, shape ``(B, N)``, ``int64``.
        target: Target values at these cells, shape ``(B, N, D)``.
        valid: Which places hold an object, shape ``(B, N)``, ``bool``.
        objects: Divide by D times this number instead of by D times the valid ones, a scalar, see `Counts`.

    Returns:
        A scalar, at least 0, in the unit of the map.

    Raises:
        ValueError: If the shapes do not fit.

    Examples:
        >>> import torch
        >>> field, index = torch.zeros(1, 2, 3, 3), torch.tensor([[4, 0]])
        >>> target = torch.tensor([[[1.0, 2.0], [9.0, 9.0]]])
        >>> masked_l1(field, index, target, torch.tensor([[True, False]])).item()
        1.5
    """
    B, D = field.shape[:2]
    N = index.shape[-1]
    if index.shape != (B, N) or target.shape != (B, N, D) or valid.shape != (B, N):
        raise ValueError(
            f"field (B, D, H, W) = {tuple(field.shape)} needs index and valid (B, N) and target (B, N, D), "
            f"got {tuple(index.shape)}, {tuple(valid.shape)} and {tuple(target.shape)}"
        )
    dtype = torch.promote_types(field.dtype, torch.float32)
    found = field.flatten(2).gather(2, index[:, None].expand(B, D, N)).to(dtype)  # (B, D, N)
    wrong = torch.where(valid[:, None], found - target.to(dtype).transpose(1, 2), 0)
    return _divide(wrong.abs().sum() / D, valid.sum() if objects is None else objects)


class PenaltyReducedFocalLoss(nn.Module):
    """`penalty_reduced_focal_loss` as a module."""

    def forward(self, logits: Tensor, heatmap: Tensor, *, peaks: Tensor | None = None) -> Tensor:
        """Compare a predicted heatmap with the target.

        Args:
            logits: Heatmap before the sigmoid, shape ``(B, C, H, W)``.
            heatmap: Target, same shape, in [0, 1].
            peaks: Divide by this number instead of by the number of centres, a scalar.

        Returns:
            A scalar, at least 0.

        Raises:
            ValueError: If the shapes differ.
        """
        return penalty_reduced_focal_loss(logits, heatmap, peaks=peaks)


class CenterNetLoss(nn.Module):
    """The whole loss of CenterNet.

    Args:
        heatmap_weight: Weight of the focal loss, at least 0.
        size_weight: Weight of the L1 on width and height, at least 0.
        offset_weight: Weight of the L1 on the sub-cell position, at least 0.

    Raises:
        TypeError: If a weight is not a number.
        ValueError: If it is below 0.
    """

    def __init__(self, *, heatmap_weight: float = 1.0, size_weight: float = 0.1, offset_weight: float = 1.0) -> None:
        super().__init__()
        weights = {"heatmap_weight": heatmap_weight, "size_weight": size_weight, "offset_weight": offset_weight}
        for name, weight in weights.items():
            check_number(name, weight, low=0)
        self.heatmap_weight, self.size_weight, self.offset_weight = heatmap_weight, size_weight, offset_weight

    def forward(self, maps: HeadMaps, targets: Targets, *, counts: Counts | None = None) -> CenterNetLosses:
        """Compare the maps of a batch with its targets.

        Args:
            maps: Maps from `CenterNet` in training mode, with the heatmap before the sigmoid as ``extras["logits"]``.
            targets: Targets from `make_targets` for the same batch.
            counts: Divide by these numbers instead of the batch's own, see `Counts`.

        Returns:
            The loss and its parts.

        Raises:
            ValueError: If logits, offset or size are missing, or shapes do not fit.
        """
        if maps.extras is None or "logits" not in maps.extras or maps.offset is None or maps.size is None:
            raise ValueError(
                'maps must have offset, size and extras["logits"], but one of them is missing; CenterNet returns '
                "logits after train(), and for other detectors maps.heatmap.logit(1e-4) makes them"
            )
        peaks, objects = (None, None) if counts is None else counts
        heatmap = penalty_reduced_focal_loss(maps.extras["logits"], targets.heatmap, peaks=peaks)
        size = masked_l1(maps.size, targets.index, targets.size, targets.valid, objects=objects)
        offset = masked_l1(maps.offset, targets.index, targets.offset, targets.valid, objects=objects)
        total = self.heatmap_weight * heatmap + self.size_weight * size + self.offset_weight * offset
        return CenterNetLosses(total, heatmap, size, offset)

    def extra_repr(self) -> str:
        """Show the weights."""
        return (
            f"heatmap_weight={self.heatmap_weight}, size_weight={self.size_weight}, offset_weight={self.offset_weight}"
        )


def _divide(loss: Tensor, count: Tensor) -> Tensor:
    """Divide by a count that may be 0, without reading it."""
    return loss / torch.where(count > 0, count, 1)
