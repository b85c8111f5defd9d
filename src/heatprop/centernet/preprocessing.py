"""Pixels -> what CenterNet expects."""

import torch
from torch import Tensor

MEAN = (0.47026115, 0.44719302, 0.40789654)  # CenterNet's, of COCO, in the order R, G, B
STD = (0.27809835, 0.27408164, 0.28863828)


def normalize(frames: Tensor) -> Tensor:
    """Subtract CenterNet's mean colour and divide by its deviation.

    Args:
        frames: RGB pixels in [0, 255], shape ``(..., 3, H, W)``, ``uint8`` or floating.

    Returns:
        The same shape, ``float32`` or the floating dtype of ``frames``. A letterbox's black border stays black: it
        becomes what a black pixel becomes, about -1.7, as in CenterNet.

    Raises:
        TypeError: If it is no tensor of ``uint8`` or floating dtype.
        ValueError: If it has no three channels before height and width.

    Examples:
        >>> import torch
        >>> from heatprop.centernet import normalize
        >>> normalize(torch.full((3, 1, 1), 128, dtype=torch.uint8)).flatten()
        tensor([0.1140, 0.1998, 0.3259])
    """
    if not isinstance(frames, Tensor) or not (frames.dtype == torch.uint8 or frames.is_floating_point()):
        kind = str(frames.dtype) if isinstance(frames, Tensor) else type(frames).__name__
        raise TypeError(f"frames must be a uint8 or floating tensor of values in 0..255, got {kind}")
    if frames.dim() < 3 or frames.shape[-3] != 3:
        shape = tuple(frames.shape)
        raise ValueError(f"frames must have shape (..., 3, H, W), got {shape}; permute channels-last frames first")
    frames = frames if frames.is_floating_point() else frames.float()
    mean, std = (frames.new_tensor(values)[:, None, None] * 255 for values in (MEAN, STD))  # (3, 1, 1)
    return (frames - mean) / std
