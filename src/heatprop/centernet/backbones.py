"""Backbones by name: ResNet in plain torch, DLA-34 and everything else from timm."""

import re
from typing import Any

from torch import Tensor, nn

from heatprop.centernet.resnet import BLOCKS, ResNet

_RESNET = re.compile(r"resnet(\d+)")
_NAMES = ", ".join(f'"resnet{depth}"' for depth in BLOCKS)


class TimmBackbone(nn.Module):
    """A timm network that returns its feature maps; its weights are random, and nothing is downloaded.

    Args:
        name: timm's name of the network, such as ``"dla34"`` or ``"convnext_tiny"``.
        strides: Strides of the maps that are needed, in rising order.

    Attributes:
        channels: Channels of each map that `forward` returns.

    Raises:
        ModuleNotFoundError: If timm is not installed.
        ValueError: If timm has no such network, or its last maps have other strides.
    """

    def __init__(self, name: str, strides: tuple[int, ...]) -> None:
        super().__init__()
        self.body = _make(name, count=len(strides))
        reductions = tuple(self.body.feature_info.reduction())
        if reductions != strides:
            came = f"its last maps have strides {list(reductions)}"
            raise ValueError(
                f"CenterNet needs maps of strides {list(strides)} from {name}; {came}; take another network"
            )
        self.channels = tuple(self.body.feature_info.channels())

    def forward(self, images: Tensor) -> list[Tensor]:
        """Turn images ``(B, 3, H, W)`` into maps ``(B, channels, H / stride, W / stride)``, the finest first."""
        maps = self.body(images)
        return [
            each.permute(0, 3, 1, 2) if each.shape[1] != channels and each.shape[-1] == channels else each
            for each, channels in zip(maps, self.channels, strict=True)
        ]  # some networks (Swin) keep the channels last


def make_backbone(name: str) -> ResNet | TimmBackbone:
    """Make a backbone with random weights.

    Args:
        name: ``"resnet18"``, 34, 50, 101 or 152; ``"dla34"`` (needs timm); ``"timm:NAME"`` for a network of timm.

    Returns:
        A module with ``channels`` that turns images into a list of maps: of strides 4, 8, 16 and 32 for
        ``"dla34"``, of stride 32 alone for the others.

    Raises:
        ModuleNotFoundError: If timm is needed but not installed.
        ValueError: If there is no such backbone.
    """
    found = _RESNET.fullmatch(name)
    if found and int(found[1]) in BLOCKS:
        return ResNet(int(found[1]))
    if name == "dla34":
        return TimmBackbone("dla34", (4, 8, 16, 32))
    if name.startswith("timm:"):
        return TimmBackbone(name.removeprefix("timm:"), (32,))
    raise ValueError(f'backbone must be {_NAMES}, "dla34" or "timm:NAME", got {name!r}')


def _make(name: str, *, count: int) -> Any:
    """Make a network of timm that returns its last ``count`` maps."""
    try:
        import timm
    except ModuleNotFoundError as error:
        hint = f'backbone {name!r} needs timm: pip install "heatprop[timm]"'
        raise ModuleNotFoundError(hint) from error
    if not timm.is_model(name):
        raise ValueError(f"timm has no network {name!r}; timm.list_models() lists them")
    return timm.create_model(name, pretrained=False, features_only=True, out_indices=tuple(range(-count, 0)))
