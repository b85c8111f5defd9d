"""How far objects move, from a propagator's own detections: for video that nobody has annotated."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from heatprop.evaluation.column_checks import BoolArray, FloatArray, IntArray, check_above_zero, check_boxes

SURE = 0.3
"""Network score from which a detection is an object."""


def tracked_displacement(
    frames: Iterable[Mapping[str, ArrayLike]], *, stride: float = 4, score: float = SURE
) -> FloatArray:
    """Measure how far each object moved since the frame before, in cells, as `displacement` does from ground truth.

    A detection has a displacement if the frame before has one of the same ``track_ids``, the network saw both, and each
    is the other's nearest of its class: where somebody else is nearer, the identity may have passed from one object to
    another. Only motions that the propagator can follow are seen, so **run it with a large radius, each tracklet
    passed to one detection** (``heatprop.maps.FOLLOW``); what is missed or blurred is not seen, fast objects most
    of all. So the shares of uncovered pairs tend to be too small.

    Args:
        frames: For each frame of one video in turn ``boxes`` ``(k, 4)``, ``labels``, ``track_ids``, ``ages``,
            ``network_scores`` and ``carried`` ``(k,)``, arrays or CPU tensors: what ``Detections.unpad()`` gives for a
            stream. Other keys are ignored. A detection of age 1 starts again, after a reset for instance.
        stride: Pixels per cell.
        score: Lowest network score of both, in [0, 1]: noise jumps.

    Returns:
        In cells, a value for each detection, frame after frame, shape ``(n,)``; NaN where there is none. For
        `suggest_radius` and `uncovered_pairs`.

    Raises:
        ValueError: If a key is missing, shapes do not fit, a track has two detections in a frame, or the stride is not
            above 0.

    Examples:
        >>> one = dict(labels=[0], track_ids=[4], network_scores=[0.9], carried=[False])
        >>> frames = [dict(one, boxes=[[0, 0, 40, 40]], ages=[1]), dict(one, boxes=[[12, 4, 52, 44]], ages=[2])]
        >>> tracked_displacement(frames)
        array([nan,  3.])
    """
    check_above_zero("stride", stride)
    before, parts = None, [np.zeros(0)]
    for number, found in enumerate(frames):
        now = _read(found, number, stride=stride, score=score)
        parts.append(np.full(len(now.track), np.nan) if before is None else _step(before, now))
        before = now
    return np.concatenate(parts)


class _Seen(NamedTuple):
    center: FloatArray  # (k, 2), in cells
    label: IntArray
    track: IntArray
    sure: IntArray  # rows of those that the network saw
    goes_on: BoolArray  # not new


def _read(found: Mapping[str, ArrayLike], number: int, *, stride: float, score: float) -> _Seen:
    boxes = check_boxes("boxes", found["boxes"]) / stride
    columns = []
    for name in ("labels", "track_ids", "ages", "network_scores", "carried"):
        if name not in found:
            raise ValueError(
                f"frame {number} must have {name}, got {', '.join(found)}; pass what Detections.unpad() gives"
            )
        columns.append(np.asarray(found[name]))
        if columns[-1].shape != boxes.shape[:1]:
            raise ValueError(f"{name} of frame {number} must have shape {boxes.shape[:1]}, got {columns[-1].shape}")
    label, track, age, network_score, carried = columns
    if len(np.unique(track)) < len(track):
        raise ValueError(f"a track must have at most one detection in a frame, got two of one track in frame {number}")
    sure = np.flatnonzero(~carried.astype(np.bool_) & (network_score >= score))
    return _Seen((boxes[:, :2] + boxes[:, 2:]) / 2, label, track, sure, age > 1)


def _step(before: _Seen, now: _Seen) -> FloatArray:
    """Give the displacement of each detection of a frame, NaN where there is none."""
    result = np.full(len(now.track), np.nan)
    distance = np.abs(now.center[:, None] - before.center[None]).max(axis=2)  # (k, k before)
    distance[now.label[:, None] != before.label[None]] = np.inf
    _, here, there = np.intersect1d(
        now.track[now.sure], before.track[before.sure], assume_unique=True, return_indices=True
    )
    row, column = now.sure[here], before.sure[there]
    moved = distance[row, column]
    nearest = (moved <= distance.min(axis=1, initial=np.inf)[row]) & (
        moved <= distance.min(axis=0, initial=np.inf)[column]
    )
    counts = nearest & now.goes_on[row] & np.isfinite(moved)
    result[row[counts]] = moved[counts]
    return result
