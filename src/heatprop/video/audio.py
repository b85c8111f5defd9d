"""Copy the audio of one file into another, packet by packet, in step with the pictures."""

import io
from fractions import Fraction
from itertools import islice
from pathlib import Path
from typing import Any

import av

from heatprop.video.decoding import open_file, start_time

_REHEARSED = 16  # packets of each stream, tried before a long run depends on them


class AudioCopy:
    """Copy the audio streams of ``source`` into ``target`` unchanged.

    Args:
        source: The file with the audio; ``None`` for no audio.
        target: PyAV's container, open for writing, before its first packet.

    Attributes:
        copied: Whether audio is being copied.
        note: Why audio is missing, or where it stops; empty if nothing is lost.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read.
    """

    def __init__(self, source: Path | None, target: Any) -> None:
        self.note = ""
        self._source: Any = None
        self._target = target
        self._streams: dict[int, Any] = {}
        self._packets: Any = iter(())
        if source is not None:
            self.note = _refusal(source, target.format.name)
            self._source = open_file(source)
            self._start = start_time(self._source)
        if self._source is not None and not self.note:
            audio = self._source.streams.audio
            self._streams = {stream.index: target.add_stream_from_template(stream) for stream in audio}
            self._packets = self._source.demux(tuple(audio)) if audio else self._packets
        self._waiting: Any = None
        self.copied = bool(self._streams)

    def until(self, time: float) -> None:
        """Copy everything that is heard before ``time``, in seconds from the start of the file."""
        try:
            while (packet := self._next_before(time)) is not None:
                self._target.mux(_moved(packet, self._streams, self._start))
        except av.FFmpegError as error:
            self._packets = iter(())
            self.note = f"the audio breaks off: {error.strerror}"

    def _next_before(self, time: float) -> Any:
        """Take the next packet, if it is heard before ``time``; if not, leave it for later."""
        packet = next(self._packets, None) if self._waiting is None else self._waiting
        late = packet is not None and packet.pts is not None and packet.pts * packet.time_base - self._start >= time
        self._waiting = packet if late else None
        return None if late else packet

    def close(self) -> None:
        """Close the source."""
        self._waiting = None
        self._packets = iter(())
        if self._source is not None:
            self._source.close()


def _refusal(source: Path, container: str) -> str:
    """Say why a container cannot hold the audio of a file; empty if it can, or if there is none.

    Some refuse a codec at once, some with the first packets, some only when they write their index at
    the very end: so a few packets go into a file in memory first.
    """
    with open_file(source) as rehearsed:
        audio = rehearsed.streams.audio
        if not audio:
            return ""
        start = start_time(rehearsed)
        try:
            with av.open(io.BytesIO(), "w", format=container) as target:
                streams = {stream.index: target.add_stream_from_template(stream) for stream in audio}
                for packet in islice(rehearsed.demux(tuple(audio)), _REHEARSED * len(audio)):
                    target.mux(_moved(packet, streams, start))
        except (av.FFmpegError, ValueError) as error:
            names = ", ".join(stream.codec_context.name if stream.codec_context else "unknown" for stream in audio)
            return (
                f"audio left out: {container} does not take the audio of {source.name} ({names}: {error}); "
                "write a .mkv to keep it"
            )
    return ""


def _moved(packet: Any, streams: dict[int, Any], start: Fraction) -> list[Any]:
    """Hand a packet over to its new stream; the empty ones that end a file go nowhere."""
    if packet.dts is None:
        return []
    shift = round(start / packet.time_base)
    packet.pts = None if packet.pts is None else packet.pts - shift
    packet.dts -= shift
    packet.stream = streams[packet.stream.index]
    return [packet]
