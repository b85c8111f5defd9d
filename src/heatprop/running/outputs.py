"""Write the files of one video: annotated, blurred, side by side, JSON Lines, tracks, maps."""

from collections.abc import Iterable
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from heatprop.running import still_pictures
from heatprop.running.detectors import DetectorError
from heatprop.running.frame_results import Found, FrameResult
from heatprop.running.maps import MapWriter
from heatprop.running.records import CocoWriter, MotWriter, RecordWriter
from heatprop.running.still_pictures import StillWriter
from heatprop.video import VideoReader, VideoWriter
from heatprop.video.drawing import annotate, blur, side_by_side, title_height

Image = NDArray[np.uint8]

ENDINGS = {"annotated": "_annotated", "blurred": "_blurred", "compared": "_compare"}
ENDINGS |= dict.fromkeys(("records", "maps", "mot", "coco"), "")
SUFFIXES = {"records": ".jsonl", "maps": ".npz", "mot": ".txt", "coco": ".json"}  # the others are videos
_WRITERS: dict[str, type[RecordWriter | MapWriter]] = {
    "records": RecordWriter,
    "maps": MapWriter,
    "mot": MotWriter,
    "coco": CocoWriter,
}


class Wanted(NamedTuple):
    """Which files to write for each video.

    Attributes:
        annotated: Write the video with boxes.
        blurred: Write the video with everything under the memory's and the detector's boxes made unrecognisable.
        compared: Write the video without memory and with it, side by side; blurred if only blurring is wanted.
        records: Write JSON Lines.
        mask_scale: Side of a blurred area divided by the side of its box.
        suffix: File suffix of the videos, with the dot.
        maps: Write the detector's own maps; the results must hold them (`FrameDetector(keep_maps=True)`).
        mot: Write a tracker's results in MOTChallenge's format.
        coco: Write results in COCO's format, with identities.
    """

    annotated: bool = True
    blurred: bool = False
    compared: bool = False
    records: bool = False
    mask_scale: float = 1.3
    suffix: str = ".mp4"
    maps: bool = False
    mot: bool = False
    coco: bool = False

    def paths(self, folder: Path, stem: str, source: Path | None = None) -> dict[str, Path]:
        """Name a video's files: ``<stem>_annotated.mp4``, ``<stem>.jsonl`` and so on; a picture stays a picture."""
        still = source is not None and source.suffix.lower() in still_pictures.SUFFIXES
        suffix = source.suffix if still and source is not None else self.suffix
        return {
            kind: folder / f"{stem}{ending}{SUFFIXES.get(kind, suffix)}"
            for kind, ending in ENDINGS.items()
            if getattr(self, kind)
        }


class Outputs:
    """All files that are wanted for one video, as a context manager.

    The files are moved into place together at the end. After an exception, none of them is kept; after Ctrl-C,
    what was written so far is kept under its partial name.

    Args:
        wanted: Which files to write.
        folder: Folder for the files.
        stem: How the names of the files begin.
        video: The video that they are made from; its audio is copied.
    """

    def __init__(self, wanted: Wanted, folder: Path, stem: str, video: VideoReader) -> None:
        self._wanted = wanted
        self._stack = ExitStack()
        self._videos: dict[str, VideoWriter | StillWriter] = {}
        self._others: list[RecordWriter | MapWriter] = []
        for kind, path in wanted.paths(folder, stem, video.path).items():
            if kind in SUFFIXES:
                self._others.append(_WRITERS[kind](path))
                continue
            if path.suffix.lower() in still_pictures.SUFFIXES:
                self._videos[kind] = StillWriter(path)
                continue
            sides, extra = (2, title_height(video.height, video.width)) if kind == "compared" else (1, 0)
            self._videos[kind] = VideoWriter(
                path, width=sides * video.width, height=video.height + extra, rate=video.rate, source=video.path
            )

    @property
    def files(self) -> list[Path]:
        """Paths of the files, after the block."""
        writers: Iterable[VideoWriter | StillWriter | RecordWriter | MapWriter] = (
            *self._videos.values(),
            *self._others,
        )
        return [writer.saved_to for writer in writers if writer.saved_to is not None]

    @property
    def notes(self) -> list[str]:
        """Which audio was left out, and why."""
        return list(dict.fromkeys(writer.audio_note for writer in self._videos.values() if writer.audio_note))

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for writer in (*self._videos.values(), *self._others):
                stack.enter_context(writer)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.__exit__(kind, error, trace)

    def write(self, result: FrameResult) -> None:
        """Write a frame into each file.

        Raises:
            DetectorError: If the frame must be blurred, or its maps saved, but the detector gives points.
        """
        if result.points and self._wanted.blurred:
            raise DetectorError("it gives points (size=None), which have no area to blur; leave out --blur")
        for kind, writer in self._videos.items():
            writer.write(self._picture(kind, result), time=result.frame.time)
        for other in self._others:
            other.write(result)

    def _picture(self, kind: str, result: FrameResult) -> Image:
        if kind == "compared" and result.without is not None:
            without = self._panel(result, result.without, identified=False)
            with_memory = self._panel(result, result.found, identified=True)
            return side_by_side(without, with_memory, titles=("without memory", "with memory"))
        if kind == "blurred":
            return blur(result.frame.image, result.masks, scale=self._wanted.mask_scale)
        return _annotated(result, result.found, identified=True)

    def _panel(self, result: FrameResult, found: Found, *, identified: bool) -> Image:
        if self._wanted.blurred and not self._wanted.annotated:
            boxes = result.masks if identified else found.boxes
            return blur(result.frame.image, boxes, scale=self._wanted.mask_scale)
        return _annotated(result, found, identified=identified)


def _annotated(result: FrameResult, found: Found, *, identified: bool) -> Image:
    texts = [
        f"{_class_of(label, result)}{f'#{id_}  ' if identified and id_ >= 0 else ''}{score:.2f}"
        for label, id_, score in zip(found.labels.tolist(), found.ids, found.scores, strict=True)
    ]
    return annotate(result.frame.image, found.boxes, texts=texts, carried=found.carried.tolist())


def _class_of(label: int, result: FrameResult) -> str:
    if result.classes == 1:
        return ""
    return f"{result.class_names[label] if label < len(result.class_names) else label}: "
