"""Read a video file frame by frame."""

from collections.abc import Generator, Iterator
from fractions import Fraction
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import av
import numpy as np
import torch
from av.video.reformatter import Colorspace
from numpy.typing import NDArray
from torch import Tensor

from heatprop.video.decoding import Pictures, VideoError, start_time

Image = NDArray[np.uint8]

_SD_LINES = 576  # more lines without a colour tag mean BT.709, fewer BT.601: what players assume
_UNTAGGED = 2  # AVCOL_SPC_UNSPECIFIED


class Frame(NamedTuple):
    """One decoded frame.

    Attributes:
        index: Number of the frame, from 0.
        time: When it is shown, in seconds from the start of the file.
        image: RGB picture as it should be displayed, shape ``(H, W, 3)``, ``uint8``.
    """

    index: int  # type: ignore[assignment]  # it hides tuple.index(), which has no use here
    time: float
    image: Image

    def tensor(self) -> Tensor:
        """Return the picture as a batch of one, shape ``(1, 3, H, W)``, ``uint8``, in the same memory."""
        return torch.from_numpy(self.image).permute(2, 0, 1)[None]


class VideoReader:
    """Read the frames of a video file one by one, in the order in which they are shown.

    It is an iterator of :class:`Frame` and a context manager, and keeps only a few frames in memory. From a damaged
    file it returns every frame that decodes, then raises :class:`VideoError`. (A transport stream, .ts, does not store
    its length: if it is cut off between two packets, it just looks shorter.)

    A rotation in the file's header (phones) is applied. Frames that differ in size from the first are scaled to it;
    pixels that are not square stay so. Timestamps come from the file, also at a variable rate; a frame without one
    follows the previous frame at ``rate``.

    Args:
        path: The file.

    Attributes:
        path: The file.
        width: Width of the pictures, in pixels.
        height: Height of the pictures, in pixels.
        rate: Average number of frames per second; 25 if the file does not say.
        nominal_rate: The number of frames per second that the file was meant to have; ``None`` if it does not say.
        frame_count: Estimated number of frames; ``None`` if the file does not say.
        has_audio: Whether there is an audio stream.
        pixel_aspect: Width of a pixel divided by its height.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If the file is not a video or no frame decodes.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._pictures = Pictures(self.path)
        container, stream = self._pictures.container, self._pictures.stream
        self.rate: Fraction = stream.average_rate or stream.guessed_rate or Fraction(25)
        self.nominal_rate = _nominal_rate(stream)
        self.frame_count = _frame_count(container, stream, self.rate)
        self.has_audio = bool(container.streams.audio)
        self._start = start_time(container)
        first = next(self._pictures, None)
        if first is None:
            self._pictures.close()
            raise VideoError(f"{self.path}: not one frame decodes ({self._pictures.damage or 'the stream is empty'})")
        self._quarter_turns = round(first.rotation / 90) % 4  # anticlockwise
        self._stored_size: tuple[int, int] = first.width, first.height
        sideways = self._quarter_turns % 2 == 1
        self.width, self.height = self._stored_size[:: -1 if sideways else 1]
        aspect: Fraction = stream.sample_aspect_ratio or Fraction(1)
        self.pixel_aspect = 1 / aspect if sideways else aspect
        self._frames = self._frames_from(first)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[Frame]:
        return self

    def __next__(self) -> Frame:
        return next(self._frames)

    def close(self) -> None:
        """Close the file; it returns no more frames."""
        self._frames.close()
        self._pictures.close()

    def _frames_from(self, picture: Any) -> Generator[Frame, None, None]:
        index, time = 0, Fraction(0)
        while picture is not None:
            if picture.pts is not None:
                time = picture.pts * picture.time_base - self._start
            yield Frame(index, float(time), self._image(picture))
            index, time = index + 1, time + 1 / self.rate
            picture = next(self._pictures, None)
        self._pictures.close()  # who reads to the end need not
        if self._pictures.damage:
            raise VideoError(
                f"{self.path} is damaged or cut off ({self._pictures.damage}): {index} frames were decoded. Copy or "
                f"download it again, or try to repair it: ffmpeg -i IN -c copy OUT"
            )

    def _image(self, picture: Any) -> Image:
        width, height = self._stored_size
        untagged_hd = picture.colorspace == _UNTAGGED and picture.height > _SD_LINES
        matrix = Colorspace.ITU709 if untagged_hd else None
        image = picture.to_ndarray(format="rgb24", width=width, height=height, src_colorspace=matrix)
        return np.ascontiguousarray(np.rot90(image, self._quarter_turns))


def _nominal_rate(stream: Any) -> Fraction | None:
    """The rate that a player guesses, unless it is so far from the average that it only counts ticks of the clock."""
    average, guessed = stream.average_rate, stream.guessed_rate
    if not average or not guessed:
        return guessed or average or None
    rate: Fraction = guessed if average <= guessed <= 2 * average else average
    return rate


def _frame_count(container: Any, stream: Any, rate: Fraction) -> int | None:
    if stream.frames:
        return int(stream.frames)
    seconds = Fraction(container.duration or 0, av.time_base)
    if stream.duration:
        seconds = stream.duration * stream.time_base
    return round(seconds * rate) or None
