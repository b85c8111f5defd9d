"""Draw validation frames with the detections (blue) and the ground truth (orange)."""

import numpy as np
from numpy.typing import NDArray

from heatprop.centernet.training.clips import ValidationClips
from heatprop.evaluation.column_checks import FloatArray
from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.video.drawing import annotate

SHOWN = 0.3
"""Lowest score of a detection that is drawn."""


def draw_validation(clips: ValidationClips, rows: FloatArray, count: int) -> NDArray[np.uint8] | None:
    """Draw some frames side by side, evenly spread over the clips.

    Args:
        clips: The frames.
        rows: Index of the frame, label from 0, score and box in pixels of the frame, shape ``(n, 7)``.
        count: How many frames to draw, at least 0.

    Returns:
        RGB picture ``(S, count * S, 3)`` of letterboxes of side S; ``None`` if there is nothing to draw.
    """
    count = min(count, len(clips.images))
    if count == 0:
        return None
    places = (2 * np.arange(count) + 1) * len(clips.images) // (2 * count)
    return np.concatenate([_draw(clips, rows, int(place)) for place in places], axis=1)


def _draw(clips: ValidationClips, rows: FloatArray, place: int) -> NDArray[np.uint8]:
    frame = clips.images[place]
    found = rows[(rows[:, 0] == place) & (rows[:, 2] >= SHOWN)]
    here = (clips.truth.video == clips.frames.video[place]) & (clips.truth.frame == clips.frames.frame[place])
    names = [VID_WNIDS.get(wnid, wnid) for wnid in clips.classes]
    texts = [f"{names[int(label)]} {score:.2f}" for label, score in found[:, 1:3]]
    boxes = np.concatenate([clips.truth.box[here], found[:, 3:]])
    scale, left, top = frame["where"][:3]
    return annotate(
        frame["image"].permute(1, 2, 0).numpy(),
        boxes * scale + np.array([left, top, left, top]),
        texts=[""] * int(here.sum()) + texts,
        carried=[True] * int(here.sum()) + [False] * len(found),
    )
