"""Propagators and detectors as graphs: tensors in, tensors out, each with a name. torch alone."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heatprop.checks import check_maps, check_shift
from heatprop.detector import VideoDetector
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets
from heatprop.tracklets import forget

STATE, NEXT_STATE, EXTRA = "state_", "next_state_", "extra_"
DETECTED = "detected_"
"""What comes before the name of an extra of the detections; `EXTRA` stands before that of a map."""
HEATMAP = "balanced_heatmap"
"""What the balanced heatmap of a propagator's graph is called, beside the network's ``heatmap``."""
DETECTIONS = tuple(name for name in Detections._fields if name != "extras")


class Graph(nn.Module):
    """One frame of a memory without the memory itself: what was remembered goes in, what is remembered comes out.

    A stream whose state is all zeros starts afresh: ``next_state_next_id`` is 0 only before its first detection.

    Args:
        propagator: The memory's options.
        names: What goes in beside the state, in order.
        read: From the tensors of those names to the maps.
        extras: Names of the extras that come out.
        shows_heatmap: Whether the balanced heatmap comes out.

    Attributes:
        inputs: Names of all that goes in, in order.
        outputs: Names of all that comes out, in order.
    """

    def __init__(
        self,
        propagator: HeatmapPropagator,
        names: Sequence[str],
        read: Callable[[dict[str, Tensor]], HeadMaps],
        *,
        extras: Sequence[str],
        shows_heatmap: bool,
    ) -> None:
        super().__init__()
        self.propagator = propagator
        self.read = read
        self.fields = state_fields(propagator.initial_state(1))
        self.inputs = (*names, *(f"{STATE}{name}" for name in self.fields))
        shown = dict.fromkeys([*extras, *(one.name for one in propagator.options.remembered)])
        extra_names = tuple(f"{DETECTED}{name}" for name in shown)
        following = tuple(f"{NEXT_STATE}{name}" for name in self.fields)
        self.outputs = (*((HEATMAP,) if shows_heatmap else ()), *DETECTIONS, *extra_names, *following)

    def forward(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        """Propagate a frame: tensors by `inputs`, tensors by `outputs`."""
        given = dict(zip(self.inputs, tensors, strict=True))
        scores = given[f"{STATE}score"]
        blank = self.propagator.initial_state(scores.shape[0], device=scores.device, dtype=scores.dtype)
        state = Tracklets(**(blank._asdict() | {name: given[f"{STATE}{name}"] for name in self.fields}))
        state = forget(state, given["reset"] | (state.next_id == 0))
        maps = self.read(given)
        following, output = self.propagator.step(state, *maps[:3], extras=maps.extras, shift=given.get("shift"))
        found = output.detections
        named = {HEATMAP: output.heatmap} | {name: getattr(found, name) for name in DETECTIONS}
        named |= {f"{DETECTED}{name}": value for name, value in found.extras.items()}
        named |= {f"{NEXT_STATE}{name}": value for name, value in zip(Tracklets._fields, following, strict=True)}
        return tuple(named[name].clone() for name in self.outputs)  # no output is an input, or another output


def state_fields(state: Tracklets) -> tuple[str, ...]:
    """Name the fields of a state that hold something; no runtime likes tensors without numbers."""
    return tuple(name for name, field in zip(Tracklets._fields, state, strict=True) if field.numel())


class ExampleGraph(NamedTuple):
    """A graph with tensors to trace it by.

    Attributes:
        graph: The graph.
        tensors: By its ``inputs``.
        channels: Number of classes.
    """

    graph: Graph
    tensors: tuple[Tensor, ...]
    channels: int


def propagator_graph(
    propagator: HeatmapPropagator, maps: HeadMaps, *, shift: Tensor | None, dynamic_batch: bool
) -> ExampleGraph:
    """Make the graph of a propagator: maps in, the balanced heatmap and detections out.

    Args:
        propagator: The propagator; what it remembers is not looked at.
        maps: Maps of the shapes to come.
        shift: A motion of the kind to come; ``None`` for none.
        dynamic_batch: Whether the example must have two streams at least, so that their number stays open.

    Returns:
        The graph with the example.
    """
    check_maps(maps)
    check_shift(shift, maps.heatmap)
    fields = {"heatmap": maps.heatmap, "offset": maps.offset, "size": maps.size}
    fields |= {f"{EXTRA}{name}": value for name, value in (maps.extras or {}).items()}
    given = {name: value for name, value in fields.items() if value is not None}
    extras = tuple(maps.extras or {})
    graph = Graph(
        propagator,
        _names(given, shift),
        lambda tensors: HeadMaps(
            tensors["heatmap"],
            tensors.get("offset"),
            tensors.get("size"),
            {name: tensors[f"{EXTRA}{name}"] for name in extras} or None,
        ),
        extras=extras,
        shows_heatmap=True,
    )
    return _example(graph, given, maps.heatmap, shift, dynamic_batch=dynamic_batch)


def detector_graph(
    video: VideoDetector, given: dict[str, Tensor], *, shift: Tensor | None, dynamic_batch: bool
) -> ExampleGraph:
    """Make the graph of a detector with its memory: frames in, detections out.

    Args:
        video: The detector, its adapter and its memory.
        given: ``{"frames": (B, 3, H, W)}`` if the detector is part of the graph, else what it gave for them, by name.
        shift: A motion of the kind to come; ``None`` for none.
        dynamic_batch: Whether the example must have two streams at least, so that their number stays open.

    Returns:
        The graph with the example.
    """
    detector: Callable[[Any], Any] = video.detector if "frames" in given else lambda raw: raw
    frames = tuple(given)

    def read(tensors: dict[str, Tensor]) -> HeadMaps:
        raw = tensors["frames"] if frames == ("frames",) else tuple(tensors[name] for name in frames)
        maps = video.adapter(detector(raw))
        if not isinstance(maps, HeadMaps):
            raise TypeError(f"the adapter must return heatprop.HeadMaps, got {type(maps).__name__}")
        return maps

    with torch.no_grad():
        maps = read(given)
    extras = tuple(maps.extras or {})
    graph = Graph(video.propagator, _names(given, shift), read, extras=extras, shows_heatmap=False)
    if isinstance(detector, nn.Module):
        graph.add_module("detector", detector)  # its weights are the graph's
    check_maps(maps)
    check_shift(shift, maps.heatmap)
    return _example(graph, given, maps.heatmap, shift, dynamic_batch=dynamic_batch)


def trace(example: ExampleGraph, *, dynamic_batch: bool) -> torch.export.ExportedProgram:
    """Trace a graph.

    Args:
        example: The graph with tensors.
        dynamic_batch: Whether the number of streams stays open.

    Returns:
        The program, on torch's own operations.
    """
    graph, tensors, _ = example
    shapes = None
    if dynamic_batch:
        batch = torch.export.Dim("batch", min=1, max=4096)
        shapes = {"tensors": tuple({0: batch} for _ in tensors)}
    training = graph.training
    try:
        with torch.no_grad():
            return torch.export.export(graph.eval(), tensors, dynamic_shapes=shapes, strict=False)
    finally:
        graph.train(training)


def _names(given: dict[str, Tensor], shift: Tensor | None) -> tuple[str, ...]:
    return (*given, "reset", *(() if shift is None else ("shift",)))


def _example(
    graph: Graph, given: dict[str, Tensor], heatmap: Tensor, shift: Tensor | None, *, dynamic_batch: bool
) -> ExampleGraph:
    B = heatmap.shape[0]
    initial = graph.propagator.initial_state(B, device=heatmap.device, dtype=heatmap.dtype)
    state = tuple(getattr(initial, name) for name in graph.fields)
    reset = torch.zeros(B, dtype=torch.bool, device=heatmap.device)
    tensors = (*given.values(), reset, *(() if shift is None else (shift,)), *state)
    if dynamic_batch and B == 1:  # torch.export takes a size of 1 for a constant
        tensors = tuple(torch.cat([one, one]) for one in tensors)
    return ExampleGraph(graph, tensors, heatmap.shape[1])
