"""Points with and without memory: a rendered ball that goes black, and two flies.

The flies are a centroid map (T, 1, H, W) and true positives of the kind described in docs/points.md; without the files
only the ball is measured. Run from the repository root; it prints the tables of docs/points.md::

    PYTHONPATH=src python tests/benchmarks/study_points.py --flies ../shared/clips/points
"""

import argparse
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from measure import table
from torch import Tensor
from torch.nn import functional

from heatprop import HeatmapPropagator, adapters

BALL, SIDE = 3.0, (144, 256)


def ball_frames(frames: int = 150, *, speed: float, seed: int) -> Iterator[tuple[Tensor, np.ndarray, bool]]:
    """Render a bright ball that bounces in a noisy picture, every sixth frame black: picture, centre, black or not."""
    random = np.random.default_rng(seed)
    place = random.uniform(30, 110, 2)
    angle = random.uniform(0, 2 * np.pi)
    step = speed * np.array([np.cos(angle), np.sin(angle)])
    y, x = np.mgrid[: SIDE[0], : SIDE[1]] + 0.5
    for number in range(frames):
        for axis, limit in enumerate((SIDE[1], SIDE[0])):
            if not 12 < place[axis] + step[axis] < limit - 12:
                step[axis] = -step[axis]
        place = place + step
        picture = 0.1 + 0.03 * random.standard_normal(SIDE)
        black = number > 10 and number % 6 == 0
        if not black:
            picture = np.maximum(picture, np.exp(-((x - place[0]) ** 2 + (y - place[1]) ** 2) / (2 * BALL**2)))
        yield torch.from_numpy(picture).float()[None, None], place.copy(), black


def ball_map(picture: Tensor) -> Tensor:
    """A detector for balls: how bright the neighbourhood of each pixel is, shape (1, 1, H, W), in [0, 1]."""
    mean = functional.avg_pool2d(picture, 5, stride=1, padding=2, count_include_pad=False)
    return ((mean - 0.2) / 0.9).clamp(0, 1)


def measure_ball(propagator: HeatmapPropagator, pool: int) -> tuple[float, float]:
    """Share of the black frames in which a point lies within 5 pixels of the ball; mean error of the others."""
    found, errors = [], []
    for speed in (2.0, 4.0, 6.0):
        propagator.reset()
        read = adapters.points(pool=pool)
        for picture, place, black in ball_frames(speed=speed, seed=round(speed)):
            maps = read(ball_map(picture))
            (objects,) = propagator(*maps[:3]).detections.unpad()
            apart = np.linalg.norm(objects["boxes"][:1, :2].numpy() - place, axis=1)  # the best one
            if black:
                found.append(len(apart) > 0 and apart[0] <= 5)
            elif len(apart):
                errors.append(apart[0])
    return 100 * float(np.mean(found)), float(np.mean(errors))


def ball_rows() -> list[list[str]]:
    """What is compared on the ball."""
    cases = {
        "no memory, pool 4": (HeatmapPropagator(radius=0, alpha=0.0, stride=4), 4),
        "steady, no pooling": (HeatmapPropagator.steady(stride=1), 1),
        "steady, radius 3, no pooling": (HeatmapPropagator.steady(stride=1, radius=3), 1),
        "steady, pool 2": (HeatmapPropagator.steady(stride=2), 2),
        "steady, pool 4": (HeatmapPropagator.steady(stride=4), 4),
        "steady, pool 8": (HeatmapPropagator.steady(stride=8), 8),
    }
    return [[name, *(f"{one:.1f}" for one in measure_ball(*case))] for name, case in cases.items()]


def fly_rows(folder: Path, count: int) -> list[list[str]]:
    """What is compared on the flies."""
    with np.load(folder / "flies.npz") as arrays, np.load(folder / "flies-truth.npz") as truth:
        maps = arrays["heatmap"].astype(np.float32) * float(arrays["scale"])  # as the network gives it
        scale, frames = float(arrays["scale"]), truth["frame"][truth["frame"] < count]
        bodies = truth["xy"][: len(frames)]
    cases = {
        "no memory": (HeatmapPropagator(radius=0, alpha=0.0, stride=4), None),
        'steady, identity="square"': (HeatmapPropagator.steady(stride=4, identity="square"), None),
        "steady": (HeatmapPropagator.steady(stride=4), None),
        "steady, merge_radius 6": (HeatmapPropagator.steady(stride=4), 6),
    }
    rows = []
    for name, (propagator, merge) in cases.items():
        read = adapters.points(scale=scale, merge_radius=merge)
        found = []
        for one in maps[:count]:
            objects = propagator(*read(one[None])[:3]).detections.unpad()[0]
            kept = objects["scores"] >= 0.2
            found.append((objects["boxes"][kept, :2].numpy(), objects["track_ids"][kept].numpy()))
        rows.append([name, *measure_flies(found, frames, bodies)])
    return rows


def measure_flies(found: list[tuple[np.ndarray, np.ndarray]], frames: np.ndarray, bodies: np.ndarray) -> list[str]:
    """Bodies found within 40 pixels, other points a frame, mean error, identities of the bodies, switches."""
    hits, others, errors, ids, switches = 0, 0, [], set(), 0
    last: dict[int, int] = {}
    for frame, pair in zip(frames, bodies, strict=True):
        points, names = found[frame]
        apart = np.linalg.norm(pair[:, None] - points[None], axis=2) if len(points) else np.zeros((2, 0))
        used = set()
        for _ in range(min(apart.shape)):
            body, point = np.unravel_index(apart.argmin(), apart.shape)
            if apart[body, point] > 40:
                break
            hits += 1
            errors.append(apart[body, point])
            used.add(point)
            name = int(names[point])
            switches += last.get(int(body), name) != name
            last[int(body)] = name
            ids.add(name)
            apart[body] = apart[:, point] = np.inf
        others += len(points) - len(used)
    figures = [f"{100 * hits / (2 * len(frames)):.1f}", f"{others / len(frames):.2f}", f"{np.mean(errors):.1f}"]
    return [*figures, str(len(ids)), str(switches)]


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--flies", type=Path, default=Path("../shared/clips/points"), help="folder of both files")
    parser.add_argument("--frames", type=int, default=1100, help="so many frames of the flies")
    options = parser.parse_args()
    torch.set_num_threads(1)
    with torch.inference_mode():
        print(table(["ball", "black frames within 5 px, %", "error where seen, px"], ball_rows()), flush=True)
        if not (options.flies / "flies.npz").is_file():
            print(f"\nno flies: {options.flies} holds no flies.npz; name a folder with --flies")
            return
        header = ["flies", "bodies found, %", "other points a frame", "error, px", "identities", "switches"]
        print("\n" + table(header, fly_rows(options.flies, options.frames)))


if __name__ == "__main__":
    main()
