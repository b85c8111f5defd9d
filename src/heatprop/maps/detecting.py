"""Detections from saved maps: per frame, by interpolation, by propagation; and Seq-NMS on them.

Needs torch, which is loaded when something runs.
"""

import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions, Table
from heatprop.maps.saved import SavedMaps
from heatprop.options import STEADY as STEADY_OPTIONS
from heatprop.options import PropagatorOptions

if TYPE_CHECKING:
    from torch import Tensor

    from heatprop.propagator import HeatmapPropagator


@dataclass(frozen=True, kw_only=True)
class Setting(PropagatorOptions):
    """How maps become detections: the options of the propagator, and whether it remembers at all.

    Attributes:
        memory: ``False``: every frame starts again.
    """

    memory: bool = True


class TimedDetections(NamedTuple):
    """What was found in a video.

    Attributes:
        predictions: The detections.
        seconds: That propagation, peaks, boxes and NMS took.
        track: Identity of each detection, shape ``(n,)``; -1 without a memory.
    """

    predictions: Predictions
    seconds: float
    track: IntArray


HP = Setting()
"""The paper's propagation, with its defaults."""

PER_FRAME = Setting(radius=0, memory=False)
"""The detector alone: 3 x 3 peaks, the same NMS."""

STEADY = Setting(**STEADY_OPTIONS.as_keywords())
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
        name: TimedDetections(Predictions.of_video(maps.name, run.frames), run.seconds, run.identities())
        for name, run in _run_each(maps, settings).items()
    }


def detect_frames(maps: SavedMaps, setting: Setting = HP) -> list[dict[str, Any]]:
    """Detect objects in one video's saved maps, and keep everything known about them: ids, ages, carried or not.

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
    """Replace channels by class names, since channel 0 may be a different class in another video's maps.

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
    """Clip boxes to the network input; objects that lie outside become ignored ones.

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

    def identities(self) -> IntArray:
        """Who each detection is; nobody where every frame starts again."""
        found = [np.asarray(frame["track_ids"], np.int64) for frame in self.frames]
        track: IntArray = np.concatenate([np.zeros(0, np.int64), *found])
        return track if self.memory else np.full_like(track, -1)


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

    return HeatmapPropagator.from_options(replace(setting, stride=stride))
