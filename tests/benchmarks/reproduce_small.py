"""The whole way on a laptop: render a benchmark, train CenterNet on it, make the paper's tables; writes a page.

Run from the repository root (about half an hour on two free cores; it goes on where it was stopped)::

    PYTHONPATH=src python tests/benchmarks/reproduce_small.py

``--short`` takes two minutes, writes no page, and fails if training did not lower the loss or the detector is no better
than chance. ``nox -s reproduce_small`` and ``nox -s reproduce_short`` do the same in environments of their own.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import torch

from heatprop.centernet.training import TrainingConfig, TrainingResult, train
from heatprop.evaluation import GroundTruth, average_precision, join
from heatprop.evaluation.imagenet import read_vid
from heatprop.evaluation.imagenet_lists import list_frames
from heatprop.reproducing.plan import make_plan, read_stamp
from heatprop.reproducing.propagating import read_video_detections
from heatprop.synthetic import SceneOptions, make_benchmark


class Recipe(NamedTuple):
    """What is rendered and how it is trained.

    Attributes:
        train: Videos to train on.
        val: Videos to validate on.
        scene: What they are like.
        training: What differs from ``TrainingConfig.small``.
    """

    train: int
    val: int
    scene: SceneOptions
    training: dict[str, Any]


LONG = Recipe(
    train=150,
    val=30,
    scene=SceneOptions(frames=30, speed=(0.5, 32.0)),  # up to 5.3 cells a frame, so that all motions are there
    training={"epochs": 12, "validate_every": 4},
)
SHORT = Recipe(
    train=30,
    val=6,
    scene=SceneOptions(
        frames=10,
        size=(96, 96),
        classes=("n02924116", "n02391049"),  # bus and zebra
        objects=(1, 2),
        length=(0.35, 0.55),
        occluders=0,
        speed=(0.25, 4.0),
        defocus=0.0,
    ),
    training={
        "epochs": 24,
        "input_size": 64,
        "batch_size": 8,
        "deformable": "none",
        "validate_every": 0,
        "warmup_steps": 20,
    },
)


def main() -> None:
    """Render, train, reproduce; then write the page, or judge."""
    given = parse_arguments()
    work = Path(given.work or ("build/reproduce_short" if given.short else "build/reproduce_small"))
    recipe = SHORT if given.short else LONG
    recipe.training.update(json.loads(given.options), seed=given.seed)
    if given.short:
        shutil.rmtree(work, ignore_errors=True)
    first, last = run(recipe, work, given.seed)
    if given.short:
        judge(first, last, work)
    else:
        write_page(Path(given.page), recipe, work, last)


def parse_arguments() -> argparse.Namespace:
    """What is said on the command line; the defaults are what the page in docs was made with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--short", action="store_true", help="two minutes, no page, fails if nothing was learned")
    parser.add_argument("--work", help="folder for data, weights, maps, report; by default in build/")
    parser.add_argument("--page", default="docs/reproduce_small.md", help="page to write; its pictures lie in images/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="{}", help="more options of TrainingConfig, as JSON")
    return parser.parse_args()


def run(recipe: Recipe, work: Path, seed: int) -> tuple[TrainingResult, TrainingResult]:
    """Render, train and reproduce in a folder; returns the training after its first epoch and at its end."""
    start, data = time.perf_counter(), work / "data"
    rendered = make_benchmark(
        data, train=recipe.train, val=recipe.val, seed=seed, scene=recipe.scene, workers=os.cpu_count() or 1
    )
    for _ in rendered:
        pass
    add_seconds(work, rendering=time.perf_counter() - start)
    config = TrainingConfig.small(**recipe.training)
    first = train(config, data=data, out=work / "training", resume=True, stop_after=1)
    last = train(config, data=data, out=work / "training", resume=True, progress=True)
    add_seconds(work, training=first.seconds + last.seconds)
    start = time.perf_counter()
    command = [sys.executable, "-m", "heatprop", "reproduce", "--data", data, "--out", work / "out"]
    subprocess.run([*map(str, command), "--checkpoint", str(last.checkpoint)], check=True)
    add_seconds(work, reproducing=time.perf_counter() - start)
    return first, last


def add_seconds(work: Path, **spent: float) -> None:
    """Count the time of all attempts: who stops and goes on has used both."""
    path = work / "seconds.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    total = before | {name: before.get(name, 0) + value for name, value in spent.items()}
    path.write_text(json.dumps(total))


def judge(first: TrainingResult, last: TrainingResult, work: Path) -> None:
    """Fail if training did not lower the loss, or the detector is no better than chance."""
    precision = 100 * json.loads((work / "out" / "report.json").read_text())["mAP50"]["per frame"]
    chance = 100 * chance_precision(work)
    before, after = first.losses["loss"], last.losses["loss"]
    print(f"loss {before:.2f} -> {after:.2f}; mAP50 {precision:.1f}, by chance {chance:.1f}")
    print(json.loads((work / "seconds.json").read_text()))
    if not after < 0.6 * before:
        raise SystemExit(f"training must lower the loss to less than 0.6 of the first epoch's, got {before} -> {after}")
    if not precision > max(20, 5 * chance):
        raise SystemExit(f"the detector must beat chance by far, got mAP50 {precision}, {chance} by chance")


def chance_precision(work: Path) -> float:
    """How well each video's detections fit the next video's objects: the same scores and boxes, but no sight."""
    data, made_from = work / "data", read_stamp(work / "out")
    plan = make_plan(data, work / "out", list_frames(data), made_from["classes"], made_from["size"])
    videos = plan.videos()
    found = join([read_video_detections(plan.detections_file(one), one, "per frame", size=plan.size) for one in videos])
    truth = read_vid(data, plan.frames, classes=plan.classes)
    other: GroundTruth = truth._replace(video=(truth.video + 1) % len(videos))
    return average_precision(other, found).mean


def write_page(page: Path, recipe: Recipe, work: Path, last: TrainingResult) -> None:
    """Put the tables, the pictures and how they came about on a page."""
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    shown = []
    for name, (stem, text) in PICTURES.items():
        if (work / "out" / name).exists():
            shutil.copyfile(work / "out" / name, images / f"reproduce-small-{stem}.png")
            shown.append(f"![{text}](images/reproduce-small-{stem}.png)\n\n*{text}*")
    rows = "\n".join(f"| {name} | {value} |" for name, value in describe(recipe, work, last).items())
    report = (work / "out" / "report.md").read_text().strip()
    page.write_text("\n\n".join([INTRODUCTION, f"| | |\n|---|---|\n{rows}", *shown, report]) + "\n")


def describe(recipe: Recipe, work: Path, last: TrainingResult) -> dict[str, str]:
    """Seed, sizes, time and machine."""
    seconds, scene = json.loads((work / "seconds.json").read_text()), recipe.scene
    slowest, fastest = scene.speed
    options = ", ".join(f"{name}={value!r}" for name, value in recipe.training.items())
    cores, threads = os.cpu_count(), torch.get_num_threads()
    size = sum(path.stat().st_size for path in (work / "out" / "maps").iterdir()) / (recipe.val * scene.frames)
    return {
        "data": f"seed {recipe.training['seed']}, {recipe.train} + {recipe.val} videos of {scene.frames} frames, "
        f"{scene.size[0]} x {scene.size[1]}, {slowest:g} to {fastest:g} px per frame",
        "training": f"`TrainingConfig.small({options})`, random weights at first",
        "losses of the last epoch": ", ".join(f"{name} {value:.3f}" for name, value in last.losses.items()),
        "time": ", ".join(f"{name} {value / 60:.1f} min" for name, value in seconds.items()),
        "machine": f"{cores} CPU cores ({platform.machine()}), torch {torch.__version__}, {threads} threads",
        "saved maps": f"{size / 1000:.1f} kB per frame",
        "made on": time.strftime("%Y-%m-%d"),
    }


INTRODUCTION = """# The whole way on a laptop

<!-- Written by tests/benchmarks/reproduce_small.py: run it again instead of editing this page. -->

A ResNet-18 CenterNet is trained from random weights on the [synthetic benchmark](synthetic.md), and everything that
[`heatprop reproduce`](reproduce.md) does on ImageNet VID is done with it on the benchmark's validation videos, which
have other photographs behind them. The numbers are what came out, whatever they are. The paper's stand beside them to
look at the trends; its videos, classes and network are others.

```console
nox -s reproduce_small
```"""

PICTURES = {
    "moment-1.png": (
        "moment",
        "Three frames of a validation video: above the detector alone, below with the memory (as Fig. 3).",
    ),
    "scores.png": ("scores", "Scores of the objects that flicker most (as Fig. 4)."),
    "curves.png": ("curves", "Precision against recall by motion (as Fig. 5)."),
}


if __name__ == "__main__":
    main()
