"""Detectors of bright spots, fast and predictable, for tests of `heatprop run --detector toy_detectors:spots`."""

import signal

import numpy as np
import torch
from torch.nn import functional

from heatprop import HeadMaps

CELL = 4  # pixels
BOX = (24.0, 16.0)  # width and height of every object, in pixels
POISON, FAIL, CTRL_C = 60, 120, 180  # greys of the upper left cell that make a detector do something


def spots(frames):
    """A cell is an object as sure as it is bright; the first row of cells gives orders."""
    assert frames.shape[:2] == (1, 3), "(1, 3, H, W)"
    assert frames.shape[2] % 32 == frames.shape[3] % 32 == 0
    assert frames.dtype == torch.float32
    heatmap = functional.avg_pool2d(frames.mean(1, keepdim=True), CELL) / 255
    order = 255 * heatmap[0, 0, 0, 0].item()
    heatmap[:, :, 0] = 0
    if abs(order - POISON) < 20:
        heatmap = torch.full_like(heatmap, torch.nan)
    if abs(order - FAIL) < 20:
        raise ArithmeticError("I do not like this frame")
    if abs(order - CTRL_C) < 20:
        signal.raise_signal(signal.SIGINT)
    size = torch.tensor(BOX).view(1, 2, 1, 1).expand(1, 2, *heatmap.shape[2:]) / CELL
    return HeadMaps(heatmap, None, size)


def red(frames):
    """An object is as sure as it is red: grey is background, however bright."""
    redness = (frames[:, :1] - frames[:, 1:2]).clamp(min=0)
    return spots(redness.expand(-1, 3, -1, -1))


def small(frames):
    """Objects of 8 x 8 pixels: two cells apart they touch."""
    maps = spots(frames)
    return maps._replace(size=torch.full_like(maps.size, 2.0))


def two_small_classes(frames):
    maps = small(frames)
    return maps._replace(heatmap=torch.cat([0 * maps.heatmap, maps.heatmap], dim=1))


def unscaled(frames):
    """Scores that somebody forgot to divide."""
    maps = spots(frames)
    return maps._replace(heatmap=2 * maps.heatmap)


def unreadable(frames):
    """Sizes of bright cells that overflow, and those of quiet cells that are negative."""
    maps = spots(frames)
    return maps._replace(
        size=torch.where(maps.heatmap > 0.5, torch.inf, torch.where(maps.heatmap < 0.02, -1, maps.size))
    )


def two_classes(frames):
    maps = spots(frames)
    return maps._replace(heatmap=torch.cat([0 * maps.heatmap, maps.heatmap], dim=1))


def points(frames):
    return spots(frames)._replace(size=None)


def centernet(frames):
    """What a CenterNet returns: logits."""
    maps = spots(frames)
    return [{"hm": maps.heatmap.logit(), "wh": maps.size}]


def coarse(frames):
    """Two pixels of its maps are one of `spots`: a stride of 8."""
    heatmap, _, size, _ = spots(frames)
    return HeadMaps(heatmap[..., ::2, ::2], None, size[..., ::2, ::2])


def unbatched(frames):
    return HeadMaps(spots(frames).heatmap[0])


def no_tensor(frames):
    return HeadMaps([1.0])


def mismatched(frames):
    return spots(frames)._replace(size=torch.zeros(1, 3, *spots(frames).heatmap.shape[2:]))


class Network(torch.nn.Module):
    forward = staticmethod(spots)


network = Network()
number = 3


def film(scores, *, cell=(6, 5), height=48, width=64, order=None):
    """Black frames with a spot in one cell (x, y), as bright as the score of each frame.

    `order` maps frames to the grey of the upper left cell.
    """
    images = np.zeros((len(scores), height, width, 3), np.uint8)
    x, y = CELL * cell[0], CELL * cell[1]
    for index, score in enumerate(scores):
        images[index, y : y + CELL, x : x + CELL] = round(255 * score)
    for index, grey in (order or {}).items():
        images[index, :CELL, :CELL] = grey
    return list(images)


def lossless(stream):
    """For `films.make(prepare=)`: greys come back as they are, give or take one level."""
    stream.options = {"qp": "0"}
