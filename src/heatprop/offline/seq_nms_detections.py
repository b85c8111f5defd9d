"""Seq-NMS on the padded detections that the propagator returns."""

from collections.abc import Sequence
from typing import Any, overload

import torch
from torch import Tensor

from heatprop.checks import check_real, check_tensor
from heatprop.offline.seq_nms import Rescore, rescore_boxes
from heatprop.structures import Detections

_FLOATING = ("boxes", "scores", "network_scores")


@overload
def seq_nms_detections(
    detections: Detections, *, link_iou: float = 0.5, nms_iou: float = 0.3, rescore: Rescore = "average"
) -> Detections: ...
@overload
def seq_nms_detections(
    detections: Sequence[Detections], *, link_iou: float = 0.5, nms_iou: float = 0.3, rescore: Rescore = "average"
) -> list[Detections]: ...
def seq_nms_detections(
    detections: Detections | Sequence[Detections],
    *,
    link_iou: float = 0.5,
    nms_iou: float = 0.3,
    rescore: Rescore = "average",
) -> Detections | list[Detections]:
    """Apply `seq_nms` to the detections of B finished streams.

    Shapes stay the same: suppressed boxes become padding, and each frame is sorted by falling new score, ties in their
    old order. The tubelet ids are the new ``track_ids``, unique within their stream.

    Args:
        detections: With time, ``(B, T, K, ...)``, or a list of T frames, ``(B, K, ...)`` each.
        link_iou: Smallest IoU of linked boxes, above 0.
        nms_iou: Smallest IoU that removes a box, above 0.
        rescore: Which score the boxes of a path get, ``"average"`` or ``"maximum"``.

    Returns:
        The same form as the input.

    Raises:
        TypeError: If they are no `Detections`, or a field has the wrong dtype.
        ValueError: If the detections have no time, frames or fields differ in shape, or an option is out of range.

    Examples:
        >>> import torch
        >>> from heatprop import HeatmapPropagator
        >>> maps = torch.zeros(1, 5, 1, 16, 16)  # five frames
        >>> maps[..., 8, 8] = torch.tensor([0.9, 0.9, 0.3, 0.9, 0.9])[:, None]
        >>> size = torch.full((1, 5, 2, 16, 16), 4.0)
        >>> detections = HeatmapPropagator(top_k=10).forward_chunk(maps, size=size).detections
        >>> seq_nms_detections(detections).unpad()[0][2]["track_ids"]
        tensor([0])
    """
    if not isinstance(detections, Detections):
        frames: list[Any] = list(detections) if isinstance(detections, Sequence) else [detections]
        if not all(isinstance(one, Detections) for one in frames):
            raise TypeError(f"detections must be Detections, or a list of them, got {type(detections).__name__}")
        if not frames:
            return []
        _check_shapes(frames)
        stacked = Detections.stack(frames)
        whole = seq_nms_detections(stacked, link_iou=link_iou, nms_iou=nms_iou, rescore=rescore)
        return [whole.frame(index) for index in range(len(frames))]
    _check_fields(detections)
    if detections.valid.dim() != 3:
        raise ValueError(
            f"detections must have time, valid (B, T, K), got {tuple(detections.valid.shape)}; "
            "pass a list of the frames' detections instead"
        )
    scores, tubelet = torch.zeros_like(detections.scores), torch.full_like(detections.track_ids, -1)
    for stream, valid in enumerate(detections.valid):  # (T, K)
        box, score, label = (field[stream][valid].detach().cpu() for field in detections[:3])
        new_scores, ids = rescore_boxes(
            box.double().numpy(),
            score.double().numpy(),
            label.numpy(),
            valid.nonzero()[:, 0].cpu().numpy(),
            link_iou=link_iou,
            nms_iou=nms_iou,
            rescore=rescore,
        )
        scores[stream][valid] = torch.from_numpy(new_scores).to(scores)
        tubelet[stream][valid] = torch.from_numpy(ids).to(tubelet)
    return _sort_by_score(detections._replace(scores=scores, track_ids=tubelet, valid=tubelet >= 0))


def _sort_by_score(detections: Detections) -> Detections:
    """Put the valid detections first, by falling score, equal scores in their order, and clear the rest."""
    rank = torch.where(detections.valid, detections.scores, -torch.inf)
    order = rank.argsort(dim=-1, descending=True, stable=True)  # (B, T, K)
    valid = detections.valid.gather(-1, order)

    def sort(field: Tensor, empty: int = 0) -> Tensor:
        trailing = (1,) * (field.dim() - order.dim())
        index = order.view(*order.shape, *trailing).expand(field.shape)
        return field.gather(2, index).masked_fill(~valid.view(*valid.shape, *trailing), empty)

    return detections.map(sort)._replace(track_ids=sort(detections.track_ids, -1))


def _check_fields(detections: Detections) -> None:
    """Require fields that belong to each other and hold values."""
    for name, field in detections._asdict().items():
        if name != "extras":
            check_tensor(name, field, floating=name in _FLOATING)
            if name not in _FLOATING and (field.is_floating_point() or field.is_complex()):
                raise TypeError(f"{name} must hold whole numbers or flags, got {field.dtype}")
    for name, field in detections.extras.items():
        check_real(f"extras[{name!r}]", field)
    if detections.valid.dtype != torch.bool:
        raise TypeError(f"valid must be a bool tensor, got {detections.valid.dtype}")
    shape = tuple(detections.valid.shape)
    fields = {name: value for name, value in detections._asdict().items() if name != "extras"} | detections.extras
    for name, field in fields.items():
        if field.is_meta or field.device != detections.valid.device:
            raise ValueError(f"{name} must have values on the device of valid, got {field.device}")
        wanted = (*shape, *{"boxes": (4,), "cells": (2,)}.get(name, field.shape[len(shape) :]))
        if tuple(field.shape) != wanted or (name not in detections.extras and field.dim() > len(shape) + 1):
            raise ValueError(f"{name} must have shape {wanted} to go with valid {shape}, got {tuple(field.shape)}")


def _check_shapes(frames: Sequence[Detections]) -> None:
    for index, frame in enumerate(frames):
        _check_fields(frame)
        if frame.valid.dim() != 2 or frame.valid.shape != frames[0].valid.shape:
            raise ValueError(
                "detections of frames must all have one shape (B, K), "
                f"got {tuple(frames[0].valid.shape)} and, in frame {index}, {tuple(frame.valid.shape)}"
            )
