"""The three heads: scores of the classes, offset and size of the boxes."""

import torch
import torch.nn.functional as F  # noqa: N812 # the name that everybody gives it
from torch import Tensor, nn

PRIOR_BIAS = -2.19  # sigmoid: 0.1, so that the first scores do not drown the loss


class Heads(nn.Module):
    """Three heads on the neck's map: each is a 3 x 3 convolution, a ReLU and a 1 x 1 convolution.

    The 3 x 3 convolutions read the same map, so they run as one.

    Args:
        in_channels: Channels D of the neck's map.
        num_classes: Number of classes C.
        head_channels: Channels between the two convolutions.
    """

    def __init__(self, in_channels: int, num_classes: int, head_channels: int) -> None:
        super().__init__()
        self.heatmap = _head(in_channels, head_channels, num_classes)
        self.offset = _head(in_channels, head_channels, 2)
        self.size = _head(in_channels, head_channels, 2)
        nn.init.constant_(self.heatmap[2].bias, PRIOR_BIAS)  # type: ignore[arg-type] # a Conv2d has a bias here
        for convolution in (self.offset[0], self.offset[2], self.size[0], self.size[2]):
            nn.init.normal_(convolution.weight, std=0.001)  # type: ignore[arg-type] # likewise a weight
            nn.init.zeros_(convolution.bias)  # type: ignore[arg-type] # and a bias

    def forward(self, features: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Turn ``(B, D, H, W)`` into logits ``(B, C, H, W)``, offset and size ``(B, 2, H, W)``."""
        heads = (self.heatmap, self.offset, self.size)
        weight = torch.cat([head[0].weight for head in heads])  # type: ignore[misc] # Conv2d, as _head makes it
        bias = torch.cat([head[0].bias for head in heads])  # type: ignore[misc] # likewise
        hidden = F.conv2d(features, weight, bias, padding=1).relu_()  # (B, 3 * head_channels, H, W)
        logits, offset, size = (head[2](part) for head, part in zip(heads, hidden.chunk(3, dim=1), strict=True))
        return logits, offset, size


def _head(in_channels: int, head_channels: int, out_channels: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(in_channels, head_channels, 3, padding=1), nn.ReLU(), nn.Conv2d(head_channels, out_channels, 1)
    )
