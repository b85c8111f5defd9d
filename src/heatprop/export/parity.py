"""Whether an exported file gives what its source gives, frame by frame."""

from collections.abc import Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from heatprop.structures import Detections

EQUAL = ("labels", "valid", "ages", "track_ids", "carried", "cells")
"""What must be equal; boxes and scores may differ in their last digits."""
TOLERANCE = 1e-5
"""Largest difference of a score, and of a box relative to the size of its coordinates."""


class Parity(NamedTuple):
    """How far two ways of running the same memory are apart.

    Attributes:
        frames: How many were compared.
        objects: How many detections they had.
        different: Frames in which a label, an identity, a cell or an age differed.
        boxes: Largest difference of a coordinate, relative to 1 + its size.
        scores: Largest difference of a score.
    """

    frames: int = 0
    objects: int = 0
    different: int = 0
    boxes: float = 0.0
    scores: float = 0.0

    @property
    def holds(self) -> bool:
        """Whether everything is equal, boxes and scores up to `TOLERANCE`."""
        return self.different == 0 and max(self.boxes, self.scores) <= TOLERANCE

    def add(self, expected: Detections, found: Detections) -> "Parity":
        """Compare one frame more."""
        equal = all(torch.equal(getattr(expected, name), getattr(found, name)) for name in EQUAL)
        box = (expected.boxes - found.boxes).abs() / (1 + expected.boxes.abs())
        return Parity(
            self.frames + 1,
            self.objects + int(expected.valid.sum()),
            self.different + (not equal),
            max(self.boxes, float(box.max())),
            max(self.scores, float((expected.scores - found.scores).abs().max())),
        )


def compare(source: Any, exported: Any, frames: Iterable[Tensor]) -> Parity:
    """Show a detector and its exported file the same frames.

    Args:
        source: A `heatprop.VideoDetector`.
        exported: Its `heatprop.export.OnnxVideoDetector`.
        frames: Each as both take it, shape ``(B, 3, H, W)``.

    Returns:
        How far they are apart.
    """
    parity = Parity()
    for frame in frames:
        with torch.no_grad():
            parity = parity.add(source(frame), exported(frame))
    return parity
