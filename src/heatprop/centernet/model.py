"""CenterNet: backbone, neck, heads."""

from typing import Literal

import torch
from torch import Tensor, nn

from heatprop.centernet.backbones import make_backbone
from heatprop.centernet.deformable import Operator, Version
from heatprop.centernet.heads import Heads
from heatprop.centernet.neck import make_neck
from heatprop.checks import check_count
from heatprop.structures import HeadMaps


class CenterNet(nn.Module):
    """The detector of the paper's Sec. 4.1: objects as points (Zhou, Wang, Krähenbühl, 2019), in plain torch.

    The weights start random, and nothing is downloaded: :func:`heatprop.centernet.load_checkpoint` loads CenterNet's
    own weights, those of an ImageNet backbone, or yours.

    Args:
        num_classes: Number of classes C, at least 1.
        backbone: ``"resnet18"``, 34, 50, 101 or 152; ``"dla34"`` (needs timm); ``"timm:NAME"`` for any network of
            timm that gives a map of stride 32.
        head_channels: Channels inside the heads; published weights have 64 with a ResNet, 256 with DLA-34.
        deformable: ``"v2"`` moves and weighs the taps of the neck's convolutions (CenterNet), ``"v1"`` only moves them
            (the version that the paper cites), ``"none"`` uses ordinary convolutions.
        operator: ``"torch"`` runs, compiles and exports everywhere; ``"torchvision"`` uses the compiled operator of
            torchvision.

    Attributes:
        num_classes: Number of classes C.
        backbone_name: Name of the backbone, as given.
        stride: Pixels per cell, 4.
        backbone: Turns images into maps.
        neck: Turns these maps into one map of stride 4.
        heads: Turn that map into heatmap, offset and size.

    Shapes for images of 512 x 512 with ResNet-101: ``backbone`` (B, 2048, 16, 16), ``neck`` (B, 256, 32, 32),
    (B, 128, 64, 64), (B, 64, 128, 128), ``heads`` (B, C, 128, 128) and two of (B, 2, 128, 128).

    Raises:
        ModuleNotFoundError: If timm or torchvision is needed but not installed.
        TypeError: If a count is not a whole number.
        ValueError: If an option has any other value.

    Examples:
        >>> import torch
        >>> from heatprop.centernet import CenterNet, normalize
        >>> model = CenterNet(30, backbone="resnet18").eval()
        >>> with torch.inference_mode():
        ...     maps = model(normalize(torch.zeros(1, 3, 64, 96, dtype=torch.uint8)))
        >>> maps.heatmap.shape, maps.offset.shape, maps.size.shape
        (torch.Size([1, 30, 16, 24]), torch.Size([1, 2, 16, 24]), torch.Size([1, 2, 16, 24]))
    """

    stride = 4

    def __init__(
        self,
        num_classes: int,
        *,
        backbone: str = "resnet101",
        head_channels: int = 64,
        deformable: Literal["v2", "v1", "none"] = "v2",
        operator: Literal["torch", "torchvision"] = "torch",
    ) -> None:
        super().__init__()
        check_count("num_classes", num_classes, low=1)
        check_count("head_channels", head_channels, low=1)
        _check_choice("deformable", deformable, Version.__args__)  # type: ignore[attr-defined] # a Literal has them
        _check_choice("operator", operator, Operator.__args__)  # type: ignore[attr-defined] # likewise
        self.num_classes = num_classes
        self.backbone_name = backbone
        self.backbone = make_backbone(backbone)
        self.neck = make_neck(self.backbone.channels, version=deformable, operator=operator)
        self.heads = Heads(self.neck.channels, num_classes, head_channels)

    def forward(self, images: Tensor) -> HeadMaps:
        """Turn images into the maps that :class:`heatprop.HeatmapPropagator` and the losses take.

        Args:
            images: RGB, as :func:`heatprop.centernet.normalize` returns them, shape ``(B, 3, H, W)``, floating,
                H and W multiples of 32.

        Returns:
            Scores after the sigmoid ``(B, C, H / 4, W / 4)``, offset ``(dx, dy)`` and size ``(w, h)``, both
            ``(B, 2, H / 4, W / 4)`` in cells, with the dtype of ``images``, under autocast too. In training mode
            ``extras["logits"]`` is the heatmap before the sigmoid; in evaluation mode there are no extras.

        Raises:
            TypeError: If ``images`` is not a floating tensor.
            ValueError: If the shape is wrong.
        """
        _check_images(images)
        logits, offset, size = (each.to(images.dtype) for each in self.heads(self.neck(self.backbone(images))))
        return HeadMaps(logits.sigmoid(), offset, size, {"logits": logits} if self.training else None)


def _check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    if value not in choices:
        listed = ", ".join(f'"{choice}"' for choice in choices)
        raise ValueError(f"{name} must be one of {listed}, got {value!r}")


def _check_images(images: Tensor) -> None:
    if not isinstance(images, torch.Tensor) or not images.is_floating_point():
        came = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise TypeError(f"images must be a floating tensor, got {came}; normalize() makes one from uint8 frames")
    if images.dim() != 4 or images.shape[1] != 3:
        raise ValueError(f"images must have shape (B, 3, H, W), got {tuple(images.shape)}")
    H, W = images.shape[2:]
    if H % 32 or W % 32 or 0 in images.shape:
        raise ValueError(
            f"images must have sides that are multiples of 32, got {tuple(images.shape)}; pad or letterbox"
        )
