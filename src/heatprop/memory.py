"""The memory of a module: tracklets as buffers that move, are copied and pickled with it, and are never saved."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from heatprop.structures import Tracklets
from heatprop.tracklets import empty_tracklets, forget, stream_mask


class TrackletMemory(nn.Module):
    """Remember the tracklets of the last frame, at most K per stream.

    The state moves with ``.to()``, is copied and pickled with the module, and never enters ``state_dict()``. It is
    detached, and replaced, never written in place.

    Args:
        top_k: K, places per stream.
    """

    def __init__(self, top_k: int) -> None:
        super().__init__()
        self.top_k = top_k
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

    def _remember(self, state: Tracklets | None) -> None:
        for name in Tracklets._fields:
            setattr(self, f"_{name}", None if state is None else getattr(state, name).detach())
