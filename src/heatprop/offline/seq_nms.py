"""Offline: link the boxes of a finished video into tubelets and give each its tubelet's score (Seq-NMS)."""

from collections.abc import Sequence
from typing import Any, Literal, NamedTuple, TypeVar, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.checks import check_number
from heatprop.offline.tubelet_links import link_boxes
from heatprop.offline.tubelet_paths import choose_paths

Array = TypeVar("Array", NDArray[Any], Tensor)
Rescore = Literal["average", "maximum"]


class Tubelets(NamedTuple):
    """The boxes that Seq-NMS kept: four lists over frames, arrays or tensors like the input, in its order.

    Attributes:
        boxes: ``(x1, y1, x2, y2)``, each ``(n, 4)``.
        scores: The scores of their tubelets, each ``(n,)``.
        labels: Class index, each ``(n,)``.
        tubelet_ids: Which tubelet a box belongs to, each ``(n,)``, ``int64``; 0 is the tubelet of the
            largest score sum of the video, over all classes.
    """

    boxes: list[Any]
    scores: list[Any]
    labels: list[Any]
    tubelet_ids: list[Any]


def seq_nms(
    boxes: Sequence[Array],
    scores: Sequence[Array],
    labels: Sequence[Array],
    *,
    link_iou: float = 0.5,
    nms_iou: float = 0.3,
    rescore: Rescore = "average",
) -> Tubelets:
    """Rescore and suppress the boxes of a whole video (Seq-NMS, Han et al. 2016).

    For each class, boxes of adjacent frames are linked if their IoU is at least ``link_iou``. The path with the largest
    *sum* of scores (one box is also a path) gets its average or maximum score and is taken out, and each of its boxes
    removes the boxes of its frame with an IoU of at least ``nms_iou``. This repeats until no box is left.

    Sums are ``float64``, added in the order of the frames. Equal sums: the path that ends in the earlier frame,
    there at the earlier place, is chosen first; a box follows the earliest of its equal predecessors, and none
    whose path does not add to its sum: boxes of score 0 begin and end no longer path. Boxes
    without area (points too) and boxes that are not finite overlap nothing: each is its own tubelet.

    Args:
        boxes: Per frame ``(x1, y1, x2, y2)``, ``(n, 4)``; numpy arrays or torch tensors, n may be 0.
        scores: Per frame ``(n,)``, finite.
        labels: Per frame ``(n,)``, class index.
        link_iou: Smallest IoU of linked boxes, above 0; above 1 nothing is linked (per-frame NMS).
        nms_iou: Smallest IoU that removes a box, above 0; above 1 nothing is removed.
        rescore: Which score the boxes of a path get, ``"average"`` or ``"maximum"``.

    Returns:
        The kept boxes with their tubelets' scores.

    Raises:
        TypeError: If a threshold is not a number.
        ValueError: If lengths or shapes do not fit, a score is not finite, or an option is out of range.

    Examples:
        One object, its score low in the second frame; a weaker box on top of it goes:

        >>> import numpy as np
        >>> box = np.array([[0.0, 0.0, 10.0, 10.0]])
        >>> boxes = [box, np.concatenate([box + 1, box + 2]), box + 2]
        >>> scores = [np.array([0.9]), np.array([0.3, 0.1]), np.array([0.9])]
        >>> tubelets = seq_nms(boxes, scores, [np.array([0]), np.array([0, 0]), np.array([0])])
        >>> [frame.round(2).tolist() for frame in tubelets.scores]
        [[0.7], [0.7], [0.7]]
    """
    _check_frames(boxes, scores, labels)
    count = [len(one) for one in scores]
    new_scores, tubelet = rescore_boxes(
        _join(boxes).reshape(-1, 4),
        _join(scores),
        _join(labels),
        np.repeat(np.arange(len(count)), count),
        link_iou=link_iou,
        nms_iou=nms_iou,
        rescore=rescore,
    )
    tubelets = Tubelets([], [], [], [])
    stops = np.cumsum(count).tolist()
    for box, score, label, stop in zip(boxes, scores, labels, stops, strict=True):
        rows = slice(stop - len(score), stop)
        place = np.flatnonzero(tubelet[rows] >= 0)
        tubelets.boxes.append(_take(box.reshape(-1, 4), place))
        tubelets.scores.append(_convert(new_scores[rows][place], score, dtype=score.dtype))
        tubelets.labels.append(_take(label, place))
        tubelets.tubelet_ids.append(_convert(tubelet[rows][place], score))
    return tubelets


def rescore_boxes(
    boxes: NDArray[Any],
    scores: NDArray[Any],
    labels: NDArray[Any],
    frame: NDArray[np.int64],
    *,
    link_iou: float = 0.5,
    nms_iou: float = 0.3,
    rescore: Rescore = "average",
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Run `seq_nms` on the boxes of a video as columns.

    Args:
        boxes: ``(x1, y1, x2, y2)``, shape ``(N, 4)``.
        scores: Shape ``(N,)``, finite.
        labels: Class of each box, shape ``(N,)``.
        frame: Frame of each box, shape ``(N,)``, whole numbers that do not fall.
        link_iou: Smallest IoU of linked boxes, above 0.
        nms_iou: Smallest IoU that removes a box, above 0.
        rescore: ``"average"`` or ``"maximum"``.

    Returns:
        New scores, shape ``(N,)``, 0 for removed boxes, and tubelet ids, shape ``(N,)``, -1 for removed boxes.

    Raises:
        TypeError: If a threshold is not a number.
        ValueError: If a score is not finite or an option is out of range.
    """
    _check_options(link_iou, nms_iou, rescore)
    boxes, scores = boxes.astype(np.float64), scores.astype(np.float64)
    if not np.isfinite(scores).all():
        where = int(np.flatnonzero(~np.isfinite(scores))[0])
        raise ValueError(f"scores must be finite, got {scores[where]} in frame {frame[where]}; remove such boxes first")
    links = link_boxes(boxes, frame, labels, link_iou=link_iou, nms_iou=nms_iou)
    path, total = choose_paths(scores, links)
    kept = path >= 0
    if rescore == "average":
        path_score = total / np.bincount(path[kept], minlength=len(total))
    else:
        path_score = np.full(len(total), -np.inf)
        np.maximum.at(path_score, path[kept], scores[kept])
    new_scores = np.zeros(len(scores))
    new_scores[kept] = path_score[path[kept]]
    return new_scores, path


def _check_options(link_iou: float, nms_iou: float, rescore: str) -> None:
    for name, threshold in (("link_iou", link_iou), ("nms_iou", nms_iou)):
        check_number(name, threshold, low=0)
        if threshold == 0:
            raise ValueError(f"{name} must be above 0, or boxes far apart would count as overlapping, got 0")
    if rescore not in get_args(Rescore):
        raise ValueError(f"rescore must be 'average' or 'maximum', got {rescore!r}")


def _check_frames(boxes: Sequence[Any], scores: Sequence[Any], labels: Sequence[Any]) -> None:
    if not len(boxes) == len(scores) == len(labels):
        raise ValueError(
            "boxes, scores and labels must be lists over the same frames, "
            f"got {len(boxes)}, {len(scores)} and {len(labels)} frames"
        )
    for frame, fields in enumerate(zip(boxes, scores, labels, strict=True)):
        for name, field in zip(("boxes", "scores", "labels"), fields, strict=True):
            if not isinstance(field, np.ndarray | Tensor):
                raise TypeError(
                    f"{name} must hold numpy arrays or torch tensors, got {type(field).__name__} in frame {frame}"
                )
        if not _is_floating(fields[1]) and len(fields[1]):
            raise TypeError(f"scores must be floating point numbers, got {fields[1].dtype} in frame {frame}")
        box, score, label = (tuple(field.shape) for field in fields)
        count = score[0] if len(score) == 1 else -1
        if not (score == label == (count,) and (box == (count, 4) or (count == 0 and 0 in box))):
            raise ValueError(
                f"boxes, scores and labels must have shapes (n, 4), (n,) and (n,), got {box}, {score} and {label} "
                f"in frame {frame}"
            )


def _is_floating(field: Any) -> bool:
    return field.is_floating_point() if isinstance(field, Tensor) else field.dtype.kind == "f"


def _join(frames: Sequence[Any]) -> NDArray[Any]:
    """One array of all frames; an empty frame has no say in the dtype."""
    filled = [_as_numpy(one) for one in frames if len(one)]
    return np.concatenate(filled) if filled else np.zeros(0)


def _as_numpy(field: Any) -> NDArray[Any]:
    if isinstance(field, Tensor):
        field = field.detach().cpu()
        array: NDArray[Any] = (field.double() if field.is_floating_point() else field).numpy()
        return array
    return np.asarray(field)


def _take(field: Array, place: NDArray[np.int64]) -> Array:
    if isinstance(field, Tensor):
        return field.detach()[torch.from_numpy(place).to(field.device)]
    return field[place]


def _convert(array: NDArray[Any], like: Any, dtype: Any = None) -> Any:
    """The array as the kind that ``like`` is, on its device."""
    if isinstance(like, Tensor):
        return torch.from_numpy(array).to(like.device, dtype)
    return array.astype(dtype or array.dtype)
