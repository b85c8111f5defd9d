"""Write detections with identities in common formats: tracker results as in MOTChallenge, and COCO's results."""

import json
from collections.abc import Iterator
from os import PathLike

from heatprop.formats.coco import coco_result_rows
from heatprop.formats.mot_tracks import mot_track_rows
from heatprop.running.frame_results import FrameResult
from heatprop.running.records import RecordWriter


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
