"""What skipped frames do to what is drawn: boxes per frame, AP50, identities, and what of the detector is left out.

Any saved maps serve (``heatprop run --save-maps``); without boxes drawn by hand AP50 is left out. Run from the
repository root; it prints the table of docs/skipping-frames.md::

    PYTHONPATH=src python tests/benchmarks/study_skipping.py ../shared/clips/faces/campus.npz ../shared/clips/*-?.npz
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import table

from heatprop import HeadMaps, HeatmapPropagator, evaluation, pairwise_iou
from heatprop.maps.detecting import clip_boxes, name_classes
from heatprop.maps.saved import SavedMaps, read_saved_maps
from heatprop.maps.table1 import FLAT
from heatprop.running.completing import complete
from heatprop.running.reading import own_boxes

COUNTS = (1, 2, 3, 5)
MEMORIES = {"the paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}


class Drawn(NamedTuple):
    """What one memory draws on one clip with the detector at every n-th frame.

    Attributes:
        boxes: Per frame, from the score on.
        precision: AP50 in percent; NaN without ground truth.
        ids: Identities among these boxes.
        plain: Boxes that the detector alone gives from the score on, in the frames that it looked at.
        bare: Those of them without a returned box of IoU 0.5.
        undrawn: Those of them without a drawn box of IoU 0.5.
    """

    boxes: float
    precision: float
    ids: int
    plain: int
    bare: int
    undrawn: int


def measure(maps: SavedMaps, memory: HeatmapPropagator, every: int, *, score: float) -> Drawn:
    """Look at every n-th frame of a clip, and coast through the others."""
    fields = [torch.from_numpy(field.astype(np.float32)) for field in (maps.heatmap, maps.offset, maps.size)]
    found, plain, bare, undrawn, ids = list[dict[str, Any]](), 0, 0, 0, set[int]()
    memory.reset()
    for frame in range(len(maps.heatmap)):
        if frame % every:
            found += memory.coast().unpad()
            ids |= shown_ids(found[-1], score)
            continue
        one = [field[frame : frame + 1] for field in fields]
        found += memory(*one).detections.unpad()
        seen = own_boxes(HeadMaps(*one), memory.options, score=score)
        own, returned = torch.from_numpy(seen.boxes), found[-1]["boxes"]
        if every > 1:  # as heatprop run does
            found[-1] = complete(found[-1], seen, score=score, known=ids)
        drawn = found[-1]["boxes"][found[-1]["scores"] >= score]
        plain += len(own)
        bare += without(own, returned)
        undrawn += without(own, drawn)
        ids |= shown_ids(found[-1], score)
    boxes = sum(int((frame["scores"] >= score).sum()) for frame in found) / len(found)
    return Drawn(boxes, precision_of(maps, found), len(ids - {-1}), plain, bare, undrawn)


def shown_ids(frame: dict[str, Any], score: float) -> set[int]:
    """Identities of a frame's boxes from a score on."""
    return set(frame["track_ids"][frame["scores"] >= score].tolist())


def without(own: torch.Tensor, returned: torch.Tensor) -> int:
    """Count the detector's boxes that no returned box overlaps by half."""
    if not len(own):
        return 0
    overlap = pairwise_iou(own[None], returned.double()[None])[0].nan_to_num()
    best = overlap.amax(1) if len(returned) else overlap.new_zeros(len(own))
    return int((best < 0.5).sum())


def precision_of(maps: SavedMaps, found: Sequence[dict[str, Any]]) -> float:
    """AP50 in percent, NaN without ground truth."""
    if maps.truth is None or not len(maps.truth.frame):
        return float("nan")
    predictions = evaluation.Predictions.of_video(maps.name, found)
    predictions = clip_boxes(name_classes(predictions, maps), maps)
    truth = clip_boxes(name_classes(maps.truth, maps), maps)
    return 100 * evaluation.average_precision(truth, predictions, rule=FLAT).mean


def study(paths: Sequence[Path], score: float) -> str:
    """Every clip with every memory and count."""
    rows = []
    for path in paths:
        maps = read_saved_maps(path)
        for name, make in MEMORIES.items():
            drawn = {n: measure(maps, make(stride=maps.stride), n, score=score) for n in COUNTS}
            for n, one in drawn.items():
                rows.append([f"{path.parent.name}/{path.stem}", name, str(n), *to_cells(one, drawn[1])])
    header = ["clip", "memory", "every", "boxes a frame", "of every frame's", "AP50", "change", "identities"]
    return table([*header, "of every frame's", "detector's boxes", "without one", "without a drawn one"], rows)


def to_cells(one: Drawn, first: Drawn) -> list[str]:
    """Format the figures of one row."""
    cells = [f"{one.boxes:.2f}", f"{one.boxes / max(first.boxes, 1e-9):.2f}"]
    known = not np.isnan(one.precision)
    cells += [f"{one.precision:.1f}", f"{one.precision - first.precision:+.1f}"] if known else ["", ""]
    cells += [str(one.ids), f"{one.ids / max(first.ids, 1):.2f}"]
    return [*cells, str(one.plain), str(one.bare), str(one.undrawn)]


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("maps", type=Path, nargs="+", help="saved maps, .npz files")
    parser.add_argument("--score", type=float, default=0.2, help="what is drawn, as for heatprop run")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        print(study(options.maps, options.score))


if __name__ == "__main__":
    main()
