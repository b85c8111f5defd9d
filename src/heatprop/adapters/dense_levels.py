"""The raw output of a dense head: how it is written, what was expected, and the boxes of all its places."""

import math
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
import torch
from torch import Tensor

from heatprop.adapters.dense_votes import Scores, Voters
from heatprop.adapters.named_maps import as_tensor, describe
from heatprop.checks import check_one_device, check_tensor

BoxForm: TypeAlias = Literal["ltrb", "xywh", "xyxy"]
Unit: TypeAlias = Literal["cells", "pixels"]
Pair: TypeAlias = tuple[Tensor, Tensor]


class DenseFormat(NamedTuple):
    """How a head writes its scores and boxes: the options of `heatprop.adapters.dense`."""

    strides: tuple[float, ...]
    unit: Unit
    origin: float
    boxes: BoxForm
    bins: int | None
    logits: bool
    objectness: bool
    low: float
    input_size: tuple[int, int] | None

    @property
    def box_numbers(self) -> int:
        """Numbers that describe a box."""
        return 4 * (self.bins or 1)

    def message(self, raw: Any) -> str:
        """Say what was expected and what came."""
        classes, numbers = "1 + C" if self.objectness else "C", self.box_numbers
        return (
            f"adapters.dense expects {len(self.strides)} levels, one for each of strides {self.strides}, of (scores "
            f"(B, {classes}, h, w), boxes (B, {numbers}, h, w)), or one tensor (B, N, {numbers} + {classes}) or "
            f"(B, {numbers} + {classes}, N); got {describe(raw)}. Its options say how scores and boxes are written."
        )


class Level(NamedTuple):
    """Scores and boxes of some places, flat.

    Attributes:
        scores: Shape ``(B, n, C)``, with objectness ``(B, n, 1 + C)``.
        boxes: Shape ``(B, n, 4)``, with bins ``(B, n, 4 * bins)``.
        columns: Places in a row.
        stride: Pixels from one place to the next.
    """

    scores: Tensor
    boxes: Tensor
    columns: int
    stride: float


def read_levels(raw: Any, form: DenseFormat) -> tuple[list[Level], tuple[float, float]]:
    """Flatten a list of levels.

    Args:
        raw: Pairs of maps, scores and boxes, as tensors or numpy arrays.
        form: How they are written.

    Returns:
        The levels, the finest first; and width and height of the network input, in pixels.

    Raises:
        TypeError: If it is something else.
        ValueError: If shapes do not fit together.
    """
    pairs = _check_pairs(raw, form)
    sides = [(pair[0].shape[3] * stride, pair[0].shape[2] * stride) for pair, stride in pairs]
    width, height = form.input_size or sides[0]
    for side, (_, stride) in zip(sides, pairs, strict=True):
        if max(abs(side[0] - width), abs(side[1] - height)) >= stride + min(form.strides):
            raise ValueError(
                f"the levels must cover one picture of {width:g} x {height:g} pixels, got one of {side[0]:g} x "
                f"{side[1]:g} at stride {stride:g} in {describe(raw)}; give strides in the order of the levels"
                f"{', and input_size as (width, height)' * (form.input_size is not None)}"
            )
    levels = []
    for (scores, boxes), stride in pairs:
        places = scores.flatten(2).transpose(1, 2), boxes.flatten(2).transpose(1, 2)
        levels.append(Level(*places, scores.shape[3], stride))
    return levels, (width, height)


def read_flat(raw: Tensor, form: DenseFormat) -> tuple[list[Level], tuple[float, float]]:
    """Take one tensor of all places apart.

    Args:
        raw: Shape ``(B, N, 4 + C)`` or ``(B, 4 + C, N)``.
        form: How it is written.

    Returns:
        The levels, the finest first, or one for boxes that do not need to know their place; and width and height of the
        network input, in pixels.

    Raises:
        TypeError: If it holds no floating point numbers.
        ValueError: If its shape does not fit, or ``input_size`` is missing.
    """
    check_tensor("the output", raw, floating=True)
    if raw.dim() != 3 or 0 in raw.shape:
        raise ValueError(form.message(raw))
    if form.input_size is None:
        raise ValueError(
            f"adapters.dense needs input_size to read one tensor {tuple(raw.shape)}, got None; give width and height "
            "of the pictures that the network takes, in pixels"
        )
    width, height = form.input_size
    shapes = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in form.strides]
    count = sum(rows * columns for rows, columns in shapes)
    places_last = raw.shape[2] == count or (raw.shape[1] != count and raw.shape[2] > raw.shape[1])
    rows = raw.transpose(1, 2) if places_last else raw  # (B, N, 4 + C)
    wanted = count if form.boxes == "ltrb" else rows.shape[1]  # other boxes do not need to know where they stand
    if rows.shape[2] <= form.box_numbers + form.objectness or rows.shape[1] != wanted:
        raise ValueError(f"{form.message(raw)} N should be {count}, as input_size is {form.input_size}.")
    if form.boxes != "ltrb":
        shapes, strides = [(rows.shape[1], 1)], [1.0]
    else:
        strides = list(form.strides)
    parts = torch.split(rows, [height * width for height, width in shapes], dim=1)
    levels = [
        Level(part[:, :, form.box_numbers :], part[:, :, : form.box_numbers], columns, stride)
        for part, (_, columns), stride in zip(parts, shapes, strides, strict=True)
    ]
    return sorted(levels, key=lambda level: level.stride), form.input_size


def all_places(level: Level, form: DenseFormat, first: int) -> tuple[Voters, Scores]:
    """Decode all places, with static shapes.

    Args:
        level: Scores and boxes as the network gives them.
        form: How they are written.
        first: Number of its first place.

    Returns:
        The boxes and all their scores.
    """
    B, n, _ = level.scores.shape
    row = torch.arange(B * n, device=level.scores.device)
    best, order = best_scores(level.scores, form)
    boxes = to_boxes(level.boxes.flatten(0, 1), row % n, level, form)
    scores = to_scores(level.scores.flatten(0, 1), form)
    return Voters(row + first, row // n, best.flatten(), order.flatten(), boxes), Scores(row + first, scores)


def good_places(level: Level, form: DenseFormat, first: int) -> tuple[Voters, Scores]:
    """Do what `all_places` does, but for the scores above ``low`` only; this reads values."""
    n = level.scores.shape[1]
    best, order = best_scores(level.scores, form)
    good = best > form.low
    row = torch.from_numpy(np.flatnonzero(good.numpy()))
    stream, place = row // n, row % n
    boxes = to_boxes(level.boxes[stream, place], place, level, form)
    voters = Voters(row + first, stream, best.flatten()[row], order.flatten()[row], boxes)
    label, owner = find_scores(level.scores[..., int(form.objectness) :], good, form)
    stream, place = owner // n, owner % n
    score = to_scores(level.scores[stream, place, label + int(form.objectness)].unsqueeze(1), form, alone=True)
    if form.objectness:
        score = score * to_scores(level.scores[stream, place, :1], form, alone=True)
    return voters, Scores(owner + first, score.squeeze(1), label)


def find_scores(scores: Tensor, good: Tensor, form: DenseFormat) -> tuple[Tensor, Tensor]:
    """Find the scores ``(B, n, C)`` that may be above ``low``: label and place ``b * n + place`` of each."""
    n, C = scores.shape[1:]
    least = form.low
    if form.logits:  # a little less, as the sigmoid rounds
        least = math.log(least / (1 - least)) - 0.05 if 0 < least < 1 else -math.inf if least == 0 else math.inf
    columns_first = scores.stride(1) < scores.stride(2)  # as the maps of a level are
    scores = scores.detach().transpose(1, 2) if columns_first else scores.detach()
    values = (scores.float() if scores.dtype == torch.bfloat16 else scores).numpy()  # numpy compares faster
    above = values > values.dtype.type(least)
    if form.objectness:
        above &= np.expand_dims(good.numpy(), 1 if columns_first else 2)
    index = torch.from_numpy(np.flatnonzero(above))
    if columns_first:
        return index // n % C, index // (C * n) * n + index % n
    return index % C, index // C


def best_scores(scores: Tensor, form: DenseFormat) -> tuple[Tensor, Tensor]:
    """The best score of each place over all classes, and what orders them before rounding, shape ``(B, n)`` each."""
    best = scores[:, :, int(form.objectness) :].amax(2, keepdim=True)
    if not form.objectness:
        return to_scores(best, form).squeeze(2), best.squeeze(2)
    best = to_scores(torch.cat([scores[:, :, :1], best], dim=2), form).squeeze(2)
    return best, best


def to_scores(scores: Tensor, form: DenseFormat, *, alone: bool = False) -> Tensor:
    """Finish scores ``(..., C)`` or, with objectness unless ``alone``, ``(..., 1 + C)``: shape ``(..., C)``."""
    if form.logits:
        scores = scores.sigmoid()
    return scores[..., 1:] * scores[..., :1] if form.objectness and not alone else scores


def to_boxes(boxes: Tensor, place: Tensor, level: Level, form: DenseFormat) -> Tensor:
    """Finish boxes ``(V, 4)``, or ``(V, 4 * bins)``: ``(x1, y1, x2, y2)`` in pixels, ``float32`` at least.

    Args:
        boxes: As the network gives them.
        place: Where each stands in its level, row after row, shape ``(V,)``, ``int64``.
        level: The level.
        form: How boxes are written.
    """
    boxes = boxes.to(torch.promote_types(boxes.dtype, torch.float32))
    if form.bins is not None:
        weights = boxes.view(-1, 4, form.bins).softmax(2)
        boxes = weights @ torch.arange(form.bins, device=boxes.device, dtype=boxes.dtype)
    if form.boxes == "xyxy":
        return boxes
    first, second = boxes.chunk(2, dim=1)
    if form.boxes == "xywh":
        return torch.cat([first - second / 2, first + second / 2], dim=1)
    cells = torch.stack([place % level.columns, place // level.columns], dim=1)  # (V, 2)
    points = (cells.to(boxes.dtype) + form.origin) * level.stride
    scale = level.stride if form.unit == "cells" else 1
    return torch.cat([points - first * scale, points + second * scale], dim=1)


def _check_pairs(raw: Any, form: DenseFormat) -> list[tuple[Pair, float]]:
    """Require pairs of maps, one for each stride; returned with it, the finest first."""
    if not isinstance(raw, list | tuple):
        raise TypeError(form.message(raw))
    if len(form.strides) == 1 and len(raw) == 2 and not isinstance(raw[0], list | tuple):
        raw = [raw]  # the only level itself
    if len(raw) != len(form.strides) or not all(isinstance(one, list | tuple) and len(one) == 2 for one in raw):
        raise ValueError(form.message(raw))
    pairs = [(as_tensor(scores), as_tensor(boxes)) for scores, boxes in raw]
    if not all(isinstance(field, Tensor) for pair in pairs for field in pair):
        raise TypeError(form.message(raw))
    first = pairs[0][0]
    for scores, boxes in pairs:
        check_tensor("scores", scores, floating=True)
        check_tensor("boxes", boxes, floating=True)
        check_one_device(scores=scores, boxes=boxes, others=first)
        alike = scores.dim() == 4 and (scores.shape[:2], scores.dtype) == (first.shape[:2], first.dtype)
        beside = (*scores.shape[:1], form.box_numbers, *scores.shape[2:])
        if not alike or tuple(boxes.shape) != beside or scores.shape[1] <= form.objectness or 0 in scores.shape:
            raise ValueError(form.message(raw))
    return sorted(zip(pairs, form.strides, strict=True), key=lambda level: level[1])
