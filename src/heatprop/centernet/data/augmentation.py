"""Change pictures at random: mirror, zoom, move, vary the colours; the boxes follow."""

from dataclasses import dataclass
from typing import Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor

from heatprop.centernet.letterbox import Letterbox, fit
from heatprop.checks import check_number

Zoom = Literal["original", "continuous", "none"]
ZOOMS = np.arange(0.6, 1.4, 0.1)  # the original's: 0.6, 0.7 ... 1.3
BORDER = 128  # the centre stays this far inside of the frame
SHARE = 0.4  # by how much brightness, contrast and saturation change at most
LIGHT = 0.1
GREY = torch.tensor([0.299, 0.587, 0.114])
# Main colours of ImageNet's pictures (0 to 1) and their variances, as CenterNet has them, here rows R, G, B.
VARIANCES = torch.tensor([0.2141788, 0.01817699, 0.00341571])
MAIN_COLOURS = torch.tensor(
    [
        [-0.56089297, 0.71832671, 0.41158938],
        [-0.5832747, 0.00994535, -0.81221408],
        [-0.58752847, -0.69563484, 0.41340352],
    ]
)


@dataclass(frozen=True)
class Augmentation:
    """How pictures may change. The defaults are the paper's.

    Attributes:
        flip: Share of pictures that are mirrored, 0 to 1.
        zoom: ``"original"``: the square shows 0.6, 0.7 ... or 1.3 times the frame's longer side, about a random
            whole pixel at least 128 px from the frame's border (less in small frames), as CenterNet draws it.
            ``"continuous"``: any number from 0.6 to 1.4, about any such point. ``"none"``: the letterbox.
        colours: Change brightness, contrast and saturation by up to 40 % in random order, and the light, as the
            original CenterNet does. The paper does not name it.

    Raises:
        TypeError: If ``flip`` is not a number.
        ValueError: If an option has any other value.
    """

    flip: float = 0.5
    zoom: Zoom = "original"
    colours: bool = False

    def __post_init__(self) -> None:
        check_number("flip", self.flip, low=0, high=1)
        if self.zoom not in get_args(Zoom):
            raise ValueError(f"zoom must be 'original', 'continuous' or 'none', got {self.zoom!r}")

    def draw_place(self, width: int, height: int, size: int, rng: np.random.Generator) -> tuple[bool, Letterbox]:
        """Choose at random whether to mirror a frame and where to place it.

        Args:
            width: Width of the frame, in pixels.
            height: Height of the frame, in pixels.
            size: Side of the square, in pixels.
            rng: Random generator.

        Returns:
            Whether to mirror the frame first, and where it then goes.
        """
        mirrored = bool(rng.random() < self.flip)
        if self.zoom == "none":
            return mirrored, fit(width, height, size)
        reach = [(_border(side), side - _border(side)) for side in (width, height)]
        if self.zoom == "original":
            zoom, (x, y) = float(rng.choice(ZOOMS)), (float(rng.integers(*ends)) for ends in reach)
        else:
            zoom, (x, y) = rng.uniform(0.6, 1.4), (rng.uniform(*ends) for ends in reach)
        scale = size / (max(width, height) * zoom)
        return mirrored, Letterbox(scale, size / 2 - scale * x, size / 2 - scale * y, width, height)


class Colours(NamedTuple):
    """How the colours of one picture change.

    Attributes:
        order: The order of ``"brightness"``, ``"contrast"`` and ``"saturation"``.
        shares: The factor of each, in that order.
        light: How much of each main colour of ImageNet is added, shape ``(3,)``.
    """

    order: tuple[str, ...]
    shares: tuple[float, ...]
    light: tuple[float, ...]


def draw_colours(rng: np.random.Generator) -> Colours:
    """Choose a random change as the original does: factors of 0.6 to 1.4, light of standard deviation 0.1.

    Args:
        rng: Random generator.

    Returns:
        The change.
    """
    order = tuple(rng.permutation(["brightness", "contrast", "saturation"]).tolist())
    shares = tuple(rng.uniform(1 - SHARE, 1 + SHARE, 3).tolist())
    return Colours(order, shares, tuple(rng.normal(0, LIGHT, 3).tolist()))


def change_colours(image: Tensor, change: Colours) -> Tensor:
    """Change the colours of a picture as the original CenterNet does, its black border included.

    Contrast mixes the picture with the mean of its grey version, saturation with the grey version itself; both are
    taken from the unchanged picture. Nothing is clipped.

    Args:
        image: RGB, shape ``(3, H, W)``, 0 to 255.
        change: The change, from `draw_colours`.

    Returns:
        RGB, same shape, ``float32``; values may lie outside 0 to 255.

    Examples:
        >>> brighter = Colours(("brightness", "contrast", "saturation"), (1.25, 1, 1), (0, 0, 0))
        >>> change_colours(torch.full((3, 1, 1), 100, dtype=torch.uint8), brighter).flatten().tolist()
        [125.0, 125.0, 125.0]
    """
    image = image.float()
    grey = (image * GREY[:, None, None]).sum(dim=0, keepdim=True)  # (1, H, W)
    towards = {"brightness": torch.zeros(()), "contrast": grey.mean(), "saturation": grey}
    for name, share in zip(change.order, change.shares, strict=True):
        image = image * share + towards[name] * (1 - share)
    light = MAIN_COLOURS @ (VARIANCES * torch.tensor(change.light))
    return image + 255 * light[:, None, None]


def _border(side: int) -> int:
    """Choose how far from the border the centre stays: 128 px, halved until the frame is wider than twice that."""
    border, part = BORDER, 1
    while side - border <= border:
        part *= 2
        border = BORDER // part
    return border
