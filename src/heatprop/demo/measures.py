"""What the demo measures, against reference boxes or against the detector alone."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.demo.detection import Array, FrameFaces
from heatprop.evaluation.overlap import iou

FOUND_SCORE = 0.5  # an object with at least this score counts as found
GHOST_SCORE = 0.3  # a box on no object with at least this score counts as a ghost
_SAME_OVERLAP = 0.5  # two boxes with at least this IoU are one object
_NO_OVERLAP = 0.1  # two boxes with a lower IoU have nothing to do with each other


class FaceMeasures(NamedTuple):
    """How well one way of detecting finds one object in one clip.

    Attributes:
        recall: Share of the frames in which the object is found: score and IoU with the reference at least 0.5.
        degraded_recall: Recall on the degraded frames only; ``None`` if there are none.
        lowest_score: The object's lowest score in a frame, 0 if no box is on it.
        gaps: Runs of frames without the object between the first and the last frame with it.
        ghosts_per_frame: Boxes of score 0.3 and more that do not overlap the reference (IoU under 0.1).
        jitter: Mean change of the object's score from one frame to the next.
    """

    recall: float
    degraded_recall: float | None
    lowest_score: float
    gaps: int
    ghosts_per_frame: float
    jitter: float


def measure_faces(found: Sequence[FrameFaces], reference: Array, degraded: Sequence[int] = ()) -> FaceMeasures:
    """Compare detections with the reference.

    Args:
        found: The detections of each of T frames.
        reference: The object's box in each frame, shape ``(T, 4)``, in pixels.
        degraded: Numbers of the degraded frames.

    Returns:
        All measures.
    """
    scores = object_scores(found, reference)
    hits = scores >= FOUND_SCORE
    pairs = zip(found, reference, strict=True)
    ghosts = sum(int(ghost_mask(frame, box[None]).sum()) for frame, box in pairs)
    return FaceMeasures(
        recall=float(hits.mean()),
        degraded_recall=float(hits[list(degraded)].mean()) if len(degraded) else None,
        lowest_score=float(scores.min()),
        gaps=count_gaps(hits),
        ghosts_per_frame=ghosts / len(found),
        jitter=float(np.abs(np.diff(scores)).mean()),
    )


def object_scores(found: Sequence[FrameFaces], reference: Array) -> Array:
    """Read the object's score in each frame: the highest score of a box with an IoU of 0.5 or more, else 0.

    Args:
        found: The detections of each of T frames.
        reference: The object's box in each frame, shape ``(T, 4)``, in pixels.

    Returns:
        Scores, shape ``(T,)``.
    """
    pairs = zip(found, reference, strict=True)
    on_it = [frame.scores[overlaps(frame.boxes, box[None])[:, 0] >= _SAME_OVERLAP] for frame, box in pairs]
    return np.array([scores.max(initial=0.0) for scores in on_it])


def count_gaps(hits: NDArray[np.bool_]) -> int:
    """Count the runs of misses between the first and the last hit; 0 if there are none."""
    between = np.trim_zeros(hits.astype(int))
    return int((np.diff(between) == -1).sum())


def ghost_mask(frame: FrameFaces, real: Array, *, score: float = GHOST_SCORE) -> NDArray[np.bool_]:
    """Mark which detections of a frame are ghosts: their score is high enough, and they overlap no real box.

    Args:
        frame: The detections of the frame.
        real: Boxes of the objects that are really there, shape ``(m, 4)``, in pixels.
        score: Lowest score of a ghost.

    Returns:
        True for ghosts, shape ``(n,)``, ``bool``.
    """
    best = overlaps(frame.boxes, real).max(axis=1, initial=0.0)
    return np.asarray((frame.scores >= score) & (best < _NO_OVERLAP))


def carried_over_mask(
    frame: FrameFaces, alone: FrameFaces, since_cut: int, *, score: float = GHOST_SCORE
) -> NDArray[np.bool_]:
    """Mark which detections are ghosts of the scene before: older than their scene, with no object there.

    Args:
        frame: The detections with memory.
        alone: The detections of the detector alone in the same frame, which show what is really there.
        since_cut: Age of the scene in frames, 1 in its first frame.
        score: Lowest score of a ghost.

    Returns:
        True for such ghosts, shape ``(n,)``, ``bool``.
    """
    return ghost_mask(frame, alone.boxes, score=score) & (frame.ages > since_cut)


def overlaps(boxes: Array, others: Array) -> Array:
    """Compute the IoU of each box with each of the others.

    Args:
        boxes: Boxes ``(x1, y1, x2, y2)``, shape ``(n, 4)``.
        others: Other boxes, shape ``(m, 4)``.

    Returns:
        IoU, shape ``(n, m)``; 0 where the boxes do not overlap.
    """
    n, m = len(boxes), len(others)
    return iou(np.repeat(boxes, m, axis=0), np.tile(others, (n, 1))).reshape(n, m)
