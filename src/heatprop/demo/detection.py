"""The same maps of one detector, decoded without memory and with it."""

import time
from collections.abc import Callable, Collection
from typing import Any, NamedTuple, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop import Detections, HeadMaps, HeatmapPropagator, PropagatorOutput, adapters

BATCH = 4  # frames that go through the network at once
Array = NDArray[np.float64]

_MAPS = ("heatmap", "offset", "size")


class FrameFaces(NamedTuple):
    """The detections of one frame.

    Attributes:
        boxes: Boxes ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels.
        scores: Scores in falling order, shape ``(n,)``.
        network_scores: The network's own scores, shape ``(n,)``.
        ages: How many frames the memory has held each detection, shape ``(n,)``.
    """

    boxes: Array
    scores: Array
    network_scores: Array
    ages: Array


class TimedDetector:
    """A detector with a stopwatch.

    Args:
        detector: A :class:`heatprop.faces.CenterFace`.
        advance: Called after each batch with its number of frames.

    Attributes:
        seconds: How long it has run, in seconds.
        frames: How many frames it has seen.
    """

    def __init__(self, detector: Callable[[Tensor], Any], advance: Callable[[int], None]) -> None:
        self._detector, self._advance = detector, advance
        self.seconds, self.frames = 0.0, 0

    def __call__(self, frames: Tensor) -> Any:
        """Run the detector on a batch of frames ``(B, 3, H, W)``."""
        start = time.perf_counter()
        raw = self._detector(frames)
        self.seconds += time.perf_counter() - start
        self.frames += len(frames)
        self._advance(len(frames))
        return raw


def read_maps(detector: Callable[[Tensor], Any], images: NDArray[np.uint8]) -> HeadMaps:
    """Run CenterFace over frames once.

    Args:
        detector: A :class:`heatprop.faces.CenterFace`.
        images: RGB pictures, shape ``(T, H, W, 3)``, ``uint8``.

    Returns:
        Maps of all frames, ``(T, ...)``, without the landmarks.
    """
    parts: list[HeadMaps] = []
    for start in range(0, len(images), BATCH):
        frames = torch.from_numpy(images[start : start + BATCH]).permute(0, 3, 1, 2)  # (n, 3, H, W)
        parts.append(adapters.centerface(detector(frames)))
    heatmap, offset, size = (torch.cat([_map(part, name) for part in parts]) for name in _MAPS)
    return HeadMaps(heatmap, offset, size)


def replace_maps(maps: HeadMaps, frames: list[int], new: HeadMaps) -> HeadMaps:
    """Replace the maps of some frames.

    Args:
        maps: Maps of T frames.
        frames: Numbers of the frames to replace.
        new: New maps of these frames.

    Returns:
        Maps of T frames, with the new ones in place.
    """
    index = torch.tensor(frames, dtype=torch.int64)
    heatmap, offset, size = (_map(maps, name).index_copy(0, index, _map(new, name)) for name in _MAPS)
    return HeadMaps(heatmap, offset, size)


def detect_per_frame(maps: HeadMaps) -> list[FrameFaces]:
    """Decode each frame by itself: CenterNet's 3 x 3 peaks, the same threshold and NMS.

    Args:
        maps: Maps of T frames.

    Returns:
        The detections of each frame.
    """
    alone = HeatmapPropagator(peak_kernel=3)
    return _found(alone(maps.heatmap, maps.offset, maps.size).detections)  # T streams of one frame each


def detect_with_memory(maps: HeadMaps, *, resets: Collection[int] = ()) -> list[PropagatorOutput]:
    """Propagate frame by frame with the paper's defaults.

    Args:
        maps: Maps of T frames.
        resets: Numbers of the frames at which the memory starts afresh.

    Returns:
        One output per frame.
    """
    memory = HeatmapPropagator()
    outputs = []
    for t, fields in enumerate(zip(*(_map(maps, name) for name in _MAPS), strict=True)):
        heatmap, offset, size = (field[None] for field in fields)  # a batch of one
        outputs.append(memory(heatmap, offset, size, reset=torch.tensor([t in resets])))
    return outputs


def found_in(outputs: list[PropagatorOutput]) -> list[FrameFaces]:
    """Read the detections of each frame from the propagator's outputs."""
    return [_found(output.detections)[0] for output in outputs]


def _map(maps: HeadMaps, name: str) -> Tensor:
    """Read a map that CenterFace always gives."""
    return cast(Tensor, getattr(maps, name))


def _found(detections: Detections) -> list[FrameFaces]:
    names = FrameFaces._fields
    return [FrameFaces(*(each[name].double().numpy() for name in names)) for each in detections.unpad()]
