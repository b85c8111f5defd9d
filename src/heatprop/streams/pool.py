"""StreamPool: streams that come and go, propagated together in a batch of fixed size."""

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from heatprop.checks import check_count, check_maps
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets


class StreamPool:
    """Propagate many streams that come and go with one step for all, in a batch of fixed size.

    A stream takes a free place when it is opened and leaves it when it is closed. A push may hold the maps of any of
    the open streams; those that are not pushed keep their memory as it is. Shapes never change, so a compiled step is
    never compiled again. Every stream gives exactly what a propagator of its own would.

    The step always computes the whole batch, so size the pool for the streams that you have at once. Use one pool for
    each thread.

    Args:
        propagator: The memory's options. What it remembers itself is neither read nor changed.
        streams: Places in the pool, at least 1.
        compiled: Whether the step is compiled by ``torch.compile(fullgraph=True)``, at the first push.

    Raises:
        TypeError: If ``propagator`` is no HeatmapPropagator, or ``streams`` no whole number.
        ValueError: If ``streams`` is below 1.

    Examples:
        Two cameras; the second is pushed in one frame only:

        >>> import torch
        >>> from heatprop import HeatmapPropagator
        >>> from heatprop.streams import StreamPool
        >>> pool = StreamPool(HeatmapPropagator(), streams=16)
        >>> door, yard = pool.open(), pool.open()
        >>> heatmap = torch.zeros(1, 32, 32)
        >>> heatmap[0, 10, 20] = 0.9
        >>> found = pool.push({door: heatmap, yard: heatmap})
        >>> found = pool.push({door: heatmap})
        >>> found[door].unpad()[0]["ages"], yard in found
        (tensor([2], dtype=torch.int32), False)
        >>> pool.close(door)
    """

    def __init__(self, propagator: HeatmapPropagator, *, streams: int = 64, compiled: bool = False) -> None:
        if not isinstance(propagator, HeatmapPropagator):
            raise TypeError(f"propagator must be a HeatmapPropagator, got {type(propagator).__name__}")
        check_count("streams", streams, low=1)
        self.propagator = propagator
        self.streams = streams
        self._step: Any = torch.compile(propagator.step, fullgraph=True) if compiled else propagator.step
        self._places: dict[int, int] = {}  # of the open streams
        self._fresh: set[int] = set()  # places whose stream has not been pushed yet
        self._free = list(range(streams))[::-1]
        self._next = 0
        self._batch: HeadMaps | None = None  # zeros of the shapes that came first
        self._state: Tracklets | None = None

    def __len__(self) -> int:
        """The number of open streams."""
        return len(self._places)

    def __contains__(self, stream: object) -> bool:
        """Whether a stream is open."""
        return stream in self._places

    def __repr__(self) -> str:
        return f"StreamPool({self.propagator!r}, streams={self.streams}), {len(self)} open"

    def open(self) -> int:
        """Open a stream that remembers nothing.

        Returns:
            Its number, which no other stream of this pool ever gets.

        Raises:
            RuntimeError: If every place is taken.
        """
        if not self._free:
            raise RuntimeError(
                f"all {self.streams} places of the pool are taken; close a stream, or make a larger pool"
            )
        stream, place = self._next, self._free.pop()
        self._next += 1
        self._places[stream] = place
        self._fresh.add(place)
        return stream

    def close(self, stream: int) -> None:
        """Close a stream; its place is free.

        Raises:
            KeyError: If no such stream is open.
        """
        place = self._place(stream)
        del self._places[stream]
        self._fresh.discard(place)
        self._free.append(place)

    def reset(self, stream: int) -> None:
        """Forget the past of a stream, which stays open: a new video or scene starts there.

        Raises:
            KeyError: If no such stream is open.
        """
        self._fresh.add(self._place(stream))

    def state(self, stream: int) -> Tracklets | None:
        """Give what a stream remembers, as a batch of one; ``None`` before its first push.

        Raises:
            KeyError: If no such stream is open.
        """
        place = self._place(stream)
        if self._state is None or place in self._fresh:
            return None
        return self._state.map(lambda field: field[place : place + 1])

    def push(self, maps: Mapping[int, HeadMaps | Tensor | tuple[Any, ...]]) -> dict[int, Detections]:
        """Propagate the next frame of some of the open streams.

        The first push decides shapes, dtypes, device and which maps there are.

        Args:
            maps: The maps of each stream, without a batch dimension: a heatmap ``(C, H, W)``, a tuple
                ``(heatmap, offset, size)``, or `heatprop.HeadMaps` with extras.

        Returns:
            The detections of each stream that was pushed, as a batch of one.

        Raises:
            KeyError: If a stream is not open.
            TypeError: If maps are no tensors.
            ValueError: If the maps of two streams differ in shape, dtype or device, or from the first push's.
        """
        if not maps:
            return {}
        places = {stream: self._place(stream) for stream in maps}
        given = {stream: _with_batch(stream, value) for stream, value in maps.items()}
        blank = next(iter(given.values())).map(torch.zeros_like) if self._batch is None else self._batch
        for stream, one in given.items():
            _check_alike(stream, one, blank)
        order: list[HeadMaps] = [blank] * self.streams
        for stream, place in places.items():
            order[place] = given[stream]
        device = blank.heatmap.device
        pushed = self._mask(set(places.values()), device)
        reset = self._mask(self._fresh & set(places.values()), device)
        state = self._first_state(blank) if self._state is None else self._state
        batch = HeadMaps.stack(order).map(lambda field: field[0])  # the streams of one batch, instead of frames
        following, output = self._step(state, *batch[:3], extras=batch.extras, reset=reset)
        self._batch = blank
        self._state = Tracklets(*(_choose(pushed, new, old) for new, old in zip(following, state, strict=True)))
        self._fresh -= set(places.values())
        return {stream: output.detections.stream(place) for stream, place in places.items()}

    def _place(self, stream: int) -> int:
        if stream not in self._places:
            raise KeyError(f"no stream {stream!r} is open in this pool; open() gives the numbers")
        return self._places[stream]

    def _mask(self, places: set[int], device: torch.device) -> Tensor:
        return torch.tensor([place in places for place in range(self.streams)]).to(device)

    def _first_state(self, blank: HeadMaps) -> Tracklets:
        heatmap = blank.heatmap
        return self.propagator.initial_state(self.streams, device=heatmap.device, dtype=heatmap.dtype)


def _with_batch(stream: int, value: Any) -> HeadMaps:
    """Read the maps of one stream as a batch of one."""
    maps = HeadMaps(value) if isinstance(value, Tensor) else HeadMaps(*value)
    for name, field in zip(maps._fields, maps[:3], strict=False):
        if field is not None and (not isinstance(field, Tensor) or field.dim() != 3):
            came = f"shape {tuple(field.shape)}" if isinstance(field, Tensor) else type(field).__name__
            raise (ValueError if isinstance(field, Tensor) else TypeError)(
                f"{name} of stream {stream} must be a tensor (C, H, W) without a batch dimension, got {came}"
            )
    one = maps.map(lambda field: field.unsqueeze(0))
    check_maps(one)
    return one


def _check_alike(stream: int, one: HeadMaps, other: HeadMaps) -> None:
    """Require maps like the first ones of the pool."""
    kinds = [
        {name: (tuple(field.shape[1:]), field.dtype, field.device) for name, field in _named(maps).items()}
        for maps in (one, other)
    ]
    if kinds[0] != kinds[1]:
        raise ValueError(
            f"the maps of stream {stream} must be like the first ones of this pool, {_say(kinds[1])}, "
            f"got {_say(kinds[0])}; make a pool for each kind of maps"
        )


def _named(maps: HeadMaps) -> dict[str, Tensor]:
    named = {name: field for name, field in zip(maps._fields, maps[:3], strict=False) if isinstance(field, Tensor)}
    return named | {f"extras[{name!r}]": field for name, field in (maps.extras or {}).items()}


def _say(kinds: Mapping[str, tuple[Any, ...]]) -> str:
    return ", ".join(f"{name} {shape} {dtype} on {device}" for name, (shape, dtype, device) in kinds.items())


def _choose(pushed: Tensor, new: Tensor, old: Tensor) -> Tensor:
    """Take the new rows of the streams that were pushed, detached."""
    return torch.where(pushed.view(-1, *[1] * (new.dim() - 1)), new, old).detach()
