"""The size of each video's pictures, which displacement in cells and clipping need."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import FloatArray
from heatprop.evaluation.keys import joint_codes

PictureSize = tuple[float, float] | Mapping[Any, tuple[float, float]]
"""``(width, height)`` in pixels of all videos, or a dict from video to it."""


def picture_sizes(picture_size: PictureSize, video: NDArray[Any]) -> FloatArray:
    """Give each row the size of its video's pictures.

    Args:
        picture_size: ``(width, height)`` in pixels for all, or a dict ``{video: (width, height)}``.
        video: Which video, shape ``(n,)``.

    Returns:
        ``(width, height)``, shape ``(n, 2)``.

    Raises:
        ValueError: If a video has no size, or a size is not two numbers above 0.

    Examples:
        >>> picture_sizes({"a": (640, 480), "b": (1280, 720)}, np.array(["b", "a"]))
        array([[1280.,  720.],
               [ 640.,  480.]])
    """
    values, (codes,) = joint_codes("video", video)
    if isinstance(picture_size, Mapping):
        missing = [name for name in values.tolist() if name not in picture_size]
        if missing:
            raise ValueError(f"picture_size must have (width, height) of every video, video {missing[0]!r} is missing")
        sizes = [_checked(picture_size[name]) for name in values.tolist()]
    else:
        sizes = [_checked(picture_size)] * len(values)
    return np.array(sizes, np.float64).reshape(-1, 2)[codes]


def _checked(size: tuple[float, float]) -> tuple[float, float]:
    if len(size) != 2 or not all(0 < side < np.inf for side in size):
        raise ValueError(f"picture_size must be (width, height), both above 0, got {size!r}")
    return size
