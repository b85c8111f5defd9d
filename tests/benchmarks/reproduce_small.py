"""The whole way on a laptop: render a benchmark, train CenterNet on it, reproduce the paper's tables; writes a page.

Run from the repository root (about half an hour on two cores; it goes on where it was stopped)::

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
from pathlib import Path

import torch

from heatprop.centernet.training import TrainingConfig, train
from heatprop.synthetic import SceneOptions, make_benchmark

PICTURES = {"curves.png": "curves", "scores.png": "scores", "moment-1.png": "moment"}


def main() -> None:
    """Render, train, reproduce, write."""
    given = parse_arguments()
    work = Path(given.work)
    start = time.perf_counter()
    scene = SceneOptions(frames=given.frames)
    for _ in make_benchmark(
        work / "data", train=given.train, val=given.val, seed=given.seed, scene=scene, workers=os.cpu_count() or 1
    ):
        pass
    add_seconds(work, rendering=time.perf_counter() - start)
    config = TrainingConfig.small(
        epochs=given.epochs, input_size=given.size, seed=given.seed, **json.loads(given.options)
    )
    trained = train(config, data=work / "data", out=work / "training", resume=True, progress=True)
    add_seconds(work, training=trained.seconds)
    start = time.perf_counter()
    command = [sys.executable, "-m", "heatprop", "reproduce", "--data", work / "data", "--out", work / "out"]
    subprocess.run([*map(str, command), "--checkpoint", str(trained.checkpoint)], check=True)
    seconds = add_seconds(work, reproducing=time.perf_counter() - start)
    write_page(given, seconds, trained.losses)


def add_seconds(work: Path, **spent: float) -> dict[str, float]:
    """Count the time of all attempts: who stops and goes on has used both."""
    path = work / "seconds.json"
    before = json.loads(path.read_text()) if path.exists() else {}
    total = before | {name: before.get(name, 0) + value for name, value in spent.items()}
    path.write_text(json.dumps(total))
    return total


def parse_arguments() -> argparse.Namespace:
    """What is said on the command line; the defaults are what the page in docs was made with."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--work", default="build/reproduce_small", help="folder for data, weights, maps, report")
    parser.add_argument("--page", default="docs/reproduce_small.md", help="page to write; its pictures lie in images/")
    parser.add_argument("--train", type=int, default=200, help="videos to train on")
    parser.add_argument("--val", type=int, default=20, help="videos to validate on")
    parser.add_argument("--frames", type=int, default=30, help="of each video")
    parser.add_argument("--epochs", type=int, default=TrainingConfig.small().epochs)
    parser.add_argument("--size", type=int, default=TrainingConfig.small().input_size, help="of the network's input")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--options", default="{}", help="more options of TrainingConfig, as JSON")
    return parser.parse_args()


def write_page(given: argparse.Namespace, seconds: dict[str, float], losses: dict[str, float]) -> None:
    """Put the tables, the pictures and how they came about on a page."""
    page, out = Path(given.page), Path(given.work) / "out"
    images = page.parent / "images"
    images.mkdir(parents=True, exist_ok=True)
    for name, stem in PICTURES.items():
        if (out / name).exists():
            shutil.copyfile(out / name, images / f"reproduce-small-{stem}.png")
    times = ", ".join(f"{name} {value / 60:.1f} min" for name, value in seconds.items())
    table = {
        "data": f"`make-benchmark`, seed {given.seed}: {given.train} + {given.val} videos of {given.frames} frames",
        "training": f"`TrainingConfig.small(epochs={given.epochs}, input_size={given.size}, seed={given.seed})`"
        + ("" if given.options == "{}" else f" and `{given.options}`")
        + ", random weights at first",
        "losses of the last epoch": ", ".join(f"{name} {value:.3f}" for name, value in losses.items()),
        "time": times,
        "machine": f"{os.cpu_count()} CPU cores ({platform.machine()}), torch {torch.__version__}, "
        f"{torch.get_num_threads()} threads",
        "made on": time.strftime("%Y-%m-%d"),
    }
    rows = "\n".join(f"| {name} | {value} |" for name, value in table.items())
    report = (out / "report.md").read_text()
    shown = [
        f"![{text}](images/reproduce-small-{stem}.png)\n\n*{text}*"
        for stem, text in CAPTIONS.items()
        if (images / f"reproduce-small-{stem}.png").exists()
    ]
    page.write_text("\n\n".join([INTRODUCTION, f"| | |\n|---|---|\n{rows}", *shown, report.strip()]) + "\n")


INTRODUCTION = """# The whole way on a laptop

<!-- Written by tests/benchmarks/reproduce_small.py: run it again instead of editing this page. -->

A ResNet-18 CenterNet is trained from random weights on the [synthetic benchmark](synthetic.md), and everything that
[`heatprop reproduce`](reproduce.md) does on ImageNet VID is done with it on the benchmark's validation videos, which
have other photographs behind them. The numbers are what came out, whatever they are. The paper's stand beside them to
look at the trends; its videos, classes and network are others.

```console
nox -s reproduce_small
```"""

CAPTIONS = {
    "moment": "Three frames of a validation video: above the detector alone, below with the memory (as in Fig. 3).",
    "scores": "Scores of the objects that flicker most (as Fig. 4).",
    "curves": "Precision against recall by motion (as Fig. 5).",
}


if __name__ == "__main__":
    main()
