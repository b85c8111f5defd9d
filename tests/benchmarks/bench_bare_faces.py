"""How many of the faces that CenterFace sees does `heatprop run --blur` leave bare? Saved maps of two street clips.

The maps may not be passed on: give the folder with campus.npz and stadt.npz, as `heatprop run --save-maps` writes them.
"""

import sys
from pathlib import Path

import numpy as np
import torch
from measure import table
from numpy.typing import NDArray

from heatprop import HeadMaps, HeatmapPropagator, two_pass
from heatprop.maps.saved import read_saved_maps
from heatprop.running.reading import own_boxes

CLIPS = ("campus", "stadt")
SURE, SCORE, MASK_SCALE = 0.4, 0.2, 1.3
"""Faces that count, from which score on; and the command line's defaults."""
GRID = 41
"""Points a side at which a face is looked at."""

Boxes = NDArray[np.float64]


def memories(maps: HeadMaps) -> dict[str, list[Boxes]]:
    """Boxes of each frame that reach the score, by the memory's settings."""

    def one_pass(memory: HeatmapPropagator) -> list[Boxes]:
        return [shown(memory(*frame[:3]).detections) for frame in map(maps.stream, range(len(maps.heatmap)))]

    return {
        "defaults": one_pass(HeatmapPropagator()),
        "steady": one_pass(HeatmapPropagator.steady()),
        "two passes, mean": [shown(one) for one in two_pass(maps, HeatmapPropagator())],
        "two passes, maximum": [shown(one) for one in two_pass(maps, HeatmapPropagator(), combine="maximum")],
    }


def shown(detections) -> Boxes:
    (found,) = detections.unpad()
    return found["boxes"][found["scores"] >= SCORE].double().numpy()


def covered_share(box: NDArray[np.float64], masks: Boxes) -> float:
    """Share of a box that lies in masks."""
    x, y = np.meshgrid(np.linspace(box[0], box[2], GRID), np.linspace(box[1], box[3], GRID))
    middle, half = (masks[:, :2] + masks[:, 2:]) / 2, MASK_SCALE * (masks[:, 2:] - masks[:, :2]) / 2
    low, high = (middle - half)[:, :, None, None], (middle + half)[:, :, None, None]
    return float(((x >= low[:, 0]) & (x <= high[:, 0]) & (y >= low[:, 1]) & (y <= high[:, 1])).any(0).mean())


def measure(maps: HeadMaps) -> list[list[str]]:
    options = HeatmapPropagator().options
    frames = [maps.stream(number) for number in range(len(maps.heatmap))]
    sure = [own_boxes(frame, options, score=SURE).boxes for frame in frames]
    own = [own_boxes(frame, options, score=SCORE) for frame in frames]
    rows = []
    for name, boxes in memories(maps).items():
        besides = [one.outside(memory, scale=MASK_SCALE).boxes for one, memory in zip(own, boxes, strict=True)]
        unions = [np.concatenate(pair) for pair in zip(boxes, besides, strict=True)]
        before, after = (
            np.array([covered_share(box, mask) for faces, mask in zip(sure, masks, strict=True) for box in faces])
            for masks in (boxes, unions)
        )
        counts = [(share < 0.1).sum() for share in (before, after)] + [(share < 1).sum() for share in (before, after)]
        rows.append([name, *map(str, (len(before), *counts, sum(map(len, boxes)), sum(map(len, besides))))])
    return rows


if __name__ == "__main__":
    if len(sys.argv) != 2 or not all((Path(sys.argv[1]) / f"{clip}.npz").is_file() for clip in CLIPS):
        sys.exit("the face maps are not here: python tests/benchmarks/bench_bare_faces.py FOLDER_OF_CAMPUS_AND_STADT")
    torch.set_num_threads(1)
    rows = []
    for clip in CLIPS:
        saved = read_saved_maps(Path(sys.argv[1]) / f"{clip}.npz")
        fields = (np.asarray(field).astype(np.float32) for field in (saved.heatmap, saved.offset, saved.size))
        rows += [[clip, *row] for row in measure(HeadMaps(*map(torch.from_numpy, fields)))]
    heads = ["less than a tenth covered, memory alone", "with own boxes"]
    heads += ["not wholly covered, memory alone", "with own boxes", "the memory's boxes", "boxes of the mask only"]
    print(table(["clip", "memory", f"faces at {SURE}", *heads], rows))
