"""A scene: everything that a video shows, chosen by a seed before the first frame is rendered."""

import math
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from PIL import Image

from heatprop.synthetic.motion import Camera, Course, FloatArray, Pose, between, move_camera, roam
from heatprop.synthetic.photos import make_background
from heatprop.synthetic.sprites import CLASSES, draw_occluder, draw_sprite


@dataclass(frozen=True, kw_only=True)
class SceneOptions:
    """What the videos of a benchmark are like.

    Attributes:
        size: Width and height of the pictures, at least 32, in pixels.
        frames: Number of frames T of each video, at least 1.
        classes: WordNet ids of the objects, from `CLASSES`.
        speed: Lowest and highest speed of an object, at least 0, in pixels per frame; its logarithm is drawn uniformly.
        objects: Smallest and largest number of objects in a video, at least 0.
        length: Smallest and largest length of an object's longer side, relative to the picture's shorter side.
        occluders: Largest number of things in front of objects, at least 0.
        shutter: Shortest and longest exposure, as a share of the time between two frames, 0 (no blur) to 1.
        defocus: Largest blur radius while a video hunts for focus, at least 0, for a picture of 192 px; 0 for none.
        camera: Strength of pan, zoom and shake, 0 (a tripod) to 1.

    Raises:
        ValueError: If an option is out of its range.
    """

    size: tuple[int, int] = (192, 192)
    frames: int = 60
    classes: tuple[str, ...] = tuple(CLASSES)
    speed: tuple[float, float] = (0.5, 8.0)
    objects: tuple[int, int] = (1, 4)
    length: tuple[float, float] = (0.18, 0.45)
    occluders: int = 2
    shutter: tuple[float, float] = (0.2, 0.9)
    defocus: float = 1.6
    camera: float = 1.0

    def __post_init__(self) -> None:
        _check_range("size, width and height", tuple(sorted(self.size)), 32, math.inf)
        _check_range("frames", (self.frames,), 1, 1_000_000)
        _check_range("speed", self.speed, 0, math.inf)
        _check_range("objects", self.objects, 0, 1_000)
        _check_range("length", self.length, 0.02, 2)
        _check_range("occluders", (self.occluders,), 0, 1_000)
        _check_range("shutter", self.shutter, 0, 1)
        _check_range("defocus", (self.defocus,), 0, math.inf)
        _check_range("camera", (self.camera,), 0, 1)
        if not self.classes or (unknown := [name for name in self.classes if name not in CLASSES]):
            raise ValueError(f"classes must be among {', '.join(CLASSES)}, got {unknown if self.classes else 'none'}")


class Thing(NamedTuple):
    """Something in front of the background.

    Attributes:
        sprite: RGBA picture at scale 1.
        course: How the thing moves.
        wnid: WordNet id of its class; empty for an occluder.
        track: Its number in the video, from 0; -1 for an occluder.
    """

    sprite: Image.Image
    course: Course
    wnid: str = ""
    track: int = -1


class Scene(NamedTuple):
    """A video before it is rendered.

    Attributes:
        options: The options that it was made with.
        seed: The numbers that it was made from; they also seed the noise of each frame.
        background: RGB, twice as wide and high as the picture.
        things: Objects and occluders in any order of depth, the farthest first.
        camera: How the camera moves.
        shutter: Exposure, as a share of the time between two frames.
        defocus: Radius of each frame's blur, shape ``(T,)``, in pixels.
        gain: Brightness of each frame, shape ``(T,)``.
        noise: Standard deviation of the sensor's noise, in grey levels of 255.
    """

    options: SceneOptions
    seed: tuple[int, ...]
    background: Image.Image
    things: tuple[Thing, ...]
    camera: Camera
    shutter: float
    defocus: FloatArray
    gain: FloatArray
    noise: float

    def pose(self, thing: Thing, time: float) -> Pose:
        """Compute where a thing is in the picture.

        Args:
            thing: One of ``things``.
            time: The time, in frames.

        Returns:
            The pose as the camera sees it.
        """
        own = thing.course.at(time)
        zoom = between(self.camera.zoom, time)
        middle = np.array(self.options.size) / 2
        pan = [0.0, 0.0] if thing.track >= 0 else [between(row, time) for row in self.camera.pan.T]
        shake = [between(row, time) for row in self.camera.shake.T]
        x, y = middle + zoom * (np.array([own.x, own.y]) - pan - middle) + shake
        return own._replace(x=float(x), y=float(y), scale=own.scale * zoom)


def make_scene(options: SceneOptions, seed: tuple[int, ...], *, split: str = "train") -> Scene:
    """Choose everything that a video shows.

    Args:
        options: What the video is like.
        seed: Numbers of at least 0; equal numbers make equal scenes.
        split: ``"train"`` or ``"val"``, which decides the photographs of the background.

    Returns:
        The scene.

    Examples:
        >>> scene = make_scene(SceneOptions(frames=5, objects=(2, 2), occluders=0), (0,))
        >>> [thing.track for thing in scene.things], scene.background.size
        ([0, 1], (384, 384))
    """
    rng = np.random.default_rng(seed)
    objects = int(rng.integers(options.objects[0], options.objects[1] + 1))
    things = [_make_object(rng, options, track) for track in range(objects)]
    for _ in range(rng.integers(options.occluders + 1)):
        things.insert(int(rng.integers(len(things) + 1)), _make_occluder(rng, options))
    return Scene(
        options=options,
        seed=seed,
        background=make_background(rng, split, options.size),
        things=tuple(things),
        camera=move_camera(rng, options.frames, options.size, options.camera),
        shutter=float(rng.uniform(*options.shutter)),
        defocus=_hunt_focus(rng, options),
        gain=1 + 0.08 * np.sin(2 * np.pi * np.arange(options.frames) / rng.uniform(20, 90)) * rng.random(),
        noise=float(rng.uniform(0.5, 5)),
    )


def _make_object(rng: np.random.Generator, options: SceneOptions, track: int) -> Thing:
    wnid = options.classes[rng.integers(len(options.classes))]
    length = min(options.size) * rng.uniform(*options.length)
    low, high = (math.log(max(speed, 1e-6)) for speed in options.speed)
    speed = math.exp(rng.uniform(low, high)) if options.speed[1] > 0 else 0.0
    course = roam(rng, options.frames, speed, options.size, 0.55 * length)
    return Thing(draw_sprite(rng, wnid, length * 1.2), course._replace(scale=course.scale / 1.2), wnid, track)


def _make_occluder(rng: np.random.Generator, options: SceneOptions) -> Thing:
    frames = options.frames
    place = rng.uniform(0.1, 0.9, 2) * options.size
    still = Course(np.tile(place, (frames, 1)), np.ones(frames), np.zeros(frames), np.ones(frames, np.int64))
    return Thing(draw_occluder(rng, options.size), still)


def _hunt_focus(rng: np.random.Generator, options: SceneOptions) -> FloatArray:
    """Choose blur radii: slight softness in two of three videos, in the third also a bump every 40 frames or so."""
    time = np.arange(options.frames)
    radius = np.full(options.frames, rng.uniform(0, 0.3))
    if rng.random() < 1 / 3:
        for _ in range(1 + options.frames // 40):
            middle, width = rng.uniform(0, options.frames), rng.uniform(2, 6)
            radius += rng.uniform(0.5, 1) * np.exp(-0.5 * ((time - middle) / width) ** 2)
    return radius.clip(0, 1) * options.defocus * min(options.size) / 192


def _check_range(name: str, values: tuple[float, ...], low: float, high: float) -> None:
    rising = all(first <= second for first, second in pairwise(values))
    if not (rising and all(low <= value <= high for value in values)):
        order = "" if len(values) == 1 else ", the lower first"
        raise ValueError(f"{name} must be {low} to {high}{order}, got {', '.join(map(str, values))}")
