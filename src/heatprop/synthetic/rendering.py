"""A frame of a scene: its picture, and which pixels each thing covers."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from heatprop.synthetic.motion import between
from heatprop.synthetic.scenes import Scene, Thing

COVERED = 128
"""Lowest alpha, of 255, at which a pixel belongs to a thing."""
STEP, MOST = 1.25, 14  # pixels of motion between two moments of an exposure; the largest number of moments

Mask = NDArray[np.bool_]


class Layer(NamedTuple):
    """A thing as it appears at one moment.

    Attributes:
        picture: RGBA picture of the whole thing, even beyond the border of the frame.
        corner: Its top left pixel ``(x, y)`` in the frame.
    """

    picture: Image.Image
    corner: tuple[int, int]


def render_frame(scene: Scene, frame: int) -> NDArray[np.uint8]:
    """Render a frame: the mean over the moments of its exposure, then defocus, brightness and noise.

    Args:
        scene: The scene.
        frame: Number of the frame, from 0. This is exactly the middle of the exposure, the time of the boxes.

    Returns:
        RGB, shape ``(H, W, 3)``.
    """
    times = exposure(scene, frame)
    total = np.zeros((*scene.options.size[::-1], 3), np.uint16)
    for time in times:
        total += np.asarray(_render_moment(scene, time))
    light = total.astype(np.float32) / len(times)
    if scene.defocus[frame] > 0.05:
        picture = Image.fromarray(light.round().astype(np.uint8))
        light = np.asarray(picture.filter(ImageFilter.GaussianBlur(float(scene.defocus[frame]))), np.float32)
    rng = np.random.default_rng((*scene.seed, frame + 1))
    light = light * np.float32(scene.gain[frame]) + scene.noise * rng.standard_normal(light.shape, np.float32)
    return light.round().clip(0, 255).astype(np.uint8)


def exposure(scene: Scene, frame: int) -> list[float]:
    """Choose the moments of an exposure: enough that nothing moves by more than 1.25 px between two, at most 14.

    Args:
        scene: The scene.
        frame: The middle of the exposure.

    Returns:
        Times in frames, evenly spread around ``frame``.
    """
    start, end = frame - scene.shutter / 2, frame + scene.shutter / 2
    motion = [
        math.dist([between(row, start) for row in table], [between(row, end) for row in table])
        for table in (scene.camera.pan.T, scene.camera.shake.T)
    ]
    for thing in scene.things:
        first, last = scene.pose(thing, start), scene.pose(thing, end)
        motion.append(math.dist(first[:2], last[:2]))
    count = min(MOST, 1 + math.ceil(max(motion) / STEP))
    return [frame + scene.shutter * ((step + 0.5) / count - 0.5) for step in range(count)]


def render_thing(scene: Scene, thing: Thing, time: float) -> Layer | None:
    """Draw a thing where it is at one moment.

    Args:
        scene: The scene.
        thing: One of the scene's things.
        time: The moment, in frames.

    Returns:
        The whole thing, even what lies outside the picture; ``None`` if nothing lies inside.
    """
    pose = scene.pose(thing, time)
    cosine, sine = math.cos(pose.angle), math.sin(pose.angle)
    width, height = thing.sprite.size
    half = (
        pose.scale * (abs(cosine) * width + abs(sine) * height) / 2,
        pose.scale * (abs(sine) * width + abs(cosine) * height) / 2,
    )
    left, top = math.floor(pose.x - half[0]), math.floor(pose.y - half[1])
    right, bottom = math.ceil(pose.x + half[0]), math.ceil(pose.y + half[1])
    if right <= 0 or bottom <= 0 or left >= scene.options.size[0] or top >= scene.options.size[1]:
        return None
    a, b = pose.facing * cosine / pose.scale, pose.facing * sine / pose.scale
    d, e = -sine / pose.scale, cosine / pose.scale
    x, y = left - pose.x, top - pose.y
    back = (a, b, a * x + b * y + width / 2, d, e, d * x + e * y + height / 2)
    picture = thing.sprite.transform(
        (right - left, bottom - top), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR
    )
    return Layer(picture, (left, top))


def cover(layer: Layer | None, size: tuple[int, int]) -> Mask:
    """Mark which pixels of the picture a layer covers.

    Args:
        layer: The layer, from `render_thing`.
        size: Width and height of the picture.

    Returns:
        Mask of shape ``(H, W)``, true where alpha is one half or more.
    """
    alpha = Image.new("L", size)
    if layer is not None:
        alpha.paste(layer.picture.getchannel("A"), layer.corner)
    return np.asarray(alpha) >= COVERED


def _render_moment(scene: Scene, time: float) -> Image.Image:
    width, height = scene.options.size
    zoom = between(scene.camera.zoom, time)
    offset = []
    for side, pan, shake in zip((width, height), scene.camera.pan.T, scene.camera.shake.T, strict=True):
        offset.append(side - (side / 2 + between(shake, time)) / zoom + between(pan, time))
    back = (1 / zoom, 0.0, offset[0], 0.0, 1 / zoom, offset[1])
    picture = scene.background.transform((width, height), Image.Transform.AFFINE, back, Image.Resampling.BILINEAR)
    for thing in scene.things:
        if (layer := render_thing(scene, thing, time)) is not None:
            picture.paste(layer.picture, layer.corner, layer.picture)
    return picture
