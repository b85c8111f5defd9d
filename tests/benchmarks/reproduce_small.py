"""The whole way on a laptop: render a benchmark, train CenterNet on it, make the paper's tables; writes a page.

Run from the repository root (about half an hour on two free cores; it goes on where it was stopped)::

    PYTHONPATH=src python tests/benchmarks/reproduce_small.py

``nox -s reproduce_small`` does the same in an environment of its own.
"""

import argparse
import json
import os
import platform
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch

from heatprop.centernet.training import TrainingConfig, TrainingResult, train
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


RECIPE = Recipe(
    train=150,
    val=30,
    scene=SceneOptions(frames=30, speed=(0.5, 32.0)),  # up to 5.3 cells a frame, so that all motions are there
    training={"input_size": 128, "epochs": 10, "validate_every": 5},
)


FULL = {**RECIPE.training, "seed": 0}


def main() -> None:
    """Render, train, reproduce, write."""
    given = parse_arguments()
    RECIPE.training.update(json.loads(given.options), seed=given.seed)
    work = Path(given.work)
    write_page(Path(given.page), RECIPE, work, run(RECIPE, work, given.seed))


def parse_arguments() -> argparse.Namespace:
    """What is said on the command line; the defaults are what the page in docs was made with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", default="build/reproduce_small", help="folder for data, weights, maps, report")
    parser.add_argument("--page", default="docs/reproduce-small.md", help="page to write; its pictures lie in images/")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="{}", help="more options of TrainingConfig, as JSON")
    return parser.parse_args()


def run(recipe: Recipe, work: Path, seed: int) -> TrainingResult:
    """Render, train and reproduce in a folder."""
    data, cores = work / "data", os.cpu_count() or 1
    with timed(work, "rendering"):
        for _ in make_benchmark(data, train=recipe.train, val=recipe.val, seed=seed, scene=recipe.scene, workers=cores):
            pass
    with timed(work, "training"):
        config = TrainingConfig.small(**recipe.training)
        trained = train(config, data=data, out=work / "training", resume=True, progress=True)
    with timed(work, "reproducing"):
        command = [sys.executable, "-m", "heatprop", "reproduce", "--data", data, "--out", work / "out"]
        subprocess.run([*map(str, command), "--checkpoint", str(trained.checkpoint)], check=True)
    return trained


@contextmanager
def timed(work: Path, name: str) -> Iterator[None]:
    """Count the time of all attempts, those broken off too."""
    start = time.perf_counter()
    try:
        yield
    finally:
        path = work / "seconds.json"
        path.parent.mkdir(parents=True, exist_ok=True)
        seconds = json.loads(path.read_text()) if path.exists() else {}
        seconds[name] = seconds.get(name, 0) + time.perf_counter() - start
        path.write_text(json.dumps(seconds))


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
    config = TrainingConfig.small(**recipe.training)
    cores, threads = os.cpu_count(), torch.get_num_threads()
    size = sum(path.stat().st_size for path in (work / "out" / "maps").iterdir()) / (recipe.val * scene.frames)
    trial = {"a short trial": "not the half hour of `nox -s reproduce_small`"} if recipe.training != FULL else {}
    return trial | {
        "data": f"seed {recipe.training['seed']}, {recipe.train} + {recipe.val} videos of {scene.frames} frames, "
        f"{scene.size[0]} x {scene.size[1]}, {slowest:g} to {fastest:g} px per frame",
        "training": f"`TrainingConfig.small({options})`, from random weights",
        "network": f"{config.backbone}, deformable: {config.deformable}, {config.input_size} x {config.input_size}",
        "schedule": f"{config.epochs} epochs in batches of {config.batch_size}, {config.optimizer} at "
        f"{config.learning_rate:g}, {config.schedule}, {config.radius_rule} Gaussian radius",
        "losses of the last epoch": ", ".join(f"{name} {value:.3f}" for name, value in last.losses.items()),
        "time": ", ".join(f"{name} {value / 60:.1f} min" for name, value in seconds.items()),
        "machine": f"{cores} CPU cores ({platform.machine()}), torch {torch.__version__}, {threads} threads",
        "saved maps": f"{size / 1000:.1f} kB per frame",
        "made on": time.strftime("%Y-%m-%d"),
    }


INTRODUCTION = """# Laptop reproduction

<!-- Written by tests/benchmarks/reproduce_small.py: run it again instead of editing this page. -->

This page trains a ResNet-18 CenterNet from random weights on the [synthetic benchmark](synthetic.md). Then it does
everything that [`heatprop reproduce`](reproduce.md) does on ImageNet VID, on the benchmark's validation videos, which
have other photographs behind them. We report the numbers as they came out. The paper's numbers are beside them so that
you can compare the trends; the paper's videos, classes and network are different.

```console
nox -s reproduce_small
```"""

PICTURES = {
    "moment-1.png": (
        "moment",
        "Three frames of a validation video: the detector alone above, with memory below (as in Fig. 3).",
    ),
    "scores.png": ("scores", "Scores of the objects that flicker most (as in Fig. 4)."),
    "curves.png": ("curves", "Precision against recall by motion (as in Fig. 5)."),
}


if __name__ == "__main__":
    main()
