"""Fit frames of any size to CenterNet's input, a square or a padded rectangle, and map its boxes back."""

from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn import functional

from heatprop.checks import check_count


class Letterbox(NamedTuple):
    """Where a frame lies in its letterbox: x' = scale * x + left, y' = scale * y + top.

    Attributes:
        scale: Letterbox pixels per frame pixel.
        left: Width of the border on the left, in letterbox pixels; the one on the right is as wide, or a pixel wider.
        top: Height of the border on top, in letterbox pixels.
        width: Width of the frame, in pixels.
        height: Height of the frame, in pixels.
    """

    scale: float
    left: float
    top: float
    width: int
    height: int

    def boxes(self, boxes: Tensor) -> Tensor:
        """Map boxes back to the frame.

        Args:
            boxes: ``(x1, y1, x2, y2)``, shape ``(..., 4)``, in letterbox pixels.

        Returns:
            The same boxes in pixels of the frame, not clipped at its border.
        """
        return (boxes - self._corner(boxes)) / self.scale

    def letterboxed(self, boxes: Tensor) -> Tensor:
        """Map boxes into the letterbox; the inverse of :meth:`boxes`.

        Args:
            boxes: ``(x1, y1, x2, y2)``, shape ``(..., 4)``, in pixels of the frame.

        Returns:
            The same boxes in letterbox pixels.
        """
        return boxes * self.scale + self._corner(boxes)

    def _corner(self, boxes: Tensor) -> Tensor:
        return boxes.new_tensor([self.left, self.top, self.left, self.top])


def letterbox(frames: Tensor, size: int = 512) -> tuple[Tensor, Letterbox]:
    """Scale frames into the middle of a black square, as CenterNet does before its network.

    With r = size / max(W, H), the pixel (x, y) goes to (r x + (size - r W) / 2, r y + (size - r H) / 2). Pixels are
    interpolated bilinearly, without the half-pixel shift of ``interpolate``, as in the training of the published
    weights. As in CenterNet, pictures are not smoothed before they shrink.

    Args:
        frames: Shape ``(B, C, H, W)``, any range; ``uint8`` is rounded, as OpenCV does.
        size: Side of the square, in pixels, at least 1.

    Returns:
        The square ``(B, C, size, size)``, 0 outside the frame, of the same dtype and device, and the
        :class:`Letterbox` that maps boxes back.

    Raises:
        TypeError: If ``frames`` is not a tensor.
        ValueError: If ``frames`` has the wrong shape or is empty, or ``size`` is below 1.

    Examples:
        >>> import torch
        >>> from heatprop.centernet.letterbox import letterbox
        >>> square, where = letterbox(torch.zeros(1, 3, 768, 1024), 512)
        >>> square.shape, where.top
        (torch.Size([1, 3, 512, 512]), 64.0)
        >>> where.boxes(torch.tensor([256.0, 256.0, 384.0, 320.0])).tolist()
        [512.0, 384.0, 768.0, 512.0]
    """
    _check_frames(frames)
    if size < 1:
        raise ValueError(f"size must be at least 1, got {size}")
    H, W = frames.shape[2:]
    where = fit(W, H, size)
    return warp(frames, where, size), where


def pad(frames: Tensor, multiple: int = 32) -> tuple[Tensor, Letterbox]:
    """Put frames as they are into the middle of a black rectangle, as CenterNet's ``--keep_res`` does.

    Each side becomes the next multiple *above* its length, so 512 becomes 544: the original does the same, and the
    numbers that it publishes for ``--keep_res`` depend on it. No pixel is interpolated.

    Args:
        frames: Shape ``(B, C, H, W)``, any dtype.
        multiple: The sides of the rectangle are multiples of this, in pixels, even, at least 2: 32 for ResNet and DLA,
            128 for the hourglass.

    Returns:
        The rectangle, 0 outside the frame, of the same dtype and device, and the :class:`Letterbox` with scale 1 that
        maps boxes back.

    Raises:
        TypeError: If ``frames`` is not a tensor, or ``multiple`` is not a whole number.
        ValueError: If ``frames`` has the wrong shape or is empty, or ``multiple`` is odd or below 2.

    Examples:
        >>> import torch
        >>> from heatprop.centernet.letterbox import pad
        >>> padded, where = pad(torch.zeros(1, 3, 480, 640))
        >>> padded.shape, where.left, where.top
        (torch.Size([1, 3, 512, 672]), 16.0, 16.0)
        >>> where.boxes(torch.tensor([16.0, 16.0, 656.0, 496.0])).tolist()
        [0.0, 0.0, 640.0, 480.0]
    """
    _check_frames(frames)
    check_count("multiple", multiple, low=2)
    if multiple % 2:
        raise ValueError(f"multiple must be even, so that the middle is a pixel, got {multiple}")
    H, W = frames.shape[2:]
    height, width = ((side // multiple + 1) * multiple for side in (H, W))
    top, left = height // 2 - H // 2, width // 2 - W // 2
    padded = functional.pad(frames, (left, width - W - left, top, height - H - top))  # (B, C, height, width)
    return padded, Letterbox(1.0, float(left), float(top), W, H)


def fit(width: int, height: int, size: int) -> Letterbox:
    """Place a frame in the middle of the square, as large as possible.

    Args:
        width: Width of the frame, in pixels, at least 1.
        height: Height of the frame, in pixels, at least 1.
        size: Side of the square, in pixels.

    Returns:
        Where the frame lies in the square.

    Examples:
        >>> fit(1024, 768, 512)
        Letterbox(scale=0.5, left=0.0, top=64.0, width=1024, height=768)
    """
    scale = size / max(height, width)
    return Letterbox(scale, (size - scale * width) / 2, (size - scale * height) / 2, width, height)


def warp(frames: Tensor, where: Letterbox, size: int) -> Tensor:
    """Place frames in a black square, bilinearly, as `letterbox` does; whatever does not fit is cut off.

    Args:
        frames: Shape ``(B, C, H, W)``, any range; ``uint8`` is rounded.
        where: Where the frames go; its ``width`` and ``height`` are W and H.
        size: Side of the square, in pixels.

    Returns:
        The square ``(B, C, size, size)``, 0 outside the frame, of the same dtype and device.
    """
    dtype = torch.promote_types(frames.dtype, torch.float32)
    columns = _source_positions(size, where.left, where.scale, where.width).to(frames.device, dtype)
    rows = _source_positions(size, where.top, where.scale, where.height).to(frames.device, dtype)
    grid = torch.stack(torch.meshgrid(columns, rows, indexing="xy"), dim=-1)  # (size, size, 2), (x, y)
    grid = grid.expand(frames.shape[0], -1, -1, -1)  # (B, size, size, 2)
    square = functional.grid_sample(frames.to(dtype), grid, padding_mode="zeros", align_corners=False)
    square = square if frames.dtype.is_floating_point else square.round()
    return square.to(frames.dtype)


def _check_frames(frames: Tensor) -> None:
    if not isinstance(frames, Tensor):
        raise TypeError(f"frames must be a tensor, got {type(frames).__name__}")
    if frames.dim() != 4 or 0 in frames.shape[2:]:
        raise ValueError(f"frames must have shape (B, C, H, W), H and W at least 1, got {tuple(frames.shape)}")


def _source_positions(size: int, border: float, scale: float, length: int) -> Tensor:
    """Where each letterbox pixel reads from, in ``grid_sample``'s units: -1 and 1 are the frame's edges."""
    pixels = torch.arange(size, dtype=torch.float64)
    return ((pixels - border) / scale * 2 + 1) / length - 1
