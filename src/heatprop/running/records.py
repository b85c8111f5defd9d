"""Write detections as JSON Lines, MOTChallenge's text or COCO's results, to a file that appears once it is complete."""

import json
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from heatprop.formats.coco import coco_result_rows
from heatprop.formats.mot_tracks import mot_track_rows
from heatprop.formats.whole_files import WholeFile
from heatprop.running.frame_results import FrameResult


class RecordWriter:
    """Write one line of JSON per detection, and one more per frame that has extra masks.

    It is a context manager that treats its file as :class:`heatprop.video.VideoWriter` does: the file is written next
    to its final place, moved there when complete, and removed after an exception. After Ctrl-C (KeyboardInterrupt),
    the lines so far are kept at ``<stem>.partial<suffix>``, unless there was no frame yet. A video without detections
    gives an empty file.

    Args:
        path: Where the file goes.

    Attributes:
        path: Where the file goes.
        saved_to: Where the file is after the block: ``path``, the partial name, or ``None``.
    """

    _head, _tail = "", ""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.saved_to: Path | None = None
        self._frames = 0

    def __enter__(self) -> Self:
        self._file = WholeFile(self.path)
        self._text = open(self._file.handle, "w", encoding="utf-8", closefd=False)  # __exit__ closes it
        self._text.write(self._head)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self._text.write(self._tail)
            self._text.close()
            if kind is None or (issubclass(kind, KeyboardInterrupt) and self._frames):
                self.saved_to = self._file.keep(partial=kind is not None)
        finally:
            self._file.drop()

    def write(self, result: FrameResult) -> None:
        """Write the detections of a frame, in order of falling score."""
        self._text.write("".join(self._lines(result)))
        self._frames += 1

    def _lines(self, result: FrameResult) -> Iterator[str]:
        yield from (f"{json.dumps(record)}\n" for record in records(result))


def records(result: FrameResult) -> list[dict[str, Any]]:
    """List the detections of a frame as they appear in the file.

    Args:
        result: The frame.

    Returns:
        One dict per detection: ``frame`` from 0, ``time`` in seconds, ``box`` in pixels of the video,
        ``score``, ``network_score``, ``age`` in frames, ``id``, ``carried``, ``coasted`` (the detector did not look at
        the frame) and ``label``. If the masks cover boxes that are not detections, there is one more dict with
        ``frame``, ``time`` and the list ``masked_only``, whose items have ``box``, ``score`` and ``label``.
    """
    found = result.found
    detections: list[dict[str, Any]] = [
        {
            "frame": result.frame.index,
            "time": round(result.frame.time, 6),
            "box": _rounded(found.boxes[place]),
            "score": round(float(found.scores[place]), 6),
            "network_score": round(float(found.network_scores[place]), 6),
            "age": int(found.ages[place]),
            "id": int(found.ids[place]),
            "carried": bool(found.carried[place]),
            "coasted": result.coasted,
            "label": int(found.labels[place]),
        }
        for place in range(len(found.scores))
    ]
    return detections + _masked_only(result)


def _masked_only(result: FrameResult) -> list[dict[str, Any]]:
    boxes = [
        {"box": _rounded(box), "score": round(float(score), 6), "label": int(label)}
        for box, score, label in zip(*result.masked_only, strict=True)
    ]
    return [{"frame": result.frame.index, "time": round(result.frame.time, 6), "masked_only": boxes}] if boxes else []


def _rounded(box: Iterable[float]) -> list[float]:
    return [round(float(side), 3) for side in box]


class MotWriter(RecordWriter):
    """Write ``frame, id, left, top, width, height, score, -1, -1, -1``, frames from 1; otherwise like `RecordWriter`.

    The format has no column for classes: the detections of all classes are written.
    """

    def _lines(self, result: FrameResult) -> Iterator[str]:
        found = result.found
        rows = mot_track_rows(result.frame.index, found.boxes, found.scores, found.ids)
        return (f"{row}\n" for row in rows)


class CocoWriter(RecordWriter):
    """Write a list of ``image_id``, ``category_id``, ``bbox``, ``score`` and ``track_id``; else like `RecordWriter`.

    The first frame is image 1, and the first class is category 1. Even after Ctrl-C the file is complete JSON.
    """

    _head, _tail = "[", "\n]\n"

    def __init__(self, path: str | PathLike[str]) -> None:
        super().__init__(path)
        self._between = "\n"

    def _lines(self, result: FrameResult) -> Iterator[str]:
        found = result.found
        for row in coco_result_rows(result.frame.index + 1, found.labels, found.boxes, found.scores, found.ids):
            yield self._between + json.dumps(row)
            self._between = ",\n"
