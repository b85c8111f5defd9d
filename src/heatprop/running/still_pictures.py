"""If the input is a single picture, write the output as a picture instead of a video."""

from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from heatprop.formats.whole_files import WholeFile
from heatprop.running.detectors import DetectorError

SUFFIXES = {
    ".jpg": "JPEG",
    ".jpeg": "JPEG",
    ".png": "PNG",
    ".bmp": "BMP",
    ".webp": "WEBP",
    ".tif": "TIFF",
    ".tiff": "TIFF",
}
"""Suffix of a picture file -> Pillow's name of the format."""


class StillWriter:
    """Write one picture as `heatprop.video.VideoWriter` writes a video: it appears once complete, without metadata.

    Args:
        path: Where the file goes; its suffix, one of `SUFFIXES`, chooses the format.

    Attributes:
        path: Where the file goes.
        saved_to: Where the file is after the block, or ``None``.
        audio_note: Always empty, because a picture has no sound.
    """

    audio_note = ""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.saved_to: Path | None = None
        self._image: NDArray[np.uint8] | None = None

    def __enter__(self) -> Self:
        self._file = WholeFile(self.path)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._image is not None and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._save(self._image)
                self.saved_to = self._file.keep(partial=kind is not None)
        finally:
            self._file.drop()

    def write(self, image: NDArray[np.uint8], time: float | None = None) -> None:
        """Take the picture, shape ``(H, W, 3)``, ``uint8``; its time does not matter.

        Raises:
            DetectorError: If it is not the first picture.
        """
        if self._image is not None:
            raise DetectorError("the file holds several pictures; make a video of them first")
        self._image = image

    def _save(self, image: NDArray[np.uint8]) -> None:
        from PIL import Image as Pillow  # heatprop.video.drawing says what to install

        kind = SUFFIXES[self.path.suffix.lower()]
        options: dict[str, Any] = {"quality": 95} if kind in ("JPEG", "WEBP") else {}
        with open(self._file.handle, "wb", closefd=False) as file:
            Pillow.fromarray(image).save(file, format=kind, **options)
