"""Decode everything in a file that can be decoded, and note what could not."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

try:
    import av
    from av.stream import Disposition
except ImportError as error:
    raise ImportError(f"heatprop.video needs PyAV ({error}): pip install 'heatprop[video]'", name=error.name) from error

_DECLARE_THEIR_END = ("matroska", "mov")  # containers whose header says how long the file is
_MISSING_SECONDS, _MISSING_FRAMES = 0.2, 2  # what of it may be missing before a file counts as cut off


class VideoError(RuntimeError):
    """The file is not a video, holds no frame, or is damaged or cut off."""


class Pictures:
    """Iterate over the decoded pictures of a file's best video stream; damage does not stop it.

    Args:
        path: The file.

    Attributes:
        container: The open file.
        stream: Its video stream.
        damage: The first thing that went wrong so far; empty if nothing did.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If the file is not a video.
    """

    def __init__(self, path: Path) -> None:
        self.container = open_file(path)
        self.stream: Any = self.container.streams.best("video")
        if self.stream is None or self.stream.disposition & Disposition.attached_pic:
            self.container.close()
            raise VideoError(f"{path} has no video stream")
        self.stream.thread_type = "AUTO"
        self.damage = ""
        self._pictures = self._decode()

    def __iter__(self) -> Iterator[Any]:
        return self

    def __next__(self) -> Any:
        return next(self._pictures)

    def close(self) -> None:
        """Close the file."""
        self._pictures.close()
        self.container.close()

    def _decode(self) -> Any:
        end = 0.0
        for packet in self._demux():
            if packet.size and packet.pts is not None:
                end = max(end, float((packet.pts + (packet.duration or 0)) * packet.time_base))
            if packet.stream.index == self.stream.index:
                try:
                    yield from packet.decode()
                except av.FFmpegError as error:
                    self._note(f"a frame does not decode: {error.strerror}")
        missing = max(_MISSING_SECONDS, _MISSING_FRAMES / (self.stream.average_rate or 25))
        if end < self._declared_end() - missing:
            self._note(f"it ends after {end:.1f} seconds of {self._declared_end():.1f}")

    def _demux(self) -> Iterator[Any]:
        """Yield the packets of all streams, so that the end of the longest is seen."""
        try:
            for packet in self.container.demux():
                if packet.is_corrupt:
                    self._note("a packet of it is incomplete")
                yield packet
        except av.FFmpegError as error:
            self._note(f"it cannot be read to its end: {error.strerror}")

    def _declared_end(self) -> float:
        """Return the length of the file according to its header, in seconds; 0 if the header does not say."""
        name = self.container.format.name
        if name == "avi":  # FFmpeg cuts the duration of a file that was cut off, but not the number of frames
            return float(self.stream.frames * self.stream.time_base)
        return (self.container.duration or 0) / av.time_base if name.startswith(_DECLARE_THEIR_END) else 0.0

    def _note(self, damage: str) -> None:
        self.damage = self.damage or damage


def open_file(path: Path) -> Any:
    """Open a file for reading.

    Args:
        path: The file.

    Returns:
        PyAV's container.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If FFmpeg cannot read it.
    """
    if not path.exists():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        return av.open(str(path.absolute()), metadata_errors="replace")  # or "a:b.mp4" is of the protocol a
    except av.InvalidDataError as error:
        raise VideoError(
            f"{path} is not a video, or lacks its index because copying or recording it was interrupted "
            f"({error.strerror}); try to play it, then copy or record it again"
        ) from error
    except av.FFmpegError as error:
        raise VideoError(f"{path} cannot be read: {error.strerror}") from error


def start_time(container: Any) -> Fraction:
    """Return the start time of a file, in seconds, which is subtracted from all its timestamps.

    Args:
        container: PyAV's container, open for reading.

    Returns:
        The container's start if it is above 0, else 0: audio that starts slightly early stays early.
    """
    return max(Fraction(0), Fraction(container.start_time or 0, av.time_base))
