"""``--radius auto``: how far objects move at the beginning of a video decides how far the memory looks."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import torch

from heatprop.evaluation.motion import suggest_radius
from heatprop.evaluation.tracked_motion import tracked_displacement
from heatprop.maps.following import FOLLOW
from heatprop.propagator import HeatmapPropagator
from heatprop.running.results import Cuts, FrameDetector
from heatprop.video import Frame

FRAMES = 150
"""How many frames of a video are used."""
_FEW = 50  # with fewer pairs, a suggestion depends on single objects


def fit_radius(
    detector: FrameDetector,
    frames: Iterable[Frame],
    *,
    cuts: Cuts | None = None,
    watch: Callable[[Iterator[Any]], Iterator[Any]] = iter,
) -> str:
    """Follow objects through the first frames of a video, and give the memory a radius that covers their motion.

    Args:
        detector: The detector; its memory gets the radius.
        frames: The video, from its beginning; `FRAMES` frames are read.
        cuts: Tells whether an image starts a new scene; ``None`` for a single scene.
        watch: Wraps the detections, to let signals through between two frames.

    Returns:
        What was seen and decided, for the user. If there are too few motions, the memory keeps the radius that was set.

    Raises:
        DetectorError: If the detector fails.
    """
    detector.reset()
    found = watch(_follow(detector, islice(frames, FRAMES), cuts))
    moved = tracked_displacement(found, stride=detector.propagator.stride)
    pairs = int((~np.isnan(moved)).sum())
    if pairs < _FEW:
        detector.use_radius(None)
        return (
            f"radius {detector.propagator.radius}, as set: {pairs} motions were seen, which are too few to choose one"
        )
    detector.use_radius(suggest_radius(moved))
    return f"radius {detector.propagator.radius}, which covers 95 % of {pairs} motions in the first {FRAMES} frames"


@torch.inference_mode()
def _follow(detector: FrameDetector, frames: Iterable[Frame], cuts: Cuts | None) -> Iterator[Any]:
    """Yield what a memory that looks far finds in each frame, as `heatprop.Detections.unpad` returns it."""
    follower = HeatmapPropagator.from_options(replace(FOLLOW, stride=detector.propagator.stride))
    for frame in frames:
        cut = cuts is not None and cuts(frame.image)
        picture, maps, _ = detector.maps_of(frame)
        shift, device = detector.shift_of(frame, picture, cut=cut), maps.heatmap.device
        reset = torch.tensor([cut], device=device)
        shift = None if shift is None else shift.to(device)
        output = follower(maps.heatmap, maps.offset, maps.size, reset=reset, shift=shift)
        yield from output.detections.unpad()
