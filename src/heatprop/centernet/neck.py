"""Turn the backbone's maps into one map of stride 4: by deconvolutions, or for DLA by deep layer aggregation."""

import torch
from torch import Tensor, nn

from heatprop.centernet.deformable import DeformableConv2d, Operator, Version


class DeconvolutionNeck(nn.Module):
    """Three deformable convolutions, each followed by a doubling of the map (the paper's Sec. 4.1).

    Shapes after ResNet-101 for an image of 512 x 512, each pair after the convolution and after the doubling:
    2048 x 16 x 16 -> 256 x 16 x 16 -> 256 x 32 x 32 -> 128 x 32 x 32 -> 128 x 64 x 64 -> 64 x 64 x 64
    -> 64 x 128 x 128.

    Args:
        in_channels: Channels of the map of stride 32.
        version: Version of the deformable convolution; ``"none"`` uses an ordinary one.
        operator: Which code runs the deformable convolution.

    Attributes:
        channels: Channels of the map that `forward` returns, 64.
    """

    def __init__(self, in_channels: int, *, version: Version = "v2", operator: Operator = "torch") -> None:
        super().__init__()
        stages = []
        for channels in (256, 128, 64):
            stages.append(_Doubling(in_channels, channels, version=version, operator=operator))
            in_channels = channels
        self.stages = nn.Sequential(*stages)
        self.channels = 64

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Turn the last map, ``(B, D, H / 32, W / 32)``, into ``(B, 64, H / 4, W / 4)``."""
        result: Tensor = self.stages(maps[-1])
        return result


class AggregationNeck(nn.Module):
    """CenterNet's up path of DLA-34: merge neighbouring levels until the finest holds all of them.

    Levels of strides 4, 8, 16 and 32 have 64, 128, 256 and 512 channels; for an image of 512 x 512 they are
    128, 64, 32 and 16 cells wide. Three steps bring the last level, then the last two, then the last three to the
    stride of the level before; a fourth step merges their results into a map of 64 x 128 x 128.

    Args:
        channels: Channels of the four levels.
        version: Version of the deformable convolution; ``"none"`` uses an ordinary one.
        operator: Which code runs the deformable convolution.

    Attributes:
        channels: Channels of the map that `forward` returns, those of the finest level.
    """

    def __init__(self, channels: tuple[int, ...], *, version: Version = "v2", operator: Operator = "torch") -> None:
        super().__init__()
        self.channels = channels[0]
        steps = []
        for first in reversed(range(len(channels) - 1)):
            merged = len(channels) - first - 1  # levels that come to the stride of level `first`
            incoming = (channels[first + 1], *([channels[first + 1]] * (merged - 1)))
            steps.append(_Merge(incoming, channels[first], (2,) * merged, version=version, operator=operator))
        self.steps = nn.ModuleList(steps)
        factors = tuple(2**level for level in range(1, len(channels) - 1))
        self.last = _Merge(channels[1:-1], channels[0], factors, version=version, operator=operator)

    def forward(self, maps: list[Tensor]) -> Tensor:
        """Turn four levels, the finest first, into one map of the finest's shape."""
        levels, returned = list(maps), []
        for number, step in enumerate(self.steps):
            first = len(levels) - number - 2
            levels[first:] = step(levels[first:])
            returned.append(levels[-1])
        merged: list[Tensor] = self.last(returned[::-1])
        return merged[-1]


def make_neck(
    channels: tuple[int, ...], *, version: Version, operator: Operator
) -> DeconvolutionNeck | AggregationNeck:
    """Make the neck that goes with a backbone's maps: one of stride 32, or levels from stride 4 on."""
    if len(channels) == 1:
        return DeconvolutionNeck(channels[0], version=version, operator=operator)
    return AggregationNeck(channels, version=version, operator=operator)


class _Doubling(nn.Module):
    """Convolve, then double height and width."""

    def __init__(self, in_channels: int, channels: int, *, version: Version, operator: Operator) -> None:
        super().__init__()
        self.conv = _convolution(in_channels, channels, version, operator)
        self.conv_norm = nn.BatchNorm2d(channels)
        self.up = nn.ConvTranspose2d(channels, channels, 4, stride=2, padding=1, bias=False)
        self.up_norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        with torch.no_grad():  # each channel starts as its own linear interpolation
            self.up.weight.copy_(torch.eye(channels)[:, :, None, None] * _linear_kernel(2))

    def forward(self, features: Tensor) -> Tensor:
        """Turn ``(B, D, H, W)`` into ``(B, channels, 2 * H, 2 * W)``."""
        features = self.relu(self.conv_norm(self.conv(features)))
        result: Tensor = self.relu(self.up_norm(self.up(features)))
        return result


class _Merge(nn.Module):
    """Bring all levels to the shape of the first, adding each to the one before."""

    def __init__(
        self,
        incoming: tuple[int, ...],
        channels: int,
        factors: tuple[int, ...],
        *,
        version: Version,
        operator: Operator,
    ) -> None:
        super().__init__()
        self.project = nn.ModuleList(_Node(each, channels, version, operator) for each in incoming)
        self.up = nn.ModuleList(_interpolation(channels, factor) for factor in factors)
        self.node = nn.ModuleList(_Node(channels, channels, version, operator) for _ in incoming)

    def forward(self, levels: list[Tensor]) -> list[Tensor]:
        """Return the same number of levels, all in the shape of the first."""
        merged = [levels[0]]
        for level, project, up, node in zip(levels[1:], self.project, self.up, self.node, strict=True):
            merged.append(node(up(project(level)) + merged[-1]))
        return merged


class _Node(nn.Module):
    """A convolution with norm and ReLU."""

    def __init__(self, in_channels: int, channels: int, version: Version, operator: Operator) -> None:
        super().__init__()
        self.conv = _convolution(in_channels, channels, version, operator)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)

    def forward(self, features: Tensor) -> Tensor:
        """Turn ``(B, D, H, W)`` into ``(B, channels, H, W)``."""
        result: Tensor = self.relu(self.norm(self.conv(features)))
        return result


def _convolution(in_channels: int, channels: int, version: Version, operator: Operator) -> nn.Module:
    if version == "none":
        return nn.Conv2d(in_channels, channels, 3, padding=1)
    return DeformableConv2d(in_channels, channels, version=version, operator=operator)


def _interpolation(channels: int, factor: int) -> nn.ConvTranspose2d:
    """A transposed convolution that starts as linear interpolation, channel by channel."""
    up = nn.ConvTranspose2d(
        channels, channels, 2 * factor, stride=factor, padding=factor // 2, groups=channels, bias=False
    )
    with torch.no_grad():
        up.weight.copy_(_linear_kernel(factor).expand_as(up.weight))
    return up


def _linear_kernel(factor: int) -> Tensor:
    """Weights of linear interpolation by a whole factor, shape ``(2 * factor, 2 * factor)``."""
    distance = (torch.arange(2 * factor) + 0.5) / factor - 1
    line = 1 - distance.abs()
    return line[:, None] * line[None, :]
