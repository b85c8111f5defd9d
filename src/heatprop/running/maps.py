"""Write the detector's maps of a video to an ``.npz``, for `heatprop eval maps` and `heatprop tune`."""

import zipfile
from contextlib import ExitStack
from os import PathLike
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from heatprop.formats.whole_files import WholeFile
from heatprop.maps.saved import compact_maps
from heatprop.offline.frame_store import FrameStore
from heatprop.running.detectors import DetectorError
from heatprop.running.frame_results import FrameResult, NetworkMaps

_DENSE = ("heatmap", "offset", "size")
_NO_OBJECTS: dict[str, NDArray[Any]] = {
    **{f"gt_{key}": np.zeros(0, np.int32) for key in ("frame", "track", "label")},
    **{f"ignore_{key}": np.zeros(0, np.int32) for key in ("frame", "label")},
    **{f"{kind}_box": np.zeros((0, 4)) for kind in ("gt", "ignore")},
    "class_name": np.zeros(0, np.str_),
}


class MapWriter:
    """Write the detector's own maps of a video, which `heatprop.maps.saved.read_saved_maps` reads.

    It is a context manager that treats its file as `heatprop.running.RecordWriter` does: the file appears once it is
    complete, and not at all after an exception. After Ctrl-C (KeyboardInterrupt), the frames so far are kept at
    ``<stem>.partial<suffix>``, unless there was no frame yet. One frame at a time is in memory; earlier frames wait
    compressed in nameless files in the same folder.

    Scores below 0.003 become 0.001; offsets and sizes are kept within 2 cells of a score above 0.02 and of where
    the memory propagates to, and are 0 elsewhere. There is no ground truth in the file: its ``gt_*`` are empty.

    Args:
        path: Where the ``.npz`` goes.

    Attributes:
        path: Where the file goes.
        saved_to: Where the file is after the block: ``path``, the partial name, or ``None``.
    """

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self.saved_to: Path | None = None
        self._stores: dict[str, FrameStore] = {}
        self._stack = ExitStack()
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._frames = 0
        self._described: dict[str, NDArray[Any]] = {}

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._file = WholeFile(self.path)
            stack.callback(self._file.drop)
            self._stores = {key: stack.enter_context(FrameStore(self.path.parent, in_memory=1)) for key in _DENSE}
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._stack:
            if self._frames and (kind is None or issubclass(kind, KeyboardInterrupt)):
                self._assemble()
                self.saved_to = self._file.keep(partial=kind is not None)

    def write(self, result: FrameResult) -> None:
        """Write the maps of a frame.

        Raises:
            ValueError: If the result has no maps, or maps of a different shape than before.
            DetectorError: If the detector gives points.
        """
        if result.network is None:
            raise ValueError("the result must hold the detector's maps, got none; pass keep_maps=True to FrameDetector")
        for key, values in zip(_DENSE, _compact(result.network), strict=True):
            shape = values.shape[1:]
            if shape != self._shapes.setdefault(key, shape):
                raise ValueError(f"{key} changed shape between frames, from {self._shapes[key]} to {shape}")
            self._stores[key].append([values])
        stride, input_wh = result.network.stride, result.network.input_wh
        self._described = {"stride": np.array(float(stride)), "input_wh": np.array(input_wh, np.int32)}
        self._frames += 1

    def _assemble(self) -> None:
        """Assemble the archive; some stores may hold one more frame, which was interrupted and is not written."""
        with (
            open(self._file.handle, "wb", closefd=False) as file,
            zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive,
        ):
            for key, array in (self._described | _NO_OBJECTS).items():
                with archive.open(f"{key}.npy", "w") as member:
                    np.lib.format.write_array(member, array, allow_pickle=False)
            for key in _DENSE:
                header = {"descr": "<f2", "fortran_order": False, "shape": (self._frames, *self._shapes[key])}
                with archive.open(f"{key}.npy", "w", force_zip64=True) as member:
                    np.lib.format.write_array_header_1_0(member, header)
                    for number in range(self._frames):
                        member.write(self._stores[key][number][0].tobytes())


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
