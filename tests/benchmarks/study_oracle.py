"""How much propagation gains against motion speed and misses: an oracle detector on synthetic scenes.

Run from the repository root (about 2 minutes on one core); it writes the picture and prints the tables of
docs/synthetic.md::

    PYTHONPATH=src python tests/benchmarks/study_oracle.py --out docs/images/synthetic-gain.png
"""

import argparse
import json
import time
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import numpy as np
import torch

from heatprop import HeatmapPropagator
from heatprop.evaluation import GroundTruth, Predictions, average_precision, displacement, join
from heatprop.synthetic import OracleDetector, OracleMaps, SceneOptions, class_names, make_scene, scene_truth

STRIDE = 4
SPEEDS = (0.25, 1, 2, 3, 4, 6)  # cells per frame
DROPS = (0.0, 0.1, 0.2, 0.4)
METHODS = {
    "per frame": {"radius": 0},
    "HP, radius 2": {"radius": 2},
    "HP, radius 4": {"radius": 4},
}
FAULTS = {
    "score_noise": 0.1,
    "parasite_rate": 0.3,
    "clutter": 2.0,
    "clutter_score": (0.05, 0.5),
    "position_noise": 0.1,
    "size_noise": 0.05,
}


def make_truths(speed: float, videos: int, frames: int) -> list[tuple[GroundTruth, tuple[str, ...]]]:
    """Scenes in which every object moves at about one speed, in cells per frame; the same objects for all speeds."""
    pixels = speed * STRIDE
    options = SceneOptions(frames=frames, speed=(pixels, pixels), objects=(2, 4), occluders=1)
    scenes = [make_scene(options, (1, number)) for number in range(videos)]
    return [(scene_truth(scene, f"{number:04d}"), class_names(scene)) for number, scene in enumerate(scenes)]


def detect(seen: OracleMaps, *, radius: int) -> Predictions:
    """Decode one video: radius 0 is the per-frame baseline, every frame decoded afresh."""
    propagator = HeatmapPropagator(radius=radius, stride=STRIDE)
    heatmap, offset, size = (torch.from_numpy(field.astype(np.float32)) for field in seen.maps[1:4])
    with torch.inference_mode():
        if radius == 0:  # all frames as streams of their own
            found = propagator(heatmap, offset, size).detections.unpad()
        else:
            found = propagator.forward_chunk(heatmap[None], offset[None], size[None]).detections.unpad()[0]
    return Predictions.of_video(seen.maps.name, found)


def measure(speed: float, drops: tuple[float, ...], videos: int, frames: int) -> dict[str, object]:
    """AP50 of all methods at one speed."""
    truths = make_truths(speed, videos, frames)
    truth = join([one for one, _ in truths])
    moved = displacement(truth, stride=STRIDE)
    rows: dict[str, list[float]] = {name: [] for name in METHODS}
    for drop in drops:
        oracle = OracleDetector(stride=STRIDE, drop_rate=drop, **FAULTS)
        seen = [
            oracle.detect(one, frames=frames, size=(192, 192), class_names=names, seed=number)
            for number, (one, names) in enumerate(truths)
        ]
        for name, options in METHODS.items():
            found = join([detect(maps, **options) for maps in seen])
            rows[name].append(100 * average_precision(truth, found).mean)
    return {"speed": speed, "displacement": float(np.nanmedian(moved)), "boxes": len(truth.box), "ap": rows}


def draw(results: list[dict], drops: tuple[float, ...], path: Path) -> None:
    """Average precision against speed, a panel per drop rate; gain against speed."""
    speeds = [row["speed"] for row in results]
    figure, axes = plt.subplots(1, 3, figsize=(12, 3.6), constrained_layout=True)
    colours = plt.get_cmap("viridis")(np.linspace(0, 0.85, len(drops)))
    for place, (drop, colour) in enumerate(zip(drops, colours, strict=True)):
        curves = {name: np.array([row["ap"][name][place] for row in results]) for name in METHODS}
        axes[0].plot(speeds, curves["per frame"], "--", color=colour)
        axes[0].plot(speeds, curves["HP, radius 2"], "o-", color=colour, label=f"{drop:.0%} missed")
        for axis, name in zip(axes[1:], list(METHODS)[1:], strict=True):
            axis.plot(speeds, curves[name] - curves["per frame"], "o-", color=colour, label=f"{drop:.0%} missed")
    axes[0].set(title="per frame (dashed), HP of radius 2 (solid)", ylabel="AP50, %", xlabel="speed, cells per frame")
    low = min(axis.get_ylim()[0] for axis in axes[1:])
    high = max(axis.get_ylim()[1] for axis in axes[1:])
    for axis, name in zip(axes[1:], list(METHODS)[1:], strict=True):
        axis.axhline(0, color="grey", linewidth=0.8)
        axis.set(title=f"gain of {name}", ylabel="AP50, points", xlabel="speed, cells per frame", ylim=(low, high))
    axes[2].legend(fontsize=8)
    for axis in axes:
        axis.grid(alpha=0.25)
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=110)


def main() -> None:
    """Measure, print Markdown tables, draw."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/images/synthetic-gain.png"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--videos", type=int, default=12)
    parser.add_argument("--frames", type=int, default=60)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    start, results = time.perf_counter(), []
    for speed in SPEEDS:
        results.append(measure(speed, DROPS, arguments.videos, arguments.frames))
        row = results[-1]
        cells = " | ".join(
            " / ".join(f"{row['ap'][name][place]:.1f}" for name in METHODS) for place in range(len(DROPS))
        )
        print(f"| {speed} ({row['displacement']:.2f}) | {row['boxes']} | {cells} |", flush=True)
    print(f"{time.perf_counter() - start:.0f} s")
    draw(results, DROPS, arguments.out)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
