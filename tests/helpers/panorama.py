"""A world that is a formula, and what a camera sees of it: every pixel is exact, no warping library is involved."""

import numpy as np

SIZE = (320, 180)
_random = np.random.default_rng(7)
WAVES = np.column_stack([_random.normal(0, 0.25, (60, 2)), _random.uniform(0, 6, 60)])  # frequency x, y and phase


def world(points):
    """Brightness at places (..., 2), smooth and full of corners, in [0, 255]."""
    waves = sum(np.cos(points @ wave[:2] + wave[2]) for wave in WAVES)
    return (127 + 127 * np.tanh(waves / 8)).astype(np.float64)


def view(camera, *, size=SIZE, noise=0.0, seed=0, paint=None):
    """What a camera sees whose pixels (x, y) lie at ``camera`` (2, 3) of the world; `paint` changes it."""
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    points = np.stack([x, y], axis=-1)
    grey = world(points @ camera[:, :2].T + camera[:, 2])
    if paint is not None:
        grey = paint(points, grey)
    grey = grey + np.random.default_rng(seed).normal(0, noise, grey.shape) if noise else grey
    return np.repeat(grey.round().clip(0, 255).astype(np.uint8)[..., None], 3, axis=2)


def pose(x=0.0, y=0.0, *, degrees=0.0, zoom=1.0, size=SIZE):
    """A camera at a place, turned and zoomed around the middle of its picture."""
    angle, middle = np.radians(degrees), np.array(size) / 2
    turn = zoom * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.column_stack([turn, np.array([x, y]) + 500 - turn @ middle])


def truth(last, now):
    """Where the pixel at (x, y) of the last picture is in this one: through the world."""
    square = [np.vstack([camera, [0, 0, 1]]) for camera in (last, now)]
    return (np.linalg.inv(square[1]) @ square[0])[:2]
