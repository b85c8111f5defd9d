"""Write a propagator, or a detector with its memory, as a program of ``torch.export`` (.pt2). torch alone."""

import io
import json
import os
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heatprop.detector import VideoDetector
from heatprop.export.examples import example_graph, take_notes
from heatprop.export.graphs import trace
from heatprop.formats.whole_files import replacing
from heatprop.propagator import HeatmapPropagator


def export_program(
    source: HeatmapPropagator | VideoDetector,
    path: str | PathLike[str],
    *,
    example: Any,
    dynamic_batch: bool = False,
    shift: Tensor | None = None,
    class_names: Sequence[str] = (),
) -> Path:
    """Write a .pt2 file: the graph of `heatprop.export.export_onnx`, on torch's own operations.

    It takes and gives the same tensors in the same order. ``torch.export.load`` reads it; the extra file
    ``heatprop.json`` in it holds the names of inputs and outputs and the metadata.

    Args:
        source: A propagator, or a detector in torch that looks at every frame.
        path: The file to be written. It appears when it is whole; folders are made.
        example: As in `heatprop.export.export_onnx`.
        dynamic_batch: Whether the file takes any number of streams.
        shift: An example of the picture's motion, if it is to be an input.
        class_names: Name of each class.

    Returns:
        The path.

    Raises:
        TypeError: If ``source`` or ``example`` has the wrong type.
        ValueError: If shapes do not fit, the detector looks only at every n-th frame, or it is an ONNX graph itself.
    """
    if isinstance(source, VideoDetector) and hasattr(source.detector, "onnx_model"):
        raise ValueError("this detector is an ONNX graph, which torch cannot export; use export_onnx")
    graph = example_graph(source, example, shift=shift, dynamic_batch=dynamic_batch)
    notes = take_notes(source, class_names, graph.channels).to_text()
    names = {"inputs": graph.graph.inputs, "outputs": graph.graph.outputs}
    program, buffer = trace(graph, dynamic_batch=dynamic_batch), io.BytesIO()
    program.graph.eliminate_dead_code()  # torch 2.14 cannot load a split into no parts, which nobody reads
    torch.export.save(program, buffer, extra_files={"heatprop.json": json.dumps(notes | names)})
    with replacing(path, "wb") as file:
        file.write(buffer.getvalue())
    return Path(os.fspath(path))
