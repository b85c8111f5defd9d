"""Detections from saved maps: per frame, by interpolation, by propagation; and Seq-NMS on them.

Needs torch, which is loaded when something runs.
"""

import math
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from heatprop import presets
from heatprop.evaluation.columns import GroundTruth, Predictions, Table
from heatprop.maps.saved import SavedMaps

if TYPE_CHECKING:
    from torch import Tensor

    from heatprop.propagator import HeatmapPropagator


class Setting(NamedTuple):
    """How maps become detections: the options of `HeatmapPropagator`, and whether it remembers at all.

    All but ``memory`` are the options of `heatprop.HeatmapPropagator`, with its defaults.

    Attributes:
        radius: The paper's P, in cells.
        alpha: Share of the long-term average, in [0, 1].
        beta: Trust in long tracklets, 0 to infinity.
        nms_threshold: Largest IoU of two detections of one class, in [0, 1].
        score_threshold: Lowest score of a detection, in [0, 1].
        top_k: Detections per frame.
        carry: Score that is carried on, ``"balanced"`` or ``"network"``.
        memory: ``False``: every frame starts anew.
        peak_kernel: Side of the peak window, in cells.
        average: ``"arithmetic"`` or ``"geometric"``.
        claim_once: Whether a tracklet passes to one detection only.
        max_length: Largest length that counts, in frames.
        evidence: Whether the length shrinks where the network saw nothing.
        max_unseen: Frames in a row that an object is carried.
        border: Share of its box from which an object that moves out of the map passes on no score.
        velocity: Whether each tracklet goes on with its velocity.
        radius_per_size: Radius as a share of the box's shorter side.
        max_radius: Largest such radius, in cells.
    """

    radius: int = 2
    alpha: float = 0.98
    beta: float = 2.0
    nms_threshold: float = 0.3
    score_threshold: float = 0.05
    top_k: int = 100
    carry: Literal["balanced", "network"] = "balanced"
    memory: bool = True
    peak_kernel: int | None = None
    average: Literal["arithmetic", "geometric"] = "arithmetic"
    claim_once: bool = False
    max_length: int | None = None
    evidence: bool = False
    max_unseen: int | None = None
    border: float = 0.0
    velocity: bool = False
    radius_per_size: float = 0.0
    max_radius: int = 4


class TimedDetections(NamedTuple):
    """What was found in a video.

    Attributes:
        predictions: The detections.
        seconds: That propagation, peaks, boxes and NMS took.
    """

    predictions: Predictions
    seconds: float


HP = Setting()
"""The paper's propagation, with its defaults."""

PER_FRAME = Setting(radius=0, memory=False)
"""The detector alone: 3 x 3 peaks, the same NMS."""

STEADY = Setting(**presets.STEADY)
"""The preset `heatprop.HeatmapPropagator.steady`."""

INTERPOLATION = Setting(radius=0, alpha=0.5, beta=math.inf, carry="network")
"""The paper's Eq. 11: the mean of the network's scores of this frame and the last, where something was detected."""


def detect_in_maps(maps: SavedMaps, setting: Setting = HP) -> Predictions:
    """Detect objects in one video's saved maps.

    Args:
        maps: The maps.
        setting: How.

    Returns:
        Detections by frame, in each by falling score; ``label`` is the name of the class (`name_classes`).

    Raises:
        ValueError: If an option is out of its range.
    """
    return timed_detections(maps, setting).predictions


def timed_detections(maps: SavedMaps, setting: Setting) -> TimedDetections:
    """`detect_in_maps`, with the seconds that it took (one frame is run before, to warm up)."""
    found = detect_with_each(maps, {"": setting})[""]
    return found._replace(predictions=name_classes(found.predictions, maps))


def detect_with_each(maps: SavedMaps, settings: Mapping[str, Setting]) -> dict[str, TimedDetections]:
    """Detect objects in one video's saved maps in several ways; each frame is read once.

    Args:
        maps: The maps.
        settings: Name -> how.

    Returns:
        Name -> detections by frame, in each by falling score; ``label`` is the channel.

    Raises:
        ValueError: If an option is out of its range.
    """
    return {
        name: TimedDetections(Predictions.of_video(maps.name, run.frames), run.seconds)
        for name, run in _run_each(maps, settings).items()
    }


def detect_frames(maps: SavedMaps, setting: Setting = HP) -> list[dict[str, Any]]:
    """Detect objects in one video's saved maps, and keep all that is known of them: ids, ages, what is carried.

    Args:
        maps: The maps.
        setting: How.

    Returns:
        For each frame what `heatprop.Detections.unpad` gives for it.

    Raises:
        ValueError: If an option is out of its range.
    """
    return _run_each(maps, {"": setting})[""].frames


def seq_nms_predictions(predictions: Predictions) -> Predictions:
    """Rescore and suppress the detections of each video by Seq-NMS.

    Args:
        predictions: Detections of any number of videos.

    Returns:
        What is left, with new scores, in the order given.
    """
    from heatprop.offline.seq_nms import rescore_boxes

    order = np.lexsort((predictions.frame, predictions.video))
    score, tubelet = np.zeros(len(order)), np.full(len(order), -1)
    videos = predictions.video[order]
    starts = np.flatnonzero(np.append(True, videos[1:] != videos[:-1])) if len(order) else np.zeros(0, np.int64)
    for rows in np.split(order, starts[1:]) if len(order) else []:
        one = predictions.select(rows)
        score[rows], tubelet[rows] = rescore_boxes(one.box, one.score, one.label, one.frame)
    return predictions._replace(score=score).select(tubelet >= 0)


def name_classes(table: Table, maps: SavedMaps) -> Table:
    """Call classes by name, since channel 0 of one video's maps may be another class than that of another's.

    Args:
        table: ``label`` is the channel of the heatmap.
        maps: The maps it belongs to.

    Returns:
        The table with names as labels; channels without a name are ``class 0``, ``class 1``, ...
    """
    channels: int = maps.heatmap.shape[1]
    names = [*maps.class_names[:channels], *(f"class {n}" for n in range(len(maps.class_names), channels))]
    return table._replace(label=np.array(names, np.str_)[table.label])


def clip_boxes(table: Table, maps: SavedMaps) -> Table:
    """Clip boxes to the network input; objects of which nothing is left become ignored ones.

    Args:
        table: Boxes in pixels of the network input.
        maps: The maps it belongs to.

    Returns:
        The table with clipped boxes.
    """
    boxes = np.clip(table.box, 0, np.tile(maps.input_wh, 2))
    if isinstance(table, GroundTruth):
        gone = (boxes[:, 2] <= boxes[:, 0]) | (boxes[:, 3] <= boxes[:, 1])
        table = table._replace(ignore=table.ignore | gone)
    return table._replace(box=boxes)


class _Run:
    """One setting on the frames of a video, one after the other."""

    def __init__(self, propagator: "HeatmapPropagator", memory: bool) -> None:
        self.propagator, self.memory = propagator, memory
        self.frames, self.seconds = list[dict[str, Any]](), 0.0

    def detect(self, maps: "list[Tensor]") -> None:
        """Go on with the next frame."""
        import torch

        if not self.frames:
            self.propagator(*maps)  # the warm-up
            self.propagator.reset()
        again = None if self.memory else torch.ones(1, dtype=torch.bool)
        start = time.perf_counter()
        detections = self.propagator(*maps, reset=again).detections
        self.seconds += time.perf_counter() - start
        self.frames += detections.unpad()


def _run_each(maps: SavedMaps, settings: Mapping[str, Setting]) -> dict[str, _Run]:
    import torch

    runs = {name: _Run(_propagator(setting, maps.stride), setting.memory) for name, setting in settings.items()}
    with torch.inference_mode():
        for number in range(len(maps.heatmap)):
            one = _frame_of(maps, number)
            for run in runs.values():
                run.detect(one)
    return runs


def _frame_of(maps: SavedMaps, number: int) -> "list[Tensor]":
    import torch

    rows = slice(number, number + 1)
    return [torch.from_numpy(one[rows].astype(np.float32)) for one in (maps.heatmap, maps.offset, maps.size)]


def _propagator(setting: Setting, stride: float) -> "HeatmapPropagator":
    from heatprop.propagator import HeatmapPropagator

    options = {name: value for name, value in setting._asdict().items() if name != "memory"}
    return HeatmapPropagator(stride=stride, **options)
