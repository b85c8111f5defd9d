"""Run detector and memory over one video file and write its output files; name the files of several videos."""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeVar

import av

from heatprop.running.detectors import DetectorError, in_one_line
from heatprop.running.frame_results import FrameResult
from heatprop.running.interrupts import Interrupts, signal_of
from heatprop.running.outputs import Outputs, Wanted
from heatprop.running.results import Cuts, FrameDetector
from heatprop.running.summary import Summary
from heatprop.running.threads import torch_threads
from heatprop.running.two_pass import TwoPassDetector
from heatprop.video import VideoError, VideoReader

T = TypeVar("T")
Watched = Callable[[Iterable[Any]], Iterator[Any]]


class OnFrame(Protocol):
    """A callback that learns after each frame how far the work is."""

    def __call__(self, done: int, total: int | None, stage: str = "") -> None:
        """Report the progress.

        Args:
            done: Number of frames so far.
            total: Expected number of frames; ``None`` if the file does not say.
            stage: Name of the stage, if there are several for one video.
        """


def run_video(
    path: Path,
    detector: FrameDetector | TwoPassDetector,
    *,
    wanted: Wanted,
    folder: Path,
    stem: str,
    cuts: Cuts | None = None,
    on_frame: OnFrame | None = None,
    prepare: Callable[[VideoReader, Watched], str] | None = None,
) -> Summary:
    """Process one video and write its files.

    Any problem with this video is reported in the summary, not raised. If the file is damaged, everything that decodes
    is processed and kept. A termination signal, such as Ctrl-C, ends the video and is reported in the summary, too.

    Args:
        path: The video.
        detector: Detector and memory, in one direction of time or in both.
        wanted: Which files to write.
        folder: Existing folder for the files.
        stem: How the names of the files begin.
        cuts: Tells whether an image starts a new scene; ``None`` for a single scene.
        on_frame: Called after each frame.
        prepare: Called first, with the video and a function that lets signals through between frames; returns a note.

    Returns:
        The figures, the files and the problem, if any.
    """
    summary = Summary(path)
    start = time.perf_counter()
    with Interrupts() as interrupts, torch_threads(1):  # a user's detector gets its own number back
        try:
            if prepare is not None:
                with VideoReader(path) as video:
                    summary.notes.append(prepare(video, interrupts.between))
            with VideoReader(path) as video:
                results = _results(detector, video, cuts, interrupts, on_frame)
                _write(results, Outputs(wanted, folder, stem, video), summary, video.frame_count, on_frame)
        except KeyboardInterrupt as stop:
            summary.interrupted = signal_of(stop)
        except DetectorError as error:
            number = summary.frames if error.frame is None else error.frame
            summary.problem = f"{path}, frame {number}: {error}"
        except (VideoError, OSError, av.FFmpegError) as error:
            summary.problem = str(error) if str(path) in str(error) else f"{path}: {error}"
        except (Exception, SystemExit) as error:  # whatever it is, it must not stop the next video
            summary.problem = f"{path}, frame {summary.frames}: {in_one_line(error)}"
    summary.interrupted = summary.interrupted or interrupts.number  # it came while the files were being finished
    summary.seconds = time.perf_counter() - start
    return summary


def _results(
    detector: FrameDetector | TwoPassDetector,
    video: VideoReader,
    cuts: Cuts | None,
    interrupts: Interrupts,
    on_frame: OnFrame | None,
) -> Iterator[FrameResult]:
    if isinstance(detector, FrameDetector):
        return interrupts.between(detector.results(video, cuts=cuts, rate=video.nominal_rate))

    def watch(items: Iterable[T], stage: str, total: int | None) -> Iterator[T]:
        for done, item in enumerate(interrupts.between(items), start=1):
            yield item
            if on_frame is not None:
                on_frame(done, total, stage)

    return interrupts.between(detector.results(video, watch=watch, cuts=cuts))


def _write(
    results: Iterable[FrameResult], outputs: Outputs, summary: Summary, expected: int | None, on_frame: OnFrame | None
) -> None:
    try:
        with outputs:
            try:
                for result in results:
                    outputs.write(result)
                    summary.add(result)
                    if on_frame is not None:
                        on_frame(summary.frames, expected)
            except VideoError as error:  # damaged: the frames that decode are kept
                summary.problem = str(error)
    finally:
        summary.files = outputs.files
        summary.notes += outputs.notes


def distinct_stems(paths: Sequence[Path]) -> list[str]:
    """Name the outputs of several videos so that none replaces another.

    Args:
        paths: The videos.

    Returns:
        The stem of each path, with ``-2``, ``-3`` ... appended if it is already taken.

    Examples:
        >>> from pathlib import Path
        >>> distinct_stems([Path("a/clip.mp4"), Path("b/clip.mp4"), Path("b/clip.avi"), Path("walk.mp4")])
        ['clip', 'clip-2', 'clip-3', 'walk']
    """
    stems: list[str] = []
    taken: set[str] = set()
    for path in paths:
        stem, number = path.stem, 1
        while stem.casefold() in taken:  # some file systems do not tell a from A
            number += 1
            stem = f"{path.stem}-{number}"
        taken.add(stem.casefold())
        stems.append(stem)
    return stems
