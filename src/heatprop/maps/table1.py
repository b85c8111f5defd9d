"""Table 1 on saved maps: per frame, interpolation and propagation (HP), each with and without Seq-NMS.

Needs torch, which is loaded when something runs.
"""

import time
from collections.abc import Iterable
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from heatprop.evaluation.average_precision import AveragePrecision, average_precision
from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions, join
from heatprop.evaluation.matching import Rule
from heatprop.evaluation.motion import displacement
from heatprop.maps.detecting import (
    HP,
    INTERPOLATION,
    PER_FRAME,
    Setting,
    clip_boxes,
    name_classes,
    seq_nms_predictions,
    timed_detections,
)
from heatprop.maps.saved import SavedMaps

FLAT = Rule(small_objects=False, plus_one=False)
"""One IoU threshold for all boxes, no +1, the whole area under the curve: for ordinary boxes on ordinary pictures."""


class Comparison(NamedTuple):
    """What each method found in the same videos.

    Attributes:
        truth: Objects of all videos, clipped to the network input; ``label`` is the name of the class.
        displacement: How far each object moved since the frame before, in cells; NaN for no pair, shape ``(n,)``.
        picture_size: Video -> ``(width, height)`` of the network input, in pixels.
        predictions: Method -> what it found, clipped to the network input.
        rescored: Method -> the same after Seq-NMS.
        milliseconds: Method -> per frame: propagation, peaks, boxes, NMS; without the network.
        seq_nms_milliseconds: Method -> per frame: Seq-NMS alone.
        tracks: Method -> identity of each of its ``predictions``, -1 where there is none.
    """

    truth: GroundTruth
    displacement: FloatArray
    picture_size: dict[str, tuple[float, float]]
    predictions: dict[str, Predictions]
    rescored: dict[str, Predictions]
    milliseconds: dict[str, float]
    seq_nms_milliseconds: dict[str, float]
    tracks: dict[str, IntArray]


class Table1Row(NamedTuple):
    """One method in the paper's Table 1, alone and with Seq-NMS.

    Attributes:
        method: Its name.
        alone: Average precision at IoU 0.5.
        with_seq_nms: The same after Seq-NMS.
        milliseconds: Per frame, without the network.
        milliseconds_with_seq_nms: The same with Seq-NMS.
    """

    method: str
    alone: AveragePrecision
    with_seq_nms: AveragePrecision
    milliseconds: float
    milliseconds_with_seq_nms: float


def table1(clips: Iterable[SavedMaps], *, propagation: Setting = HP, rule: Rule = FLAT) -> list[Table1Row]:
    """Give the rows of the paper's Table 1: three methods on the same maps, with and without Seq-NMS.

    Args:
        clips: Saved maps, for instance `iterate_saved_maps`; one at a time is in memory.
        propagation: Options of the propagation; thresholds and ``top_k`` hold for all methods.
        rule: When a detection counts.

    Returns:
        ``per frame``, ``interpolation`` and ``HP``, in this order.

    Raises:
        ValueError: If there is no clip.
    """
    return rows_of_table1(compare_methods(clips, propagation=propagation), rule=rule)


def compare_methods(clips: Iterable[SavedMaps], *, propagation: Setting = HP) -> Comparison:
    """Run per frame, interpolation and HP on the same maps, each with and without Seq-NMS.

    Args:
        clips: Saved maps.
        propagation: Options of the propagation; thresholds and ``top_k`` hold for all methods.

    Returns:
        All detections, and how long they took.

    Raises:
        ValueError: If there is no clip, or two have one name.
    """
    methods = methods_like(propagation)
    truths, moved = list[GroundTruth](), list[FloatArray]()
    sizes, frames = dict[str, tuple[float, float]](), 0
    runs: dict[str, list[_Run]] = {name: [] for name in methods}
    for clip in clips:
        if clip.name in sizes:
            raise ValueError(f"clips must have different names, got {clip.name!r} twice")
        sizes[clip.name] = clip.input_wh
        frames += len(clip.heatmap)
        truths.append(clip_boxes(name_classes(clip.truth, clip), clip))
        moved.append(displacement(clip.truth, stride=clip.stride))
        for name, setting in methods.items():
            runs[name].append(_run(clip, setting))
    if not truths:
        raise ValueError("clips must hold at least one video, got none")
    per_frame = 1000 / max(frames, 1)
    return Comparison(
        truth=join(truths),
        displacement=np.concatenate(moved),
        picture_size=sizes,
        predictions={name: join([run.found for run in done]) for name, done in runs.items()},
        rescored={name: join([run.rescored for run in done]) for name, done in runs.items()},
        milliseconds={name: per_frame * sum(run.seconds for run in done) for name, done in runs.items()},
        seq_nms_milliseconds={
            name: per_frame * sum(run.seq_nms_seconds for run in done) for name, done in runs.items()
        },
        tracks={name: np.concatenate([run.track for run in done]) for name, done in runs.items()},
    )


def rows_of_table1(comparison: Comparison, *, rule: Rule = FLAT) -> list[Table1Row]:
    """Evaluate a comparison as `table1` does.

    Args:
        comparison: From `compare_methods`.
        rule: When a detection counts.

    Returns:
        A row for each method.
    """
    return [
        Table1Row(
            name,
            average_precision(comparison.truth, predictions, rule=rule),
            average_precision(comparison.truth, comparison.rescored[name], rule=rule),
            comparison.milliseconds[name],
            comparison.milliseconds[name] + comparison.seq_nms_milliseconds[name],
        )
        for name, predictions in comparison.predictions.items()
    ]


def methods_like(propagation: Setting = HP) -> dict[str, Setting]:
    """Give the settings of Table 1's methods.

    Args:
        propagation: Options of the propagation; thresholds and ``top_k`` hold for all methods.

    Returns:
        Name -> setting.

    Examples:
        >>> methods_like(Setting(nms_threshold=0.5))["interpolation"].nms_threshold
        0.5
    """
    nms, score, top_k = propagation.nms_threshold, propagation.score_threshold, propagation.top_k
    simple = {"per frame": PER_FRAME, "interpolation": INTERPOLATION}
    same = {
        name: replace(setting, nms_threshold=nms, score_threshold=score, top_k=top_k)
        for name, setting in simple.items()
    }
    return {**same, "HP": propagation}


class _Run(NamedTuple):
    found: Predictions
    rescored: Predictions
    seconds: float
    seq_nms_seconds: float
    track: IntArray


def _run(clip: SavedMaps, setting: Setting) -> _Run:
    found, seconds, track = timed_detections(clip, setting)
    start = time.perf_counter()
    rescored = seq_nms_predictions(found)
    return _Run(clip_boxes(found, clip), clip_boxes(rescored, clip), seconds, time.perf_counter() - start, track)
