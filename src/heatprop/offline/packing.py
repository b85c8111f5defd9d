"""Offline: detections of a frame as arrays without padding, and back."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.offline.merging import NOBODY, FrameObjects
from heatprop.structures import Detections

_SHARED = ("boxes", "scores", "labels", "ages", "network_scores", "cells")


def pack(detections: Detections) -> list[NDArray[Any]]:
    """The valid detections as arrays: shared fields, identities, then the extras by name."""
    (found,) = detections.unpad()
    fields = [
        *(found[name] for name in (*_SHARED, "track_ids")),
        *(found["extras"][key] for key in sorted(found["extras"])),
    ]
    return [field.cpu().numpy() for field in fields]


def unpack(arrays: list[NDArray[Any]], like: Detections, *, backward: bool) -> FrameObjects:
    """What `pack` made, with its identities as those of one direction; ``like`` tells the names of the extras."""
    *fields, track_ids = arrays[: len(_SHARED) + 1]
    nobody = np.full_like(track_ids, NOBODY)
    return FrameObjects(
        **dict(zip(_SHARED, fields, strict=True)),
        forward_ids=nobody if backward else track_ids,
        backward_ids=track_ids if backward else nobody,
        extras=dict(zip(sorted(like.extras), arrays[len(_SHARED) + 1 :], strict=True)),
    )


def pad_objects(
    objects: FrameObjects, track_ids: NDArray[np.int64], *, like: Detections, score_threshold: float
) -> Detections:
    """The objects of a frame, at most K, as detections of the shapes, dtypes and device of ``like``, ``(1, K)``."""

    def pad(values: NDArray[Any], template: Tensor, empty: int = 0) -> Tensor:
        padded = torch.full_like(template, empty)
        padded[0, : len(values)] = torch.from_numpy(np.ascontiguousarray(values)).to(template)
        return padded

    return Detections(
        **{name: pad(getattr(objects, name), getattr(like, name)) for name in _SHARED},
        valid=pad(np.ones(len(track_ids), np.bool_), like.valid),
        track_ids=pad(track_ids, like.track_ids, NOBODY),
        carried=pad(objects.network_scores < score_threshold, like.carried),
        extras={name: pad(values, like.extras[name]) for name, values in objects.extras.items()},
    )
