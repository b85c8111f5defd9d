"""Degrade single frames on purpose, as a moving camera, a bad sensor or a tunnel would; seeded."""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Image = NDArray[np.uint8]

# How bad, for pictures of 176 x 144: bad enough that CenterFace alone usually loses the face.
_BLUR_SHARE = 0.13  # length of the motion, divided by the picture's width
_NOISE = 50.0  # standard deviation, in grey levels of 255
_LIGHT = 0.06  # share of the light that remains
_DARK_NOISE = 3.0  # standard deviation of what a sensor adds in the dark

# One event in every ten frames; most are one frame long, some are runs.
_SLOT = 10
_START = 8  # a memory first needs something to remember
_LENGTHS = (1, 1, 2, 1, 1, 3)
_LATEST = _SLOT - max(_LENGTHS) - 3  # leaves at least three good frames between two events


class Degradation(NamedTuple):
    """What is done to one frame.

    Attributes:
        frame: Number of the frame.
        kind: One of `KINDS`.
    """

    frame: int
    kind: str


def plan_degradations(frame_count: int, *, seed: int = 0) -> tuple[Degradation, ...]:
    """Choose frames and kinds at random: isolated frames, and a few runs of two or three.

    Args:
        frame_count: How many frames the clip has.
        seed: Random seed of the choice, at least 0.

    Returns:
        One degradation per chosen frame, in the order of the frames; a run has one kind.
    """
    generator = np.random.default_rng(seed)
    plan: list[Degradation] = []
    for event in range(max(0, frame_count - _START) // _SLOT + 1):
        if event % len(KINDS) == 0:
            order = generator.permutation(len(KINDS))
        first = _START + event * _SLOT + int(generator.integers(_LATEST + 1))
        length = _LENGTHS[event % len(_LENGTHS)]
        kind = tuple(KINDS)[order[event % len(KINDS)]]
        if first + length < frame_count:  # the frame after it shows whether the face is back
            plan += [Degradation(frame, kind) for frame in range(first, first + length)]
    return tuple(plan)


def degrade(images: NDArray[np.uint8], plan: Sequence[Degradation], *, seed: int = 0) -> NDArray[np.uint8]:
    """Degrade the planned frames and leave the others as they are.

    Args:
        images: RGB pictures, shape ``(T, H, W, 3)``, ``uint8``.
        plan: What to do to which frame.
        seed: Random seed of noise and directions; those of a frame depend on the seed and its number only.

    Returns:
        New pictures of the same shape.
    """
    worse = images.copy()
    for frame, kind in plan:
        worse[frame] = KINDS[kind](images[frame], np.random.default_rng([seed, frame]))
    return worse


def _blurred_by_motion(image: Image, generator: Generator) -> Image:
    """Average along a line of random direction."""
    length = max(3, round(_BLUR_SHARE * image.shape[1])) | 1
    angle, reach = generator.uniform(0, math.pi), (length - 1) / 2
    kernel = np.zeros((length, length), np.float32)
    for step in np.linspace(-reach, reach, 4 * length):
        kernel[round(reach + step * math.sin(angle)), round(reach + step * math.cos(angle))] = 1
    blurred = cv2.filter2D(image, -1, kernel / kernel.sum(), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(blurred, np.uint8)


def _noisy(image: Image, generator: Generator) -> Image:
    return _rounded(image + generator.normal(0, _NOISE, image.shape))


def _dark(image: Image, generator: Generator) -> Image:
    return _rounded(_LIGHT * image + generator.normal(0, _DARK_NOISE, image.shape))


def _rounded(levels: NDArray[np.float64]) -> Image:
    return np.clip(levels.round(), 0, 255).astype(np.uint8)


KINDS: dict[str, Callable[[Image, Generator], Image]] = {
    "motion blur": _blurred_by_motion,
    "noise": _noisy,
    "darkness": _dark,
}
