"""What travels through heatprop: maps in, detections out, tracklets from frame to frame."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import torch
from torch import Tensor

Change = Callable[[Tensor], Tensor]
Record = TypeVar("Record", bound=tuple[Any, ...])


class HeadMaps(NamedTuple):
    """The maps of one heatmap detector, as every adapter returns them.

    Attributes:
        heatmap: Scores after the sigmoid, shape ``(B, C, H, W)``, in [0, 1].
        offset: Sub-cell position ``(dx, dy)`` of the centre, shape ``(B, 2, H, W)``, in cells;
            ``None`` puts the centre in the middle of its cell.
        size: Box size ``(w, h)``, shape ``(B, 2, H, W)``, in cells; ``None`` means points, not boxes.
        extras: More maps ``{name: (B, D, H, W)}`` to read at the peaks (landmarks, depth, ...).
    """

    heatmap: Tensor
    offset: Tensor | None = None
    size: Tensor | None = None
    extras: Mapping[str, Tensor] | None = None

    def map(self, change: Change) -> "HeadMaps":
        """Change every map in the same way; ``None`` stays ``None``.

        Args:
            change: A function from a map to its replacement, such as ``lambda field: field.cuda()``.

        Returns:
            New maps.
        """
        offset, size = (None if field is None else change(field) for field in (self.offset, self.size))
        extras = None if self.extras is None else {name: change(field) for name, field in self.extras.items()}
        return HeadMaps(change(self.heatmap), offset, size, extras)

    def frame(self, number: int) -> "HeadMaps":
        """Take one frame of maps over time: ``(B, T, ...)`` becomes ``(B, ...)``."""
        return self.map(lambda field: field[:, number])

    def stream(self, number: int) -> "HeadMaps":
        """Take one stream of a batch, as a batch of one."""
        return self.map(lambda field: field[number : number + 1])

    @staticmethod
    def stack(frames: "Sequence[HeadMaps]") -> "HeadMaps":
        """Stack T frames that all have the same maps: every shape gets ``T`` after ``B``."""
        first = frames[0]
        offset, size = (
            None if getattr(first, name) is None else _stack_field(frames, name) for name in ("offset", "size")
        )
        extras = first.extras
        if extras is not None:
            extras = {name: torch.stack([(one.extras or {})[name] for one in frames], dim=1) for name in extras}
        return HeadMaps(_stack_field(frames, "heatmap"), offset, size, extras)


class Tracklets(NamedTuple):
    """The detections of the last frame, at most K per stream. This is the whole memory.

    Attributes:
        label: Class index, shape ``(B, K)``, ``int64``.
        x: Column of the peak, shape ``(B, K)``, ``int64``, in cells.
        y: Row of the peak, shape ``(B, K)``, ``int64``, in cells.
        score: The score that is carried to the next frame, shape ``(B, K)``, in [0, 1].
        length: Tracklet length $l$, shape ``(B, K)``, ``int32``, in frames.
        size: Box size ``(w, h)``, shape ``(B, K, 2)``, in cells.
        track_id: Identity of the object, shape ``(B, K)``, ``int64``; -1 where not valid.
        valid: Which of the K places hold a tracklet, shape ``(B, K)``, ``bool``.
        next_id: The next unused identity, shape ``(B,)``, ``int64``.
        position: Centre ``(x, y)`` with sub-cell precision, shape ``(B, K, 2)``, in cells.
        velocity: Motion ``(dx, dy)``, shape ``(B, K, 2)``, in cells per frame, measured, or the network's with
            ``motion``; 0 without these options.
        unseen: Frames in a row in which the network's own score was below the threshold, shape ``(B, K)``. Whole
            numbers will do.

        known_id: The memory of identities (`heatprop.identities.Identities`), K places: who was seen, ``int64``;
            -1 in an empty place. Its fields are used with ``identity="memory"`` only.
        known_label: Their class, shape ``(B, K)``, ``int64``.
        known_position: Where each was last seen, shape ``(B, K, 2)``, in cells.
        known_previous: Where it was seen before that, shape ``(B, K, 2)``, in cells.
        known_size: The size that the network showed, smoothed, shape ``(B, K, 2)``, in cells.
        known_velocity: How each moves, shape ``(B, K, 2)``, in cells per frame.
        known_unseen: Frames since the last sighting, shape ``(B, K)``.
        known_sightings: How often it was seen, shape ``(B, K)``, ``int32``.

        extras: What is remembered of the extras that ``remember`` names, R numbers side by side in its order, places
            relative to the centre, shape ``(B, K, R)``; R is 0 without that option.
        has_extras: Which of these E extras the network has shown, shape ``(B, K, E)``, ``bool``.
        unwatched: Frames since the last one that the network looked at, shape ``(B,)``: the time that was coasted.

    All fields after ``next_id`` may be left out: the middle of the cell, at rest, seen, nobody known, no extras, all
    looked at.
    """

    label: Tensor
    x: Tensor
    y: Tensor
    score: Tensor
    length: Tensor
    size: Tensor
    track_id: Tensor
    valid: Tensor
    next_id: Tensor
    position: Tensor = None  # type: ignore[assignment]  # `heatprop.tracklets.complete` fills in what was left out
    velocity: Tensor = None  # type: ignore[assignment]
    unseen: Tensor = None  # type: ignore[assignment]
    known_id: Tensor = None  # type: ignore[assignment]
    known_label: Tensor = None  # type: ignore[assignment]
    known_position: Tensor = None  # type: ignore[assignment]
    known_previous: Tensor = None  # type: ignore[assignment]
    known_size: Tensor = None  # type: ignore[assignment]
    known_velocity: Tensor = None  # type: ignore[assignment]
    known_unseen: Tensor = None  # type: ignore[assignment]
    known_sightings: Tensor = None  # type: ignore[assignment]
    extras: Tensor = None  # type: ignore[assignment]
    has_extras: Tensor = None  # type: ignore[assignment]
    unwatched: Tensor = None  # type: ignore[assignment]

    def map(self, change: Change) -> "Tracklets":
        """Change every field in the same way; fields that were left out stay so."""
        return Tracklets(*(None if field is None else change(field) for field in self))

    @staticmethod
    def stack(frames: "Sequence[Tracklets]") -> "Tracklets":
        """Stack T frames: every shape gets ``T`` after ``B``."""
        return Tracklets(*(torch.stack(fields, dim=1) for fields in zip(*frames, strict=True)))


class Objects(dict[str, Any]):
    """The objects of one frame without padding: a dict of tensors ``(n, ...)``, the torchvision convention."""

    @property
    def count(self) -> int:
        """The number of objects."""
        return len(self["scores"])

    def each(self) -> Iterator[dict[str, Any]]:
        """Yield the objects one by one, each a dict with the same keys and without the first dimension."""
        for number in range(self.count):
            fields: dict[str, Any] = {name: value[number] for name, value in self.items() if name != "extras"}
            yield fields | {"extras": {name: value[number] for name, value in self["extras"].items()}}


class Detections(NamedTuple):
    """The objects of a frame, padded to K places, the valid ones first, by falling score.

    After ``forward_chunk`` every shape has ``T`` after ``B``. Padding is 0 or ``False``, and -1 in ``track_ids``.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``, in pixels of the network input.
        scores: Balanced scores (Eq. 6), shape ``(B, K)``, in [0, 1].
        labels: Class index, shape ``(B, K)``, ``int64``.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        ages: Tracklet length $l$, shape ``(B, K)``, ``int32``, in frames.
        track_ids: Identity within the stream, from 0, shape ``(B, K)``, ``int64``.
        network_scores: The network's own score at the peak, shape ``(B, K)``, in [0, 1].
        carried: Whether the network's score is below the threshold and the memory kept the object, ``(B, K)``,
            ``bool``.
        cells: Heatmap position ``(x, y)``, shape ``(B, K, 2)``, ``int64``, in cells.
        extras: The extra maps read at the peaks, ``{name: (B, K, D)}``. On carried detections, where the network saw
            nothing, they are those that the memory holds (the option ``remember``), the others 0.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    valid: Tensor
    ages: Tensor
    track_ids: Tensor
    network_scores: Tensor
    carried: Tensor
    cells: Tensor
    extras: dict[str, Tensor]

    def map(self, change: Change) -> "Detections":
        """Change every field and every extra in the same way, such as ``lambda field: field.cpu()``."""
        fields = {name: change(getattr(self, name)) for name in Detections._fields if name != "extras"}
        return Detections(**fields, extras={name: change(field) for name, field in self.extras.items()})

    def stream(self, number: int) -> "Detections":
        """Take one stream of a batch, as a batch of one."""
        return self.map(lambda field: field[number : number + 1])

    def frame(self, number: int) -> "Detections":
        """Take one frame of detections over time: ``(B, T, K, ...)`` becomes ``(B, K, ...)``."""
        return self.map(lambda field: field[:, number])

    @staticmethod
    def stack(frames: "Sequence[Detections]") -> "Detections":
        """Stack T frames: every shape gets ``T`` after ``B``.

        Args:
            frames: Detections ``(B, K, ...)``, at least one frame, all with the same extras.

        Returns:
            Detections ``(B, T, K, ...)``.
        """
        fields = {name: _stack_field(frames, name) for name in Detections._fields if name != "extras"}
        extras = {name: torch.stack([one.extras[name] for one in frames], dim=1) for name in frames[0].extras}
        return Detections(**fields, extras=extras)

    def unpad(self) -> list[Any]:
        """Drop the padding and return one dict per frame, the torchvision convention.

        Returns:
            A list over streams of `Objects`: ``dict(boxes=(n, 4), scores=(n,), labels=(n,), ...)`` with every
            field but ``valid``; detections over time give, for each stream, a list over frames. It waits for the
            device.
        """
        if self.valid.dim() > 2:
            return [self.map(lambda field, at=number: field[at]).unpad() for number in range(len(self.valid))]  # type: ignore[misc]
        return [self._valid_only(number) for number in range(len(self.valid))]

    def _valid_only(self, stream: int) -> Objects:
        valid = self.valid[stream]
        found = self.map(lambda field: field[stream][valid])
        return Objects({name: value for name, value in found._asdict().items() if name != "valid"})


def change_fields(record: Record, **changes: Any) -> Record:
    """Do what ``_replace`` does; torch 2.6 cannot trace that.

    Args:
        record: A named tuple.
        changes: The new values of some of its fields.

    Returns:
        The changed copy.
    """
    kind = type(record)
    names: tuple[str, ...] = kind._fields  # type: ignore[attr-defined]  # no type says "a named tuple"
    return kind(*[changes.get(name, field) for name, field in zip(names, record, strict=True)])


def _stack_field(frames: Sequence[tuple[Any, ...]], name: str) -> Tensor:
    return torch.stack([getattr(one, name) for one in frames], dim=1)
