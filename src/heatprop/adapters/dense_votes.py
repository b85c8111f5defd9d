"""Votes of dense detectors: each place of each level puts its score where the centre of its own box lies."""

from typing import NamedTuple

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor

from heatprop.structures import HeadMaps


class Voters(NamedTuple):
    """Boxes that may vote, of all levels and streams, the finer levels first.

    Attributes:
        row: Number of each among all places of all streams and levels, shape ``(V,)``, ``int64``.
        stream: Which stream each belongs to, shape ``(V,)``, ``int64``.
        best: Its best score over all classes, shape ``(V,)``, in [0, 1].
        order: What falls with the best score, before rounding where that is known, shape ``(V,)``.
        boxes: ``(x1, y1, x2, y2)``, shape ``(V, 4)``, in pixels, ``float32`` at least.
    """

    row: Tensor
    stream: Tensor
    best: Tensor
    order: Tensor
    boxes: Tensor


class Scores(NamedTuple):
    """The scores of some places.

    Attributes:
        row: Number of each place among all, as in `Voters`, shape ``(P,)``, ``int64``.
        score: Shape ``(P,)``, or ``(P, C)`` where ``label`` is ``None``; in [0, 1].
        label: Class index, shape ``(P,)``, ``int64``; ``None`` for all classes.
    """

    row: Tensor
    score: Tensor
    label: Tensor | None = None


class Grid(NamedTuple):
    """The one grid that all levels vote on.

    Attributes:
        batch: Number of streams.
        classes: Number of classes.
        height: Rows.
        width: Columns.
        stride: Pixels per cell.
    """

    batch: int
    classes: int
    height: int
    width: int
    stride: float

    @property
    def cells(self) -> int:
        """Number of cells of all streams."""
        return self.batch * self.height * self.width


def vote(voters: Voters, scores: Scores, places: int, grid: Grid, *, low: float) -> HeadMaps:
    """Put every score into the cell of its box's centre; the highest of each class wins.

    The box of a cell is that of its best score over all classes. Equal scores go to the earlier voter. Boxes that are
    not finite, have a negative side or a centre outside the grid do not vote.

    Args:
        voters: The boxes.
        scores: Their scores; those of other places do not count.
        places: How many places there are in all.
        grid: Where they vote.
        low: Scores up to this do not vote.

    Returns:
        Maps ``(B, C, H, W)``; cells without a vote have score 0, the offset of their middle and size 0.
    """
    low_corner, high_corner = voters.boxes.chunk(2, dim=1)
    centre, side = (low_corner + high_corner) / (2 * grid.stride), (high_corner - low_corner) / grid.stride
    floor = centre.floor()
    column, row = floor.unbind(1)
    inside = (column >= 0) & (column < grid.width) & (row >= 0) & (row < grid.height)  # false for NaN
    voting = inside & ((side >= 0) & (side < torch.inf)).all(1) & (voters.best > low)
    cell = (voters.stream * grid.height + row.where(voting, 0).long()) * grid.width + column.where(voting, 0).long()
    cell = torch.where(voting, cell, grid.cells)  # one place more, for those that do not vote
    offset, size = place_boxes(torch.cat([centre - floor, side], dim=1), voters.order, cell, grid)
    cell_of = cell.new_full((places,), grid.cells).scatter_(0, voters.row, cell)
    return HeadMaps(place_scores(scores, cell_of[scores.row], grid, low=low), offset, size)


def place_boxes(boxes: Tensor, order: Tensor, cell: Tensor, grid: Grid) -> tuple[Tensor, Tensor]:
    """Give each cell the offset and size of its first voter by ``order``, the earliest of equals.

    Args:
        boxes: Offset and size, shape ``(V, 4)``, in cells.
        order: What the first has most of, shape ``(V,)``.
        cell: Where each votes, ``grid.cells`` for nowhere, shape ``(V,)``, ``int64``.
        grid: Where they vote.

    Returns:
        Offset and size, shape ``(B, 2, H, W)`` each.
    """
    count = grid.cells + 1
    most = order.new_full((count,), -torch.inf).scatter_reduce_(0, cell, order, "amax")
    number = torch.arange(len(cell), device=cell.device)
    leader = torch.where(order == most[cell], cell, grid.cells)
    earliest = number.new_full((count,), len(cell)).scatter_reduce_(0, leader, number, "amin")
    chosen = torch.where(earliest[leader] == number, leader, grid.cells)
    maps = torch.zeros(count, 4, dtype=boxes.dtype, device=boxes.device)
    maps[:, :2] = 0.5
    maps = maps.scatter_(0, chosen.unsqueeze(1).expand_as(boxes), boxes)[:-1]
    offset, size = maps.view(grid.batch, grid.height, grid.width, 4).permute(0, 3, 1, 2).chunk(2, dim=1)
    return offset.contiguous(), size.contiguous()


def place_scores(scores: Scores, cell: Tensor, grid: Grid, *, low: float) -> Tensor:
    """Take the highest score of each class in each cell; those up to ``low`` count as 0.

    Args:
        scores: The scores.
        cell: Cell of each place, ``grid.cells`` for nowhere, shape ``(P,)``, ``int64``.
        grid: Where they vote.
        low: Scores up to this do not vote.

    Returns:
        Shape ``(B, C, H, W)``.
    """
    C, each = grid.classes, grid.height * grid.width
    score = F.threshold(scores.score, low, 0)
    if scores.label is None:
        rows = score.new_zeros(grid.cells + 1, C)
        rows = rows.scatter_reduce_(0, cell.unsqueeze(1).expand_as(score), score, "amax")
        return rows[:-1].view(grid.batch, grid.height, grid.width, C).permute(0, 3, 1, 2).contiguous()
    place = torch.where(cell < grid.cells, (cell // each * C + scores.label) * each + cell % each, grid.cells * C)
    heatmap = score.new_zeros(grid.cells * C + 1).scatter_reduce_(0, place, score, "amax")
    return heatmap[:-1].view(grid.batch, C, grid.height, grid.width)


def may_wait(field: Tensor) -> bool:
    """Say whether to read values costs nothing here: on the CPU, outside compilers, with real values."""
    return field.device.type == "cpu" and type(field) is Tensor and not torch.compiler.is_compiling()
