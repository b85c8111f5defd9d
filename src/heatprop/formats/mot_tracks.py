"""MOTChallenge's results: detections with identities, ``frame, id, left, top, width, height, score, -1, -1, -1``."""

from collections.abc import Iterator
from os import PathLike

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatprop.evaluation.column_checks import IntArray, check_names
from heatprop.evaluation.columns import Predictions
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.mot import PEDESTRIAN, read_found, write_rows


def read_mot_tracks(
    path: str | PathLike[str], *, video: str | None = None, label: int = PEDESTRIAN, skipped: Skipped | None = None
) -> tuple[Predictions, IntArray]:
    """Read a tracker's results: ``frame, id, left, top, width, height, score, ...``.

    Args:
        path: The file, or a sequence's folder, whose ``det/det.txt`` is read.
        video: Name of the video; by default that of the folder.
        label: Class of all detections.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Returns:
        Detections as `read_mot_detections` returns them, and the identity of each, -1 if it has none, shape
        ``(n,)``.

    Raises:
        ValueError: If a row is malformed.
    """
    return read_found(path, video, label, skipped)


def write_mot_tracks(path: str | PathLike[str], predictions: Predictions, track: ArrayLike) -> None:
    """Write a tracker's results on one video: ``frame, id, left, top, width, height, score, -1, -1, -1``.

    Args:
        path: File to write; it is replaced when the new one is complete.
        predictions: Detections of one video.
        track: Identity of each detection, whole numbers, shape ``(n,)``.

    Raises:
        ValueError: If the number of tracks differs from that of detections, or the tracks are text.
    """
    numbers = check_names("track", track, len(predictions.box))
    if numbers.dtype.kind == "U":
        raise ValueError("MOTChallenge files hold whole numbers: number the tracks first, got text")
    ends = [f"{score!r},-1,-1,-1" for score in predictions.score.tolist()]
    write_rows(path, predictions, numbers.tolist(), ends)


def mot_track_rows(
    frame: int, boxes: NDArray[np.floating], scores: NDArray[np.floating], track: NDArray[np.integer]
) -> Iterator[str]:
    """Make the rows of a tracker's results for one frame, for files that grow frame by frame.

    Args:
        frame: Number of the frame, from 0.
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels.
        scores: Shape ``(n,)``.
        track: Which object each is, shape ``(n,)``.

    Yields:
        Lines without their end; coordinates are rounded to 1/1,000 of a pixel, scores to 6 digits.

    Examples:
        >>> list(mot_track_rows(0, np.array([[10.0, 20, 30.5, 60]]), np.array([0.9]), np.array([7])))
        ['1,7,10.0,20.0,20.5,40.0,0.9,-1,-1,-1']
    """
    for (x1, y1, x2, y2), score, number in zip(boxes.tolist(), scores.tolist(), track.tolist(), strict=True):
        sides = (round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1))
        yield f"{frame + 1},{number},{','.join(map(repr, sides))},{round(score, 6)!r},-1,-1,-1"
