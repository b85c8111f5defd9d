"""Prepare frames for the detector, remove the padding from its maps, and convert its boxes to the video's pixels."""

import math
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from heatprop.structures import HeadMaps

_MULTIPLE = 32  # both sides of the detector's picture are multiples of it


class Picture(NamedTuple):
    """A frame, scaled and padded for the detector.

    Attributes:
        pixels: RGB, shape ``(1, 3, H, W)``, both sides multiples of 32, ``float32`` in [0, 255], with black padding
            at the bottom and on the right.
        height: Number of rows that show the frame.
        width: Number of columns that show the frame.
        scale: Pixels of the picture per pixel of the video, ``(x, y)``.
    """

    pixels: Tensor
    height: int
    width: int
    scale: tuple[float, float]

    def cut(self, maps: HeadMaps, *, stride: float) -> HeadMaps:
        """Cut maps to the cells that lie in the frame, so that nothing is found in the padding.

        Args:
            maps: The detector's maps of the picture, ``(1, C, H / stride, W / stride)``.
            stride: Pixels of the picture per cell.

        Returns:
            The same maps without the rows and columns of the padding.

        Raises:
            ValueError: If the maps do not fit the picture, so the place of their boxes is unknown.
        """
        self._check(maps.heatmap, stride)
        rows, columns = math.ceil(self.height / stride), math.ceil(self.width / stride)
        heatmap, offset, size, extras = maps
        return HeadMaps(
            heatmap[..., :rows, :columns],
            None if offset is None else offset[..., :rows, :columns],
            None if size is None else size[..., :rows, :columns],
            {name: value[..., :rows, :columns] for name, value in (extras or {}).items()},
        )

    def video_boxes(self, boxes: NDArray[np.float64]) -> NDArray[np.float64]:
        """Convert boxes ``(n, 4)`` from pixels of the picture to pixels of the video."""
        across, down = self.scale
        scaled: NDArray[np.float64] = boxes / np.array([across, down, across, down])
        return scaled

    def _check(self, heatmap: Tensor, stride: float) -> None:
        H, W = self.pixels.shape[2:]
        if heatmap.dim() != 4 or len(heatmap) != 1:
            raise ValueError(f"heatmap must have shape (1, C, H, W) for one frame, got {tuple(heatmap.shape)}")
        rows, columns = heatmap.shape[2:]
        if rows not in (math.floor(H / stride), math.ceil(H / stride)) or columns not in (
            math.floor(W / stride),
            math.ceil(W / stride),
        ):
            fits = rows and columns and H / rows == W / columns
            raise ValueError(
                f"the heatmap has {rows} x {columns} cells for a picture of {H} x {W} pixels, which with a stride of "
                f"{stride:g} must be {H / stride:g} x {W / stride:g}; "
                + (f"pass --stride {H / rows:g}" if fits else "the detector must not scale or cut its picture")
            )


def fit(image: NDArray[np.uint8], *, longer_side: int | None = None) -> Picture:
    """Scale a frame for the detector, keep its aspect ratio, and pad it to multiples of 32.

    Args:
        image: RGB picture, shape ``(H, W, 3)``, ``uint8``.
        longer_side: Length of the longer side after scaling, in pixels; ``None`` does not scale.

    Returns:
        The picture. Shrinking averages (antialiased bilinear), as image libraries do.
    """
    H, W = image.shape[:2]
    factor = 1.0 if longer_side is None else longer_side / max(H, W)
    height, width = max(1, round(factor * H)), max(1, round(factor * W))
    pixels = torch.from_numpy(image).permute(2, 0, 1)[None]  # (1, 3, H, W), uint8
    if (height, width) != (H, W):
        pixels = functional.interpolate(pixels, (height, width), mode="bilinear", antialias=True)
    padding = (0, -width % _MULTIPLE, 0, -height % _MULTIPLE)
    return Picture(functional.pad(pixels.float(), padding), height, width, (width / W, height / H))
