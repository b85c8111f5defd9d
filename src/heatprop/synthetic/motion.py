"""How objects and the camera move: tables with a row per frame, interpolated for the exposure."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


class Pose(NamedTuple):
    """Where a sprite is at one moment, before the camera moves.

    Attributes:
        x: x of its centre, in pixels of the picture.
        y: y of its centre, in pixels of the picture.
        scale: Size relative to that of the sprite.
        angle: Clockwise rotation, in radians.
        facing: 1 to face right, as drawn; -1 for the mirror image.
    """

    x: float
    y: float
    scale: float
    angle: float
    facing: int


class Course(NamedTuple):
    """A pose per frame, for T frames.

    Attributes:
        place: Centre ``(x, y)``, shape ``(T, 2)``, in pixels of the picture.
        scale: Size relative to that of the sprite, shape ``(T,)``.
        angle: Clockwise rotation, shape ``(T,)``, in radians.
        facing: 1 or -1, as in `Pose`, shape ``(T,)``.
    """

    place: FloatArray
    scale: FloatArray
    angle: FloatArray
    facing: NDArray[np.int64]

    def at(self, time: float) -> Pose:
        """Read the pose at a time in frames, interpolated linearly between two frames."""
        x, y, scale, angle = (between(row, time) for row in (*self.place.T, self.scale, self.angle))
        return Pose(x, y, scale, angle, int(self.facing[round(min(max(time, 0), len(self.facing) - 1))]))


class Camera(NamedTuple):
    """What the camera does, for T frames.

    Attributes:
        pan: Shift ``(x, y)`` of the world against the objects, shape ``(T, 2)``, in pixels. The camera follows the
            objects: a pan moves the background and the occluders, not the objects.
        shake: Shift of everything, shape ``(T, 2)``, in pixels.
        zoom: Scale of everything, from the middle of the picture, shape ``(T,)``.
    """

    pan: FloatArray
    shake: FloatArray
    zoom: FloatArray


def between(table: FloatArray, time: float) -> float:
    """Interpolate a table with a row per frame linearly, and extrapolate beyond both ends.

    Args:
        table: Value at each frame, shape ``(T,)``.
        time: Time to read at, in frames.

    Returns:
        The value.

    Examples:
        >>> between(np.array([0.0, 2.0, 6.0]), 1.5), between(np.array([0.0, 2.0, 6.0]), 2.5)
        (4.0, 8.0)
    """
    if len(table) == 1:
        return float(table[0])
    first = min(max(int(np.floor(time)), 0), len(table) - 2)
    return float(table[first] + (time - first) * (table[first + 1] - table[first]))


def roam(rng: np.random.Generator, frames: int, speed: float, size: tuple[int, int], reach: float) -> Course:
    """Make a course that roams the picture, leaves it and comes back.

    Args:
        rng: Random generator.
        frames: Number of frames T.
        speed: Mean speed, in pixels per frame; the actual speed varies by 30 %.
        size: Width and height of the picture, in pixels.
        reach: How far the centre may go beyond the border before it turns back, in pixels.

    Returns:
        A course that starts inside or, one time in three, just outside.
    """
    area = np.array(size, np.float64)
    place = rng.uniform(0.15, 0.85, 2) * area
    if rng.random() < 1 / 3:
        side = rng.integers(2)
        place[side] = (-0.8 * reach, area[side] + 0.8 * reach)[rng.integers(2)]
    aim = rng.uniform(0.25, 0.75, 2) * area
    heading = np.arctan2(*(aim - place)[::-1])
    turn, phase = 0.0, rng.uniform(0, 2 * np.pi)
    places, headings = np.empty((frames, 2)), np.empty(frames)
    for frame in range(frames):
        places[frame], headings[frame] = place, heading
        turn = 0.85 * turn + rng.normal(0, 0.025)
        if ((place < -reach) | (place > area + reach)).any():
            turn = 0.0
            aim = rng.uniform(0.25, 0.75, 2) * area
            heading = np.arctan2(*(aim - place)[::-1])  # out of sight: nobody sees it turn
        heading += turn
        pace = speed * (1 + 0.3 * np.sin(2 * np.pi * frame / 40 + phase))
        place = place + pace * np.array([np.cos(heading), np.sin(heading)])
    return _dress(rng, places, headings)


def _dress(rng: np.random.Generator, places: FloatArray, headings: FloatArray) -> Course:
    """Add swaying, coming nearer and going away, and face the direction of motion."""
    time = np.arange(len(places))
    sway = rng.uniform(0.02, 0.12) * np.sin(2 * np.pi * time / rng.uniform(12, 30) + rng.uniform(0, 2 * np.pi))
    depth = rng.uniform(0, 0.25) * np.sin(2 * np.pi * time / rng.uniform(40, 120) + rng.uniform(0, 2 * np.pi))
    facing = np.where(np.cos(headings) >= 0, 1, -1).astype(np.int64)
    climb = 0.35 * np.sin(headings) * facing
    return Course(places, np.exp(depth), sway + climb, facing)


def move_camera(rng: np.random.Generator, frames: int, size: tuple[int, int], strength: float) -> Camera:
    """Pan, zoom and shake.

    Args:
        rng: Random generator.
        frames: Number of frames T.
        size: Width and height of the picture, in pixels.
        strength: From 0 (a tripod) to 1 (a hand-held camera).

    Returns:
        The camera; it never sees beyond a world twice the size of the picture.
    """
    time = np.arange(frames)[:, None]
    area = np.array(size, np.float64)
    phase = rng.uniform(0, 2 * np.pi, 2)
    reach = strength * rng.uniform(0.05, 0.25, 2) * area
    pan = reach * np.sin(2 * np.pi * time / rng.uniform(80, 240, 2) + phase)  # (T, 2)
    wobble = rng.uniform(0, 0.004) * area.max() * strength
    shake = np.zeros((frames, 2))
    for frame in range(1, frames):
        shake[frame] = 0.8 * shake[frame - 1] + rng.normal(0, 1, 2) * wobble
    period, start = rng.uniform(60, 200), rng.uniform(0, 2 * np.pi)
    zoom = np.exp(strength * rng.uniform(0, 0.15) * np.sin(2 * np.pi * time[:, 0] / period + start))
    return Camera(pan, shake.clip(-0.05 * area, 0.05 * area), zoom)
