"""What must hold of every call, whatever it is given: the laws of the fuzzing session."""

import dis
from pathlib import Path

import torch

import heatprop

SOURCE = Path(heatprop.__file__).parent
RAISE = dis.opmap["RAISE_VARARGS"]


def refused_in_our_words(error: BaseException) -> bool:
    """Whether a ``raise`` statement of heatprop made this error.

    An error of torch or numpy that passes through has its innermost frame elsewhere, or, where C code raised it, in a
    line of ours that calls something; then the instruction that was executed is a call.
    """
    if not isinstance(error, TypeError | ValueError | RuntimeError):
        return False
    last = error.__traceback__
    while last.tb_next is not None:
        last = last.tb_next
    code = last.tb_frame.f_code
    return Path(code.co_filename).is_relative_to(SOURCE) and code.co_code[last.tb_lasti] == RAISE


def snapshot(state: object) -> object:
    """A copy of a state to compare with later."""
    return None if state is None else state.map(lambda field: field.clone())


def is_same_state(one: object, other: object) -> bool:
    """Whether two states are equal, bit for bit."""
    if one is None or other is None:
        return one is other
    return all(_is_same(*fields) for fields in zip(one, other, strict=True))


def check_propagated(output: heatprop.PropagatorOutput, heatmap: torch.Tensor, count: int, extras: object) -> None:
    """A frame's output: the balanced heatmap and the detections."""
    balanced = output.heatmap
    assert (balanced.shape, balanced.dtype, balanced.device) == (heatmap.shape, heatmap.dtype, heatmap.device)
    if not balanced.is_meta:
        assert is_score(balanced), "the balanced heatmap leaves [0, 1]"
    detections = output.detections
    if heatmap.dim() == 5:
        for number in range(heatmap.shape[1]):
            check_detections(detections.frame(number), tuple(heatmap.shape[2:]), (len(heatmap), count), extras)
    else:
        check_detections(detections, tuple(heatmap.shape[1:]), (len(heatmap), count), extras)


def check_detections(
    found: heatprop.Detections, shape: tuple[int, ...], places: tuple[int, int], extras: object = None
) -> None:
    """Detections (B, K) of a frame of maps ``(C, H, W)``."""
    for name, field in found._asdict().items():
        if name != "extras":
            tail = {"boxes": (4,), "cells": (2,)}.get(name, ())
            assert tuple(field.shape) == (*places, *tail), f"{name} has shape {tuple(field.shape)}"
    if found.valid.is_meta:
        return
    valid, (C, H, W) = found.valid, shape
    assert is_score(found.scores), "a score leaves [0, 1]"
    assert is_score(found.network_scores), "a network's score leaves [0, 1]"
    assert bool(found.boxes.isfinite().all()), f"a box is not finite: {found.boxes[~found.boxes.isfinite()][:4]}"
    assert bool((valid.long().diff(dim=1) <= 0).all()), "a valid place lies behind padding"
    assert bool((found.scores.diff(dim=1) <= 0).all()), "scores rise"
    assert bool(((found.labels >= 0) & (found.labels < C)).all()), "a label is out of range"
    assert bool(((found.cells >= 0) & (found.cells < torch.tensor([W, H]))).all()), "a cell is outside"
    assert bool((found.ages[valid] >= 1).all()), "a detection has no age"
    for ids, real in zip(found.track_ids, valid, strict=True):
        assert len(set(ids[real].tolist())) == int(real.sum()), "two detections share an identity"
        assert bool((ids[real] >= 0).all()), "an identity is negative"
        assert bool((ids[~real] == -1).all()), "padding has an identity"
    for name in ("boxes", "scores", "labels", "ages", "network_scores", "carried", "cells"):
        assert not bool(getattr(found, name)[~valid].any()), f"padding of {name} is not 0"
    for name, field in found.extras.items():
        assert not bool(field[~valid].any()), f"padding of an extra is not 0: {field[~valid]}"
        given = extras[name] if isinstance(extras, dict) and name in extras else None
        if given is not None and bool(given.isfinite().all()):
            assert bool(field.isfinite().all()), "an extra is not finite"


def check_maps(maps: heatprop.HeadMaps) -> None:
    """What an adapter returns: maps of one batch, height and width."""
    assert isinstance(maps, heatprop.HeadMaps), f"an adapter returned {type(maps).__name__}"
    B, _, H, W = maps.heatmap.shape
    for field, channels in ((maps.offset, 2), (maps.size, 2)):
        assert field is None or tuple(field.shape) == (B, channels, H, W)
    for field in (maps.extras or {}).values():
        assert (field.shape[0], *field.shape[2:]) == (B, H, W)


def is_score(tensor: torch.Tensor) -> bool:
    """Whether all are in [0, 1]; NaN is not."""
    return bool(((tensor >= 0) & (tensor <= 1)).all())


def _is_same(one: torch.Tensor, other: torch.Tensor) -> bool:
    if (one.shape, one.dtype, one.device) != (other.shape, other.dtype, other.device):
        return False
    return one.is_meta or torch.equal(one, other)
