"""The detector's maps of a video in an ``.npz``, for `heatprop eval maps` and `heatprop tune`."""

import gzip
import math
import os
import tempfile
import zipfile
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from heatprop.maps.saved import compact_maps
from heatprop.running.detectors import DetectorError
from heatprop.running.results import FrameResult, NetworkMaps

_DENSE = ("heatmap", "offset", "size")
_NO_OBJECTS: dict[str, NDArray[Any]] = {
    **{f"gt_{key}": np.zeros(0, np.int32) for key in ("frame", "track", "label")},
    **{f"ignore_{key}": np.zeros(0, np.int32) for key in ("frame", "label")},
    **{f"{kind}_box": np.zeros((0, 4)) for kind in ("gt", "ignore")},
    "class_name": np.zeros(0, np.str_),
}
_AT_ONCE = 2**20  # bytes


class MapWriter:
    """Write the detector's own maps of a video, which `heatprop.maps.saved.read_saved_maps` reads.

    A context manager that treats its file as `heatprop.running.RecordWriter` does: it appears when it is
    whole, not at all after an exception; after Ctrl-C (KeyboardInterrupt) the frames so far are at
    ``<stem>.partial<suffix>``, unless there was no frame yet. One frame at a time is in memory; those before
    wait compressed in nameless files in the same folder.

    Scores below 0.003 become 0.001; offsets and sizes are kept within 2 cells of a score above 0.02 and of where
    the memory propagates to, and are 0 elsewhere. There is no ground truth in the file: its ``gt_*`` are empty.

    Args:
        path: The ``.npz``.

    Attributes:
        path: The file to be.
        saved_to: Where the file is after the block: ``path``, the partial name, or ``None``.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.saved_to: Path | None = None
        self._temporary = self.path.with_name(f".{self.path.name}.part")  # no .npz: a folder is read by this ending
        self._stack = ExitStack()
        self._raw: dict[str, IO[bytes]] = {}
        self._packed: dict[str, gzip.GzipFile] = {}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._frames = 0
        self._described: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            for key in _DENSE:
                self._raw[key] = stack.enter_context(tempfile.TemporaryFile(dir=self.path.parent))
                packed = gzip.GzipFile(fileobj=self._raw[key], mode="wb", compresslevel=1)
                self._packed[key] = stack.enter_context(packed)
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        partial = self.path.with_name(f"{self.path.stem}.partial{self.path.suffix}")
        try:
            if self._frames and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._assemble()
                saved_to = self.path if kind is None else partial
                os.replace(self._temporary, saved_to)
                self.saved_to = saved_to
        finally:
            self._temporary.unlink(missing_ok=True)
            self._stack.close()

    def write(self, result: FrameResult) -> None:
        """Write the maps of a frame.

        Raises:
            ValueError: If the result has none, or of another shape than those before.
            DetectorError: If the detector gives points.
        """
        if result.network is None:
            raise ValueError("the result must hold the detector's maps, got none; pass keep_maps=True to FrameDetector")
        for key, values in zip(_DENSE, _compact(result.network), strict=True):
            shape = values.shape[1:]
            if shape != self._shapes.setdefault(key, shape):
                raise ValueError(f"{key} changed shape between frames, from {self._shapes[key]} to {shape}")
            self._packed[key].write(values.tobytes())
        stride, input_wh = result.network.stride, result.network.input_wh
        self._described = {"stride": np.array(float(stride)), "input_wh": np.array(input_wh, np.int32)}
        self._frames += 1

    def _assemble(self) -> None:
        with zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_DEFLATED) as archive:
            for key, array in (self._described | _NO_OBJECTS).items():
                with archive.open(f"{key}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            for key in _DENSE:
                self._packed[key].close()  # what is under it stays open
                self._raw[key].seek(0)
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    self._unpack(key, member)

    def _unpack(self, key: str, member: IO[bytes]) -> None:
        shape = (self._frames, *self._shapes[key])
        header = {"descr": "<f2", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(member, header)
        with gzip.GzipFile(fileobj=self._raw[key], mode="rb") as unpacked:
            left = 2 * math.prod(shape)  # what is behind that is of a frame that was broken off
            while left:
                left -= member.write(unpacked.read(min(left, _AT_ONCE)))


def _compact(network: NetworkMaps) -> list[NDArray[Any]]:
    heatmap, offset, size, _ = network.maps
    if size is None:
        raise DetectorError("it gives points (size=None), which saved maps do not hold; leave out --save-maps")
    half = np.full((1, 2, *heatmap.shape[2:]), 0.5) if offset is None else _array(offset)
    maps = compact_maps(_array(heatmap), half, _array(size), near=network.reached.cpu().numpy())
    return [values.astype("<f2") for values in maps]


def _array(values: Tensor) -> NDArray[Any]:
    array: NDArray[Any] = values.float().cpu().numpy()
    return array
