"""HeatmapPropagator: the path of a frame. The mathematics is in the modules below it."""

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Any, Self

import torch
from torch import Tensor

from heatprop.association import detect
from heatprop.candidates import choose_candidates
from heatprop.checks import check_chunk, check_count, check_maps, check_reset, check_shift
from heatprop.coasting import check_dt, coast, elapsed_frames, let_pass
from heatprop.motion import predict
from heatprop.options import Option, PropagatorOptions, steady_keywords, takes_options
from heatprop.output import PropagatorOutput, stack_outputs
from heatprop.propagation import propagate
from heatprop.remembering.rules import check_motion, check_remembered
from heatprop.structures import Detections, HeadMaps, Tracklets
from heatprop.tracklets import TrackletMemory, confine, continue_with, empty_tracklets


class HeatmapPropagator(TrackletMemory):
    r"""Give a per-frame heatmap detector a memory of one frame (Xu, Hrustic, Vivet, ECCV 2020).

    Each call takes the maps of the next frame of B independent streams, blends the detections of the last
    frame into the heatmap before thresholding, and returns the balanced heatmap with its detections.

    It takes every field of `PropagatorOptions` as a keyword, such as ``HeatmapPropagator(radius=3, stride=8)``; you can
    read and set each one as an attribute. `steady` is a preset against flicker and ghosts.

    The state is at most K tracklets per stream. It moves with ``.to()``, is copied and pickled with the module, and
    never enters ``state_dict()``. Use one propagator per thread: a call that finds the memory changed by another thread
    raises ``RuntimeError``.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of its range.

    Examples:
        A face of score 0.9 is lost for one frame; the memory keeps it:

        >>> import torch
        >>> from heatprop import HeatmapPropagator
        >>> propagator = HeatmapPropagator()
        >>> seen, lost = torch.zeros(2, 1, 1, 32, 32).unbind()
        >>> seen[0, 0, 10, 20] = 0.9
        >>> lost[0, 0, 10, 20] = 0.04
        >>> _ = propagator(seen)
        >>> found = propagator(lost).detections.unpad()[0]
        >>> found["scores"], found["carried"], found["ages"]
        (tensor([0.6019]), tensor([True]), tensor([2], dtype=torch.int32))
    """

    options: PropagatorOptions

    @takes_options(PropagatorOptions)
    def __init__(self, options: PropagatorOptions) -> None:
        super().__init__()
        self.options = options

    if TYPE_CHECKING:  # each option reads as an attribute

        def __getattr__(self, name: str) -> Any: ...

    @classmethod
    def from_options(cls, options: PropagatorOptions) -> Self:
        """Make a propagator from a whole record.

        Args:
            options: The options. A subclass of `PropagatorOptions` may hold more fields, which are not read.

        Returns:
            The propagator.
        """
        return cls(**options.as_keywords())

    @classmethod
    def steady(cls, **overrides: Any) -> Self:
        """Make a propagator for videos that people watch: little flicker, few ghosts, crowds stay apart.

        This is no longer the paper's method: docs/steady.md explains each option, and docs/research.md gives the
        measurements.

        Args:
            overrides: Any option of the constructor, to change the preset. A larger ``radius`` takes ``max_radius``
                with it; ``peak_kernel=1`` sets ``nms_threshold`` to 0.5 (docs/dense-heads.md).

        Returns:
            The propagator.

        Raises:
            TypeError: If there is no such option, or it has the wrong type.
            ValueError: If an option is out of its range.

        Examples:
            >>> from heatprop import HeatmapPropagator
            >>> propagator = HeatmapPropagator.steady(stride=8)
            >>> propagator.average, propagator.nms_threshold, propagator.stride
            ('geometric', 0.6, 8)
        """
        return cls(**steady_keywords(overrides))

    def extra_repr(self) -> str:
        """Show every option."""
        return ", ".join(f"{name}={value!r}" for name, value in self.options.as_keywords().items())

    def forward(
        self,
        heatmap: Tensor,
        offset: Tensor | None = None,
        size: Tensor | None = None,
        *,
        extras: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
        dt: float | Tensor | None = None,
    ) -> PropagatorOutput:
        """Propagate the next frame of each stream and remember its detections.

        Args:
            heatmap: Scores after the sigmoid, shape ``(B, C, H, W)``, clamped to [0, 1]. A cell whose score, offset
                or size is not finite, or whose size is negative, counts as score 0, and the memory bridges it.
            offset: ``(dx, dy)``, shape ``(B, 2, H, W)``, in cells; ``None`` means half a cell.
            size: ``(w, h)``, shape ``(B, 2, H, W)``, in cells; ``None`` means points: no NMS, boxes with no area.
                Call `reset` before you change from points to boxes.
            extras: Maps ``{name: (B, D, H, W)}`` to read at the peaks; those of ``remember`` come back in every frame.
            reset: Streams that start again with this frame, shape ``(B,)``, ``bool``.
            shift: How the picture moved since the last frame, in cells: a translation ``(dx, dy)``, shape ``(B, 2)``,
                an affine map of ``(x, y, 1)``, shape ``(B, 2, 3)``, or a flow, shape ``(B, 2, H, W)``. Squares move
                with it; values that are not finite move nothing.
            dt: Frames since the last call (seconds times the nominal rate), above 0, a number or shape ``(B,)``; 1 by
                default. ``dt=n`` is ``coast(n - 1)`` and this call, away from borders. A stream that starts again
                ignores it. Numbers on the CPU are checked; elsewhere a wrong one counts as 1.

        Returns:
            The balanced heatmap and the detections.

        Raises:
            TypeError: If a map is not a floating-point tensor, or ``reset`` is not a boolean one.
            ValueError: If shapes or devices do not fit together, or differ from the last frame's.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        _check_frame(maps, reset, shift, dt)
        shape, last = tuple(heatmap.shape), self._shape
        if last not in (None, shape):
            hint = "A new video probably started: call reset() before it."
            raise ValueError(f"heatmap changed shape between frames, from {last} to {shape}. {hint}")
        before = prior = self.state
        if before is not None and last is None:  # a state that was set may come from larger maps
            prior = confine(before, heatmap.shape[1:])
        state, output = self._propagate(prior, maps, reset, shift, dt)
        self._follow(before, state)
        self._shape = shape
        return output

    def forward_chunk(
        self,
        heatmap: Tensor,
        offset: Tensor | None = None,
        size: Tensor | None = None,
        *,
        extras: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
        dt: float | Tensor | None = None,
    ) -> PropagatorOutput:
        """Propagate T frames of each stream, as T calls of `forward` would.

        Args:
            heatmap: Scores, shape ``(B, T, C, H, W)``.
            offset: Shape ``(B, T, 2, H, W)``, or ``None``.
            size: Shape ``(B, T, 2, H, W)``, or ``None``.
            extras: Maps ``{name: (B, T, D, H, W)}``.
            reset: Frames at which a stream starts again, shape ``(B, T)``, ``bool``.
            shift: Shape ``(B, T, 2)``, ``(B, T, 2, 3)`` or ``(B, T, 2, H, W)``, each from the frame before.
            dt: A number, or shape ``(B, T)``.

        Returns:
            The outputs of the frames, stacked to ``(B, T, ...)``.

        Raises:
            TypeError: As `forward`.
            ValueError: Likewise.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        check_chunk(maps)
        check_reset(reset, heatmap.shape[:2], heatmap.device)
        check_shift(shift, heatmap)
        check_dt(dt, heatmap.shape[:2], heatmap.device)
        outputs = []
        for t in range(heatmap.shape[1]):
            maps_t = maps.frame(t)
            reset_t, shift_t = (None if field is None else field[:, t] for field in (reset, shift))
            dt_t = dt[:, t] if isinstance(dt, Tensor) else dt
            outputs.append(self.forward(*maps_t[:3], extras=maps_t.extras, reset=reset_t, shift=shift_t, dt=dt_t))
        return stack_outputs(outputs, heatmap, size)

    def step(
        self,
        state: Tracklets | None,
        heatmap: Tensor,
        offset: Tensor | None = None,
        size: Tensor | None = None,
        *,
        extras: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
        dt: float | Tensor | None = None,
    ) -> tuple[Tracklets, PropagatorOutput]:
        """Propagate one frame without changing the module: you pass the state in and get the next one back.

        Use it for exports, functional code and gradients through time: the state is not detached.

        Args:
            state: What the last call returned for maps of this shape, or ``None`` before the first frame.
            heatmap: This and all that follow are as in `forward`.
            offset: As there.
            size: As there.
            extras: As there.
            reset: As there.
            shift: As there.
            dt: As there.

        Returns:
            The next state and the output.

        Raises:
            TypeError: As `forward`.
            ValueError: Likewise.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        _check_frame(maps, reset, shift, dt)
        if isinstance(state, Tracklets):
            state = confine(state, heatmap.shape[1:])
        return self._propagate(state, maps, reset, shift, dt)

    def coast(self, frames: int = 1, *, shift: Tensor | None = None, dt: float | Tensor | None = None) -> Detections:
        """Let the memory fill in frames that the detector skips.

        Every object stays where it is, or moves on with its velocity and the ``shift``. For want of evidence its score
        is multiplied by ``alpha`` in each frame. It is ``carried``, its age stays, and its network score is 0.

        Args:
            frames: How many frames pass, at least 1.
            shift: How the picture moved in each of them, shape ``(B, 2)`` or ``(B, 2, 3)``, as in `forward`.
            dt: How long each of them takes, as in `forward`.

        Returns:
            The detections of the last of these frames, with the extras that are remembered.

        Raises:
            TypeError: If ``frames`` or ``shift`` has the wrong type.
            ValueError: If ``frames`` is below 1, or ``shift`` does not fit.
            RuntimeError: Before the first frame.
        """
        check_count("frames", frames, low=1)
        state = self.state
        if state is None or self._shape is None:
            raise RuntimeError("coast continues from a propagated frame; call the propagator with maps first")
        check_shift(shift, state.score.new_empty(self._shape, device="meta"), device=state.score.device)
        check_dt(dt, self._shape[:1], state.score.device)
        dt = elapsed_frames(dt, state.score)
        following, detections = coast(state, self._shape[1:], self.options, frames=frames, shift=shift, dt=dt)
        self._follow(state, following)
        return detections

    def _propagate(
        self, state: Tracklets | None, maps: HeadMaps, reset: Tensor | None, shift: Tensor | None, dt: Any
    ) -> tuple[Tracklets, PropagatorOutput]:
        heatmap, options = maps.heatmap, self.options
        check_remembered(maps.extras, options.remembered)
        check_motion(maps.extras, options.motion)
        if state is None:
            wide = torch.promote_types(heatmap.dtype, torch.float32)
            state = empty_tracklets(heatmap.shape[0], options.top_k, device=heatmap.device, dtype=wide)
        prior = continue_with(state, heatmap, options.top_k, reset=reset, remembered=options.remembered)
        elapsed = elapsed_frames(dt, prior.score)
        prior, leaving = predict(prior, heatmap.shape[1:], options, shift=shift, frames=elapsed)
        if elapsed is not None:
            prior = let_pass(prior, options, frames=elapsed - 1)
        balanced = propagate(maps, prior, leaving, options)
        moving = options.moves or shift is not None
        candidates, kept = choose_candidates(maps, balanced, prior, options, moving=moving)
        detections, tracklets = detect(maps, candidates, kept, prior, options)
        returned, reach, seen = balanced.heatmap.to(heatmap.dtype), balanced.reach, balanced.seen
        return tracklets, PropagatorOutput(
            returned, detections, prior, heatmap, maps.size, options.largest_radius, reach, seen
        )


def _check_frame(maps: HeadMaps, reset: Tensor | None, shift: Tensor | None, dt: float | Tensor | None) -> None:
    check_maps(maps)
    check_reset(reset, maps.heatmap.shape[:1], maps.heatmap.device)
    check_shift(shift, maps.heatmap)
    check_dt(dt, maps.heatmap.shape[:1], maps.heatmap.device)


for _field in fields(PropagatorOptions):
    setattr(HeatmapPropagator, _field.name, Option(_field.name))
