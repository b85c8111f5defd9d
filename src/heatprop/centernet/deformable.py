"""Deformable convolution, versions 1 and 2, in plain torch: nothing to compile, and it exports.

Sampling a feature map and multiplying it by a weight work in either order, as both are linear. If the weight comes
first, only the output channels are sampled, which are far fewer than the input's in CenterNet's neck (256 against
2,048): it takes one 1 x 1 convolution and one ``grid_sample``.
"""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F  # noqa: N812 # the name that everybody gives it
from torch import Tensor, nn

Version = Literal["v2", "v1", "none"]
Operator = Literal["torch", "torchvision"]


def deformable_conv2d(
    features: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    *,
    mask: Tensor | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
) -> Tensor:
    """Convolve with taps that each output position moves by itself, as ``torchvision.ops.deform_conv2d`` does.

    It samples linearly between cells and reads zero outside the map. Tap k of a kernel of T = h * w taps lies
    at its ordinary place plus ``offset[:, 2k]`` (down) and ``offset[:, 2k + 1]`` (right).

    Args:
        features: Input, shape ``(B, D, H, W)``.
        offset: Moves ``(dy, dx)`` of the taps, shape ``(B, 2 * G * T, H', W')``, in input cells; each of G groups of
            input channels moves its own taps.
        weight: Shape ``(E, D / groups, h, w)``; a smaller second dimension than D means a grouped convolution.
        bias: Shape ``(E,)``, or ``None``.
        mask: Factors on the taps (version 2), shape ``(B, G * T, H', W')``; ``None`` is version 1.
        stride: Input cells per output cell, at least 1.
        padding: Zeros around the input, in cells.
        dilation: Distance between neighbouring taps, in cells.

    Returns:
        The result, shape ``(B, E, H', W')``, with the dtype of a 1 x 1 convolution of ``features`` with ``weight``.
        Positions and samples are computed in ``float32`` at least.

    Raises:
        ValueError: If the shapes do not fit together.

    Examples:
        With no moves it is an ordinary convolution:

        >>> import torch
        >>> from heatprop.centernet import deformable_conv2d
        >>> features, weight = torch.randn(1, 4, 6, 6), torch.randn(2, 4, 3, 3)
        >>> moved = deformable_conv2d(features, torch.zeros(1, 18, 6, 6), weight, padding=1)
        >>> torch.allclose(moved, torch.conv2d(features, weight, padding=1), atol=1e-4)
        True
    """
    size = _output_size(features, weight, stride=stride, padding=padding, dilation=dilation)
    groups = _check(features, offset, weight, mask, size)
    B, _, H, W = features.shape
    projected = _project(features, weight, groups)  # (B * G * T, E, H, W)
    wide = torch.promote_types(features.dtype, torch.float32)  # bfloat16 cannot tell cell 40.5 from 40
    places = _places(weight, size, stride=stride, padding=padding, dilation=dilation).to(offset.device, wide)
    places = torch.unflatten(offset.to(wide), 1, (groups, -1, 2)) + places  # (B, G, T, 2, H', W'), (y, x) in cells
    y, x = places.flatten(0, 2).unbind(1)  # (B * G * T, H', W')
    grid = torch.stack([(2 * x + 1) / W - 1, (2 * y + 1) / H - 1], dim=-1)
    taps = F.grid_sample(projected.to(wide), grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    taps = torch.unflatten(taps, 0, (B, -1))  # (B, G * T, E, H', W')
    if mask is not None:
        taps = taps * mask[:, :, None]
    result = taps.sum(dim=1).to(projected.dtype)
    return result if bias is None else result + bias.to(result.dtype)[:, None, None]


class DeformableConv2d(nn.Module):
    """A 3 x 3 deformable convolution that keeps the map's size and finds its moves by a 3 x 3 convolution of its own.

    At first nothing moves, and version 2 weighs each tap with sigmoid(0) = 0.5, as CenterNet does.

    Args:
        in_channels: D, channels of the input.
        out_channels: E, channels of the output.
        version: ``"v2"`` moves and weighs the taps, ``"v1"`` only moves them.
        operator: ``"torch"``, or ``"torchvision"`` for torchvision's compiled operator; the results are equal.

    Raises:
        ModuleNotFoundError: If torchvision's operator is asked for, but torchvision is not installed.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        *,
        version: Literal["v2", "v1"] = "v2",
        operator: Operator = "torch",
    ) -> None:
        super().__init__()
        self.version = version
        self.operator = operator
        if operator == "torchvision":
            _torchvision_operator()
        self.weight = nn.Parameter(torch.empty(out_channels, in_channels, 3, 3))
        self.bias = nn.Parameter(torch.zeros(out_channels))
        reach = 1 / math.sqrt(9 * in_channels)
        nn.init.uniform_(self.weight, -reach, reach)
        self.offset_conv = nn.Conv2d(in_channels, 27 if version == "v2" else 18, 3, padding=1)
        nn.init.zeros_(self.offset_conv.weight)
        nn.init.zeros_(self.offset_conv.bias)  # type: ignore[arg-type] # a Conv2d has one unless told otherwise

    def forward(self, features: Tensor) -> Tensor:
        """Convolve ``(B, D, H, W)`` to ``(B, E, H, W)``."""
        moves = self.offset_conv(features)  # (B, 27 or 18, H, W)
        offset, mask = moves[:, :18], None
        if self.version == "v2":
            mask = moves[:, 18:].sigmoid()
        if self.operator == "torchvision":
            convolve = _torchvision_operator()
            fields = (None if field is None else field.to(features.dtype) for field in (self.weight, self.bias, mask))
            weight, bias, mask = fields
            return convolve(features, offset.to(features.dtype), weight, bias, padding=1, mask=mask)
        return deformable_conv2d(features, offset, self.weight, self.bias, mask=mask, padding=1)

    def extra_repr(self) -> str:
        """Show channels, version and operator."""
        out_channels, in_channels = self.weight.shape[:2]
        return f"{in_channels}, {out_channels}, version={self.version!r}, operator={self.operator!r}"


def _project(features: Tensor, weight: Tensor, groups: int) -> Tensor:
    """Multiply every cell with the weights of every tap: ``(B * G * T, E, H, W)``."""
    channels = features.shape[1]
    if weight.shape[1] != channels:
        weight = _without_groups(weight, channels)
    taps = torch.unflatten(weight.flatten(2), 1, (groups, -1)).permute(1, 3, 0, 2)  # (G, T, E, D / G)
    pointwise = taps.flatten(0, 2)[..., None, None]  # (G * T * E, D / G, 1, 1)
    projected = F.conv2d(features, pointwise, groups=groups)  # (B, G * T * E, H, W)
    return torch.unflatten(projected, 1, (-1, weight.shape[0])).flatten(0, 1)


def _without_groups(weight: Tensor, channels: int) -> Tensor:
    """Write a grouped convolution's weight ``(E, D / groups, h, w)`` as ``(E, D, h, w)`` with zeros between groups."""
    groups = channels // weight.shape[1]
    blocks = torch.eye(groups, dtype=weight.dtype, device=weight.device)
    own = torch.unflatten(weight, 0, (groups, -1))[:, :, None]  # (groups, E / groups, 1, D / groups, h, w)
    return (own * blocks[:, None, :, None, None, None]).flatten(2, 3).flatten(0, 1)


def _places(weight: Tensor, size: tuple[int, int], *, stride: int, padding: int, dilation: int) -> Tensor:
    """Ordinary places ``(y, x)`` of every tap, shape ``(T, 2, H', W')``, in input cells."""
    kernel_h, kernel_w = weight.shape[2:]
    rows = torch.arange(size[0])[None, :] * stride - padding + torch.arange(kernel_h)[:, None] * dilation  # (h, H')
    columns = torch.arange(size[1])[None, :] * stride - padding + torch.arange(kernel_w)[:, None] * dilation
    y = rows[:, None, :, None].expand(kernel_h, kernel_w, *size)
    x = columns[None, :, None, :].expand(kernel_h, kernel_w, *size)
    return torch.stack([y, x], dim=2).flatten(0, 1)


def _output_size(features: Tensor, weight: Tensor, *, stride: int, padding: int, dilation: int) -> tuple[int, int]:
    if features.dim() != 4 or weight.dim() != 4:
        came = f"{tuple(features.shape)} and {tuple(weight.shape)}"
        raise ValueError(f"features must have shape (B, D, H, W) and weight (E, D / groups, h, w), got {came}")
    height, width = (
        (side + 2 * padding - dilation * (kernel - 1) - 1) // stride + 1
        for side, kernel in zip(features.shape[2:], weight.shape[2:], strict=True)
    )
    return height, width


def _check(features: Tensor, offset: Tensor, weight: Tensor, mask: Tensor | None, size: tuple[int, int]) -> int:
    """Require shapes that fit together and return G, the number of offset groups."""
    batch, channels = features.shape[:2]
    taps = weight.shape[2] * weight.shape[3]
    if channels % weight.shape[1] or weight.shape[0] % (channels // weight.shape[1]):
        raise ValueError(
            f"weight {tuple(weight.shape)} does not divide the {channels} channels of features into groups"
        )
    groups = offset.shape[1] // (2 * taps)
    if tuple(offset.shape) != (batch, 2 * groups * taps, *size) or groups == 0 or channels % groups:
        wanted = f"({batch}, 2 * G * {taps}, {size[0]}, {size[1]}) with G a divisor of {channels}"
        raise ValueError(f"offset must have shape {wanted}, got {tuple(offset.shape)}")
    if mask is not None and tuple(mask.shape) != (batch, groups * taps, *size):
        raise ValueError(f"mask must have shape {(batch, groups * taps, *size)}, got {tuple(mask.shape)}")
    return groups


def _torchvision_operator() -> Callable[..., Tensor]:
    try:
        from torchvision.ops import deform_conv2d
    except ModuleNotFoundError as error:
        hint = 'operator="torchvision" needs torchvision: pip install torchvision, or use operator="torch"'
        raise ModuleNotFoundError(hint) from error
    convolve: Callable[..., Tensor] = deform_conv2d
    return convolve
