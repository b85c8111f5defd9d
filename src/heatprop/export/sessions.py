"""Run exported files by ONNX Runtime, with the calls of the modules that they came from; extra ``onnx``."""

from collections.abc import Mapping, Sequence
from os import PathLike
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import numpy as np
import torch
from torch import Tensor

from heatprop.export.graphs import DETECTED, DETECTIONS, EXTRA, HEATMAP, NEXT_STATE, STATE, state_fields
from heatprop.export.notes import Notes
from heatprop.export.packages import need
from heatprop.structures import Detections, Tracklets
from heatprop.tracklets import TrackletMemory

_DTYPES = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(double)": torch.float64,
    "tensor(int64)": torch.int64,
    "tensor(int32)": torch.int32,
    "tensor(uint8)": torch.uint8,
    "tensor(bool)": torch.bool,
}


class OnnxOutput(NamedTuple):
    """What an exported propagator gives for a frame.

    Attributes:
        heatmap: Balanced scores (Eq. 6), shape ``(B, C, H, W)``.
        detections: The objects of the frame, ``(B, K)``.
    """

    heatmap: Tensor
    detections: Detections


class OnnxMemory(TrackletMemory):
    """What exported propagators and detectors share: a session, its notes, and the state between two frames.

    Args:
        path: A file that `heatprop.export.export_onnx` wrote.
        threads: CPU threads; ONNX Runtime's choice if none is given.
        providers: Where it runs, such as ``["CUDAExecutionProvider"]``; the processor if none is given.

    Attributes:
        notes: What the file says about itself: options, class names, version.
    """

    kind: ClassVar[str]  # what the file must hold

    def __init__(
        self, path: str | PathLike[str], *, threads: int | None = None, providers: Sequence[Any] | None = None
    ) -> None:
        super().__init__()
        need("onnxruntime")
        import onnxruntime

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(f"no such file: {self.path}; export_onnx writes one")
        settings = onnxruntime.SessionOptions()
        if threads is not None:
            settings.intra_op_num_threads = threads
        chosen = ["CPUExecutionProvider"] if providers is None else list(providers)
        self._session = onnxruntime.InferenceSession(str(self.path), settings, providers=chosen)
        self.notes = Notes.from_text(self._session.get_modelmeta().custom_metadata_map)
        if self.notes.kind != self.kind:
            other = {"propagator": "OnnxPropagator", "detector": "OnnxVideoDetector"}[self.notes.kind]
            raise ValueError(f"{self.path} holds a {self.notes.kind}, not a {self.kind}; open it with {other}")
        self._ports = {port.name: port for port in self._session.get_inputs()}
        self._outputs = [port.name for port in self._session.get_outputs()]
        self.top_k, self.remember = self.notes.options.top_k, self.notes.options.remember
        self._fields = state_fields(self.initial_state(1))
        self._check_state()

    def extra_repr(self) -> str:
        """Show the file."""
        return repr(str(self.path))

    def _check_state(self) -> None:
        wanted = {f"{STATE}{name}" for name in self._fields}
        found = {name for name in self._ports if name.startswith(STATE)}
        if wanted != found:
            raise ValueError(
                f"{self.path} was exported by heatprop {self.notes.version}, whose memory has other fields "
                f"({', '.join(sorted(wanted ^ found))}); export it again"
            )

    def _run(self, given: Mapping[str, Tensor | np.ndarray[Any, Any] | None]) -> dict[str, Tensor]:
        """Run one frame on what is given and on the state, and remember the next one."""
        feeds = {name: _as_tensor(name, value) for name, value in given.items() if value is not None}
        before = self.state
        B = next(iter(feeds.values())).shape[0]
        state = self.initial_state(B) if before is None else before
        feeds.setdefault("reset", torch.zeros(B, dtype=torch.bool))
        feeds |= {f"{STATE}{name}": getattr(state, name) for name in self._fields}
        self._check(feeds)
        arrays = {name: value.detach().cpu().contiguous().numpy() for name, value in feeds.items()}
        found = self._session.run(self._outputs, arrays)
        named = {name: torch.from_numpy(value) for name, value in zip(self._outputs, found, strict=True)}
        following = {name: named[f"{NEXT_STATE}{name}"] for name in self._fields}
        self._follow(before, Tracklets(**(state._asdict() | following)))
        return named

    def _check(self, feeds: Mapping[str, Tensor]) -> None:
        missing, more = self._ports.keys() - feeds.keys(), feeds.keys() - self._ports.keys()
        if missing or more:
            named = ", ".join(name for name in self._ports if not name.startswith(STATE) and name != "reset")
            wrong = f"missing {', '.join(sorted(missing))}" if missing else f"got {', '.join(sorted(more))} as well"
            raise ValueError(f"this file was exported to take {named}; {wrong}")
        for name, value in feeds.items():
            port = self._ports[name]
            sides = zip(port.shape, value.shape, strict=False)
            if len(port.shape) != value.dim() or any(isinstance(want, int) and want != got for want, got in sides):
                wanted = ", ".join(map(str, port.shape))
                raise ValueError(
                    f"{name} must have the shape it was exported with, ({wanted}), got {tuple(value.shape)}; call "
                    "reset() before another number of streams, or export again with such an example"
                )
            if value.dtype != _DTYPES[port.type]:
                raise TypeError(f"{name} must be {_DTYPES[port.type]}, as it was exported, got {value.dtype}")


class OnnxPropagator(OnnxMemory):
    """Run an exported propagator: `heatprop.HeatmapPropagator` without torch's operations.

    It has the same ``forward``, ``reset`` and ``state``. Tensors or numpy arrays go in, tensors on the processor come
    out. Its memory belongs to it: use one for each thread.

    Args:
        path: A file that `heatprop.export.export_onnx` wrote from a propagator.
        threads: CPU threads; ONNX Runtime's choice if none is given.
        providers: Where it runs, such as ``["CUDAExecutionProvider"]``; the processor if none is given.

    Attributes:
        notes: What the file says about itself: options, class names, version.

    Raises:
        ImportError: If onnxruntime is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else, or another version's memory.
    """

    kind = "propagator"

    def forward(
        self,
        heatmap: Any,
        offset: Any = None,
        size: Any = None,
        *,
        extras: Mapping[str, Any] | None = None,
        reset: Any = None,
        shift: Any = None,
    ) -> OnnxOutput:
        """Propagate the next frame of each stream and remember its detections.

        Args:
            heatmap: As in `heatprop.HeatmapPropagator.forward`, a tensor or an array, of the shape of the example.
            offset: Likewise, if the example had one.
            size: Likewise, if the example had one.
            extras: Likewise.
            reset: Streams that start again with this frame, shape ``(B,)``, ``bool``.
            shift: Motion of the picture, if the file was exported with one.

        Returns:
            The balanced heatmap and the detections.

        Raises:
            TypeError: If something is no tensor or array, or has another dtype than the example.
            ValueError: If something has another shape than the example, is missing, or is not in the file.
        """
        given = {"heatmap": heatmap, "offset": offset, "size": size, "reset": reset, "shift": shift}
        given |= {f"{EXTRA}{name}": value for name, value in (extras or {}).items()}
        found = self._run(given)
        return OnnxOutput(found[HEATMAP], _detections(found))


class OnnxVideoDetector(OnnxMemory):
    """Run an exported detector with its memory: `heatprop.VideoDetector` without torch's operations.

    It has the same ``forward``, ``reset`` and ``state``.

    Args:
        path: A file that `heatprop.export.export_onnx` wrote from a detector.
        threads: CPU threads; ONNX Runtime's choice if none is given.
        providers: Where it runs, such as ``["CUDAExecutionProvider"]``; the processor if none is given.

    Attributes:
        notes: What the file says about itself: options, class names, version.

    Raises:
        ImportError: If onnxruntime is not installed.
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds something else, or another version's memory.
    """

    kind = "detector"

    def forward(self, frames: Any, *, reset: Any = None, shift: Any = None) -> Detections:
        """Detect in the next frame, or the next T frames, of B streams.

        Args:
            frames: Shape ``(B, 3, H, W)`` or ``(B, T, 3, H, W)``, a tensor or an array, of the example's dtype.
            reset: Streams that start again with a frame, shape ``(B,)`` or ``(B, T)``, ``bool``.
            shift: Motion of the picture, if the file was exported with one.

        Returns:
            Detections with fields ``(B, K, ...)`` or ``(B, T, K, ...)``, boxes in pixels of the frames.

        Raises:
            TypeError: If something is no tensor or array, or has another dtype than the example.
            ValueError: If something has another shape than the example.
        """
        named = {"frames": frames, "reset": reset, "shift": shift}
        given = {name: _as_tensor(name, value) for name, value in named.items() if value is not None}
        if given["frames"].dim() != 5:
            return _detections(self._run(given))
        with self.whole_or_nothing():
            count = given["frames"].shape[1]
            chunk = [{name: value[:, time] for name, value in given.items()} for time in range(count)]
            return Detections.stack([_detections(self._run(one)) for one in chunk])


def _detections(found: Mapping[str, Tensor]) -> Detections:
    extras = {name.removeprefix(DETECTED): value for name, value in found.items() if name.startswith(DETECTED)}
    return Detections(**{name: found[name] for name in DETECTIONS}, extras=extras)


def _as_tensor(name: str, value: Any) -> Tensor:
    if isinstance(value, np.ndarray):
        return torch.from_numpy(np.require(value, requirements=["C", "W"]))
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a tensor or a numpy array, got {type(value).__name__}")
    return value
