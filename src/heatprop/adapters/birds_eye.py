"""CenterPoint's heads: maps of the ground seen from above, per group of classes."""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor

from heatprop.adapters.named_maps import ExpectedMaps, describe
from heatprop.checks import check_number
from heatprop.remembering.rules import Rule
from heatprop.structures import HeadMaps

CENTERPOINT_EXTRAS: Mapping[str, tuple[Rule, int]] = {
    "height": ("blend", 1),
    "dim": ("blend", 3),
    "rot": ("angle", 2),
    "vel": ("blend", 2),
}
"""How the extras of `centerpoint` are remembered; leave ``vel`` out if the model has none."""

_FORM = "a list of dicts of maps, one per task, or the pair of it and the features"
_HEADS = {"hm": None, "reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
_CENTERPOINT = ExpectedMaps("centerpoint", _FORM, _HEADS, frozenset({"vel"}))


class BirdsEyeGrid(NamedTuple):
    """Where the cells of the maps lie on the ground: metres = cells * voxels_per_cell * voxel_size + start.

    The defaults are those of CenterPoint's pillars of 0.2 m on nuScenes.

    Attributes:
        voxel_size: Size of a voxel along x and y, in metres (``test_cfg.voxel_size``).
        start: x and y of the first cell, in metres (``test_cfg.pc_range``).
        voxels_per_cell: Voxels along a cell's side (``test_cfg.out_size_factor``). This is the ``stride`` of the
            propagators.
    """

    voxel_size: tuple[float, float] = (0.2, 0.2)
    start: tuple[float, float] = (-51.2, -51.2)
    voxels_per_cell: float = 4

    @property
    def cell_size(self) -> tuple[float, float]:
        """Sides of a cell along x and y, in metres."""
        return (self.voxel_size[0] * self.voxels_per_cell, self.voxel_size[1] * self.voxels_per_cell)


def centerpoint(
    *,
    tasks: Sequence[int],
    grid: BirdsEyeGrid | None = None,
    limits: tuple[float, float, float, float, float, float] | None = None,
    best_class: bool = False,
    logits: bool = True,
    seconds: float | None = None,
) -> Callable[[Any], tuple[HeadMaps, ...]]:
    """Make an adapter for CenterPoint's ``CenterHead`` (github.com/tianweiy/CenterPoint).

    The adapter takes what ``CenterHead.forward`` returns: per task a dict of ``hm`` ``(B, C, H, W)`` logits, ``reg``
    ``(B, 2, H, W)`` cells, ``height`` ``(B, 1, H, W)`` metres, ``dim`` ``(B, 3, H, W)`` logarithms of metres, ``rot``
    ``(B, 2, H, W)`` sine and cosine, and, if the model has it, ``vel`` ``(B, 2, H, W)`` metres per second. It returns
    the maps of each
    task for :class:`heatprop.birds_eye.GroupedPropagator`: ``reg`` as offset; as size the upright rectangle around the
    turned box, in cells; and the extras ``height``, ``dim`` (in metres), ``rot`` and ``vel``.

    Args:
        tasks: How many classes each task has: ``(1, 2, 2, 1, 2, 2)`` on nuScenes.
        grid: Where the cells lie; by default CenterPoint's grid for pillars on nuScenes.
        limits: Lowest x, y, z and highest x, y, z of a centre, in metres (``post_center_limit_range``): scores of cells
            outside are 0. ``None`` keeps all.
        best_class: Keep only the best class of each cell of a task, as ``CenterHead.predict`` does. Memory works better
            with all classes: a class that comes second in one frame is then not forgotten.
        logits: Whether ``hm`` still needs its sigmoid.
        seconds: Time from one frame to the next. With it, ``vel`` gives one more extra, ``tracking`` ``(B, 2, H, W)``:
            from the cell to where the object was in the frame before, in cells, for propagators with
            ``motion="tracking"``. The car's motion is no part of it and stays the ``shift`` of the propagators.

    Returns:
        The adapter. Like the others, it raises ``TypeError`` or ``ValueError`` if its input is not as described.

    Raises:
        TypeError: If ``seconds`` is not a number.
        ValueError: If ``tasks`` is empty or holds a number below 1, ``limits`` are not six numbers, or ``seconds`` is
            negative or not finite.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> channels = {"hm": 2, "reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
        >>> task = {name: torch.zeros(1, depth, 8, 8) for name, depth in channels.items()}
        >>> maps = adapters.centerpoint(tasks=(2, 2))([task, task])
        >>> len(maps), maps[0].heatmap.shape, sorted(maps[0].extras)
        (2, torch.Size([1, 2, 8, 8]), ['dim', 'height', 'rot', 'vel'])
    """
    if not tasks or not all(isinstance(count, int) and count >= 1 for count in tasks):
        raise ValueError(f"tasks must hold the number of classes of each task, at least 1, got {tasks!r}")
    if limits is not None and len(limits) != 6:
        raise ValueError(f"limits must be the lowest x, y, z and the highest x, y, z, got {limits!r}")
    if seconds is not None:
        check_number("seconds", seconds, low=0, high=1e6)
    return partial(
        _read_centerpoint,
        tasks=tuple(tasks),
        grid=grid or BirdsEyeGrid(),
        limits=limits,
        best_class=best_class,
        logits=logits,
        seconds=seconds,
    )


def _read_centerpoint(
    raw: Any,
    *,
    tasks: tuple[int, ...],
    grid: BirdsEyeGrid,
    limits: tuple[float, ...] | None,
    best_class: bool,
    logits: bool,
    seconds: float | None,
) -> tuple[HeadMaps, ...]:
    found = raw[0] if isinstance(raw, tuple) and len(raw) == 2 and isinstance(raw[0], list) else raw
    if not isinstance(found, list | tuple) or not all(isinstance(task, Mapping) for task in found):
        raise TypeError(f"adapters.centerpoint expects {_FORM}; got {describe(raw)}")
    counts = tuple(getattr(task.get("hm"), "shape", (0, 0))[1] for task in found)
    if counts != tasks:
        raise ValueError(f"adapters.centerpoint expects tasks of {tasks} classes, got {counts}; set tasks={counts}")
    tasks_heads = [_CENTERPOINT.check(task, raw) for task in found]
    maps = [_read_task(heads, grid, limits, best_class, logits) for heads in tasks_heads]
    if seconds is not None:
        maps = [_with_tracking(one, heads, grid, seconds) for one, heads in zip(maps, tasks_heads, strict=True)]
    return tuple(maps)


def _with_tracking(maps: HeadMaps, heads: dict[str, Tensor], grid: BirdsEyeGrid, seconds: float) -> HeadMaps:
    """Say where each object was in the frame before, as CenterTrack's ``tracking`` does."""
    if "vel" not in heads:
        raise ValueError("adapters.centerpoint needs 'vel' for seconds=, got none; leave seconds out")
    steps = [speed * (seconds / cell) for speed, cell in zip(heads["vel"].unbind(1), grid.cell_size, strict=True)]
    tracking = heads["reg"] - torch.stack(steps, dim=1)
    return maps._replace(extras={**(maps.extras or {}), "tracking": tracking})


def _read_task(
    heads: dict[str, Tensor],
    grid: BirdsEyeGrid,
    limits: tuple[float, ...] | None,
    best_class: bool,
    logits: bool,
) -> HeadMaps:
    heatmap = heads["hm"].sigmoid() if logits else heads["hm"]
    if best_class:
        heatmap = torch.where(heatmap == heatmap.amax(1, keepdim=True), heatmap, 0)
    if limits is not None:
        heatmap = torch.where(_inside(heads, grid, limits), heatmap, 0)
    dimensions = heads["dim"].exp()  # metres
    sides = _upright(dimensions, heads["rot"])  # numbers below, because a tensor made from them would wait for a GPU
    size = torch.stack([side / cell for side, cell in zip(sides, grid.cell_size, strict=True)], dim=1)
    extras = {name: heads[name] for name in ("height", "rot", "vel") if name in heads}
    return HeadMaps(heatmap, heads["reg"], size, extras | {"dim": dimensions})


def _upright(dimensions: Tensor, rotation: Tensor) -> tuple[Tensor, Tensor]:
    """Sides of the upright rectangle around a turned box, (B, H, W) each, in the unit of the dimensions.

    At rotation 0 the first dimension lies along x and the second along y.
    """
    across, along = dimensions[:, 0], dimensions[:, 1]
    yaw = torch.atan2(rotation[:, 0], rotation[:, 1])
    sine, cosine = yaw.sin().abs(), yaw.cos().abs()
    return cosine * across + sine * along, sine * across + cosine * along


def _inside(heads: dict[str, Tensor], grid: BirdsEyeGrid, limits: tuple[float, ...]) -> Tensor:
    """Where the centre lies within the limits, (B, 1, H, W)."""
    H, W = heads["reg"].shape[2:]
    offset, height = heads["reg"], heads["height"][:, 0]
    x = (torch.arange(W, device=offset.device) + offset[:, 0]) * grid.cell_size[0] + grid.start[0]
    y = (torch.arange(H, device=offset.device)[:, None] + offset[:, 1]) * grid.cell_size[1] + grid.start[1]
    position = torch.stack([x, y, height], dim=1)  # (B, 3, H, W)
    low, high = (position.new_tensor(part)[:, None, None] for part in (limits[:3], limits[3:]))
    return ((position >= low) & (position <= high)).all(1, keepdim=True)
