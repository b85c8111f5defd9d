"""A dense detector with and without memory: saved levels of a real one against its own decode and ByteTrack.

Each ``.npz`` holds ``strides`` and, for each stride s, ``score_s`` (T, C, h, w) after the sigmoid and ``ltrb_s``
(T, 4, h, w) in cells from the middle of the cell, beside ``input_wh`` and true boxes as in docs/eval-and-tune.md. Run
from the repository root; it prints the table of docs/dense-heads.md::

    pip install trackers==2.6.1
    PYTHONPATH=src python tests/benchmarks/study_dense.py --maps ../shared/clips/dense --views "as is" half
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import table
from study_identities import (
    BYTE_TRACK,
    CUTS,
    VIEWS,
    Clip,
    Frames,
    Row,
    as_arrays,
    track,
    value_boxes,
    who_at,
)

from heatprop import HeatmapPropagator, adapters, nms
from heatprop.evaluation import GroundTruth
from heatprop.maps.detecting import clip_boxes, name_classes
from heatprop.maps.saved import SavedMaps
from heatprop.structures import HeadMaps

Levels = list[tuple[np.ndarray, np.ndarray]]


class DenseClip(NamedTuple):
    """The levels of a video, over time, and what is in it."""

    levels: Levels
    strides: tuple[int, ...]
    clip: Clip


def read_clip(path: Path, view: str) -> DenseClip:
    """Read a clip and show it one way."""
    with np.load(path) as arrays:
        strides = tuple(map(int, arrays["strides"]))
        order = np.arange(len(arrays[f"score_{strides[0]}"]))[VIEWS[view]]
        place = np.full(order.max() + 1, -1)
        place[order] = np.arange(len(order))
        levels = [(arrays[f"score_{s}"][order], arrays[f"ltrb_{s}"][order]) for s in strides]
        frame = np.concatenate([arrays["gt_frame"], arrays["ignore_frame"]]).astype(int)
        ignore = np.arange(len(frame)) >= len(arrays["gt_frame"])
        truth = GroundTruth(
            video=np.full(len(frame), path.stem),
            frame=frame,
            track=np.concatenate([arrays["gt_track"], np.arange(-ignore.sum(), 0)]).astype(str),
            label=np.zeros(len(frame), int),
            box=np.concatenate([arrays["gt_box"], arrays["ignore_box"]]).astype(float),
            ignore=ignore,
        )
        width, height = map(int, arrays["input_wh"])
        names = tuple(map(str, np.atleast_1d(arrays["class_name"])))
    kept = truth.select((frame < len(place)) & (place[frame.clip(max=len(place) - 1)] >= 0))
    kept = kept._replace(frame=place[kept.frame])
    nothing = np.zeros((len(order), 1, 1, 1), np.float16)
    maps = SavedMaps(path.stem, nothing, nothing, nothing, 8, (width, height), names, kept)
    return DenseClip(levels, strides, Clip(view, maps, clip_boxes(name_classes(kept, maps), maps)))


def frames_of(clip: DenseClip) -> Iterator[list[tuple[torch.Tensor, torch.Tensor]]]:
    """Yield the levels of each frame, as a detector returns them."""
    for number in range(len(clip.levels[0][0])):
        yield [
            tuple(torch.from_numpy(field[number : number + 1].astype(np.float32)) for field in level)
            for level in clip.levels
        ]  # type: ignore[misc]  # pairs


def per_frame(clip: DenseClip) -> Frames:
    """Decode as the detector's own code does: scores of 0.05 and more, NMS at 0.6."""
    found = []
    for levels in frames_of(clip):
        boxes, scores = [], []
        for (score, distances), stride in zip(levels, clip.strides, strict=True):
            rows, columns = score.shape[2:]
            y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
            left, top, right, bottom = distances[0]
            boxes.append(stride * torch.stack([x - left, y - top, x + right, y + bottom], dim=2).view(-1, 4))
            scores.append(score.view(-1))
        box, score = torch.cat(boxes), torch.cat(scores)
        box, score = box[score >= 0.05], score[score >= 0.05]
        kept = nms(box[None], score[None], torch.zeros(1, len(score), dtype=torch.int64), iou_threshold=0.6)[0]
        label = torch.zeros(int(kept.sum()), dtype=torch.int64)
        found.append({"boxes": box[kept], "scores": score[kept], "labels": label, "track_ids": label - 1})
    return as_arrays(found, clip.clip.maps)


def remembered(clip: DenseClip, propagator: HeatmapPropagator, *, grid: int) -> Frames:
    """Decode with the votes of all levels on one grid and a memory."""
    read: Callable[[Any], HeadMaps] = adapters.dense(clip.strides, grid=grid, logits=False)
    found: list[dict[str, Any]] = []
    with torch.inference_mode():
        for levels in frames_of(clip):
            maps = read(levels)
            found += propagator(*maps[:3]).detections.unpad()
    return as_arrays(found, clip.clip.maps)


def methods(clip: DenseClip) -> dict[str, Callable[[Frames], Frames]]:
    """What is compared: each makes frames of the detector's frames, or of the levels."""
    from trackers import ByteTrackTracker

    dense = {"peak_kernel": 1, "top_k": 300}
    steady = HeatmapPropagator.steady
    return {
        "steady, grid 8": lambda _: remembered(clip, steady(stride=8, **dense), grid=8),
        "steady, grid 8, squares": lambda _: remembered(clip, steady(stride=8, identity="square", **dense), grid=8),
        "steady, grid 4, radius 2": lambda _: remembered(clip, steady(stride=4, radius=2, **dense), grid=4),
        "paper, grid 8": lambda _: remembered(clip, HeatmapPropagator(stride=8, nms_threshold=0.6, **dense), grid=8),
        "ByteTrack": lambda frames: track(frames, ByteTrackTracker(**BYTE_TRACK)),
    }


def measure(clip: DenseClip) -> Iterator[Row]:
    """Measure every method on a clip."""
    frames = per_frame(clip)
    alone = value_boxes(clip.clip, frames)
    for name, method in methods(clip).items():
        found = method(frames)
        who = max((who_at(clip.clip, found, cut) for cut in CUTS), key=lambda one: one.idf1)
        yield Row(clip.clip.maps.name, clip.clip.view, name, who, value_boxes(clip.clip, found), alone)


def to_table(rows: list[Row]) -> str:
    """One line per method, clip and view; gaps and jitter as shares of the detector's own."""
    header = ["clip", "rate", "method", "AP50", "gaps", "score jitter", "ghosts a frame", "IDF1", "switches"]
    lines = []
    for row in rows:
        who, boxes, alone = row.who, row.boxes, row.alone
        gain = f"{alone.precision:.1f} {boxes.precision - alone.precision:+.1f}"
        shares = [f"{boxes.gaps:.0f} / {alone.gaps:.0f}", f"{boxes.jitter / max(alone.jitter, 1e-9):.2f}"]
        ghosts = f"{boxes.ghosts - alone.ghosts:+.2f}"
        lines.append([row.clip, row.view, row.method, gain, *shares, ghosts, f"{who.idf1:.3f}", f"{who.switches:.0f}"])
    return table(header, lines)


def main() -> None:
    """Print the table, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=Path, default=Path("../shared/clips/dense"), help="folder of .npz files")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=["as is", "half"])
    options = parser.parse_args()
    paths = sorted(options.maps.glob("*.npz"))
    if not paths:
        sys.exit(f"nothing measured: {options.maps} holds no saved levels (.npz); name a folder with --maps")
    torch.set_num_threads(1)
    print(to_table([row for path in paths for view in options.views for row in measure(read_clip(path, view))]))


if __name__ == "__main__":
    main()
