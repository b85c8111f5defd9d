"""Join a detector that is an ONNX graph itself to the graph of its memory."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from heatprop.export.packages import need

need("onnx")

import onnx  # noqa: E402  # after the check, which says what to install
from onnx import TensorProto, compose, helper, version_converter  # noqa: E402

_PREFIX = "detector/"
_TYPES = {torch.float32: TensorProto.FLOAT, torch.float16: TensorProto.FLOAT16, torch.uint8: TensorProto.UINT8}


def read_detector(detector: Any, frames: Tensor, *, opset: int) -> tuple[Any, dict[str, Tensor]]:
    """Take the graph of a detector, and what it gives for some frames.

    Args:
        detector: It gives a tuple of maps for frames, and its method ``onnx_model(height, width)`` the ONNX graph that
            does the same: one input for frames of that size, one output for each map.
        frames: Shape ``(B, 3, H, W)``.
        opset: The version of operations that its graph is converted to.

    Returns:
        The graph, whose input is ``frames``; and the maps by the names of its outputs.

    Raises:
        TypeError: If the detector gives something else, or frames have a dtype that ONNX has no input for here.
        ValueError: If the graph has another number of inputs or outputs.
    """
    if frames.dtype not in _TYPES:
        raise TypeError(f"frames must be float32, float16 or uint8, got {frames.dtype}")
    with torch.no_grad():
        raw = detector(frames)
    maps = tuple(raw.values()) if isinstance(raw, Mapping) else tuple(raw)
    if not all(isinstance(one, Tensor) for one in maps):
        raise TypeError("a detector with onnx_model() must give a tuple of tensors, one for each output of its graph")
    model = detector.onnx_model(*frames.shape[2:])
    if len(model.graph.input) != 1 or len(model.graph.output) != len(maps):
        came = f"{len(model.graph.input)} and {len(model.graph.output)}"
        raise ValueError(f"onnx_model() must have one input and {len(maps)} outputs, got {came}")
    model = version_converter.convert_version(model, opset)
    del model.graph.value_info[:]  # shapes of the file's own export
    compose.add_prefix(model, _PREFIX, inplace=True)
    _rename_input(model, frames)
    return model, {f"{output.name}_map": one for output, one in zip(model.graph.output, maps, strict=True)}


def join(detector: Any, memory: Any, names: tuple[str, ...], *, batch: int | None) -> Any:
    """Let the outputs of a detector be the inputs of its memory.

    Args:
        detector: Its graph, with the outputs that the maps come from.
        memory: The graph of the memory.
        names: Inputs of the memory, in the order of the detector's outputs.
        batch: Number of streams; ``None`` for any.

    Returns:
        One graph.
    """
    detector.ir_version = memory.ir_version
    pairs = [(output.name, name) for output, name in zip(detector.graph.output, names, strict=True)]
    first = detector.graph.input[0].type.tensor_type.shape.dim[0]
    first.ClearField("dim_value")
    if batch is None:
        first.dim_param = "batch"
    else:
        first.dim_value = batch
    return compose.merge_models(detector, memory, io_map=pairs)


def _rename_input(model: Any, frames: Tensor) -> None:
    """Let the only input be ``frames``, of their shape and dtype."""
    inner = model.graph.input[0].name
    kind, wanted = _TYPES[frames.dtype], model.graph.input[0].type.tensor_type.elem_type
    del model.graph.input[:]
    model.graph.input.append(helper.make_tensor_value_info("frames", kind, list(frames.shape)))
    model.graph.node.insert(0, helper.make_node("Cast", ["frames"], [inner], name=f"{_PREFIX}cast", to=wanted))
    onnx.checker.check_model(model)
