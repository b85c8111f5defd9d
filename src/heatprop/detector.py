"""VideoDetector: any heatmap detector, an adapter and a memory in one module."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heatprop import adapters
from heatprop.checks import check_count, check_extras, check_maps, check_number, check_reset
from heatprop.coasting import check_dt, frames_between
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets
from heatprop.tracklets import stream_mask, stream_numbers


class VideoDetector(nn.Module):
    """Give a per-frame heatmap detector a memory.

    The detector reads the frames, the adapter its output, and the propagator the maps. A
    chunk of T frames is one call of the detector on all B * T frames. Only the propagation goes frame by frame, so a
    chunk gives the same result as its frames one by one.

    At the first frame of a video it logs a warning if the heatmap cannot hold scores
    (`heatprop.adapters.warn_about_scores`). This waits for the device once.

    Args:
        detector: Any module or function from frames ``(N, 3, H, W)`` to an output that ``adapter`` reads.
            A module becomes a submodule: ``.to()``, ``.eval()`` and ``state_dict()`` reach it.
        propagator: The memory with its options; by default a :class:`heatprop.HeatmapPropagator` with the paper's
            options. Its ``stride`` must be the detector's.
        adapter: One of :mod:`heatprop.adapters` or any function from the detector's output to
            :class:`heatprop.HeadMaps`.
        every: The detector looks only at every n-th frame, starting with the first, and the memory fills in the others
            (`HeatmapPropagator.coast`): their detections are ``carried``, fade a little, keep their age, and have the
            remembered extras; others are 0. After a reset of any stream, the detector looks at that frame of the whole
            batch, and the count starts again there. With n > 1, a ``reset`` mask waits for the device.
        rate: Nominal number of frames per second, for the ``timestamps`` of the frames.

    Raises:
        TypeError: If ``detector`` or ``adapter`` cannot be called, ``propagator`` is not a HeatmapPropagator, or
            ``every`` is not a whole number.
        ValueError: If ``every`` is below 1, or ``rate`` not finite and above 0.

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
        every: int = 1,
        rate: float | None = None,
    ) -> None:
        super().__init__()
        check_count("every", every, low=1)
        if rate is not None:
            check_number("rate", rate, low=1e-6, high=1e6)
        for name, value in (("detector", detector), ("adapter", adapter)):
            if not callable(value):
                raise TypeError(f"{name} must be a module or a function, got {type(value).__name__}")
        if propagator is not None and not isinstance(propagator, HeatmapPropagator):
            came = type(propagator).__name__
            raise TypeError(f"propagator must be a HeatmapPropagator, got {came}; pass an adapter as adapter=")
        self.detector = detector
        self.propagator = HeatmapPropagator() if propagator is None else propagator
        self.adapter = adapter
        self.every = every
        self.rate = rate
        self._times: Tensor | None = None  # of the last frame, in seconds
        self._checked = False  # whether the scores of this video were looked at
        self._turns = Turns(every)
        self._looked: _Look | None = None  # at which frame it looked last

    def forward(
        self,
        frames: Tensor,
        *,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
        dt: float | Tensor | None = None,
        timestamps: Tensor | None = None,
    ) -> Detections:
        """Detect in the next frame, or the next T frames, of B streams.

        Args:
            frames: What the detector takes, shape ``(B, 3, H, W)`` or ``(B, T, 3, H, W)``.
            reset: Streams that start again with a frame, shape ``(B,)``, or ``(B, T)`` for a chunk, ``bool``.
            shift: How the picture moved since the frame before, in **cells** of the heatmap: ``(B, 2)``, ``(B, 2, 3)``
                or ``(B, 2, H / stride, W / stride)``, with T after B for a chunk; see `HeatmapPropagator.forward`.
            dt: Frames that have passed since the frame before, a number, ``(B,)``, or ``(B, T)`` for a chunk.
            timestamps: Instead of ``dt``, when each frame was taken, in seconds, ``(B,)``, or ``(B, T)`` for a chunk,
                ``float64`` on the CPU. They must increase. With them the first frame of a stream counts as one.

        Returns:
            Detections with fields ``(B, K, ...)`` or ``(B, T, K, ...)``, boxes in pixels of the frames
            as the detector takes them.

        Raises:
            TypeError: If ``frames`` is not a tensor, or the adapter does not return HeadMaps.
            ValueError: If ``frames`` has another rank, the adapter cannot read the detector's output, or the output has
                another number of frames; see also :class:`heatprop.HeatmapPropagator`.
        """
        if not isinstance(frames, Tensor):
            raise TypeError(f"frames must be a tensor, got {type(frames).__name__}")
        if frames.dim() not in (4, 5):
            raise ValueError(f"frames must have shape (B, 3, H, W) or (B, T, 3, H, W), got {tuple(frames.shape)}")
        if timestamps is not None:
            if self.rate is None or dt is not None:
                raise ValueError("timestamps need VideoDetector(..., rate=) and stand instead of dt; give either")
            dt = frames_between(timestamps, self._times, reset, frames.shape[: frames.dim() - 3], self.rate)
        looks, turns = self._plan(frames, reset)
        if frames.dim() == 5:
            _check_frames_of(shift, frames)
            check_dt(dt, frames.shape[:2], frames.device)
            detections = self._pass(frames, looks, reset, shift, dt)
        elif all(looks):
            detections = self._propagate(frames, self._detect(frames), reset, shift, dt)
        else:
            detections = self._coast(frames, shift, dt)
        self._turns = turns
        self._times = None if timestamps is None else timestamps.reshape(len(frames), -1)[:, -1].clone()
        return detections

    def reset(self, streams: int | Sequence[int] | Tensor | None = None) -> None:
        """Forget the past of all streams, or of some: an index, a list, or a ``(B,)`` bool mask."""
        self.propagator.reset(streams)
        if streams is None or _names_any(streams):
            self._turns = Turns(self.every)
        if streams is None:
            self._times, self._checked = None, False
        elif self._times is not None:
            self._times = self._times.masked_fill(stream_mask(streams, len(self._times), self._times.device), torch.nan)

    @property
    def state(self) -> Tracklets | None:
        """What the propagator remembers, ``None`` before the first frame. After you set it, the detector looks next."""
        return self.propagator.state

    @state.setter
    def state(self, state: Tracklets | None) -> None:
        self.propagator.state = state
        self._turns, self._times = Turns(self.every), None

    def extra_repr(self) -> str:
        """Show how often the detector looks."""
        return f"every={self.every}"

    def _plan(self, frames: Tensor, reset: Tensor | None) -> "tuple[list[bool], Turns]":
        """Choose the frames that the detector looks at, and say whose turn comes after them."""
        count = frames.shape[1] if frames.dim() == 5 else 1
        if self.every == 1:
            return [True] * count, self._turns
        anew = [False] * count
        if reset is not None:
            check_reset(reset, frames.shape[: frames.dim() - 3], getattr(reset, "device", frames.device))
            anew = reset.reshape(-1, count).any(0).tolist()
        turns, looks = Turns(self.every) if self.propagator.state is None else self._turns, list[bool]()
        for starts in anew:
            look, turns = turns.take(anew=starts)
            looks.append(look)
        return looks, turns

    def _pass(
        self, frames: Tensor, looks: list[bool], reset: Tensor | None, shift: Tensor | None, dt: float | Tensor | None
    ) -> Detections:
        """Go through a chunk with one call of the detector, on the frames that it looks at."""
        seen = [t for t, look in enumerate(looks) if look]
        if seen:
            looked_at = frames if all(looks) else frames[:, seen]
            leading = looked_at.shape[:2]
            maps = self._detect(looked_at.flatten(0, 1)).map(lambda field: field.reshape(*leading, *field.shape[1:]))
        if all(looks):
            detections = self.propagator.forward_chunk(
                *maps[:3], extras=maps.extras, reset=reset, shift=shift, dt=dt
            ).detections
            self._looked = _Look.at(frames[:, -1], detections)
            return detections
        found = []
        with self.propagator.whole_or_nothing():
            for t, look in enumerate(looks):
                reset_t, shift_t = (None if field is None else field[:, t] for field in (reset, shift))
                dt_t = dt[:, t] if isinstance(dt, Tensor) else dt
                if look:
                    found.append(self._propagate(frames[:, t], maps.frame(seen.index(t)), reset_t, shift_t, dt_t))
                else:
                    found.append(self._coast(frames[:, t], shift_t, dt_t))
            _check_same_extras(found)
            return Detections.stack(found)

    def _propagate(
        self, frames: Tensor, maps: HeadMaps, reset: Tensor | None, shift: Tensor | None, dt: float | Tensor | None
    ) -> Detections:
        output = self.propagator(*maps[:3], extras=maps.extras, reset=reset, shift=shift, dt=dt)
        detections: Detections = output.detections
        self._looked = _Look.at(frames, detections)
        return detections

    def _coast(self, frames: Tensor, shift: Tensor | None, dt: float | Tensor | None) -> Detections:
        looked = self._looked
        if looked is None or looked.shape != frames.shape:
            before, hint = None if looked is None else tuple(looked.shape), "A new video probably started: call reset()"
            raise ValueError(f"frames changed shape, from {before} to {tuple(frames.shape)}. {hint} before it.")
        detections = self.propagator.coast(shift=shift, dt=dt)
        places, device = detections.scores.shape, detections.scores.device
        extras = {
            name: torch.zeros(*places, depth, dtype=dtype, device=device)
            for name, (depth, dtype) in looked.extras.items()
        }
        return detections._replace(extras=extras | detections.extras)

    def _detect(self, frames: Tensor) -> HeadMaps:
        maps = self.adapter(self.detector(frames))  # every map (N, ...)
        if not isinstance(maps, HeadMaps):
            raise TypeError(
                f"the adapter must return heatprop.HeadMaps, got {type(maps).__name__}; "
                "return HeadMaps(heatmap, offset, size) from it"
            )
        check_extras(maps.extras)
        for value in (*maps[:3], *(maps.extras or {}).values()):
            if isinstance(value, Tensor) and value.shape[:1] not in ((), frames.shape[:1]):
                raise ValueError(
                    f"the detector must give one set of maps per frame, {frames.shape[0]} in all, got a map of "
                    f"shape {tuple(value.shape)}; it must keep the batch dimension of its input"
                )
        check_maps(maps)
        if not self._checked and not torch.compiler.is_compiling():
            adapters.warn_about_scores(maps)  # waits for the device: only in the first frame
            self._checked = True
        return maps


class Turns(NamedTuple):
    """Whose turn it is: the detector's at every n-th frame, the memory's at the others.

    Attributes:
        every: The n, at least 1.
        wait: Frames until the detector looks again.
    """

    every: int
    wait: int = 0

    def take(self, *, anew: bool = False) -> "tuple[bool, Turns]":
        """Return whether the detector looks at this frame, as it must at a start, and count the frame."""
        look = anew or self.wait == 0
        return look, self._replace(wait=(self.every if look else self.wait) - 1)


class _Look(NamedTuple):
    """What skipped frames must look like."""

    shape: torch.Size  # of the frames
    extras: dict[str, tuple[int, torch.dtype]]

    @classmethod
    def at(cls, frames: Tensor, detections: Detections) -> "_Look":
        return cls(frames.shape, {name: (value.shape[-1], value.dtype) for name, value in detections.extras.items()})


def _check_same_extras(found: Sequence[Detections]) -> None:
    """Require the same extras in each frame of a chunk: those of coasted frames are the last look's."""
    kinds = [{name: (value.shape[-1], value.dtype) for name, value in one.extras.items()} for one in found]
    for kind in kinds:
        if kind != kinds[0]:
            raise ValueError(
                f"the detector's extras changed between frames, from {kinds[0]} to {kind}. "
                "A new video probably started: call reset() before it."
            )


def _names_any(streams: int | Sequence[int] | Tensor) -> bool:
    named = stream_numbers(streams)
    return bool(named.any()) if named.dtype == torch.bool else named.numel() > 0


def _check_frames_of(shift: Tensor | None, frames: Tensor) -> None:
    """Require a motion for each frame of a chunk; the propagator checks the rest."""
    if isinstance(shift, Tensor) and (shift.dim() < 3 or shift.shape[:2] != frames.shape[:2]):
        leading = tuple(frames.shape[:2])
        raise ValueError(
            f"shift must have shape (B, T, 2), (B, T, 2, 3) or (B, T, 2, H, W) with (B, T) = {leading}, "
            f"got {tuple(shift.shape)}"
        )
    if shift is not None and not isinstance(shift, Tensor):
        raise TypeError(f"shift must be a torch.Tensor, got {type(shift).__name__}; torch.as_tensor makes one")
