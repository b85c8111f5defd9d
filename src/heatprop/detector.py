"""VideoDetector: any heatmap detector, an adapter and a memory in one module."""

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor, nn

from heatprop import adapters
from heatprop.checks import check_extras
from heatprop.output import PropagatorOutput
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets


class VideoDetector(nn.Module):
    """Give a per-frame heatmap detector a memory.

    Frames go through the detector, its output through the adapter, the maps through the propagator. A
    chunk of T frames is one call of the detector on all B * T frames; only the propagation goes frame by
    frame, so a chunk gives what its frames give one after the other.

    Args:
        detector: Any module or function from frames ``(N, 3, H, W)`` to an output that ``adapter`` reads.
            A module becomes a submodule: ``.to()``, ``.eval()`` and ``state_dict()`` reach it.
        propagator: The memory with its options; a :class:`heatprop.HeatmapPropagator` of the paper's
            defaults where none is given. Its ``stride`` must be the detector's.
        adapter: One of :mod:`heatprop.adapters` or any function from the detector's output to
            :class:`heatprop.HeadMaps`.

    Raises:
        TypeError: If ``detector`` or ``adapter`` cannot be called, or ``propagator`` is something else.

    Examples:
        >>> import torch
        >>> from heatprop import HeatmapPropagator, VideoDetector, adapters
        >>> def detector(frames):  # a bright pixel in every fourth row and column is an object of 12 x 8 pixels
        ...     scores, distances = frames[:, :1, ::4, ::4], torch.tensor([6.0, 4.0, 6.0, 4.0]).view(1, 4, 1, 1)
        ...     return scores, distances.expand(len(frames), 4, *scores.shape[2:])
        >>> video = VideoDetector(detector, HeatmapPropagator(), adapter=adapters.ltrb(logits=False))
        >>> frames = torch.zeros(1, 2, 3, 64, 64)  # one stream of two frames
        >>> frames[0, 0, :, 32, 16] = 0.9
        >>> frames[0, 1, :, 32, 16] = 0.1  # for this frame the object all but disappears
        >>> detections = video(frames)
        >>> detections.boxes[0, 1, 0].tolist(), f"{detections.scores[0, 1, 0]:.2f}"
        ([10.0, 28.0, 22.0, 36.0], '0.62')
    """

    def __init__(
        self,
        detector: Callable[[Tensor], Any],
        propagator: HeatmapPropagator | None = None,
        *,
        adapter: adapters.Adapter = adapters.centernet,
    ) -> None:
        super().__init__()
        for name, value in (("detector", detector), ("adapter", adapter)):
            if not callable(value):
                raise TypeError(f"{name} must be a module or a function, got {type(value).__name__}")
        if propagator is not None and not isinstance(propagator, HeatmapPropagator):
            came = type(propagator).__name__
            raise TypeError(f"propagator must be a HeatmapPropagator, got {came}; pass an adapter as adapter=")
        self.detector = detector
        self.propagator = HeatmapPropagator() if propagator is None else propagator
        self.adapter = adapter

    def forward(self, frames: Tensor, *, reset: Tensor | None = None) -> Detections:
        """Detect in the next frame, or the next T frames, of B streams.

        Args:
            frames: What the detector takes, shape ``(B, 3, H, W)`` or ``(B, T, 3, H, W)``.
            reset: Streams that start anew with a frame, shape ``(B,)``, with T ``(B, T)``, ``bool``.

        Returns:
            Detections with fields ``(B, K, ...)`` or ``(B, T, K, ...)``, boxes in pixels of the frames
            as the detector takes them.

        Raises:
            TypeError: If ``frames`` is no tensor, or the adapter does not return HeadMaps.
            ValueError: If ``frames`` has another rank, the detector's output is not what the adapter
                reads, or has another number of frames; see also :class:`heatprop.HeatmapPropagator`.
        """
        if not isinstance(frames, Tensor):
            raise TypeError(f"frames must be a tensor, got {type(frames).__name__}")
        if frames.dim() not in (4, 5):
            raise ValueError(f"frames must have shape (B, 3, H, W) or (B, T, 3, H, W), got {tuple(frames.shape)}")
        if frames.dim() == 4:
            heatmap, offset, size, extras = self._detect(frames)
            output: PropagatorOutput = self.propagator(heatmap, offset, size, extras=extras, reset=reset)
        else:
            heatmap, offset, size, extras = _with_time(self._detect(frames.flatten(0, 1)), frames.shape[:2])
            output = self.propagator.forward_chunk(heatmap, offset, size, extras=extras, reset=reset)
        return output.detections

    def reset(self, streams: int | Sequence[int] | Tensor | None = None) -> None:
        """Forget the past of some streams (an index, a list or a ``(B,)`` bool mask), or of all."""
        self.propagator.reset(streams)

    @property
    def state(self) -> Tracklets | None:
        """What the propagator remembers; ``None`` before the first frame."""
        return self.propagator.state

    @state.setter
    def state(self, state: Tracklets | None) -> None:
        self.propagator.state = state

    def _detect(self, frames: Tensor) -> HeadMaps:
        maps = self.adapter(self.detector(frames))  # every map (N, ...)
        if not isinstance(maps, HeadMaps):
            raise TypeError(
                f"the adapter must return heatprop.HeadMaps, got {type(maps).__name__}; "
                "return HeadMaps(heatmap, offset, size) from it"
            )
        check_extras(maps.extras)
        for value in (*maps[:3], *(maps.extras or {}).values()):
            if value is not None and value.shape[0] != frames.shape[0]:
                raise ValueError(
                    f"the detector must give one set of maps per frame, {frames.shape[0]} in all, got a map of "
                    f"shape {tuple(value.shape)}; it must keep the batch dimension of its input"
                )
        return maps


def _with_time(maps: HeadMaps, streams_and_frames: Sequence[int]) -> HeadMaps:
    def split(value: Tensor) -> Tensor:
        return value.reshape(*streams_and_frames, *value.shape[1:])  # (B, T, ...)

    heatmap, offset, size, extras = maps
    return HeadMaps(
        split(heatmap),
        None if offset is None else split(offset),
        None if size is None else split(size),
        {name: split(value) for name, value in (extras or {}).items()},
    )
