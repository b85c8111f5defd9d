"""From what the user gives to a graph, tensors to trace it by, and what is written about it."""

from collections.abc import Sequence
from typing import Any

from torch import Tensor

from heatprop.detector import VideoDetector
from heatprop.export.graphs import ExampleGraph, detector_graph, propagator_graph
from heatprop.export.notes import Notes, check_class_names
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import HeadMaps


def example_graph(
    source: HeatmapPropagator | VideoDetector,
    example: Any,
    *,
    shift: Tensor | None = None,
    dynamic_batch: bool = False,
) -> ExampleGraph:
    """Make the graph of a propagator or of a detector that is written in torch.

    Args:
        source: What is exported.
        example: Maps ``(heatmap, offset, size)`` or `HeadMaps` for a propagator, ``(frames,)`` for a detector.
        shift: A motion of the kind to come; ``None`` for none.
        dynamic_batch: Whether the number of streams stays open.

    Returns:
        The graph with the example.

    Raises:
        TypeError: If ``source`` or ``example`` is none of these.
        ValueError: If the detector does not look at every frame, or shapes do not fit.
    """
    if isinstance(source, HeatmapPropagator):
        maps = _maps_of(example)
        return propagator_graph(source, maps, shift=shift, dynamic_batch=dynamic_batch)
    frames = frames_of(source, example)
    return detector_graph(source, {"frames": frames}, shift=shift, dynamic_batch=dynamic_batch)


def take_notes(source: HeatmapPropagator | VideoDetector, class_names: Sequence[str], channels: int) -> Notes:
    """Say what the file of a propagator or a detector says about itself.

    Raises:
        TypeError: If ``class_names`` are no names.
        ValueError: If their number is wrong.
    """
    names = check_class_names(class_names, channels)
    if isinstance(source, VideoDetector):
        return Notes("detector", source.propagator.options, names)
    return Notes("propagator", source.options, names)


def frames_of(source: object, example: Any) -> Tensor:
    """Take the frames out of a detector's example.

    Raises:
        TypeError: If ``source`` is no detector, or ``example`` holds no frames.
        ValueError: If the detector does not look at every frame, or the frames have another rank.
    """
    if not isinstance(source, VideoDetector):
        raise TypeError(f"export a HeatmapPropagator or a VideoDetector, got {type(source).__name__}")
    if source.every != 1:
        raise ValueError(f"a graph looks at every frame: export a VideoDetector with every=1, got {source.every}")
    (frames,) = example if isinstance(example, tuple | list) and len(example) == 1 else (example,)
    if not isinstance(frames, Tensor):
        raise TypeError(f"the example of a VideoDetector must be (frames,), a tensor, got {type(frames).__name__}")
    if frames.dim() != 4:
        raise ValueError(f"frames must have shape (B, 3, H, W), one frame per stream, got {tuple(frames.shape)}")
    return frames


def _maps_of(example: Any) -> HeadMaps:
    if isinstance(example, Tensor):
        return HeadMaps(example)
    if isinstance(example, HeadMaps):
        return example
    if not isinstance(example, tuple | list) or not 1 <= len(example) <= 4:
        raise TypeError(
            "the example of a propagator must be (heatmap, offset, size), None for what there is not, or HeadMaps, "
            f"got {type(example).__name__}"
        )
    return HeadMaps(*example)
