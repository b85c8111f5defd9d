"""Time `heatprop.evaluation` on a data set of the size of ImageNet VID's validation set, against a plain loop.

Run from the repository root (about 2 minutes, 3 GiB)::

    PYTHONPATH=src python tests/benchmarks/bench_evaluation.py
"""

import argparse
import resource
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import numpy as np

from heatprop import evaluation
from heatprop.evaluation import GroundTruth, Predictions

VIDEOS, FRAMES, OBJECTS, CLASSES = 555, 176_126, 273_505, 30
LIMIT_SECONDS, LIMIT_GIB, LIMIT_RATIO = 120, 8, 20


def make_truth(rng: np.random.Generator) -> GroundTruth:
    """Objects of 20 to 600 px that drift through 1280 x 720 pictures, 1.55 a frame; videos of equal length."""
    frame = np.sort(rng.integers(0, FRAMES, OBJECTS))
    video, frame = frame * VIDEOS // FRAMES, frame - -(-(frame * VIDEOS // FRAMES) * FRAMES // VIDEOS)
    place = np.arange(OBJECTS) - np.searchsorted(video * FRAMES + frame, video * FRAMES + frame)
    track = video * 100 + place  # the first, second ... object of each frame
    start, speed = rng.random((VIDEOS * 100, 2)) * (700, 300), rng.normal(0, 1, (VIDEOS * 100, 2))
    size = rng.uniform(20, 600, (VIDEOS * 100, 2))
    corner = start[track] + speed[track] * frame[:, None]
    label = (track * 7 // 3) % CLASSES
    return GroundTruth(video, frame, track, label, np.concatenate([corner, corner + size[track]], axis=1))


def make_predictions(rng: np.random.Generator, truth: GroundTruth, count: int) -> Predictions:
    """Up to 4 boxes near each object, mostly of its class; the rest anywhere, of any class; frame after frame."""
    near = rng.integers(0, len(truth.box), min(count // 4, 4 * len(truth.box)))
    near_box = truth.box[near] + rng.normal(0, 8, (len(near), 4))
    near_label = np.where(rng.random(len(near)) < 0.9, truth.label[near], rng.integers(0, CLASSES, len(near)))
    far = count - len(near)
    frame = rng.integers(0, FRAMES, far)
    video, frame = frame * VIDEOS // FRAMES, frame - -(-(frame * VIDEOS // FRAMES) * FRAMES // VIDEOS)
    corner = rng.random((far, 2)) * (1000, 500)
    far_box = np.concatenate([corner, corner + rng.uniform(20, 300, (far, 2))], axis=1)
    found = Predictions(
        np.concatenate([truth.video[near], video]),
        np.concatenate([truth.frame[near], frame]),
        np.concatenate([near_label, rng.integers(0, CLASSES, far)]),
        np.concatenate([rng.beta(4, 2, len(near)), rng.beta(1, 6, far)]).round(4),
        np.concatenate([near_box, far_box]),
    )
    return found.select(np.lexsort((-found.score, found.frame, found.video)))


def loop_average_precision(truth: GroundTruth, predictions: Predictions) -> float:
    """The devkit's rule, one detection at a time: the same steps, no numpy."""
    objects = defaultdict(list)
    number = defaultdict(int)
    for video, frame, label, box in zip(
        truth.video.tolist(), truth.frame.tolist(), truth.label.tolist(), truth.box.tolist(), strict=True
    ):
        w, h = box[2] - box[0] + 1, box[3] - box[1] + 1
        objects[video, frame].append([label, box, min(0.5, w * h / ((w + 10) * (h + 10))), False])
        number[label] += 1
    frames = defaultdict(list)
    for video, frame, label, score, box in zip(*(column.tolist() for column in predictions), strict=True):
        frames[video, frame].append((score, label, box))
    judged = []
    for place in sorted(frames):
        around = objects.get(place, [])
        for score, label, box in sorted(frames[place], key=lambda found: -found[0]):
            judged.append((score, label, loop_match(label, box, around)))
    judged.sort(key=lambda one: -one[0])
    areas = [loop_area([right for _, of, right in judged if of == label], count) for label, count in number.items()]
    return sum(areas) / len(areas)


def loop_match(label: int, box: list[float], around: list[list]) -> bool:
    """Whether the detection takes one of the objects of its frame."""
    best, best_overlap = None, 0.0
    for one in around:
        if one[0] != label or one[3]:
            continue
        other = one[1]
        width = min(box[2], other[2]) - max(box[0], other[0]) + 1
        height = min(box[3], other[3]) - max(box[1], other[1]) + 1
        if width <= 0 or height <= 0:
            continue
        area = (box[2] - box[0] + 1) * (box[3] - box[1] + 1) + (other[2] - other[0] + 1) * (other[3] - other[1] + 1)
        overlap = width * height / (area - width * height)
        if overlap >= one[2] and overlap > best_overlap:
            best, best_overlap = one, overlap
    if best is not None:
        best[3] = True
    return best is not None


def loop_area(flags: list[bool], number: int) -> float:
    """Area under the curve of one class."""
    precision, tp = [], 0
    for i, right in enumerate(flags):
        tp += right
        precision.append(tp / (i + 1))
    area, best = 0.0, 0.0
    for right, value in zip(reversed(flags), reversed(precision), strict=True):
        best = max(best, value)
        area += best / number if right else 0.0
    return area


def timed(work: Callable[[], Any]) -> tuple[Any, float]:
    """Result and seconds."""
    start = time.perf_counter()
    result = work()
    return result, time.perf_counter() - start


def make_subsets(truth: GroundTruth) -> dict[str, np.ndarray]:
    """The paper's four subsets and FGFA's three."""
    moved, steady = evaluation.displacement(truth, picture_size=(1280, 720)), evaluation.motion_iou(truth)
    fgfa = {f"FGFA {name}": mask for name, mask in evaluation.motion_iou_subsets(steady).items()}
    return {**evaluation.displacement_subsets(moved), **fgfa}


def time_the_rest(truth: GroundTruth, found: Predictions) -> None:
    """Print what motion splits and flicker take."""
    subsets, first = timed(lambda: make_subsets(truth))
    _, second = timed(lambda: evaluation.subset_average_precision(truth, found, subsets))
    _, third = timed(lambda: evaluation.track_hits(truth, found, recall=0.5))
    _, fourth = timed(lambda: evaluation.ghost_age(truth, found))
    print(f"{'displacement and motion IoU':<34}{first:8.1f} s")
    print(f"{f'AP on {len(subsets)} subsets':<34}{second:8.1f} s")
    print(f"{'track_hits, for the flicker':<34}{third:8.1f} s")
    print(f"{'ghost_age':<34}{fourth:8.1f} s")


def main() -> None:
    """Make the data, run everything, print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--detections", type=int, default=5_000_000)
    parser.add_argument("--shuffle", action="store_true", help="give the detections in random order")
    parser.add_argument("--loop-share", type=float, default=1.0, help="share of the videos that the plain loop does")
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    truth = make_truth(rng)
    found = make_predictions(rng, truth, options.detections)
    if options.shuffle:
        found = found.select(rng.permutation(len(found.box)))
    runs = [timed(lambda: evaluation.average_precision(truth, found)) for _ in range(3)]
    result, seconds = runs[0][0], float(np.median([took for _, took in runs]))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    print(f"{len(found.box):,} detections, {FRAMES:,} frames, {len(truth.box):,} objects, mAP {result.mean:.4f}")
    print(f"{'average_precision, median of 3':<34}{seconds:8.1f} s   limit {LIMIT_SECONDS} s")
    print(f"{'  each run':<34}{'  '.join(f'{took:.1f}' for _, took in runs):>8} s")
    print(f"{'peak memory, with the data':<34}{peak:8.1f} GiB limit {LIMIT_GIB} GiB")
    time_the_rest(truth, found)
    videos = round(VIDEOS * options.loop_share)
    part = truth.select(truth.video < videos), found.select(found.video < videos)
    expected, loop_seconds = timed(lambda: loop_average_precision(*part))
    same = abs(evaluation.average_precision(*part).mean - expected) < 1e-9
    loop_seconds *= len(found.box) / len(part[1].box)
    print(f"{f'plain loop on {videos} videos, scaled':<34}{loop_seconds:8.1f} s   same mAP: {same}")
    print(f"{'ratio':<34}{loop_seconds / seconds:8.1f}     limit {LIMIT_RATIO}")


if __name__ == "__main__":
    main()
