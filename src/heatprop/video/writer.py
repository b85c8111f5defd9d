"""Write a video file that appears under its name only when it is complete."""

import math
from collections.abc import Iterable
from contextlib import suppress
from fractions import Fraction
from itertools import chain
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from heatprop.formats.whole_files import WholeFile
from heatprop.video.audio import AudioCopy
from heatprop.video.decoding import VideoError
from heatprop.video.reader import Image, VideoReader

# The first one that this PyAV has and the container takes.
_ENCODERS = {
    "libx264": {"preset": "veryfast", "crf": "18"},
    "libopenh264": {},
    "mpeg4": {},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "8"},
}
# Containers that keep the time of each frame, as FFmpeg calls them.
_CONTAINERS = {".mp4": "mp4", ".m4v": "ipod", ".mov": "mov", ".mkv": "matroska", ".webm": "webm"}
_BITS_PER_PIXEL = 0.25  # for encoders that know no constant quality
_MOST_TICKS = 65535  # a second: all that MPEG-4 can count
_SD_LINES = 576  # more lines are BT.709, fewer BT.601: what players assume


class VideoWriter:
    """Write frames, and the audio of another file, to a video file.

    A context manager. It writes a private file beside the final name and moves it into place when it is complete, so an
    older output stays until then. After an exception nothing is left. After Ctrl-C (KeyboardInterrupt) the frames
    written so far become a playable ``<stem>.partial<suffix>``; without a single frame there is not a file.

    Pictures become H.264 (libx264) if PyAV has it and the container allows it, otherwise MPEG-4 or what the container
    prefers. The pixel format is yuv420p, which every player shows. It needs even sides, so an odd picture is extended
    by a copy of its last row or column.

    Args:
        path: The file; its suffix chooses the container: .mp4, .m4v, .mov, .mkv or .webm.
        width: Width of the pictures, in pixels.
        height: Height of the pictures, in pixels.
        rate: Frames per second, for frames without a time and for the file's header.
        source: A file whose audio is copied without re-encoding, if the container allows it, and whose pixel aspect is
            kept.

    Attributes:
        path: The final path.
        saved_to: Where the file is after the block: ``path``, the partial name, or ``None``.
        frames: How many frames were written.
        encoder: Name of the encoder.

    Raises:
        ValueError: If a size or the rate is not above 0, or the suffix is not one of these.
        FileNotFoundError: If there is no such folder, or no such ``source`` (on entering the block).
        VideoError: If ``source`` cannot be read (on entering the block).
    """

    def __init__(
        self,
        path: str | PathLike[str],
        *,
        width: int,
        height: int,
        rate: Fraction | float,
        source: str | PathLike[str] | None = None,
    ) -> None:
        if width < 1 or height < 1 or not 0 < rate < math.inf:
            raise ValueError(f"width, height and rate must be above 0, got {width}, {height} and {rate}")
        self.path = Path(path)
        if self.path.suffix.lower() not in _CONTAINERS:
            endings = ", ".join(_CONTAINERS)
            raise ValueError(f"the name of a video to write must end in {endings}, got {self.path.name!r}")
        self.width, self.height = width, height
        self.rate = max(Fraction(rate).limit_denominator(_MOST_TICKS), Fraction(1, _MOST_TICKS))
        self.frames = 0
        self.encoder = ""
        self._source = None if source is None else Path(source)
        self._file: WholeFile | None = None
        self._container: Any = None
        self._audio: AudioCopy | None = None
        ticks = self.rate.numerator * (_MOST_TICKS // self.rate.numerator) or _MOST_TICKS
        self._time_base = Fraction(1, ticks)  # a frame of a constant rate lasts a whole number of ticks
        self._last_tick = -1
        self._next_time = Fraction(0)

    @property
    def saved_to(self) -> Path | None:
        """Where the file is after the block."""
        return None if self._file is None else self._file.saved_to

    @property
    def audio_copied(self) -> bool:
        """Whether the source has audio and the container can hold it."""
        return self._audio is not None and self._audio.copied

    @property
    def audio_note(self) -> str:
        """Which audio was left out and why; empty if none was."""
        return "" if self._audio is None else self._audio.note

    def __enter__(self) -> Self:
        if not self.path.parent.is_dir():
            raise FileNotFoundError(f"no such folder: {self.path.parent}; make it first")
        if self.path.is_dir():
            raise IsADirectoryError(f"{self.path} is a folder; give the name of a file in it")
        self._file = WholeFile(self.path)
        try:
            self._container = av.open(self._file.address, "w", format=_CONTAINERS[self.path.suffix.lower()])
            self._stream = _add_stream(self._container, self.width, self.height, self.rate, self._time_base)
            self._stream.codec_context.sample_aspect_ratio = _pixel_aspect(self._source)
            self.encoder = self._stream.codec_context.name
            self._audio = AudioCopy(self._source, self._container)
            self._container.start_encoding()
        except BaseException:
            self._discard()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        interrupted = kind is not None and issubclass(kind, KeyboardInterrupt)
        try:
            if self.frames and self._file is not None and (kind is None or interrupted):
                self._finish(self._file, whole=not interrupted)
        finally:
            self._discard()

    def write(self, image: Image, time: float | None = None) -> None:
        """Write the next frame.

        Args:
            image: RGB picture, shape ``(height, width, 3)``, ``uint8``.
            time: When it is shown, in seconds, later than the previous frame (else one tick is added, about 15
                microseconds); by default one frame of ``rate`` later.

        Raises:
            RuntimeError: Outside of the ``with`` block.
            ValueError: If ``image`` has another shape or type.
        """
        if self._container is None or self._audio is None:
            raise RuntimeError("write() works inside the block of 'with VideoWriter(...) as writer:' only")
        if image.shape != (self.height, self.width, 3) or image.dtype != np.uint8:
            raise ValueError(
                f"image must have shape ({self.height}, {self.width}, 3) and type uint8, "
                f"got {image.shape} and {image.dtype}"
            )
        shown = self._next_time if time is None else Fraction(time)
        picture = _picture(image)
        picture.pts = self._last_tick = max(round(shown / self._time_base), self._last_tick + 1)
        picture.time_base = self._time_base
        self._encode([picture])
        self._audio.until(float(shown))
        self.frames += 1
        self._next_time = shown + 1 / self.rate

    def _encode(self, pictures: Iterable[Any]) -> None:
        # Encoding and writing in one call of compiled code: Ctrl-C falls before or after it, and no packet is lost.
        self._container.mux(chain.from_iterable(map(self._stream.encode, pictures)))

    def _finish(self, file: WholeFile, *, whole: bool) -> None:
        self._encode([None])  # what the encoder still holds
        if whole and self._audio is not None:
            self._audio.until(math.inf)
        self._container.close()
        if self._audio is not None:
            self._audio.close()  # the source may be the file that is replaced
        file.keep(partial=not whole)

    def _discard(self) -> None:
        """Close what is open and remove the temporary file, if it is still there."""
        if self._audio is not None:
            self._audio.close()
        if self._container is not None:
            with suppress(av.FFmpegError, ValueError, OSError):
                self._container.close()
            self._container = None
        if self._file is not None:
            self._file.drop()


def _add_stream(container: Any, width: int, height: int, rate: Fraction, time_base: Fraction) -> Any:
    for name in (*_ENCODERS, container.default_video_codec):
        options = _ENCODERS.get(name, {})
        try:
            stream = container.add_stream(name, rate, options=options, time_base=time_base)
        except ValueError:  # unknown to this PyAV, or not for this container
            continue
        codec = stream.codec_context
        codec.width, codec.height, codec.pix_fmt = width + width % 2, height + height % 2, "yuv420p"
        codec.bit_rate = 0 if "crf" in options else int(_BITS_PER_PIXEL * width * height * rate)
        codec.colorspace = codec.color_primaries = codec.color_trc = 1 if height > _SD_LINES else 6  # BT.709, BT.601
        codec.color_range = ColorRange.MPEG
        return stream
    raise RuntimeError(f"this PyAV ({av.__version__}) has no encoder for {container.format.name}; try another suffix")


def _pixel_aspect(source: Path | None) -> Fraction:
    if source is not None:
        with suppress(VideoError), VideoReader(source) as reader:  # there may be nothing but audio in it
            return reader.pixel_aspect
    return Fraction(1)


def _picture(image: Image) -> Any:
    height, width = image.shape[:2]
    matrix = Colorspace.ITU709 if height > _SD_LINES else Colorspace.ITU601
    if height % 2 or width % 2:
        image = np.pad(image, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
    return picture.reformat(format="yuv420p", dst_colorspace=matrix, dst_color_range=ColorRange.MPEG)
