"""What the network says about a cell, and where it says nothing: values that cannot be read are not evidence."""

import torch
from torch import Tensor

from heatprop.structures import HeadMaps


def seen_cells(maps: HeadMaps, *, stride: float) -> Tensor | None:
    """Mark the cells whose box can be read: offset and size are finite, also in pixels, and the size is not negative.

    In all other cells the network saw nothing, whatever its score is, and the memory decides.

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        stride: $R$, pixels per cell.

    Returns:
        Shape ``(B, 1, H, W)``, ``bool``; ``None`` if there is neither offset nor size.
    """
    limit = torch.finfo(torch.float32).max / (8 * max(stride, 1.0))
    seen = None
    if maps.offset is not None:
        seen = _both(maps.offset.float().abs() <= limit)  # false for NaN too
    if maps.size is not None:
        size = maps.size.float()
        sound = _both((size >= 0) & (size <= limit))
        seen = sound if seen is None else seen & sound
    return seen


def clean_scores(scores: Tensor, seen: Tensor | None) -> Tensor:
    """Copy scores: 0 where they are not finite or the cell was not seen, and clamped to [0, 1].

    Args:
        scores: The network's scores, any shape.
        seen: Where the box can be read, a shape that broadcasts to theirs, ``bool``; ``None`` for everywhere.

    Returns:
        The same shape and dtype; scores in range do not change at all.
    """
    masked = scores if seen is None else scores * seen
    finite = torch.nan_to_num(masked, nan=0.0, posinf=0.0, neginf=0.0)
    return _clamped(finite)


def read_maps(
    maps: HeadMaps, seen: Tensor | None, index: Tensor, dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Read score, offset and size at peaks, ``(B, K)``, ``(B, K, 2)`` each; 0 where the network saw nothing."""
    place = index % (maps.heatmap.shape[2] * maps.heatmap.shape[3])
    raw = maps.heatmap.flatten(1).gather(1, index).to(dtype)
    sound = raw.isfinite() if seen is None else raw.isfinite() & seen.flatten(1).gather(1, place)

    def read(field: Tensor) -> Tensor:
        return torch.where(sound.unsqueeze(2), read_at(field, place).to(dtype), 0)

    middle = raw.new_full((*raw.shape, 2), 0.5)
    offset = middle if maps.offset is None else read(maps.offset)
    return _clamped(torch.where(sound, raw, 0)), offset, None if maps.size is None else read(maps.size)


def read_at(field: Tensor, place: Tensor) -> Tensor:
    """Read maps ``(B, D, H, W)`` at flat positions ``y * W + x``, ``(B, K)``: ``(B, K, D)``."""
    index = place.unsqueeze(1).expand(-1, field.shape[1], -1)  # (B, D, K)
    return field.flatten(2).gather(2, index).transpose(1, 2)


def _both(channels: Tensor) -> Tensor:
    """Whether both channels of ``(B, 2, H, W)`` hold; compared before reduced, as ONNX's minimum skips NaN."""
    return channels[:, :1] & channels[:, 1:]


def _clamped(scores: Tensor) -> Tensor:
    """Clamp to [0, 1], in place where no gradient is asked for; scores of exactly 0 and 1 keep theirs."""
    if not scores.requires_grad:
        return scores.clamp_(0, 1)
    return torch.where((scores >= 0) & (scores <= 1), scores, scores.detach().clamp(0, 1))
