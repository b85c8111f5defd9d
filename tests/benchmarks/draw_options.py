"""Draw what each option against flicker and ghosts does, on toy maps: the picture of docs/steady.md.

Run from the repository root::

    PYTHONPATH=src python tests/benchmarks/draw_options.py --out docs/images/steady-options.png
"""

import argparse
from collections.abc import Callable, Iterable
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from torch import Tensor

from heatprop import HeatmapPropagator

SHAPE = (24, 64)
PAPER, OPTION, NETWORK = "#888888", "#0a7d4f", "#c8c8c8"


def blobs(objects: Iterable[tuple[float, float, float, float, float]]) -> tuple[Tensor, Tensor, Tensor]:
    """Maps of objects (x, y, score, w, h), in cells: a Gaussian each."""
    H, W = SHAPE
    y, x = torch.meshgrid(torch.arange(H), torch.arange(W), indexing="ij")
    heatmap, size = torch.full((H, W), 0.005), torch.ones(2, H, W)
    for cx, cy, score, w, h in objects:
        blob = score * torch.exp(-((x - cx) ** 2 / (0.08 * w) ** 2 + (y - cy) ** 2 / (0.08 * h) ** 2) / 2)
        size = torch.where(blob > heatmap, torch.tensor([w, h]).view(2, 1, 1), size)
        heatmap = torch.maximum(heatmap, blob)
    offset = torch.full((1, 2, H, W), 0.5)
    return heatmap[None, None], offset, size[None]


def play(frames: Iterable[Iterable[tuple[float, float, float, float, float]]], **options: object) -> list[dict]:
    """Detections of each frame."""
    propagator = HeatmapPropagator(**{"nms_threshold": 0.6, "peak_kernel": 3} | options)
    return [propagator(*blobs(frame)).detections.unpad()[0] for frame in frames]


def best(found: list[dict], field: Callable[[dict], Tensor]) -> list[float]:
    """A field of the first detection of each frame, NaN where there is none."""
    return [float(field(one)[0]) if len(one["scores"]) else float("nan") for one in found]


def draw_average(axes: Axes) -> None:
    """An object of score 0.9 leaves after 20 frames."""
    frames = [[(32, 12, 0.9 if t < 20 else 0.01, 12, 12)] for t in range(60)]
    for name, color, options in (
        ("paper", PAPER, {"radius": 2}),
        ("arithmetic, alpha 0.94", "#d98c00", {"radius": 1, "alpha": 0.94, "beta": 10.0}),
        ("geometric, alpha 0.96", OPTION, {"radius": 1, "alpha": 0.96, "beta": 10.0, "average": "geometric"}),
    ):
        axes.plot(best(play(frames, **options), lambda one: one["scores"]), color=color, label=name)
    axes.plot([frame[0][2] for frame in frames], color=NETWORK, linestyle="--", label="network")
    axes.set(title="average: an object leaves", xlabel="frame", ylabel="score")


def draw_velocity(axes: Axes) -> None:
    """An object of 2 cells a frame is lost for three frames."""
    lost = range(14, 17)
    frames = [[(8 + 2 * t, 12, 0.02 if t in lost else 0.8, 12, 12)] for t in range(24)]
    axes.plot([frame[0][0] for frame in frames], color=NETWORK, linestyle="--", label="object")
    for name, color, velocity in (("velocity=False", PAPER, False), ("velocity=True", OPTION, True)):
        found = play(frames, radius=2, alpha=0.96, beta=10.0, average="geometric", velocity=velocity)
        centers = best(found, lambda one: one["boxes"][:, [0, 2]].mean(1) / 4)
        axes.plot(centers, color=color, marker=".", label=name)
    axes.axvspan(lost.start - 0.5, lost.stop - 0.5, color="#f3e3e3")
    axes.set(title="velocity: lost while moving", xlabel="frame", ylabel="centre, cells")


def draw_claim(axes: Axes) -> None:
    """Beside a person of score 0.9 stands something of score 0.15."""
    frames = [[(30, 12, 0.9, 8, 20)] for _ in range(10)] + [[(30, 12, 0.9, 8, 20), (33, 12, 0.15, 8, 20)]] * 10
    for name, color, once in (("claim_once=False", PAPER, False), ("claim_once=True", OPTION, True)):
        found = play(frames, radius=3, alpha=0.9, beta=5.0, claim_once=once)
        second = [float(one["scores"][1]) if len(one["scores"]) > 1 else 0.0 for one in found]
        axes.plot(second, color=color, label=name)
    axes.set(title="claim_once: a weak neighbour", xlabel="frame", ylabel="score of the neighbour", ylim=(0, 1))


def draw_border(axes: Axes) -> None:
    """A person walks out of the picture on the right; the centre is outside from frame 20 on."""
    frames = [
        [(44 + t, 12, 0.9 if t < 12 else max(0.9 - 0.11 * (t - 12), 0.01), 14, 20)] if t < 20 else [] for t in range(40)
    ]
    for name, color, border in (("border=0", PAPER, 0.0), ("border=0.9", OPTION, 0.9)):
        found = play(frames, radius=1, alpha=0.96, beta=10.0, average="geometric", velocity=True, border=border)
        axes.plot(best(found, lambda one: one["scores"]), color=color, label=name)
    axes.plot([frame[0][2] if frame else 0 for frame in frames], color=NETWORK, linestyle="--", label="network")
    axes.set(title="border: an object walks out", xlabel="frame", ylabel="score")


def draw_radius(axes: Axes) -> None:
    """The peak of a large object jumps by up to 2 cells from frame to frame, its score flickers."""
    torch.manual_seed(0)
    jumps = torch.randint(-1, 2, (40, 2)).tolist()
    flicker = (0.35 + 0.5 * torch.rand(40)).tolist()
    frames = [[(32 + dx, 12 + dy, score, 24, 20)] for (dx, dy), score in zip(jumps, flicker, strict=True)]
    axes.plot(flicker, color=NETWORK, linestyle="--", label="network")
    for name, color, share in (("radius 1", PAPER, 0.0), ("radius_per_size=0.1", OPTION, 0.1)):
        options = {"radius": 1, "max_radius": 2, "alpha": 0.96, "beta": 10.0, "average": "geometric"}
        found = play(frames, radius_per_size=share, claim_once=True, **options)
        axes.plot(best(found, lambda one: one["scores"]), color=color, label=name)
    axes.set(title="radius_per_size: a large object", xlabel="frame", ylabel="best score", ylim=(0, 1))


def draw_unseen(axes: Axes) -> None:
    """How long an object is carried that is never seen again."""
    frames = [[(32, 12, 0.9, 12, 12)] if t < 20 else [] for t in range(60)]
    for name, color, limit in (("max_unseen=None", PAPER, None), ("max_unseen=15", OPTION, 15)):
        found = play(frames, radius=1, alpha=0.96, beta=10.0, average="geometric", max_unseen=limit)
        axes.plot(best(found, lambda one: one["scores"]), color=color, label=name)
    axes.set(title="max_unseen: the end of a ghost", xlabel="frame", ylabel="score", ylim=(0, 1))


def main() -> None:
    """Draw and save."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("docs/images/steady-options.png"))
    out = parser.parse_args().out
    figure, axes = plt.subplots(2, 3, figsize=(13, 7), layout="constrained")
    draws = (draw_average, draw_velocity, draw_claim, draw_border, draw_radius, draw_unseen)
    for draw, one in zip(draws, axes.flat, strict=True):
        draw(one)
        one.legend(frameon=False, fontsize=8)
        one.spines[["top", "right"]].set_visible(False)
    figure.savefig(out, dpi=110)


if __name__ == "__main__":
    main()
