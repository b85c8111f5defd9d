"""Detections with identities, as others read them: a tracker's results in MOTChallenge's format, and COCO's results."""

import json
from collections.abc import Iterator
from os import PathLike

from heatprop.formats.coco import coco_result_rows
from heatprop.formats.mot import mot_track_rows
from heatprop.running.frame_results import FrameResult
from heatprop.running.records import RecordWriter


class MotWriter(RecordWriter):
    """Write ``frame, id, left, top, width, height, score, -1, -1, -1``, frames from 1; else as `RecordWriter`.

    Classes have no column: of a detector of several, all are written.
    """

    def _lines(self, result: FrameResult) -> Iterator[str]:
        found = result.found
        rows = mot_track_rows(result.frame.index, found.boxes, found.scores, found.ids)
        return (f"{row}\n" for row in rows)


class CocoWriter(RecordWriter):
    """Write a list of ``image_id``, ``category_id``, ``bbox``, ``score`` and ``track_id``; else as `RecordWriter`.

    The first frame is image 1, the first class category 1. A file after Ctrl-C is whole JSON, too.
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
