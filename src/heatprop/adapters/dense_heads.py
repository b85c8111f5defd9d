"""Dense heads: a score map and a box map per level (YOLO from version 6 on, YOLOX, NanoDet, FCOS, RTMDet, PP-YOLOE)."""

import math
from collections.abc import Iterable, Sequence
from numbers import Integral
from typing import Any, get_args

import torch
from torch import Tensor

from heatprop.adapters.dense_levels import BoxForm, DenseFormat, Unit, all_places, good_places, read_flat, read_levels
from heatprop.adapters.dense_votes import Grid, Scores, Voters, may_wait, vote
from heatprop.adapters.named_maps import Adapter, only_output
from heatprop.checks import check_count, check_number
from heatprop.structures import HeadMaps


def dense(
    strides: Sequence[float] = (8, 16, 32),
    *,
    grid: float = 8,
    unit: Unit = "cells",
    origin: float = 0.5,
    boxes: BoxForm = "ltrb",
    bins: int | None = None,
    logits: bool = True,
    objectness: bool = False,
    low: float = 0.01,
    input_size: int | tuple[int, int] | None = None,
) -> Adapter:
    """Make an adapter for heads that give scores and a box at every place of several levels.

    All levels vote on one grid: each place puts its scores into the cell in which the centre of **its own box** lies,
    and the highest score of each class wins there. The box of a cell is that of its best score over all classes. Of
    equal scores, that of the finer level wins, then that of the lower index. Boxes whose centre lies outside the grid
    do not vote, nor do those that are not finite. One object gets one cell or a few, so no window of peaks is needed:

        propagator = HeatmapPropagator.steady(stride=8, peak_kernel=1, top_k=300)

    The adapter reads a list of levels ``(scores (B, C, h, w), boxes (B, 4, h, w))``, or one tensor ``(B, N, 4 + C)`` or
    ``(B, 4 + C, N)`` of all places, level after level, row after row, boxes first. (Which of the two it is follows from
    the number of places that ``strides`` and ``input_size`` give; if that does not tell, N is the larger one.)

    Args:
        strides: Pixels per cell of each level, in the order of the levels.
        grid: Pixels per cell of the grid, the same as the propagator's ``stride``.
        unit: What distances are measured in, ``"cells"`` of their level or ``"pixels"``.
        origin: Where in its cell the point lies that distances start from, in cells: 0.5 the middle, 0 the corner.
        boxes: ``"ltrb"``: distances from the point to the left, top, right and bottom side; or boxes ``"xywh"``
            (centre, width, height) or ``"xyxy"`` in pixels.
        bins: Each distance comes as so many logits; it is the mean of 0, 1, 2, ... weighted by their softmax
            (distribution focal loss). ``None``: distances are numbers.
        logits: Whether scores, and objectness, still need a sigmoid.
        objectness: Whether one number more stands before the classes, by which every score is multiplied.
        low: Scores up to this do not vote, in [0, 1).
        input_size: Network input ``(width, height)`` in pixels, or the side of a square one. One tensor needs it; with
            levels it follows from the finest one.

    Returns:
        An adapter: scores, the box's centre as offset and its size ``(w, h)``, both in cells of the grid. On the CPU it
        looks only at the boxes that vote; elsewhere its shapes are static and it never waits for the device.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of its range.

    Examples:
        Two neighbouring places of the finest level see one box, whose centre is (20, 12) pixels:

        >>> import torch
        >>> from heatprop import adapters
        >>> scores, distances = torch.zeros(1, 1, 4, 4), torch.zeros(1, 4, 4, 4)
        >>> scores[0, 0, 1, 2], scores[0, 0, 1, 3] = 0.9, 0.6
        >>> distances[0, :, 1, 2], distances[0, :, 1, 3] = torch.ones(4), torch.tensor([2.0, 1, 0, 1])
        >>> maps = adapters.dense(strides=(8,), logits=False)([(scores, distances)])
        >>> maps.heatmap.nonzero().tolist(), maps.size[0, :, 1, 2].tolist()
        ([[0, 0, 1, 2]], [2.0, 2.0])
    """
    form = DenseFormat(
        strides=_check_strides(strides),
        unit=unit,
        origin=origin,
        boxes=boxes,
        bins=bins,
        logits=logits,
        objectness=objectness,
        low=low,
        input_size=check_input_size(input_size),
    )
    _check_form(form)
    _check_side("grid", grid)
    return _DenseAdapter(form, grid)


class _DenseAdapter:
    def __init__(self, form: DenseFormat, grid: float) -> None:
        self._form = form
        self._grid = grid

    def __call__(self, raw: Any) -> HeadMaps:
        raw = only_output(raw)
        read = read_flat if isinstance(raw, Tensor) else read_levels
        levels, (width, height) = read(raw, self._form)
        B, _, numbers = levels[0].scores.shape
        rows, columns = math.ceil(height / self._grid), math.ceil(width / self._grid)
        grid = Grid(B, numbers - self._form.objectness, rows, columns, self._grid)
        choose = good_places if may_wait(levels[0].scores) else all_places
        places, chosen = 0, []
        for level in levels:
            chosen.append(choose(level, self._form, places))
            places += B * level.scores.shape[1]
        voters, scores = (_join(parts) for parts in zip(*chosen, strict=True))
        return vote(Voters(*voters), Scores(*scores), places, grid, low=self._form.low)

    def __repr__(self) -> str:
        return f"adapters.dense(grid={self._grid}, {', '.join(f'{k}={v!r}' for k, v in self._form._asdict().items())})"


def _join(parts: Iterable[Iterable[Tensor | None]]) -> list[Any]:
    """Put the fields of several levels together; what is ``None`` stays so."""
    together = zip(*parts, strict=True)
    return [None if fields[0] is None else torch.cat(fields) for fields in together]


def check_input_size(input_size: Any) -> tuple[int, int] | None:
    """Require a width and a height, or the side of a square, in pixels, or ``None``; a side becomes both.

    Raises:
        TypeError: If it is something else.
        ValueError: If one is below 1.
    """
    if input_size is None:
        return None
    pair: Any = (input_size, input_size) if isinstance(input_size, Integral) else input_size
    if isinstance(pair, str) or not hasattr(pair, "__len__") or not hasattr(pair, "__getitem__") or len(pair) != 2:
        raise TypeError(f"input_size must be (width, height) in pixels, or the side of a square, got {input_size!r}")
    for side in pair:
        check_count("each side of input_size", side, low=1)
    return int(pair[0]), int(pair[1])


def _check_strides(strides: Sequence[float]) -> tuple[float, ...]:
    if isinstance(strides, str) or not isinstance(strides, Sequence):
        raise TypeError(f"strides must be a sequence of numbers, one for each level, got {strides!r}")
    if not strides:
        raise ValueError("strides must name the stride of each level, got none")
    for stride in strides:
        _check_side("each of strides", stride)
    return tuple(strides)


def _check_side(name: str, side: float) -> None:
    check_number(name, side, low=0)
    if side in (0, math.inf):
        raise ValueError(f"{name} must be finite and above 0 pixels, got {side}")


def _check_form(form: DenseFormat) -> None:
    check_number("origin", form.origin, low=0, high=1)
    check_number("low", form.low, low=0, high=1)
    for name, word, words in (("unit", form.unit, Unit), ("boxes", form.boxes, BoxForm)):
        if word not in get_args(words):
            raise ValueError(f"{name} must be one of {', '.join(map(repr, get_args(words)))}, got {word!r}")
    for name, flag in (("logits", form.logits), ("objectness", form.objectness)):
        if not isinstance(flag, bool):
            raise TypeError(f"{name} must be True or False, got {flag!r}")
    if form.bins is not None:
        check_count("bins", form.bins, low=2)
        if form.boxes != "ltrb":
            raise ValueError(f"bins must be None with boxes={form.boxes!r}, got {form.bins}: only distances have bins")
