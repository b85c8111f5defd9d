"""Seq-NMS: time per frame at 30 classes, and against plain loops on many boxes of one class.

PYTHONPATH=src:tests/helpers python tests/benchmarks/bench_tubelets.py               # about 6 minutes of plain loops
PYTHONPATH=src:tests/helpers python tests/benchmarks/bench_tubelets.py --frames 60   # a shorter video for them: 15 s
"""

import argparse
import time

import numpy as np
import seq_nms_oracle

from heatprop.offline.seq_nms import seq_nms


def make_video(labels, *, frames, speed, side=900):
    """One object per label wanders over a picture of ``side`` pixels, detected with noise of 3 pixels."""
    rng = np.random.default_rng(0)
    count = len(labels)
    corner, size = rng.random((count, 2)) * side, rng.random((count, 2)) * 80 + 20
    video = []
    for _ in range(frames):
        corner = (corner + rng.normal(0, speed, (count, 2))) % side
        noisy = corner + rng.normal(0, 3, (count, 2))
        video.append((np.concatenate([noisy, noisy + size], axis=1), rng.random(count), labels))
    return [list(column) for column in zip(*video, strict=True)]


def fastest(function, *arguments, repeats=5):
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        function(*arguments)
        times.append(time.perf_counter() - start)
    return min(times)


VIDEOS = {"tracks": {"speed": 3}, "boxes anywhere": {"speed": 900}, "dense crowd": {"speed": 3, "side": 200}}


def time_thirty_classes():
    few, many = np.random.default_rng(1).integers(0, 30, 15), np.repeat(np.arange(30), 15)
    for name, labels in (("15 boxes a frame", few), ("15 boxes a frame of each class", many)):
        for kind, options in VIDEOS.items():
            seconds = fastest(seq_nms, *make_video(labels, frames=300, **options))
            print(f"30 classes, {name}, {kind}: {seconds / 300 * 1e3:.3f} ms a frame (at most 2)")


def time_one_class(frames):
    for kind, options in VIDEOS.items():
        video = make_video(np.zeros(100, np.int64), frames=frames, **options)
        seconds = fastest(seq_nms, *video)
        plain = fastest(seq_nms_oracle.seq_nms, *([one.tolist() for one in column] for column in video), repeats=1)
        ratio = f"1/{plain / seconds:.0f} (at most 1/20)"
        print(f"1 class, {frames} x 100 boxes, {kind}: {seconds:.3f} s, plain loops {plain:.1f} s, {ratio}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--frames", type=int, default=300)
    arguments = parser.parse_args()
    time_thirty_classes()
    time_one_class(arguments.frames)
