"""Turn a video's maps into the detections of every run, in one file; and convert boxes to pixels of its pictures."""

import time
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.columns import Predictions
from heatprop.formats.whole_files import replacing
from heatprop.maps.archives import read_archive
from heatprop.maps.detecting import detect_with_each, seq_nms_predictions
from heatprop.maps.saved import read_saved_maps
from heatprop.reproducing.plan import Plan, Video
from heatprop.reproducing.runs import METHODS, RESCORED, run_names

COLUMNS = ("frame", "label", "score", "box")
_NOTES = ("number", "picture_wh", "checkpoint", "network_seconds", "unread")


class VideoRuns(NamedTuple):
    """What a video's detection file says about all runs together.

    Attributes:
        frames: Number of frames T.
        picture_wh: Width and height of each frame, shape ``(T, 2)``, in pixels.
        checkpoint: `heatprop.reproducing.plan.checkpoint_digest` of the weights.
        network_seconds: Time of the network for all frames, in seconds.
        seconds: Run -> its time for all frames without the network, in seconds; for Seq-NMS, its time alone.
        unread: What was wrong with each picture that was skipped.
    """

    frames: int
    picture_wh: NDArray[np.int32]
    checkpoint: str
    network_seconds: float
    seconds: dict[str, float]
    unread: list[str]


def save_video_detections(plan: Plan, video: Video) -> None:
    """Propagate a video's saved maps in every run and write the detections, in pixels of the network's input.

    Args:
        plan: The plan, which says where everything is.
        video: The video; its maps must exist.

    Raises:
        ValueError: If the maps are damaged or belong to other frames.
    """
    path = plan.maps_file(video)
    maps = read_saved_maps(path)
    notes = read_archive(path, _NOTES)
    if notes["number"].tolist() != video.numbers:
        raise ValueError(f"{path} must hold the frames of the list, got others; delete it and start again")
    arrays, seconds = dict[str, Any](), dict[str, float]()
    for name, (found, took, _) in detect_with_each(maps, run_names()).items():
        arrays |= _columns(name, found)
        seconds[name] = took
        if name in METHODS:
            start = time.perf_counter()
            rescored = seq_nms_predictions(found)
            seconds[RESCORED.format(name)] = time.perf_counter() - start
            arrays |= _columns(RESCORED.format(name), rescored)
    times = {"run": np.array(list(seconds)), "seconds": np.array(list(seconds.values()))}
    with replacing(plan.detections_file(video), "wb") as file:
        np.savez_compressed(file, **(arrays | times | notes))


def read_video_runs(path: Path, video: Video) -> VideoRuns:
    """Read what a video's detection file says about all runs.

    Args:
        path: The file.
        video: The video that it must belong to.

    Returns:
        Sizes and times.

    Raises:
        ValueError: If the file is damaged or belongs to other frames.
    """
    arrays = read_archive(path, (*_NOTES, "run", "seconds"))
    if arrays["number"].tolist() != video.numbers:
        raise ValueError(f"{path} must hold the frames of the list, got others; delete it and start again")
    return VideoRuns(
        frames=len(video.numbers),
        picture_wh=arrays["picture_wh"],
        checkpoint=str(arrays["checkpoint"]),
        network_seconds=float(arrays["network_seconds"]),
        seconds=dict(zip(arrays["run"].tolist(), arrays["seconds"].tolist(), strict=True)),
        unread=arrays["unread"].tolist(),
    )


def read_video_detections(path: Path, video: Video, run: str, *, size: int, clip: bool = False) -> Predictions:
    """Read one run's detections of a video.

    Args:
        path: Detection file of the video.
        video: The video.
        run: Name of the run.
        size: Side of the network's input, in pixels.
        clip: Clip boxes to the pictures.

    Returns:
        Boxes in pixels of the pictures; ``video`` is the index in the list, ``frame`` the number of the frame, and
        ``label`` counts from 1.

    Raises:
        ValueError: If the file is damaged or has no such run.
    """
    keys = tuple(f"{run}.{column}" for column in COLUMNS)
    arrays = read_archive(path, (*keys, "picture_wh", "number"))
    row, label, score, box = (arrays[key] for key in keys)
    sizes = arrays["picture_wh"][row]  # (n, 2)
    boxes = to_picture_pixels(box, sizes, size)
    if clip:
        boxes = np.clip(boxes, 0, np.tile(sizes, 2))
    return Predictions(np.full(len(row), video.place), arrays["number"][row], label + 1, score, boxes)


def to_picture_pixels(boxes: NDArray[Any], picture_wh: NDArray[Any], size: int) -> NDArray[np.float64]:
    """Undo the letterbox: x = (x' - (size - r w) / 2) / r with r = size / max(w, h).

    Args:
        boxes: Boxes ``(x1, y1, x2, y2)`` in pixels of the network's input, shape ``(n, 4)``.
        picture_wh: Width and height of each box's picture, shape ``(n, 2)``.
        size: Side of the network's input, in pixels.

    Returns:
        Boxes in pixels of the pictures, shape ``(n, 4)``.

    Examples:
        >>> to_picture_pixels(np.array([[256.0, 256.0, 384.0, 320.0]]), np.array([[1024, 768]]), 512)
        array([[512., 384., 768., 512.]])
    """
    scale = size / picture_wh.max(axis=1, keepdims=True)  # (n, 1)
    corner = np.tile((size - scale * picture_wh) / 2, 2)  # (n, 4)
    result: NDArray[np.float64] = (boxes.astype(np.float64) - corner) / scale
    return result


def _columns(name: str, found: Predictions) -> dict[str, NDArray[Any]]:
    """Store scores in 64 bits, as Seq-NMS returns them, and boxes in the propagator's 32 bits."""
    kinds = {"frame": np.int32, "label": np.int32, "score": np.float64, "box": np.float32}
    return {f"{name}.{column}": getattr(found, column).astype(kind) for column, kind in kinds.items()}
