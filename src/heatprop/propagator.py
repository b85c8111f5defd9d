"""HeatmapPropagator: the way of a frame; the mathematics is in the modules below it."""

from collections.abc import Mapping

from torch import Tensor

from heatprop.association import detect
from heatprop.candidates import claim_cells, read_candidates
from heatprop.checks import check_chunk, check_count, check_maps, check_reset, check_shift
from heatprop.coasting import coast
from heatprop.motion import predict
from heatprop.options import PropagatorOptions
from heatprop.output import PropagatorOutput, stack_outputs
from heatprop.propagation import Squares, balance_heatmap, cast_squares, find_tracked_peaks, inherit
from heatprop.structures import Detections, HeadMaps, Tracklets
from heatprop.tracklets import continue_with, forget


class HeatmapPropagator(PropagatorOptions):
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
        average: Eqs. 5 and 6 on the scores, ``"arithmetic"`` (the paper), or on their logarithms, ``"geometric"``:
            what the network no longer sees fades within a few frames.
        claim_once: Let a tracklet pass to one detection only, the highest balanced score; other peaks in its square
            fall back to the network's score and are new.
        max_length: Largest tracklet length that counts in the weight, in frames; ``None`` for no limit.
        evidence: Shrink the length in frames in which the network's own score is below the threshold.
        max_unseen: Frames in a row that an object is carried without the network seeing it; ``None`` for no limit.
        border: Remember no score of an object that leaves: one that moves out of the map until less than this share
            of its box, in [0, 1], is inside. It takes a ``shift`` or ``velocity``.
        velocity: Let each tracklet go on with its measured velocity.
        radius_per_size: Let the radius grow with the object: a share of its box's shorter side, rounded, at
            least ``radius``; 0 for one radius for all.
        max_radius: Largest such radius, in cells.

    The options from ``average`` on are not the paper's, and off by default; `steady` turns on those that keep
    what they promise. The interpolation baseline of Sec. 5.1 is ``radius=0, alpha=0.5, beta=math.inf``.

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

    def forward(
        self,
        heatmap: Tensor,
        offset: Tensor | None = None,
        size: Tensor | None = None,
        *,
        extras: Mapping[str, Tensor] | None = None,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
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
            shift: How the picture moved since the last frame, in cells: a translation ``(dx, dy)``, shape ``(B, 2)``,
                an affine map of ``(x, y, 1)``, shape ``(B, 2, 3)``, or a flow, shape ``(B, 2, H, W)``. Squares move
                with it; what is not finite moves nothing.

        Returns:
            The balanced heatmap and the detections.

        Raises:
            TypeError: If a map is no floating tensor, or ``reset`` no boolean one.
            ValueError: If shapes or devices do not fit together, or differ from the last frame's.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        check_maps(maps)
        check_reset(reset, heatmap.shape[:1], heatmap.device)
        check_shift(shift, heatmap)
        shape = tuple(heatmap.shape)
        if self._shape not in (None, shape):
            raise ValueError(
                f"heatmap changed shape between frames, from {self._shape} to {shape}. "
                "A new video probably started: call reset() before it."
            )
        state, output = self._propagate(self.state, maps, reset, shift)
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
        shift: Tensor | None = None,
    ) -> PropagatorOutput:
        """Propagate T frames of each stream, as T calls of `forward` would.

        Args:
            heatmap: Scores, shape ``(B, T, C, H, W)``.
            offset: Shape ``(B, T, 2, H, W)``, or ``None``.
            size: Shape ``(B, T, 2, H, W)``, or ``None``.
            extras: Maps ``{name: (B, T, D, H, W)}``.
            reset: Frames at which a stream starts anew, shape ``(B, T)``, ``bool``.
            shift: Shape ``(B, T, 2)``, ``(B, T, 2, 3)`` or ``(B, T, 2, H, W)``, each from the frame before.

        Returns:
            The outputs of the frames, stacked to ``(B, T, ...)``.

        Raises:
            TypeError: As `forward`.
            ValueError: As `forward`.
        """
        check_chunk(HeadMaps(heatmap, offset, size, extras))
        check_reset(reset, heatmap.shape[:2], heatmap.device)
        check_shift(shift, heatmap)
        outputs = []
        for t in range(heatmap.shape[1]):
            extras_t = {name: field[:, t] for name, field in (extras or {}).items()}
            offset_t, size_t, reset_t, shift_t = (
                None if field is None else field[:, t] for field in (offset, size, reset, shift)
            )
            outputs.append(self.forward(heatmap[:, t], offset_t, size_t, extras=extras_t, reset=reset_t, shift=shift_t))
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
            shift: As in `forward`.

        Returns:
            The next state and the output.

        Raises:
            TypeError: As `forward`.
            ValueError: As `forward`.
        """
        maps = HeadMaps(heatmap, offset, size, extras)
        check_maps(maps)
        check_reset(reset, heatmap.shape[:1], heatmap.device)
        check_shift(shift, heatmap)
        return self._propagate(state, maps, reset, shift)

    def coast(self, frames: int = 1, *, shift: Tensor | None = None) -> Detections:
        """Let the memory stand in for frames that the detector does not look at.

        Every object stays, or goes on with its velocity and the ``shift``; scores and ages stay as they are, because
        nothing was seen that speaks for or against them. All detections are ``carried``, their network score is 0.

        Args:
            frames: How many frames pass, at least 1.
            shift: How the picture moved in each of them, shape ``(B, 2)`` or ``(B, 2, 3)``, as in `forward`.

        Returns:
            The detections of the last of these frames, without extras.

        Raises:
            TypeError: If ``frames`` or ``shift`` has the wrong type.
            ValueError: If ``frames`` is below 1, or ``shift`` does not fit.
            RuntimeError: Before the first frame.
        """
        check_count("frames", frames, low=1)
        state = self.state
        if state is None or self._shape is None:
            raise RuntimeError("coast goes on from a frame that was propagated; call the propagator with maps first")
        check_shift(shift, state.score.new_empty(self._shape, device="meta"), device=state.score.device)
        state, detections = coast(
            state,
            self._shape[1:],
            frames=frames,
            shift=shift,
            velocity=self.velocity,
            stride=self.stride,
            max_unseen=self.max_unseen,
            border=self.border,
        )
        self._remember(state)
        return detections

    def _propagate(
        self, state: Tracklets | None, maps: HeadMaps, reset: Tensor | None, shift: Tensor | None
    ) -> tuple[Tracklets, PropagatorOutput]:
        heatmap, shape = maps.heatmap, maps.heatmap.shape[1:]
        if state is None:
            state = self.initial_state(len(heatmap), device=heatmap.device, dtype=heatmap.dtype)
        prior = continue_with(state, heatmap, self.top_k)
        if reset is not None:
            prior = forget(prior, reset)
        prior, leaving = predict(prior, shape, shift=shift, velocity=self.velocity, border=self.border)
        squares = self._cast(prior, shape, leaving)
        on_squares = inherit(prior, squares, squares.cells)
        balanced = balance_heatmap(heatmap, squares, on_squares, average=self.average)
        kernel = max(3, 2 * self.radius + 1) if self.peak_kernel is None else self.peak_kernel
        peaks = find_tracked_peaks(balanced, squares, on_squares, kernel=kernel)
        peak_scores, index, inherited = claim_cells(peaks, prior, squares, once=self.claim_once)
        candidates = read_candidates(
            maps,
            index,
            prior,
            inherited,
            stride=self.stride,
            score_threshold=self.score_threshold,
            average=self.average,
            moving=self.velocity or shift is not None,
            evidence=self.evidence,
        )
        kept = (peak_scores > 0) & (candidates.scores >= self.score_threshold)
        if self.max_unseen is not None:
            kept = kept & (candidates.unseen <= self.max_unseen)
        detections, tracklets = detect(
            maps,
            candidates,
            kept,
            prior,
            score_threshold=self.score_threshold,
            nms_threshold=self.nms_threshold,
            carry=self.carry,
            velocity=self.velocity,
        )
        returned = balanced.to(heatmap.dtype)
        return tracklets, PropagatorOutput(
            returned, detections, prior, heatmap, maps.size, self.radius, self.radius_per_size, self.max_radius
        )

    def _cast(self, prior: Tracklets, shape: tuple[int, ...], leaving: Tensor | None) -> Squares:
        return cast_squares(
            prior,
            shape,
            radius=self.radius,
            alpha=self.alpha,
            beta=self.beta,
            max_length=self.max_length,
            radius_per_size=self.radius_per_size,
            max_radius=self.max_radius,
            leaving=leaving,
        )
