"""What travels through heatprop: maps in, detections out, tracklets from frame to frame."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from torch import Tensor


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


class Tracklets(NamedTuple):
    """The detections of the last frame, at most K per stream: all the memory there is.

    Attributes:
        label: Class index, shape ``(B, K)``, ``int64``.
        x: Column of the peak, shape ``(B, K)``, ``int64``, in cells.
        y: Row of the peak, shape ``(B, K)``, ``int64``, in cells.
        score: The score that is carried to the next frame, shape ``(B, K)``, in [0, 1].
        length: Tracklet length $l$, shape ``(B, K)``, ``int32``, in frames.
        size: Box size ``(w, h)``, shape ``(B, K, 2)``, in cells.
        track_id: Identity of the object, shape ``(B, K)``, ``int64``; -1 where not valid.
        valid: Which of the K places hold a tracklet, shape ``(B, K)``, ``bool``.
        next_id: The first identity not yet given, shape ``(B,)``, ``int64``.
        position: Centre ``(x, y)`` below the cell's resolution, shape ``(B, K, 2)``, in cells.
        velocity: Measured motion ``(dx, dy)``, shape ``(B, K, 2)``, in cells per frame; 0 without that option.
        unseen: Frames in a row in which the network's own score was below the threshold, shape ``(B, K)``, ``int32``.

    The last three may be left out: the middle of the cell, at rest, seen.
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
    position: Tensor = None  # type: ignore[assignment]  # `continue_with` fills in what was left out
    velocity: Tensor = None  # type: ignore[assignment]
    unseen: Tensor = None  # type: ignore[assignment]


class Detections(NamedTuple):
    """The objects of a frame, padded to K places: the valid ones first, by falling score.

    With time (``forward_chunk``) every shape has ``T`` behind ``B``. Padding is 0 and ``False``,
    in ``track_ids`` -1.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, K, 4)``, in pixels of the network input.
        scores: Balanced scores (Eq. 6), shape ``(B, K)``, in [0, 1].
        labels: Class index, shape ``(B, K)``, ``int64``.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        ages: Tracklet length $l$, shape ``(B, K)``, ``int32``, in frames.
        track_ids: Identity within the stream, from 0, shape ``(B, K)``, ``int64``.
        network_scores: The network's own score at the peak, shape ``(B, K)``, in [0, 1].
        carried: Network score below the threshold: the memory brought it back, ``(B, K)``, ``bool``.
        cells: Heatmap position ``(x, y)``, shape ``(B, K, 2)``, ``int64``, in cells.
        extras: The extra maps read at the peaks, ``{name: (B, K, D)}``.
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

    def unpad(self) -> list[Any]:
        """Drop the padding and return one dict per frame, the torchvision convention.

        Returns:
            A list over streams of ``dict(boxes=(n, 4), scores=(n,), labels=(n,), ...)`` with every
            field but ``valid``; detections with time give a list over streams of lists over frames.
            It waits for the device: the only place in the core that does.
        """
        if self.valid.dim() > 2:
            return [self._stream(index).unpad() for index in range(self.valid.shape[0])]
        return [self._stream(index)._valid_only() for index in range(self.valid.shape[0])]

    def _stream(self, index: int) -> "Detections":
        fields = {name: value[index] for name, value in self._asdict().items() if name != "extras"}
        return Detections(**fields, extras={name: value[index] for name, value in self.extras.items()})

    def _valid_only(self) -> dict[str, Any]:
        fields = {name: value[self.valid] for name, value in self._asdict().items() if name not in ("valid", "extras")}
        return fields | {"extras": {name: value[self.valid] for name, value in self.extras.items()}}
