"""The state between two frames, and the memory of a module that holds it."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from heatprop.checks import check_state
from heatprop.structures import Tracklets


class TrackletMemory(nn.Module):
    """Remember the tracklets of the last frame, at most K per stream.

    The state moves with ``.to()``, is copied and pickled with the module, and never enters ``state_dict()``. It is
    detached, and replaced, never written in place.

    Attributes:
        top_k: K, places per stream; the class below says how many.
    """

    top_k: int

    def __init__(self) -> None:
        super().__init__()
        self._shape: tuple[int, ...] | None = None  # of the last heatmap
        for name in Tracklets._fields:
            self.register_buffer(f"_{name}", None, persistent=False)

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
        """The tracklets of the last frame, ``None`` before the first.

        Set one that came from maps of the same shape to go on from there: it is checked, which waits for the device,
        and copied.
        """
        if self._valid is None:
            return None
        return Tracklets(*(getattr(self, f"_{name}") for name in Tracklets._fields))

    @state.setter
    def state(self, state: Tracklets | None) -> None:
        if state is not None:
            check_state(state)
            state = complete(state).map(lambda field: field.clone())
        self._shape = None
        self._remember(state)

    def reset(self, streams: int | Sequence[int] | Tensor | None = None) -> None:
        """Forget the past of some streams: a new video or scene starts there.

        Args:
            streams: An index, a list of them, or a mask of shape ``(B,)``, ``bool``; ``None`` forgets all, and
                the next frame may have another shape.

        Raises:
            TypeError: If ``streams`` is none of these.
            ValueError: If there is no such stream.
        """
        state = self.state
        if streams is None:
            self.state = None
        elif state is None:
            stream_numbers(streams)
        else:
            self._remember(forget(state, stream_mask(streams, len(state.next_id), state.valid.device)))

    @contextmanager
    def whole_or_nothing(self) -> Iterator[None]:
        """Take several steps of which all are remembered, or, after an error, none."""
        state, shape, done = self.state, self._shape, False
        try:
            yield
            done = True
        finally:
            if not done:
                self._remember(state)
                self._shape = shape

    def _follow(self, before: Tracklets | None, state: Tracklets) -> None:
        """Remember what follows a state, if that is still what is remembered."""
        if self._valid is not (None if before is None else before.valid):
            raise RuntimeError(
                "the memory changed during this call: another thread used the same propagator; give each thread its own"
            )
        self._remember(state)

    def _remember(self, state: Tracklets | None) -> None:
        """Replace the state, detached."""
        for name in Tracklets._fields:
            setattr(self, f"_{name}", None if state is None else getattr(state, name).detach())


def empty_tracklets(batch: int, count: int, *, device: torch.device | str | None, dtype: torch.dtype) -> Tracklets:
    """Make tracklets of which none is valid.

    Args:
        batch: B, number of streams.
        count: K, places per stream.
        device: Where they live.
        dtype: Of scores and sizes.

    Returns:
        Tracklets, shape ``(B, K)``.
    """

    def zeros(*shape: int, dtype: torch.dtype) -> Tensor:
        return torch.zeros(batch, *shape, dtype=dtype, device=device)

    return Tracklets(
        label=zeros(count, dtype=torch.int64),
        x=zeros(count, dtype=torch.int64),
        y=zeros(count, dtype=torch.int64),
        score=zeros(count, dtype=dtype),
        length=zeros(count, dtype=torch.int32),
        size=zeros(count, 2, dtype=dtype),
        track_id=zeros(count, dtype=torch.int64) - 1,
        valid=zeros(count, dtype=torch.bool),
        next_id=zeros(dtype=torch.int64),
        position=zeros(count, 2, dtype=dtype),
        velocity=zeros(count, 2, dtype=dtype),
        unseen=zeros(count, dtype=torch.int32),
    )


def continue_with(tracklets: Tracklets, heatmap: Tensor, count: int, *, reset: Tensor | None = None) -> Tracklets:
    """Check that tracklets go with the next heatmap and bring them to its precision.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        heatmap: The next scores, shape ``(B, C, H, W)``.
        count: K, places per stream that are expected.
        reset: Streams whose tracklets are forgotten, shape ``(B,)``, ``bool``.

    Returns:
        The tracklets, what was left out filled in, floating fields in the heatmap's dtype, ``float32`` at least.

    Raises:
        TypeError: If they are no `Tracklets`.
        ValueError: If batch, K or device differ.
    """
    if not isinstance(tracklets, Tracklets):
        raise TypeError(f"state must be Tracklets or None, got {type(tracklets).__name__}")
    B, K = tracklets.valid.shape
    if count != K:
        raise ValueError(f"state holds {K} tracklets per stream, top_k is {count}; call reset() or set top_k={K}")
    if len(heatmap) != B:
        raise ValueError(
            f"heatmap has {len(heatmap)} streams, the state {B}. "
            "Call reset(), or pass None as the state of step(), before another batch"
        )
    if heatmap.device != tracklets.valid.device:
        raise ValueError(
            f"heatmap is on {heatmap.device}, the state on {tracklets.valid.device}; "
            "move the module (or the state) with .to(), or call reset()"
        )
    dtype = torch.promote_types(heatmap.dtype, torch.float32)
    tracklets = complete(tracklets)
    floating = {name: getattr(tracklets, name).to(dtype) for name in ("score", "size", "position", "velocity")}
    tracklets = tracklets._replace(**floating)
    return tracklets if reset is None else forget(tracklets, reset)


def confine(tracklets: Tracklets, shape: tuple[int, ...]) -> Tracklets:
    """Bring cells and labels into the map ``(C, H, W)``: what came from a larger one must not be read outside."""
    C, H, W = shape
    label, x, y = tracklets.label.clamp(0, C - 1), tracklets.x.clamp(0, W - 1), tracklets.y.clamp(0, H - 1)
    return tracklets._replace(label=label, x=x, y=y)


def complete(tracklets: Tracklets) -> Tracklets:
    """Fill in what tracklets may leave out: the middle of the cell, at rest, seen."""
    if tracklets.position is None:
        wide = torch.promote_types(tracklets.size.dtype, torch.float32)
        middle = torch.stack([tracklets.x, tracklets.y], dim=2).to(wide) + 0.5
        tracklets = tracklets._replace(position=middle)
    if tracklets.velocity is None:
        tracklets = tracklets._replace(velocity=torch.zeros_like(tracklets.position))
    if tracklets.unseen is None:
        tracklets = tracklets._replace(unseen=torch.zeros_like(tracklets.length))
    return tracklets


def forget(tracklets: Tracklets, streams: Tensor) -> Tracklets:
    """Drop the tracklets of some streams and start their identities from 0.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        streams: Mask of the streams, shape ``(B,)``, ``bool``.

    Returns:
        New tracklets; the arguments keep theirs.
    """
    kept = [field.masked_fill(streams.view(-1, *[1] * (field.dim() - 1)), 0) for field in tracklets]
    cleared = Tracklets(*kept)
    return cleared._replace(track_id=tracklets.track_id.masked_fill(streams.unsqueeze(1), -1))


def stream_mask(streams: int | Sequence[int] | Tensor, batch: int, device: torch.device) -> Tensor:
    """Turn an index, a list of them, or a mask into a mask of shape ``(B,)``.

    Args:
        streams: An index, a list or tensor of them, or a mask, ``bool``.
        batch: B, number of streams.
        device: Where the mask is needed.

    Returns:
        Shape ``(B,)``, ``bool``.

    Raises:
        ValueError: If there is no such stream, or the mask has another length.
        TypeError: If it is none of these.
    """
    chosen = stream_numbers(streams)
    if chosen.dtype == torch.bool:
        if chosen.shape != (batch,):
            raise ValueError(f"a mask of streams must have shape ({batch},), got {tuple(chosen.shape)}")
        return chosen.to(device)
    for index in chosen.flatten().tolist():
        if not -batch <= index < batch:
            raise ValueError(f"streams must be between {-batch} and {batch - 1}, got {index}")
    mask = torch.zeros(batch, dtype=torch.bool)
    mask[chosen.long()] = True
    return mask.to(device)


def stream_numbers(streams: int | Sequence[int] | Tensor) -> Tensor:
    """Turn what names streams into a tensor: a mask, or whole numbers.

    Args:
        streams: An index, a list or tensor of them, or a mask, ``bool``.

    Returns:
        The mask, or the numbers, shape ``(n,)`` or ``()``.

    Raises:
        TypeError: If it is none of these.
    """
    wanted = f"streams must be an index, a list of them, or a bool mask, got {streams!r}"
    try:
        chosen = torch.as_tensor(streams)
    except (TypeError, ValueError, RuntimeError) as error:
        raise TypeError(wanted) from error
    if chosen.layout != torch.strided or chosen.is_meta:
        raise TypeError(f"{wanted}; its values must be at hand")
    is_whole = not (chosen.is_floating_point() or chosen.is_complex())
    if chosen.dtype != torch.bool and (chosen.dim() > 1 or (chosen.numel() and not is_whole)):
        raise TypeError(wanted)
    return chosen
