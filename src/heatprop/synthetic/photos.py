"""Real photographs and textures from the wheel of scikit-image, so nothing is downloaded."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

PHOTOS = {
    "train": (
        "astronaut.png",
        "brick.png",
        "chelsea.png",
        "grass.png",
        "motorcycle_left.png",
        "moon.png",
        "retina.jpg",
    ),
    "val": ("camera.png", "coffee.png", "gravel.png", "rocket.jpg"),
}
"""Backgrounds of each split: a detector is never validated on a photograph that it was trained on."""

TEXTURES = ("brick.png", "grass.png", "gravel.png", "ihc.png")
"""Photographs of surfaces, for skins and occluders."""


@cache
def load_photo(name: str) -> Image.Image:
    """Load a photograph of scikit-image.

    Args:
        name: File in the package's ``data`` folder.

    Returns:
        The photograph, RGB. It is shared: do not change it.

    Raises:
        ModuleNotFoundError: If scikit-image is not installed.
        FileNotFoundError: If this release of scikit-image does not hold it.
    """
    found = find_spec("skimage")  # located, not imported: only its files are needed
    if found is None or found.origin is None:
        raise ModuleNotFoundError(
            "heatprop.synthetic takes its photographs from scikit-image: pip install 'heatprop[benchmark]'",
            name="skimage",
        )
    path = Path(found.origin).parent / "data" / name
    if not path.is_file():
        raise FileNotFoundError(f"scikit-image must hold data/{name}, got none in {path.parent}; install 0.25 or newer")
    with Image.open(path) as photo:
        return photo.convert("RGB")


def make_background(rng: np.random.Generator, split: str, size: tuple[int, int]) -> Image.Image:
    """Make the world behind the objects: a photograph, cropped, flipped, toned and scaled to twice the picture.

    Args:
        rng: Random generator.
        split: ``"train"`` or ``"val"``, which decides the photographs.
        size: Width and height of the picture, in pixels.

    Returns:
        RGB, twice as wide and as high as the picture, so that a camera can pan over it.
    """
    photo = load_photo(PHOTOS[split][rng.integers(len(PHOTOS[split]))])
    share = rng.uniform(0.55, 1)
    width, height = (max(2, int(side * share)) for side in photo.size)
    left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - height + 1))
    world = (2 * size[0], 2 * size[1])
    canvas = ImageOps.fit(photo.crop((left, top, left + width, top + height)), world, Image.Resampling.BICUBIC)
    if rng.random() < 0.5:
        canvas = ImageOps.mirror(canvas)
    canvas = ImageEnhance.Color(canvas).enhance(rng.uniform(0.5, 1.2))
    canvas = ImageEnhance.Brightness(canvas).enhance(rng.uniform(0.7, 1.15))
    return _tint(canvas, rng.uniform(0.88, 1.12, 3))


def cut_texture(rng: np.random.Generator, side: tuple[int, int]) -> Image.Image:
    """Cut a piece of a photographed surface.

    Args:
        rng: Random generator of surface and place.
        side: Width and height of the piece, in pixels.

    Returns:
        RGB.
    """
    photo = load_photo(TEXTURES[rng.integers(len(TEXTURES))])
    width = int(rng.uniform(0.35, 0.7) * min(photo.size))
    left, top = int(rng.integers(photo.width - width + 1)), int(rng.integers(photo.height - width + 1))
    return photo.crop((left, top, left + width, top + width)).resize(side, Image.Resampling.BICUBIC)


def _tint(picture: Image.Image, gains: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Image.Image:
    """Multiply the channels.

    Args:
        picture: RGB.
        gains: Factor of each channel, shape ``(3,)``.

    Returns:
        RGB, clipped to 0..255.
    """
    values = np.asarray(picture, np.float32) * gains.astype(np.float32)
    return Image.fromarray(values.clip(0, 255).astype(np.uint8))
