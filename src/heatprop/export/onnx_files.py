"""Write a propagator, or a detector with its memory, as one ONNX file; extra ``onnx``."""

import logging
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from heatprop.detector import VideoDetector
from heatprop.export.examples import example_graph, frames_of, take_notes
from heatprop.export.graphs import ExampleGraph, detector_graph, trace
from heatprop.export.notes import Notes
from heatprop.export.packages import need
from heatprop.formats.whole_files import replacing
from heatprop.propagator import HeatmapPropagator

OPSET = 18
"""The version of ONNX's operations: the oldest that has all of them."""


def export_onnx(
    source: HeatmapPropagator | VideoDetector,
    path: str | PathLike[str],
    *,
    example: Any,
    dynamic_batch: bool = False,
    shift: Tensor | None = None,
    class_names: Sequence[str] = (),
) -> Path:
    """Write one ONNX file that holds the memory's step, or a detector with it.

    Maps (or frames) and what was remembered go in; detections and what is to be remembered come out:

    - in: ``heatmap``, ``offset``, ``size``, ``extra_<name>``, or ``frames``; ``reset``, ``shift``; ``state_<field>``
      for each field of `heatprop.Tracklets`. A stream whose state is all zeros starts afresh.
    - out: ``balanced_heatmap`` (from maps only); ``boxes``, ``scores`` and the other fields of `heatprop.Detections`;
      ``detected_<name>`` for extras; ``next_state_<field>``, which is the next frame's ``state_<field>``.

    Shapes are those of the example. Options, stride, class names and version are in the file's metadata.
    `heatprop.export.OnnxPropagator` and `heatprop.export.OnnxVideoDetector` run the file.

    A detector that has a method ``onnx_model(height, width)``, as `heatprop.faces.CenterFace` does, is joined to the
    memory as the ONNX graph that it returns; any other must be one that ``torch.export`` can trace.

    Args:
        source: A propagator, or a detector that looks at every frame. What it remembers stays as it is.
        path: The file to be written. It appears when it is whole; folders are made.
        example: ``(heatmap, offset, size)`` with ``None`` for what there is not, or `heatprop.HeadMaps`; for a detector
            ``(frames,)``. Values do not matter, shapes and dtypes do.
        dynamic_batch: Whether the file takes any number of streams; otherwise it takes the example's.
        shift: An example of the picture's motion, if it is to be an input, as `HeatmapPropagator.forward` takes it.
        class_names: Name of each class, to be found in the file.

    Returns:
        The path.

    Raises:
        ImportError: If onnx or onnxscript is not installed.
        TypeError: If ``source`` or ``example`` has the wrong type.
        ValueError: If shapes do not fit, or the detector looks only at every n-th frame.
        RuntimeError: If the detector cannot be traced.

    Examples:
        >>> import tempfile
        >>> import torch
        >>> from pathlib import Path
        >>> from heatprop import HeatmapPropagator
        >>> from heatprop.export import OnnxPropagator, export_onnx
        >>> heatmap = torch.rand(1, 1, 16, 16)
        >>> with tempfile.TemporaryDirectory() as folder:  # points, without offset and size
        ...     path = export_onnx(HeatmapPropagator(top_k=5), Path(folder) / "memory.onnx", example=(heatmap,))
        ...     propagator = OnnxPropagator(path)
        >>> propagator(heatmap).detections.scores.shape
        torch.Size([1, 5])
    """
    need("onnx", "onnxscript")
    joined = isinstance(source, VideoDetector) and hasattr(source.detector, "onnx_model")
    if joined:
        model, channels = _joined_model(source, example, shift, dynamic_batch)
    else:
        graph = example_graph(source, example, shift=shift, dynamic_batch=dynamic_batch)
        model, channels = _model(graph, dynamic_batch=dynamic_batch), graph.channels
    _write_notes(model, take_notes(source, class_names, channels))
    with replacing(path, "wb") as file:
        file.write(model.SerializeToString())
    return Path(os.fspath(path))


def _joined_model(video: Any, example: Any, shift: Tensor | None, dynamic_batch: bool) -> tuple[Any, int]:
    """Join a detector that is an ONNX graph itself to its memory."""
    from heatprop.export.joining import join, read_detector

    frames = frames_of(video, example)
    detector, raw = read_detector(video.detector, frames, opset=OPSET)
    graph = detector_graph(video, raw, shift=shift, dynamic_batch=dynamic_batch)
    memory = _model(graph, dynamic_batch=dynamic_batch)
    return join(detector, memory, tuple(raw), batch=None if dynamic_batch else frames.shape[0]), graph.channels


def _model(example: ExampleGraph, *, dynamic_batch: bool) -> Any:
    """Translate a graph to ONNX."""
    from heatprop.export.translations import translations

    graph = example.graph
    with _quiet():
        try:
            program = torch.onnx.export(
                trace(example, dynamic_batch=dynamic_batch),
                dynamo=True,
                verbose=False,
                opset_version=OPSET,
                input_names=list(graph.inputs),
                output_names=list(graph.outputs),
                custom_translation_table=translations(),
            )
        except torch.onnx.errors.OnnxExporterError as error:
            raise RuntimeError(f"torch could not translate the detector to ONNX: {error}") from error
    if program is None:
        raise RuntimeError("torch gave no ONNX graph; the extra onnx asks for torch 2.13 or newer")
    model = program.model_proto
    _name_batch(model)
    return model


def _name_batch(model: Any) -> None:
    """Call the open number of streams ``batch``, as nobody knows what ``s12`` is."""
    graph = model.graph
    first = {value.name: value.type.tensor_type.shape.dim[0].dim_param for value in graph.input}["reset"]
    for value in (*graph.input, *graph.output, *graph.value_info) if first else ():
        for dimension in value.type.tensor_type.shape.dim:
            if dimension.dim_param == first:
                dimension.dim_param = "batch"


def _write_notes(model: Any, notes: Notes) -> None:
    import onnx

    del model.metadata_props[:]
    for key, value in notes.to_text().items():
        model.metadata_props.add(key=key, value=value)
    model.producer_name, model.producer_version = "heatprop", notes.version
    model.graph.name = f"heatprop_{notes.kind}"
    for node in model.graph.node:
        del node.metadata_props[:]  # where in torch each node comes from: half the file
        node.doc_string = ""
    onnx.checker.check_model(model)


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep back what the exporter says about its own inside: nobody who exports can change it."""
    loggers = [logging.getLogger(name) for name in ("onnxscript", "onnx_ir", "torch.onnx")]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
