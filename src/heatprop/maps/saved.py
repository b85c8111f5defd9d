"""Saved maps of a detector with their ground truth, one ``.npz`` per video."""

from collections.abc import Iterator, Mapping
from os import PathLike
from pathlib import Path
from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.bad_rows import Skipped, located
from heatprop.formats.whole_files import replacing
from heatprop.maps.archives import read_archive
from heatprop.maps.saved_checks import check_arrays, whole_column
from heatprop.maps.sparse import (
    FLOOR,
    LOWEST,
    MapFrames,
    SparseFrames,
    read_sparse_arrays,
    sparse_arrays,
)

_DENSE = ("heatmap", "offset", "size")
KEYS = ("stride", "input_wh", "gt_frame", "gt_track", "gt_box")
EVIDENCE, REACH = 0.02, 2
"""Offsets and sizes are stored within so many cells of a score above the first."""


class SavedMaps(NamedTuple):
    """The maps of one video of T frames, and what is in it.

    Attributes:
        name: Name of the video.
        heatmap: Scores after the sigmoid, shape ``(T, C, H, W)``, ``float16``; from a sparse file frames become
            dense when they are asked for (`heatprop.maps.sparse.SparseFrames`).
        offset: ``(dx, dy)``, shape ``(T, 2, H, W)``, ``float16``, in cells, likewise.
        size: ``(w, h)``, shape ``(T, 2, H, W)``, ``float16``, in cells, likewise.
        stride: Pixels of the network input per cell.
        input_wh: Size of the network input, in pixels.
        class_names: Name of each of the C classes; empty where not said.
        truth: Boxes and ignored boxes in pixels of the network input; ``video`` is ``name``, ``frame`` counts
            from 0, ``label`` is the channel of the heatmap.
    """

    name: str
    heatmap: MapFrames
    offset: MapFrames
    size: MapFrames
    stride: float
    input_wh: tuple[int, int]
    class_names: tuple[str, ...]
    truth: GroundTruth


def read_saved_maps(path: str | PathLike[str], *, skipped: Skipped | None = None) -> SavedMaps:
    """Read the maps of one video.

    Args:
        path: The ``.npz``. Arrays ``gt_label`` and ``ignore_label`` may give channels; without them it is 0.
        skipped: Collects malformed boxes; ``None`` stops at the first.

    Returns:
        Maps and boxes; the video is called like the file.

    Raises:
        ValueError: If an array is missing or has the wrong shape, or a box is malformed.
    """
    path = Path(path)
    arrays = read_archive(path)
    _check_keys(path, arrays)
    check_arrays(path, arrays)
    maps = _read_frames(path, arrays)
    _check_shapes(path, arrays, maps)
    names = np.atleast_1d(arrays.get("class_name", np.zeros(0, np.str_)))
    width, height = arrays["input_wh"].tolist()
    return SavedMaps(
        name=path.stem,
        **maps,
        stride=float(arrays["stride"]),
        input_wh=(int(width), int(height)),
        class_names=tuple(map(str, names)),
        truth=_read_truth(path, arrays, maps["heatmap"].shape[:2], skipped),
    )


def iterate_saved_maps(folder: str | PathLike[str], *, skipped: Skipped | None = None) -> Iterator[SavedMaps]:
    """Read the videos of a folder one after the other, by name.

    Args:
        folder: Holds a ``.npz`` per video.
        skipped: Collects malformed boxes and files; ``None`` stops at the first.

    Yields:
        The maps of a video; one at a time is in memory.

    Raises:
        ValueError: If there is no ``.npz``, or one is malformed.
    """
    paths = sorted(Path(folder).glob("*.npz"))
    if not paths:
        raise ValueError(f"{folder} must hold saved maps, an .npz per video, got none")
    for path in paths:
        try:
            yield read_saved_maps(path, skipped=skipped)
        except ValueError as problem:
            if skipped is None:
                raise
            skipped.add(str(problem))


def write_saved_maps(
    path: str | PathLike[str],
    maps: SavedMaps,
    *,
    compact: bool = True,
    notes: Mapping[str, NDArray[Any]] = MappingProxyType({}),
) -> None:
    """Write the maps of one video as ``float16``; sparse maps stay sparse.

    Args:
        path: The ``.npz`` to write; it is replaced when the new one is complete. Its name becomes the video's.
        maps: What to write.
        compact: Floor scores below 0.003 to 0.001, and keep offsets and sizes only within 2 cells of a score
            above 0.02, which makes files several times smaller. Sparse maps are compact already.
        notes: More arrays to write, which `read_saved_maps` ignores.

    Raises:
        ValueError: If shapes do not fit, or a track or label is text.
    """
    truth, ignore = maps.truth.select(~maps.truth.ignore), maps.truth.select(maps.truth.ignore)
    if truth.track.dtype.kind == "U" or truth.label.dtype.kind == "U":
        raise ValueError("saved maps hold tracks and channels as whole numbers, got text; number them first")
    arrays = {
        "stride": np.float64(maps.stride),
        "input_wh": np.array(maps.input_wh, dtype=np.int32),
        **{f"gt_{key}": getattr(truth, key) for key in ("frame", "track", "label", "box")},
        **{f"ignore_{key}": getattr(ignore, key) for key in ("frame", "label", "box")},
        "class_name": np.array(maps.class_names[0] if len(maps.class_names) == 1 else maps.class_names, np.str_),
    }
    _check_shapes(path, arrays, {key: getattr(maps, key) for key in _DENSE})
    with replacing(path, "wb") as file:
        np.savez_compressed(file, **(dict(notes) | arrays | _frame_arrays(maps, compact)))


def compact_maps(
    heatmap: NDArray[Any], offset: NDArray[Any], size: NDArray[Any], *, near: NDArray[np.bool_] | None = None
) -> tuple[NDArray[Any], NDArray[Any], NDArray[Any]]:
    """Drop what compresses badly and nobody reads: noise, and offsets and sizes where there is nothing.

    Args:
        heatmap: Scores, shape ``(T, C, H, W)``; those below 0.003 become 0.001, NaN stays.
        offset: ``(dx, dy)``, shape ``(T, 2, H, W)``; becomes 0 further than 2 cells from a score above 0.02.
        size: ``(w, h)``, shape ``(T, 2, H, W)``, likewise.
        near: Cells that count like a score above 0.02, shape ``(T, 1, H, W)``; none by default.

    Returns:
        The three maps.
    """
    kept = near_evidence(heatmap, near=near)
    return np.where(heatmap < LOWEST, FLOOR, heatmap), np.where(kept, offset, 0), np.where(kept, size, 0)


def near_evidence(heatmap: NDArray[Any], *, near: NDArray[np.bool_] | None = None) -> NDArray[np.bool_]:
    """Mark the cells whose offsets and sizes somebody may read: within 2 cells of a score above 0.02 in any class.

    Args:
        heatmap: Scores, shape ``(T, C, H, W)``.
        near: Cells that count like such a score, shape ``(T, 1, H, W)``; none by default.

    Returns:
        Shape ``(T, 1, H, W)``, ``bool``.
    """
    evidence: NDArray[np.bool_] = heatmap.max(axis=1, keepdims=True, initial=0) > EVIDENCE
    return _spread(evidence if near is None else evidence | near)


def _read_frames(path: Path, arrays: Mapping[str, NDArray[Any]]) -> dict[str, MapFrames]:
    if "map_shape" not in arrays:
        return {key: arrays[key] for key in _DENSE}
    try:
        return dict(read_sparse_arrays(arrays)._asdict())
    except ValueError as problem:
        raise ValueError(f"{path}: {problem}") from None


def _frame_arrays(maps: SavedMaps, compact: bool) -> dict[str, NDArray[Any]]:
    heatmap, offset, size = maps.heatmap, maps.offset, maps.size
    if isinstance(heatmap, SparseFrames) and isinstance(offset, SparseFrames) and isinstance(size, SparseFrames):
        return sparse_arrays(heatmap, offset, size)
    dense = (np.asarray(heatmap), np.asarray(offset), np.asarray(size))
    kept = compact_maps(*dense) if compact else dense
    return {key: one.astype(np.float16) for key, one in zip(_DENSE, kept, strict=True)}


def _spread(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Make each marked cell a square of ``2 * REACH + 1`` cells."""
    for axis in (-1, -2):
        length = mask.shape[axis]
        padding = [(0, 0)] * mask.ndim
        padding[axis] = (REACH, REACH)
        wide = np.pad(mask, padding)
        mask = np.any([wide.take(range(step, step + length), axis) for step in range(2 * REACH + 1)], axis=0)
    return mask


def _check_keys(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    wanted = KEYS if "map_shape" in arrays else (*_DENSE, *KEYS)
    if missing := [key for key in wanted if key not in arrays]:
        raise ValueError(f"{path} must hold {', '.join(wanted)}, got no {', '.join(missing)}")


def _check_shapes(path: str | PathLike[str], arrays: Mapping[str, NDArray[Any]], maps: Mapping[str, MapFrames]) -> None:
    shape = maps["heatmap"].shape
    if len(shape) != 4:
        raise ValueError(f"{path}: heatmap must have shape (T, C, H, W), got {shape}")
    frames, _, height, width = shape
    boxes = arrays["gt_box"].shape[:1]
    ignored = arrays["ignore_box"].shape[:1] if "ignore_box" in arrays else (0,)
    wanted = {"offset": (frames, 2, height, width), "size": (frames, 2, height, width), "stride": (), "input_wh": (2,)}
    wanted |= {"gt_frame": boxes, "gt_track": boxes, "gt_label": boxes, "gt_box": (*boxes, 4)}
    wanted |= {"ignore_frame": ignored, "ignore_label": ignored, "ignore_box": (*ignored, 4)}
    shapes = {key: one.shape for key, one in (*arrays.items(), *maps.items())}
    for key, expected in wanted.items():
        if shapes.get(key, expected) != expected:
            raise ValueError(f"{path}: {key} must have shape {expected}, got {shapes[key]}")


def _read_truth(
    path: Path, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...], skipped: Skipped | None
) -> GroundTruth:
    columns = [_read_boxes(path, arrays, shape, kind, skipped) for kind in ("gt", "ignore")]
    frame, track, label, box = (np.concatenate(pair) for pair in zip(*columns, strict=True))
    ignore = np.arange(len(frame)) >= len(columns[0][0])
    return GroundTruth(np.full(len(frame), path.stem), frame, track, label, box, ignore)


def _read_boxes(
    path: Path, arrays: Mapping[str, NDArray[Any]], shape: tuple[int, ...], kind: str, skipped: Skipped | None
) -> tuple[NDArray[Any], ...]:
    """Frame, track, label, box of the boxes of a kind; ignored ones are an object each, below 0."""
    box = arrays.get(f"{kind}_box", np.zeros((0, 4)))
    frame = arrays.get(f"{kind}_frame", np.zeros(0, np.int64))
    track = arrays.get(f"{kind}_track", -1 - np.arange(len(box)))
    label = arrays.get(f"{kind}_label", np.zeros(len(box), np.int64))
    frames, channels = shape
    frame, track, label = (
        whole_column(path, f"{kind}_{name}", column)
        for name, column in (("frame", frame), ("track", track), ("label", label))
    )
    good = (frame >= 0) & (frame < frames) & (label >= 0) & (label < channels) & np.isfinite(box).all(axis=1)
    for row in np.flatnonzero(~good).tolist():
        with located(path, f"{kind}_box[{row}]", skipped):
            came = f"frame {frame[row]}, channel {label[row]}, box {box[row].tolist()}"
            raise ValueError(
                f"a box must be finite, in frame 0 to {frames - 1}, channel 0 to {channels - 1}, got {came}"
            )
    return frame[good], track[good], label[good], box[good]
