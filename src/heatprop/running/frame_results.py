"""What one frame gives: its objects, and the maps that they come from."""

from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from heatprop.running.reading import NO_BOXES, OwnBoxes
from heatprop.structures import HeadMaps
from heatprop.video import Frame


class Found(NamedTuple):
    """The n objects of a frame that reach the score, by falling score.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels of the video; not clipped at its border.
        scores: Balanced scores, shape ``(n,)``, in [0, 1].
        network_scores: The network's own, shape ``(n,)``, in [0, 1].
        ages: How many frames the memory knows each object, shape ``(n,)``.
        ids: Identity, unique in the video across its scene cuts, shape ``(n,)``.
        carried: Where the network's own score is below the one that is asked for, or the detector did not look:
            without the memory the object would be missing, shape ``(n,)``.
        labels: Class index, shape ``(n,)``.
    """

    boxes: NDArray[np.float64]
    scores: NDArray[np.float64]
    network_scores: NDArray[np.float64]
    ages: NDArray[np.int64]
    ids: NDArray[np.int64]
    carried: NDArray[np.bool_]
    labels: NDArray[np.int64]


class NetworkMaps(NamedTuple):
    """What the detector gives for a frame, before the memory, without padding.

    Attributes:
        maps: Shapes ``(1, C, H, W)`` and ``(1, 2, H, W)``.
        reached: Cells that the memory propagates to, shape ``(1, 1, H, W)``, ``bool``.
        stride: Pixels of the detector's picture per cell.
        input_wh: Width and height of what of that picture shows the frame, in pixels.
    """

    maps: HeadMaps
    reached: torch.Tensor
    stride: float
    input_wh: tuple[int, int]


class FrameResult(NamedTuple):
    """What one frame gives.

    Attributes:
        frame: The frame.
        found: Its objects, with the memory.
        without: Its objects on the same maps without any memory; ``None`` if nobody asked.
        cut: Whether a new scene starts with it.
        points: Whether the detector gives points without size.
        classes: How many classes the detector has.
        network: The detector's maps; ``None`` if nobody asked.
        coasted: Whether the detector did not look at it: the memory alone says where the objects are.
        class_names: Name of each class; empty where the detector tells none.
        masked_only: What the detector alone finds and no area of the memory's boxes covers: the masks hold it, too. On
            a coasted frame it is that of the last frame that the detector has looked at.
        unreadable: Whether the detector's maps have cells that count and cannot be read.
        outside: Whether they have scores outside [0, 1].
        best: The network's highest score that can be read, of any class, whatever the score that is asked for.
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
