"""HeatmapPropagator: the options and the state; the mathematics is in the modules below it."""

import inspect
import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from heatprop.association import detect
from heatprop.checks import check_chunk, check_count, check_maps, check_number, check_reset
from heatprop.output import PropagatorOutput, stack_outputs
from heatprop.propagation import balance_heatmap, cast_squares, find_tracked_peaks, inherit
from heatprop.structures import HeadMaps, Tracklets
from heatprop.tracklets import continue_with, empty_tracklets, forget, stream_mask


class HeatmapPropagator(nn.Module):
    r"""Give a per-frame heatmap detector a memory of one frame (Xu, Hrustic, Vivet, ECCV 2020).

    Each call takes the maps of the next frame of B independent streams, blends the detections of the last
    frame into the heatmap before thresholding, and returns the balanced heatmap with its detections.

    Args:
        radius: $P$, how far an object's centre may move from frame to frame, at least 0, in cells.
        alpha: $\alpha$, share of the long-term average against the instant heatmap, in [0, 1].
        beta: $\beta$, trust in long tracklets, 0 (ignore the past) to infinity (ignore the length).
        top_k: K, detections per frame over all classes, at least 1.
        score_threshold: Lowest balanced score of a detection, in [0, 1].
        nms_threshold: Largest IoU of two detections of one class, in [0, 1].
        peak_kernel: Side of the peak window, odd, in cells; ``None`` for ``max(3, 2 * radius + 1)``.
        stride: $R$, pixels of the network input per cell.
        carry: Score that is carried on: the ``"balanced"`` one (the paper's worked numbers), or the
            ``"network"``'s own (Eq. 11).

    The interpolation baseline of Sec. 5.1 is ``radius=0, alpha=0.5, beta=math.inf``.

    The state is at most K tracklets per stream. It moves with ``.to()``, is copied and pickled with the
    module, and never enters ``state_dict()``.

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

    def __init__(
        self,
        *,
        radius: int = 2,
        alpha: float = 0.98,
        beta: float = 2.0,
        top_k: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.3,
        peak_kernel: int | None = None,
        stride: float = 4,
        carry: Literal["balanced", "network"] = "balanced",
    ) -> None:
        super().__init__()
        check_count("radius", radius, low=0)
        check_count("top_k", top_k, low=1)
        check_number("alpha", alpha, low=0, high=1)
        check_number("beta", beta, low=0)
        check_number("score_threshold", score_threshold, low=0, high=1)
        check_number("nms_threshold", nms_threshold, low=0, high=1)
        check_number("stride", stride, low=0)
        if stride == 0 or stride == math.inf:
            raise ValueError(f"stride must be a finite number above 0, got {stride}")
        if peak_kernel is not None:
            check_count("peak_kernel", peak_kernel, low=1)
            if peak_kernel % 2 == 0:
                raise ValueError(f"peak_kernel must be odd, so that a cell is in its middle, got {peak_kernel}")
        if carry not in ("balanced", "network"):
            raise ValueError(f'carry must be "balanced" or "network", got {carry!r}')
        self.radius = radius
        self.alpha = alpha
        self.beta = beta
        self.top_k = top_k
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.peak_kernel = peak_kernel
        self.stride = stride
        self.carry = carry
        self._shape: tuple[int, ...] | None = None  # of the last heatmap
        for name in Tracklets._fields:
            self.register_buffer(f"_{name}", None, persistent=False)

    def forward(
        self,
        heatmap: Tensor,
        offset: Tensor | None = None,
        size: Tensor | None = None,
        *,
        extras: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
    ) -> PropagatorOutput:
        """Propagate the next frame of each stream and remember its detections.

        Args:
            heatmap: Scores after the sigmoid, shape ``(B, C, H, W)``, in [0, 1]. A cell that is not finite
                counts as score 0, and the memory bridges it.
            offset: ``(dx, dy)``, shape ``(B, 2, H, W)``, in cells; ``None`` is half a cell.
            size: ``(w, h)``, shape ``(B, 2, H, W)``, in cells; ``None`` means points: no NMS, boxes of no area.
                Call `reset` before you change from points to boxes.
            extras: Maps ``{name: (B, D, H, W)}`` to read at the peaks.
            reset: Streams that start anew with this frame, shape ``(B,)``, ``bool``.

        Returns:
            The balanced heatmap and the detections.

        Raises:
            TypeError: If a map is no floating tensor, or ``reset`` no boolean one.
            ValueError: If shapes or devices do not fit together, or differ from the last frame's.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        check_maps(maps)
        check_reset(reset, heatmap.shape[:1], heatmap.device)
        shape = tuple(heatmap.shape)
        if self._shape not in (None, shape):
            raise ValueError(
                f"heatmap changed shape between frames, from {self._shape} to {shape}. "
                "A new video probably started: call reset() before it."
            )
        state, output = self._propagate(self.state, maps, reset)
        self._remember(state)
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
    ) -> PropagatorOutput:
        """Propagate T frames of each stream, as T calls of `forward` would.

        Args:
            heatmap: Scores, shape ``(B, T, C, H, W)``.
            offset: Shape ``(B, T, 2, H, W)``, or ``None``.
            size: Shape ``(B, T, 2, H, W)``, or ``None``.
            extras: Maps ``{name: (B, T, D, H, W)}``.
            reset: Frames at which a stream starts anew, shape ``(B, T)``, ``bool``.

        Returns:
            The outputs of the frames, stacked to ``(B, T, ...)``.

        Raises:
            TypeError: As `forward`.
            ValueError: As `forward`.
        """
        check_chunk(HeadMaps(heatmap, offset, size, extras))
        check_reset(reset, heatmap.shape[:2], heatmap.device)
        outputs = []
        for t in range(heatmap.shape[1]):
            extras_t = {name: field[:, t] for name, field in (extras or {}).items()}
            offset_t, size_t, reset_t = (None if field is None else field[:, t] for field in (offset, size, reset))
            outputs.append(self.forward(heatmap[:, t], offset_t, size_t, extras=extras_t, reset=reset_t))
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
    ) -> tuple[Tracklets, PropagatorOutput]:
        """Propagate one frame without touching the module: the state goes in and comes out.

        For exports, functional code and gradients through time: the state is not detached.

        Args:
            state: What the last call returned for maps of this shape, or ``None`` before the first frame.
            heatmap: As in `forward`.
            offset: As in `forward`.
            size: As in `forward`.
            extras: As in `forward`.
            reset: As in `forward`.

        Returns:
            The next state and the output.

        Raises:
            TypeError: As `forward`.
            ValueError: As `forward`.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        check_maps(maps)
        check_reset(reset, heatmap.shape[:1], heatmap.device)
        return self._propagate(state, maps, reset)

    def initial_state(
        self, batch: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
    ) -> Tracklets:
        """Make the state before the first frame: no tracklet is valid.

        Args:
            batch: B, number of streams.
            device: Where it lives.
            dtype: Of the heatmap; the state is ``float32`` at least.

        Returns:
            Tracklets, shape ``(B, K)``.
        """
        wide = torch.promote_types(dtype, torch.float32)
        return empty_tracklets(batch, self.top_k, device=device, dtype=wide)

    @property
    def state(self) -> Tracklets | None:
        """The tracklets of the last frame, ``None`` before the first; set one from maps of the same shape to go on."""
        if self._valid is None:
            return None
        return Tracklets(*(getattr(self, f"_{name}") for name in Tracklets._fields))

    @state.setter
    def state(self, state: Tracklets | None) -> None:
        if state is not None and not isinstance(state, Tracklets):
            raise TypeError(f"state must be Tracklets or None, got {type(state).__name__}")
        self._shape = None
        self._remember(state)

    def reset(self, streams: int | Sequence[int] | Tensor | None = None) -> None:
        """Forget the past of some streams: a new video or scene starts there.

        Args:
            streams: An index, a list of them, or a mask of shape ``(B,)``, ``bool``; ``None`` forgets all, and
                the next frame may have another shape.

        Raises:
            ValueError: If there is no such stream.
        """
        state = self.state
        if streams is None:
            self.state = None
        elif state is not None:
            self._remember(forget(state, stream_mask(streams, len(state.next_id), state.valid.device)))

    def extra_repr(self) -> str:
        """Show every option."""
        options = inspect.signature(HeatmapPropagator).parameters
        return ", ".join(f"{name}={getattr(self, name)!r}" for name in options)

    def _propagate(
        self, state: Tracklets | None, maps: HeadMaps, reset: Tensor | None
    ) -> tuple[Tracklets, PropagatorOutput]:
        heatmap = maps.heatmap
        if state is None:
            state = self.initial_state(len(heatmap), device=heatmap.device, dtype=heatmap.dtype)
        prior = continue_with(state, heatmap, self.top_k)
        if reset is not None:
            prior = forget(prior, reset)
        squares = cast_squares(prior, heatmap.shape[1:], radius=self.radius, alpha=self.alpha, beta=self.beta)
        on_squares = inherit(prior, squares, squares.cells)
        balanced = balance_heatmap(heatmap, squares, on_squares)
        kernel = max(3, 2 * self.radius + 1) if self.peak_kernel is None else self.peak_kernel
        peaks = find_tracked_peaks(balanced, squares, on_squares, kernel=kernel)
        detections, tracklets = detect(
            maps,
            peaks,
            prior,
            squares,
            score_threshold=self.score_threshold,
            nms_threshold=self.nms_threshold,
            stride=self.stride,
            carry=self.carry,
        )
        returned = balanced.to(heatmap.dtype)
        return tracklets, PropagatorOutput(returned, detections, prior, heatmap, maps.size, self.radius)

    def _remember(self, state: Tracklets | None) -> None:
        for name in Tracklets._fields:
            setattr(self, f"_{name}", None if state is None else getattr(state, name).detach())
