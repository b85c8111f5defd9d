"""Maps that keep only the cells that matter, so that a whole data set fits on a disk; they are read frame by frame."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

LOWEST, FLOOR = 0.003, 0.001
"""Scores below the first are stored as the second: noise does not compress, and costs as much as what counts."""
FARTHEST, SLOWEST = 5, 0.98
"""The widest radius and the slowest decay (alpha) of a memory that the offsets and sizes kept are enough for."""
LEAST = 0.045
"""Lowest score that such a memory may hold where offset and size are kept; what detects begins at 0.05."""
_MOST_CELLS = 1 << 27
"""How many cells a frame may have: 500 classes on 512 x 512."""
_SPARSE_KEYS = ("map_shape", "map_fill", "score_count", "score_step", "score", "box_count", "box_step", "box")


class SparseFrames:
    """T frames of maps, read like an array of shape ``(T, D, H, W)``; the frames asked for become dense.

    Args:
        shape: ``(T, D, H, W)``.
        starts: Where the cells of each frame begin, and the end, shape ``(T + 1,)``.
        cells: Flat cell of each value, over ``(D, H, W)`` or, with D values each, over ``(H, W)``; shape ``(n,)``.
        values: Shape ``(n,)`` or ``(n, D)``.
        fill: What the other cells hold.

    Examples:
        >>> maps = SparseFrames((2, 1, 2, 3), np.array([0, 1, 2]), np.array([4, 0]), np.array([0.5, 0.25]), 0.0)
        >>> maps[1:], len(maps)
        (array([[[[0.25, 0.  , 0.  ],
                  [0.  , 0.  , 0.  ]]]]), 2)
    """

    def __init__(
        self,
        shape: tuple[int, int, int, int],
        starts: NDArray[np.int64],
        cells: NDArray[Any],
        values: NDArray[Any],
        fill: float,
    ) -> None:
        self.shape, self.dtype, self.fill = shape, values.dtype, fill
        self.starts, self.cells, self.values = starts, cells, values

    @property
    def nbytes(self) -> int:
        """What is in memory, in bytes."""
        return self.cells.nbytes + self.values.nbytes + self.starts.nbytes

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, frames: slice) -> NDArray[Any]:
        """Make some frames dense.

        Args:
            frames: Which, a slice.

        Returns:
            Shape ``(t, D, H, W)``.
        """
        numbers = range(*frames.indices(len(self)))
        depth = 1 if self.values.ndim == 1 else self.shape[1]
        dense = np.full((len(numbers), depth, int(np.prod(self.shape[1:])) // depth), self.fill, self.dtype)
        for place, number in enumerate(numbers):
            rows = slice(self.starts[number], self.starts[number + 1])
            dense[place][:, self.cells[rows]] = self.values[rows].T
        return dense.reshape(-1, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return self[:] if dtype is None else self[:].astype(dtype)


MapFrames = NDArray[Any] | SparseFrames
"""Maps of T frames, in memory as they are or sparse."""


class PackedMaps(NamedTuple):
    """The three maps of a video, sparse.

    Attributes:
        heatmap: Scores, shape ``(T, C, H, W)``, ``float16``; `FLOOR` where they are below `LOWEST`.
        offset: ``(dx, dy)``, shape ``(T, 2, H, W)``, ``float16``, in cells; 0 where nothing can be.
        size: ``(w, h)``, likewise.
    """

    heatmap: SparseFrames
    offset: SparseFrames
    size: SparseFrames


class MapPacker:
    r"""Collect the maps of a video frame by frame and keep what can matter.

    Kept are the scores of `LOWEST` and more, and offset and size wherever a detection can be, now or carried there
    by a memory: where the *bound* is at least `LEAST`, which is the highest score that a memory with a radius of
    at most 5 and an alpha of at most 0.98 can hold at a cell, whatever its beta, of any class:

    $$m_t = \max(Y_t,\ 0.02\,Y_t + 0.98\,g_t), \qquad
    g_t = \begin{cases}\max_{11 \times 11} m_{t-1} & Y_t \ge 0.003 \\ m_{t-1} & \text{otherwise}\end{cases}$$

    since a detection moves only to a cell that stands out; on flat ground it stays where it was.

    Args:
        shape: ``(C, H, W)`` of the heatmaps.

    Examples:
        >>> packer = MapPacker((1, 32, 32))
        >>> heatmap = np.full((1, 32, 32), 0.0004)
        >>> heatmap[0, 5, 6] = 0.75
        >>> packer.add(heatmap, np.full((2, 32, 32), 0.5), np.full((2, 32, 32), 7.0))
        >>> maps = packer.pack()
        >>> maps.heatmap.values, maps.heatmap[:].shape, maps.size[:][0, :, 5, 6]
        (array([0.75], dtype=float16), (1, 1, 32, 32), array([7., 7.], dtype=float16))
    """

    def __init__(self, shape: tuple[int, int, int]) -> None:
        self._shape = shape
        self._bound = np.zeros(shape[1:], np.float32)
        self._scores = list[tuple[NDArray[Any], NDArray[Any]]]()
        self._boxes = list[tuple[NDArray[Any], NDArray[Any]]]()

    def add(self, heatmap: NDArray[Any], offset: NDArray[Any], size: NDArray[Any]) -> None:
        """Add the next frame.

        Args:
            heatmap: Scores, shape ``(C, H, W)``; what is not finite counts as nothing.
            offset: ``(dx, dy)``, shape ``(2, H, W)``, in cells.
            size: ``(w, h)``, shape ``(2, H, W)``, in cells.

        Raises:
            ValueError: If a shape is another.
        """
        pair = (2, *self._shape[1:])
        for name, one, shape in (("heatmap", heatmap, self._shape), ("offset", offset, pair), ("size", size, pair)):
            if one.shape != shape:
                raise ValueError(f"{name} must have shape {shape}, got {one.shape}")
        scores = np.where(np.isfinite(heatmap), heatmap, 0)
        cells = np.flatnonzero(scores >= LOWEST)
        self._scores.append((cells.astype(np.uint32), scores.reshape(-1)[cells].astype(np.float16)))
        self._remember(scores.max(axis=0))
        cells = np.flatnonzero(self._bound >= LEAST)
        boxes = np.concatenate([offset, size]).reshape(4, -1)[:, cells].T  # (m, 4)
        self._boxes.append((cells.astype(np.uint32), boxes.astype(np.float16)))

    def add_nothing(self) -> None:
        """Add a frame of which nothing is known: no score anywhere."""
        empty = np.zeros((2, *self._shape[1:]), np.float32)
        self.add(np.zeros(self._shape, np.float32), empty, empty)

    def pack(self) -> PackedMaps:
        """Give the maps of all frames added, at least one."""
        if not self._scores:
            raise ValueError("a video must have at least one frame, got none")
        frames, (depth, height, width) = len(self._scores), self._shape
        starts, cells, scores = _join(self._scores)
        heatmap = SparseFrames((frames, depth, height, width), starts, cells, scores, FLOOR)
        starts, cells, boxes = _join(self._boxes)
        pair = (frames, 2, height, width)
        offset, size = (SparseFrames(pair, starts, cells, boxes[:, part], 0.0) for part in (slice(0, 2), slice(2, 4)))
        return PackedMaps(heatmap, offset, size)

    def _remember(self, best: NDArray[Any]) -> None:
        """Raise and lower the bound; ``best`` is the best score of any class, shape ``(H, W)``."""
        carried = np.where(best >= LOWEST, _window_maximum(self._bound, FARTHEST), self._bound)
        self._bound = np.maximum(best, best + SLOWEST * (carried - best)).astype(np.float32)


def sparse_arrays(heatmap: SparseFrames, offset: SparseFrames, size: SparseFrames) -> dict[str, NDArray[Any]]:
    """Give packed maps as plain arrays for an archive; `read_sparse_arrays` undoes it.

    Args:
        heatmap: From `MapPacker`.
        offset: From the same.
        size: From the same.

    Returns:
        Cells as steps from the one before in the frame, which compress.
    """
    return {
        "map_shape": np.array(heatmap.shape, np.int32),
        "map_fill": np.array(heatmap.fill),
        "score_count": np.diff(heatmap.starts).astype(np.int32),
        "score_step": _steps(heatmap.cells, heatmap.starts),
        "score": heatmap.values,
        "box_count": np.diff(offset.starts).astype(np.int32),
        "box_step": _steps(offset.cells, offset.starts),
        "box": np.concatenate([offset.values, size.values], axis=1).T,  # (4, m): alike numbers beside each other
    }


def read_sparse_arrays(arrays: Mapping[str, NDArray[Any]]) -> PackedMaps:
    """Make maps of the arrays of `sparse_arrays`.

    Args:
        arrays: What was stored.

    Returns:
        The maps.

    Raises:
        ValueError: If an array is missing or does not fit the others.
    """
    if missing := [key for key in _SPARSE_KEYS if key not in arrays]:
        raise ValueError(f"sparse maps must have {', '.join(_SPARSE_KEYS)}, got no {', '.join(missing)}")
    frames, depth, height, width = _map_shape(arrays)
    starts, cells = _cells(arrays, "score", frames, depth * height * width)
    shape = (frames, depth, height, width)
    heatmap = SparseFrames(shape, starts, cells, arrays["score"], float(arrays["map_fill"]))
    starts, cells = _cells(arrays, "box", frames, height * width)
    boxes, pair = arrays["box"].T, (frames, 2, height, width)
    offset, size = (SparseFrames(pair, starts, cells, boxes[:, part], 0.0) for part in (slice(0, 2), slice(2, 4)))
    return PackedMaps(heatmap, offset, size)


def _join(
    frames: list[tuple[NDArray[Any], NDArray[Any]]],
) -> tuple[NDArray[np.int64], NDArray[Any], NDArray[Any]]:
    starts = np.cumsum([0, *(len(cells) for cells, _ in frames)])
    return starts, *(np.concatenate(column) for column in zip(*frames, strict=True))  # type: ignore[return-value] # two


def _steps(cells: NDArray[Any], starts: NDArray[np.int64]) -> NDArray[np.uint32]:
    steps = np.diff(cells.astype(np.int64), prepend=0)
    first = starts[:-1][np.diff(starts) > 0]
    steps[first] = cells[first]
    return steps.astype(np.uint32)


def _map_shape(arrays: Mapping[str, NDArray[Any]]) -> tuple[int, int, int, int]:
    came, fill = arrays["map_shape"], arrays["map_fill"]
    if came.shape != (4,) or came.min() < 0 or fill.shape != () or not np.isfinite(fill):
        raise ValueError(f"map_shape must be (T, C, H, W) and map_fill one number, got {came} and {fill}")
    if arrays["box"].ndim != 2 or arrays["box"].shape[0] != 4 or arrays["score"].ndim != 1:
        raise ValueError(
            f"score must have shape (n,) and box (4, m), got {arrays['score'].shape} and {arrays['box'].shape}"
        )
    frames, depth, height, width = (int(side) for side in came)
    if max(depth, 2) * height * width > _MOST_CELLS:
        raise ValueError(f"a frame must have at most {_MOST_CELLS:,} cells, got map_shape {came}")
    return frames, depth, height, width


def _cells(
    arrays: Mapping[str, NDArray[Any]], kind: str, frames: int, limit: int
) -> tuple[NDArray[np.int64], NDArray[np.uint32]]:
    count, steps = arrays[f"{kind}_count"], arrays[f"{kind}_step"]
    starts = np.append(0, np.cumsum(count, dtype=np.int64))
    if (
        count.shape != (frames,)
        or steps.ndim != 1
        or count.min(initial=0) < 0
        or not starts[-1] == len(steps) == arrays[kind].shape[-1]
    ):
        came = f"{count.shape} frames, {len(steps)} cells, {arrays[kind].shape[-1]} values"
        raise ValueError(f"{kind}_count must be of {frames} frames and add up to the cells and values, got {came}")
    total = np.cumsum(steps, dtype=np.int64)
    before = np.append(0, total)[starts[:-1]]
    cells = total - np.repeat(before, count)
    if len(cells) and not 0 <= cells.min() <= cells.max() < limit:
        wrong = cells.max() if cells.max() >= limit else cells.min()
        raise ValueError(f"{kind}_step must lead to cells below {limit}, got {wrong}")
    return starts, cells.astype(np.uint32)


def _window_maximum(values: NDArray[np.float32], radius: int) -> NDArray[np.float32]:
    """The highest of each square of ``2 * radius + 1`` cells, clipped at the border, by doubling."""
    for axis in (0, 1):
        padding = [(0, 0), (0, 0)]
        padding[axis] = (radius, radius)
        wide, reach = np.pad(values, padding), 1
        while reach < 2 * radius + 1:
            step = min(reach, 2 * radius + 1 - reach)
            length = wide.shape[axis] - step
            wide = np.maximum(wide.take(range(length), axis), wide.take(range(step, step + length), axis))
            reach += step
        values = wide
    return values
