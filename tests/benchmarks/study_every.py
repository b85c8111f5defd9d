"""What it costs to let the detector look at every n-th frame only, and what it saves: saved maps of real detectors.

Any folder of ``.npz`` files with ground truth serves (docs/command-line.md). Run from the repository root; it prints
the table of docs/research-skipping.md::

    PYTHONPATH=src python tests/benchmarks/study_every.py --maps ../shared/clips
"""

import argparse
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import table

from heatprop import HeatmapPropagator, evaluation
from heatprop.maps.detecting import clip_boxes, name_classes
from heatprop.maps.saved import SavedMaps, iterate_saved_maps
from heatprop.maps.table1 import FLAT

COUNTS = (1, 2, 3, 5)
MEMORIES = {"the paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}


class Measures(NamedTuple):
    """What one memory does on one clip with the detector at every n-th frame; AP50 in percent."""

    precision: float
    gaps: float
    ghosts: float  # per frame
    looks: float  # share of the frames
    milliseconds: float  # of the memory, per frame


def coast_through(maps: SavedMaps, propagator: HeatmapPropagator, every: int) -> tuple[evaluation.Predictions, float]:
    """Propagate the maps of every n-th frame and coast through the others; the seconds of the memory beside."""
    fields = [torch.from_numpy(field.astype(np.float32)) for field in (maps.heatmap, maps.offset, maps.size)]
    found, seconds = list[dict[str, Any]](), 0.0
    with torch.inference_mode():
        propagator(*(field[:1] for field in fields))  # to warm up
        propagator.coast()
        propagator.reset()
        for frame in range(len(maps.heatmap)):
            start = time.perf_counter()
            if frame % every:
                detections = propagator.coast()
            else:
                detections = propagator(*(field[frame : frame + 1] for field in fields)).detections
            seconds += time.perf_counter() - start
            found += detections.unpad()
    predictions = evaluation.Predictions.of_video(maps.name, found)
    return clip_boxes(name_classes(predictions, maps), maps), seconds


def measure(maps: SavedMaps, propagator: HeatmapPropagator, every: int) -> Measures:
    """Measure a clip."""
    found, seconds = coast_through(maps, propagator, every)
    truth, frames = clip_boxes(name_classes(maps.truth, maps), maps), len(maps.heatmap)
    hits = evaluation.track_hits(truth, found, recall=0.5, rule=FLAT)
    return Measures(
        precision=100 * evaluation.average_precision(truth, found, rule=FLAT).mean,
        gaps=float("nan") if hits.left_out else evaluation.gaps(hits).number,
        ghosts=evaluation.ghost_rate(truth, found, picture_size=maps.input_wh).ghosts / frames,
        looks=-(-frames // every) / frames,
        milliseconds=1000 * seconds / frames,
    )


def to_row(names: list[str], one: Measures, first: Measures, detector: float) -> list[str]:
    """A line of the table; the cost is that of detector and memory together, against a look at every frame."""
    cost = (one.looks * detector + one.milliseconds) / (first.looks * detector + first.milliseconds)
    gaps = "-" if np.isnan(one.gaps) else f"{one.gaps:g}"
    gain = f"{one.precision - first.precision:+.1f}"
    figures = [f"{one.precision:.1f}", gain, gaps, f"{one.ghosts:.2f}", f"{one.milliseconds:.2f}", f"{cost:.2f}"]
    return [*names, *figures]


def study(clips: Iterable[SavedMaps], detector: float) -> str:
    """Every clip with every memory and count, and all clips together: means, gaps added up."""
    done: dict[tuple[str, int], list[Measures]] = {}
    rows = []
    for maps in clips:
        for name, make in MEMORIES.items():
            propagator = make(stride=maps.stride)
            first = measure(maps, propagator, 1)
            for every in COUNTS:
                propagator.reset()
                one = first if every == 1 else measure(maps, propagator, every)
                done.setdefault((name, every), []).append(one)
                rows.append(to_row([maps.name, name, str(every)], one, first, detector))
    for (name, every), all_clips in done.items():
        total, first = (summarize(some) for some in (all_clips, done[name, 1]))
        rows.append(to_row(["**mean**", name, str(every)], total, first, detector))
    header = ["clip", "memory", "every", "AP50", "against every frame", "gaps", "ghosts a frame", "memory, ms a frame"]
    return table([*header, "cost"], rows)


def summarize(clips: list[Measures]) -> Measures:
    """Means over clips; gaps added up over those that reach 50 % recall."""
    means = [float(np.mean(column)) for column in zip(*clips, strict=True)]
    return Measures(*means)._replace(gaps=float(np.nansum([one.gaps for one in clips])))


def main() -> None:
    """Print the table, or say that there are no clips."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--maps", type=Path, default=Path("../shared/clips"), help="folder of .npz files")
    parser.add_argument("--detector-ms", type=float, default=50.0, help="what the detector takes for a frame")
    arguments = parser.parse_args()
    if not any(arguments.maps.glob("*.npz")):
        print(f"no saved maps in {arguments.maps}: nothing to measure; --maps names a folder of .npz files")
        return
    torch.set_num_threads(1)
    print(f"cost: of detector and memory together, with {arguments.detector_ms:g} ms of detector a look")
    print(study(iterate_saved_maps(arguments.maps), arguments.detector_ms))


if __name__ == "__main__":
    main()
