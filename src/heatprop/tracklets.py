"""The state between two frames, and the memory of a module that holds it."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from heatprop.checks import check_state
from heatprop.identities import KNOWN, nobody
from heatprop.remembering.recall import with_extras
from heatprop.remembering.rules import Remembered, Rule, read_rules
from heatprop.structures import Tracklets, change_fields


class TrackletMemory(nn.Module):
    """Remember the tracklets of the last frame, at most K per stream.

    The state moves with ``.to()``, is copied and pickled with the module, and never enters ``state_dict()``. It is
    detached, and always replaced, never written in place.

    Attributes:
        top_k: K, places per stream; subclasses define it.
        remember: The extras that are remembered, as `heatprop.remembering.rules.read_rules` takes them; likewise.
    """

    top_k: int
    remember: Mapping[str, tuple[Rule, int]] | None

    def __init__(self) -> None:
        super().__init__()
        self._shape: tuple[int, ...] | None = None  # of the last heatmap
        for name in Tracklets._fields:
            self.register_buffer(f"_{name}", None, persistent=False)

    def initial_state(
        self, batch: int, *, device: torch.device | str | None = None, dtype: torch.dtype = torch.float32
    ) -> Tracklets:
        """Make the state before the first frame, in which no tracklet is valid.

        Args:
            batch: B, number of streams.
            device: Device of the state.
            dtype: The heatmap's; the state is at least ``float32``.

        Returns:
            Tracklets, shape ``(B, K)``.
        """
        wide = torch.promote_types(dtype, torch.float32)
        tracklets = empty_tracklets(batch, self.top_k, device=device, dtype=wide)
        return with_extras(tracklets, read_rules(self.remember))

    @property
    def state(self) -> Tracklets | None:
        """The tracklets of the last frame, ``None`` before the first.

        To continue from a saved state, set it; it must come from maps of the same shape. It is copied and checked,
        which waits for the device.
        """
        if self._valid is None:
            return None
        return Tracklets(*(getattr(self, f"_{name}") for name in Tracklets._fields))

    @state.setter
    def state(self, state: Tracklets | None) -> None:
        if state is not None:
            check_state(state)
            state = complete(state, read_rules(self.remember)).map(lambda field: field.clone())
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
        """Take several steps and remember all of them or, after an error, none."""
        state, shape, done = self.state, self._shape, False
        try:
            yield
            done = True
        finally:
            if not done:
                self._remember(state)
                self._shape = shape

    def _follow(self, before: Tracklets | None, state: Tracklets) -> None:
        """Remember the next state, if nobody else has changed the memory in between."""
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
    """Make tracklets that are all invalid.

    Args:
        batch: B, number of streams.
        count: K, places per stream.
        device: Their device.
        dtype: The dtype of scores and sizes.

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
        unseen=zeros(count, dtype=dtype),
        **nobody(batch, count, device=device, dtype=dtype).fields(),
        unwatched=zeros(dtype=dtype),
    )


def continue_with(
    tracklets: Tracklets,
    heatmap: Tensor,
    count: int,
    *,
    reset: Tensor | None = None,
    remembered: Sequence[Remembered] = (),
) -> Tracklets:
    """Check that tracklets fit the next heatmap, and convert them to its precision.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        heatmap: The next scores, shape ``(B, C, H, W)``.
        count: The expected K, places per stream.
        reset: Streams whose tracklets are forgotten, shape ``(B,)``, ``bool``.
        remembered: The extras that are remembered.

    Returns:
        The tracklets, complete, floating-point fields in the heatmap's dtype, at least ``float32``.

    Raises:
        TypeError: If they are not `Tracklets`.
        ValueError: If batch, K, device or remembered extras differ.
    """
    if not isinstance(tracklets, Tracklets):
        raise TypeError(f"state must be Tracklets or None, got {type(tracklets).__name__}")
    B, K = tracklets.valid.shape
    if count != K:
        raise ValueError(f"state holds {K} tracklets per stream, top_k is {count}; call reset() or set top_k={K}")
    if heatmap.shape[0] != B:
        raise ValueError(
            f"heatmap has {heatmap.shape[0]} streams, the state {B}. "
            "Call reset(), or pass None as the state of step(), before another batch"
        )
    if heatmap.device != tracklets.valid.device:
        raise ValueError(
            f"heatmap is on {heatmap.device}, the state on {tracklets.valid.device}; "
            "move the module (or the state) with .to(), or call reset()"
        )
    dtype = torch.promote_types(heatmap.dtype, torch.float32)
    tracklets = complete(tracklets, remembered)
    tracklets = tracklets.map(lambda field: field.to(dtype) if field.is_floating_point() else field)
    return tracklets if reset is None else forget(tracklets, reset)


def confine(tracklets: Tracklets, shape: tuple[int, ...]) -> Tracklets:
    """Clamp cells and labels to the map ``(C, H, W)``: tracklets of a larger map must not be read outside this one."""
    C, H, W = shape
    label, x, y = tracklets.label.clamp(0, C - 1), tracklets.x.clamp(0, W - 1), tracklets.y.clamp(0, H - 1)
    return change_fields(tracklets, label=label, x=x, y=y)


def complete(tracklets: Tracklets, remembered: Sequence[Remembered] = ()) -> Tracklets:
    """Fill in what tracklets may leave out: the middle of the cell, at rest, seen, nobody known, no extras."""
    if tracklets.position is None:
        wide = torch.promote_types(tracklets.size.dtype, torch.float32)
        middle = torch.stack([tracklets.x, tracklets.y], dim=2).to(wide) + 0.5
        tracklets = change_fields(tracklets, position=middle)
    if tracklets.velocity is None:
        tracklets = change_fields(tracklets, velocity=torch.zeros_like(tracklets.position))
    if tracklets.unseen is None:
        tracklets = change_fields(tracklets, unseen=torch.zeros_like(tracklets.length))
    if not tracklets.unseen.is_floating_point():
        tracklets = change_fields(tracklets, unseen=tracklets.unseen.to(tracklets.position.dtype))
    if tracklets.unwatched is None:
        tracklets = change_fields(tracklets, unwatched=tracklets.position.new_zeros(len(tracklets.next_id)))
    if any(getattr(tracklets, f"known_{name}") is None for name in KNOWN):
        B, K = tracklets.valid.shape
        known = nobody(B, K, device=tracklets.valid.device, dtype=tracklets.position.dtype)
        tracklets = change_fields(tracklets, **known.fields())
    return with_extras(tracklets, remembered)


def forget(tracklets: Tracklets, streams: Tensor) -> Tracklets:
    """Drop the tracklets of some streams and start their identities from 0.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        streams: Mask of the streams, shape ``(B,)``, ``bool``.

    Returns:
        New tracklets; the arguments do not change.
    """
    kept = [field.masked_fill(streams.view(-1, *[1] * (field.dim() - 1)), 0) for field in tracklets]
    cleared = Tracklets(*kept)
    gone = streams.unsqueeze(1)
    return change_fields(
        cleared, track_id=tracklets.track_id.masked_fill(gone, -1), known_id=tracklets.known_id.masked_fill(gone, -1)
    )


def stream_mask(streams: int | Sequence[int] | Tensor, batch: int, device: torch.device) -> Tensor:
    """Turn an index, a list of them, or a mask into a mask of shape ``(B,)``.

    Args:
        streams: An index, a list or tensor of them, or a mask, ``bool``.
        batch: B, number of streams.
        device: Device of the mask.

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
    if chosen.layout != torch.strided or (chosen.is_meta and chosen.dtype != torch.bool):
        raise TypeError(f"{wanted}; its values must be at hand")
    is_whole = not (chosen.is_floating_point() or chosen.is_complex())
    if chosen.dtype != torch.bool and (chosen.dim() > 1 or (chosen.numel() and not is_whole)):
        raise TypeError(wanted)
    return chosen
