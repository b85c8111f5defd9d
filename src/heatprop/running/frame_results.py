"""The result of one frame: its objects, and the maps that they come from."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.running.picture import Picture
from heatprop.running.reading import NO_BOXES, OwnBoxes
from heatprop.structures import HeadMaps
from heatprop.video import Frame


class Found(NamedTuple):
    """The n objects of a frame that reach the lowest score, in order of falling score.

    Attributes:
        boxes: Boxes ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels of the video, not clipped at its border.
        scores: Balanced scores, shape ``(n,)``, in [0, 1].
        network_scores: The network's own scores, shape ``(n,)``, in [0, 1].
        ages: How many frames the memory has known each object, shape ``(n,)``.
        ids: Identity of each object, unique in the video across scene cuts, shape ``(n,)``; -1 for objects
            that only the detector sees after skipped frames.
        carried: True for objects that would be missing without the memory, because the network's own score is below
            the lowest score or the detector did not look, shape ``(n,)``.
        labels: Class index of each object, shape ``(n,)``.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    network_scores: NDArray[np.float64]
    ages: NDArray[np.int64]
    ids: NDArray[np.int64]
    carried: NDArray[np.bool_]
    labels: NDArray[np.int64]


class NetworkMaps(NamedTuple):
    """The detector's maps of a frame, before the memory and without padding.

    Attributes:
        maps: The maps, shapes ``(1, C, H, W)`` and ``(1, 2, H, W)``.
        reached: Cells that the memory propagates to, shape ``(1, 1, H, W)``, ``bool``.
        stride: Pixels of the detector's picture per cell.
        input_wh: Width and height of the part of that picture that shows the frame, in pixels.
    """

    maps: HeadMaps
    reached: torch.Tensor
    stride: float
    input_wh: tuple[int, int]


class FrameResult(NamedTuple):
    """The result of one frame.

    Attributes:
        frame: The frame.
        found: Its objects, with the memory.
        without: Its objects on the same maps without any memory; ``None`` if nobody asked for them.
        cut: Whether the frame starts a new scene.
        points: Whether the detector gives points without size.
        classes: How many classes the detector has.
        network: The detector's maps; ``None`` if nobody asked for them.
        coasted: Whether the detector skipped the frame, so that the memory alone says where the objects are.
        class_names: Name of each class; empty if the detector has no names.
        masked_only: What the detector alone finds outside the areas that the memory's boxes cover; the masks cover it,
            too. A coasted frame has that of the last frame that the detector looked at.
        unreadable: Whether the detector's maps have cells that count but cannot be read.
        outside: Whether the detector's maps have scores outside [0, 1].
        best: The network's highest readable score, of any class, even below the lowest score.
    """

    frame: Frame
    found: Found
    without: Found | None
    cut: bool
    points: bool
    classes: int
    network: NetworkMaps | None = None
    coasted: bool = False
    best: float = 0.0
    class_names: tuple[str, ...] = ()
    masked_only: OwnBoxes = NO_BOXES
    unreadable: bool = False
    outside: bool = False

    @property
    def masks(self) -> NDArray[np.float64]:
        """The boxes that must be covered, shape ``(n, 4)``, in pixels of the video."""
        return np.concatenate([self.found.boxes, self.masked_only.boxes])


def find_shown(objects: Mapping[str, Any], picture: Picture, *, score: float, labels: Tensor | None) -> Found:
    """Keep what is shown of a frame's objects.

    Args:
        objects: The objects, as `heatprop.Detections.unpad` returns them for a frame.
        picture: What the detector saw of the frame.
        score: Lowest score.
        labels: Class indices to keep; ``None`` keeps all.

    Returns:
        The objects, in pixels of the video.
    """
    shown = objects["scores"] >= score
    if labels is not None:
        shown &= torch.isin(objects["labels"], labels.to(shown.device))
    arrays = {name: value[shown].cpu().numpy() for name, value in objects.items() if name != "extras"}
    network_scores = arrays["network_scores"].astype(np.float64)
    return Found(
        boxes=picture.video_boxes(arrays["boxes"].astype(np.float64)),
        scores=arrays["scores"].astype(np.float64),
        network_scores=network_scores,
        ages=arrays["ages"].astype(np.int64),
        ids=arrays["track_ids"],
        carried=network_scores < score,
        labels=arrays["labels"],
    )
