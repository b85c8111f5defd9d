"""Turn pixels into the numbers that CenterNet expects."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor


class ColorStatistics(NamedTuple):
    """How a network's training images were normalised: figures in the order R, G, B for colours in [0, 1].

    Attributes:
        mean: Mean of each channel.
        std: Standard deviation of each channel.
    """

    mean: tuple[float, float, float]
    std: tuple[float, float, float]


COCO = ColorStatistics((0.47026115, 0.44719302, 0.40789654), (0.27809835, 0.27408164, 0.28863828))
"""Figures of COCO, for all weights of CenterNet and CenterTrack except those below."""
PASCAL = ColorStatistics((0.406, 0.456, 0.485), (0.225, 0.224, 0.229))
"""For CenterNet's weights of PASCAL VOC and KITTI, which were trained on B, G, R with ImageNet's R, G, B figures."""
IMAGENET = ColorStatistics((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""For the weights of torchvision and most of timm's."""


def normalize(
    frames: Tensor,
    *,
    mean: tuple[float, float, float] = COCO.mean,
    std: tuple[float, float, float] = COCO.std,
) -> Tensor:
    """Subtract a mean colour and divide by a standard deviation, by default CenterNet's for COCO.

    Args:
        frames: RGB pixels in [0, 255], shape ``(..., 3, H, W)``, ``uint8`` or floating.
        mean: Mean colour in the order R, G, B, in [0, 1]: ``PASCAL.mean`` for CenterNet's weights of PASCAL VOC.
        std: Standard deviation in the same order, above 0.

    Returns:
        Pixels of the same shape, in ``float32`` or the floating dtype of ``frames``. A letterbox's black border stays
        black: it gets the value of a black pixel, about -1.7, as in CenterNet.

    Raises:
        TypeError: If ``frames`` is not a tensor of ``uint8`` or floating dtype.
        ValueError: If ``frames`` does not have three channels before height and width, or ``mean`` and ``std`` are not
            three finite numbers each, those of ``std`` above 0.

    Examples:
        >>> import torch
        >>> from heatprop.centernet import normalize
        >>> normalize(torch.full((3, 1, 1), 128, dtype=torch.uint8)).flatten()
        tensor([0.1140, 0.1998, 0.3259])
        >>> from heatprop.centernet.preprocessing import PASCAL
        >>> normalize(torch.full((3, 1, 1), 128, dtype=torch.uint8), mean=PASCAL.mean, std=PASCAL.std).flatten()
        tensor([0.4265, 0.2052, 0.0741])
    """
    if not isinstance(frames, Tensor) or not (frames.dtype == torch.uint8 or frames.is_floating_point()):
        kind = str(frames.dtype) if isinstance(frames, Tensor) else type(frames).__name__
        raise TypeError(f"frames must be a uint8 or floating tensor of values in 0..255, got {kind}")
    if frames.dim() < 3 or frames.shape[-3] != 3:
        shape = tuple(frames.shape)
        raise ValueError(f"frames must have shape (..., 3, H, W), got {shape}; permute channels-last frames first")
    frames = frames if frames.is_floating_point() else frames.float()
    _check_three("mean", mean, above=-math.inf)
    _check_three("std", std, above=0)
    center, spread = (frames.new_tensor(values)[:, None, None] * 255 for values in (mean, std))  # (3, 1, 1)
    return (frames - center) / spread


def _check_three(name: str, values: Sequence[float], *, above: float) -> None:
    if len(values) != 3 or not all(above < value < math.inf for value in values):
        wanted = "three finite numbers (R, G, B)" + f" above {above:g}" * (above == 0)
        raise ValueError(f"{name} must be {wanted}, got {values!r}")
