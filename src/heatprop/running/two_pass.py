"""``heatprop run --two-pass``: run the detector, then the memory in both directions, then write the pictures."""

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Protocol, TypedDict, TypeVar

from heatprop.offline.frame_store import FrameStore
from heatprop.offline.merging import Combine
from heatprop.offline.two_pass import backward_pass, check_video_shape, merged_pass
from heatprop.running.detectors import DetectorError
from heatprop.running.frame_results import FrameResult
from heatprop.running.results import Cuts, FrameDetector
from heatprop.running.stored_maps import StoredMaps, StoredShifts
from heatprop.video import Frame, VideoError, VideoReader

T = TypeVar("T")


class _Rules(TypedDict):
    cuts: set[int]
    shifts: StoredShifts | None


class Watch(Protocol):
    """Pass items on one by one, report the progress, and let Ctrl-C through between them."""

    def __call__(self, items: Iterable[T], stage: str, total: int | None) -> Iterator[T]:
        """Pass the items on.

        Args:
            items: The items.
            stage: Name of the stage.
            total: Expected number of items; ``None`` if it is not known.

        Yields:
            The items.
        """


class TwoPassDetector:
    """A detector whose memory runs forward and backward over a finished video.

    The video is read twice: once for the detector, whose maps wait compressed in a nameless file in ``folder``, and
    once for the results. No file remains afterwards, even if the program is killed.

    Args:
        detector: The detector with its memory.
        folder: Existing folder for the file.
        combine: How to combine the two scores of an object that both directions find.
    """

    def __init__(self, detector: FrameDetector, *, folder: Path, combine: Combine = "mean") -> None:
        self._detector = detector
        self._folder = folder
        self._combine: Combine = combine

    def results(self, video: VideoReader, *, watch: Watch, cuts: Cuts | None = None) -> Iterator[FrameResult]:
        """Detect in the frames of one video.

        Args:
            video: The video; it is read to its end, and then a second time from its path.
            watch: Called around the two stages that give no results yet.
            cuts: Tells whether an image starts a new scene; ``None`` for a single scene.

        Yields:
            One result per frame.

        Raises:
            DetectorError: If the detector fails, or its maps do not fit the picture or the frame before.
            VideoError: If the file is damaged, after the frames that decode; or if it changed in the meantime.
        """
        with FrameStore(self._folder) as kept, FrameStore(self._folder) as found:
            maps, shifts, starts = StoredMaps(kept), StoredShifts(), set[int]()
            self._detect(watch(video, "detecting", video.frame_count), maps, shifts, starts, cuts)
            rules: _Rules = {"cuts": starts, "shifts": shifts if len(shifts) else None}
            propagator = self._detector.propagator
            for _ in watch(backward_pass(maps, propagator, found, **rules), "looking back", len(maps)):
                pass
            merged = merged_pass(maps, propagator, found, combine=self._combine, **rules)
            with VideoReader(video.path) as again:
                for number, frame in enumerate(again):
                    if number == len(maps):
                        raise _changed(video, len(maps))
                    picture, one, reading = maps.frame(number)
                    yield self._detector.to_result(
                        frame, picture, one, next(merged), reading=reading, cut=number in starts
                    )
            if next(merged, None) is not None:
                raise _changed(video, len(maps))

    def _detect(
        self,
        frames: Iterable[Frame],
        maps: StoredMaps,
        shifts: StoredShifts,
        starts: set[int],
        cuts: Cuts | None,
    ) -> None:
        self._detector.reset()
        shape: tuple[int, ...] | None = None
        try:
            for frame in frames:
                if cuts is not None and cuts(frame.image):
                    starts.add(frame.index)
                try:
                    picture, one, reading = self._detector.maps_of(frame)
                    shape = check_video_shape(one, shape)
                except ValueError as error:
                    raise _at(DetectorError(str(error)), frame) from error
                except DetectorError as error:
                    raise _at(error, frame) from error.__cause__
                maps.append(picture, one, reading)
                shift = self._detector.shift_of(frame, picture, cut=frame.index in starts)
                if shift is not None:
                    shifts.append(shift)
        except VideoError:
            pass  # damaged: the frames that decode are kept, and the second reading reports it


def _at(error: DetectorError, frame: Frame) -> DetectorError:
    error.frame = frame.index
    return error


def _changed(video: VideoReader, frames: int) -> VideoError:
    return VideoError(
        f"{video.path} had {frames} frames at first and has a different number now: it changed while it was read"
    )
