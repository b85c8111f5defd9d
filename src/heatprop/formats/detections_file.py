"""The detection file of the ILSVRC devkit: ``frame_id class_id confidence xmin ymin xmax ymax``."""

from collections.abc import Iterator
from os import PathLike

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.evaluation.columns import Predictions, join
from heatprop.formats.bad_rows import Skipped, located
from heatprop.formats.imagenet_lists import FrameList
from heatprop.formats.number_rows import read_number_rows
from heatprop.formats.whole_files import replacing

_COLUMNS = ("frame_id", "class_id", "confidence", "xmin", "ymin", "xmax", "ymax")


def read_detections_file(
    path: str | PathLike[str], frames: FrameList, *, classes: int = 30, skipped: Skipped | None = None
) -> Predictions:
    """Read all detections of a file.

    Args:
        path: Text file with a detection per line: ``frame_id class_id confidence xmin ymin xmax ymax``.
        frames: The list of frames that the file's frame ids refer to.
        classes: Highest class id; ids start at 1.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Returns:
        Detections in the order of the file; ``video`` is the index in ``frames.videos``.

    Raises:
        ValueError: If a line is malformed, or its frame id is not in the list.
    """
    pieces = list(iterate_detections_file(path, frames, classes=classes, skipped=skipped))
    return join(pieces) if pieces else Predictions([], [], [], [], [])


def iterate_detections_file(
    path: str | PathLike[str], frames: FrameList, *, classes: int = 30, skipped: Skipped | None = None
) -> Iterator[Predictions]:
    """Read the detections of a file piece by piece, as `read_detections_file` does.

    Args:
        path: Text file with a detection per line.
        frames: The list of frames that the file's frame ids refer to.
        classes: Highest class id; ids start at 1.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Yields:
        Detections, about 65,000 lines at a time.

    Raises:
        ValueError: If a line is malformed, or its frame id is not in the list.
    """
    order = np.argsort(frames.frame_id, kind="stable")
    ids = frames.frame_id[order]
    for lines, values in read_number_rows(path, _COLUMNS, skipped=skipped):
        frame_id, class_id = values[:, 0], values[:, 1]
        place = np.minimum(np.searchsorted(ids, frame_id), max(len(ids) - 1, 0))
        known = ids[place] == frame_id if len(ids) else np.zeros(len(lines), dtype=np.bool_)
        whole = (class_id == np.rint(class_id)) & (class_id >= 1) & (class_id <= classes)
        _report(path, lines, values, known, whole, frames, classes, skipped)
        good = np.flatnonzero(known & whole)
        row = order[place[good]]
        yield Predictions(
            video=frames.video[row],
            frame=frames.frame[row],
            label=class_id[good],
            score=values[good, 2],
            box=values[good, 3:],
        )


def write_detections_file(path: str | PathLike[str], predictions: Predictions, frames: FrameList) -> None:
    """Write detections so that reading them back returns exactly the same values.

    Args:
        path: File to write; it is replaced when the new one is complete.
        predictions: Detections; ``video`` is the index in ``frames.videos``.
        frames: The list of frames that gives the frame ids.

    Raises:
        ValueError: If a detection is on a frame that the list does not hold.
    """
    frame_id = _find_frame_ids(predictions, frames).tolist()
    columns = (predictions.label.tolist(), predictions.score.tolist(), predictions.box.tolist())
    with replacing(path) as file:
        for one, label, score, (x1, y1, x2, y2) in zip(frame_id, *columns, strict=True):
            file.write(f"{one} {label} {score!r} {x1!r} {y1!r} {x2!r} {y2!r}\n")


def _report(
    path: str | PathLike[str],
    lines: IntArray,
    values: FloatArray,
    known: NDArray[np.bool_],
    whole: NDArray[np.bool_],
    frames: FrameList,
    classes: int,
    skipped: Skipped | None,
) -> None:
    for row in np.flatnonzero(~(known & whole)).tolist():
        with located(path, f"line {lines[row]}", skipped):
            if not whole[row]:
                raise ValueError(f"class_id must be a whole number from 1 to {classes}, got {values[row, 1]:g}")
            count = len(frames.frame_id)
            raise ValueError(
                f"frame_id must be one of the {count} in the frame list, got {values[row, 0]:g}; "
                "read the list that the detections were made from"
            )


def _find_frame_ids(predictions: Predictions, frames: FrameList) -> IntArray:
    if predictions.video.dtype.kind == "U":
        raise ValueError("predictions.video must hold indices into frames.videos, got text")
    span = int(max(frames.frame.max(initial=0), predictions.frame.max(initial=0))) + 1
    keys = frames.video * span + frames.frame
    wanted = predictions.video * span + predictions.frame
    order = np.argsort(keys, kind="stable")
    place = np.minimum(np.searchsorted(keys[order], wanted), max(len(keys) - 1, 0))
    found = keys[order][place] == wanted if len(keys) else np.zeros(len(wanted), dtype=np.bool_)
    if not found.all():
        row = int(np.flatnonzero(~found)[0])
        where = f"video {predictions.video[row]}, frame {predictions.frame[row]}"
        raise ValueError(f"every detection must be on a frame of the list, got {where} in row {row}")
    return frames.frame_id[order[place]]
