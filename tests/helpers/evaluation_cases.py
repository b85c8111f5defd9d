"""Small random videos for the tests of `heatprop.evaluation`, rich in what goes wrong: ties, tiny boxes, gaps."""

import functools

import numpy as np
from evaluation_oracles import Box, Found, Truth

from heatprop.evaluation import GroundTruth, Predictions

SIZES = {0: (64.0, 48.0), 1: (40.0, 80.0), 2: (50.0, 50.0)}
KINDS = ("ties", "tiny", "degenerate", "plain", "crowded")


@functools.cache  # many tests ask for the same
def random_case(seed: int) -> tuple[list[Truth], list[Found]]:
    """Up to 3 videos of up to 6 frames; the kind goes round with the seed."""
    rng = np.random.default_rng(seed)
    kind = KINDS[seed % len(KINDS)]
    truths, founds = [], []
    for video in range(rng.integers(1, 4)):
        for track in range(rng.integers(0, 5 if kind == "crowded" else 3)):
            truths += _random_track(rng, kind, video, track)
        for frame in range(6):
            founds += _random_detections(rng, kind, video, frame, [t for t in truths if _at(t, video, frame)])
    rng.shuffle(truths)
    rng.shuffle(founds)
    return [Truth(*t) for t in truths], [Found(*f) for f in founds]


def tables(truths: list[Truth], founds: list[Found]) -> tuple[GroundTruth, Predictions]:
    """The same as columns."""
    return (
        GroundTruth(*zip(*truths, strict=True)) if truths else GroundTruth([], [], [], [], []),
        Predictions(*zip(*founds, strict=True)) if founds else Predictions([], [], [], [], []),
    )


def _at(truth: Truth, video: int, frame: int) -> bool:
    return (truth.video, truth.frame) == (video, frame)


def _random_track(rng: np.random.Generator, kind: str, video: int, track: int) -> list[Truth]:
    box, label = _random_box(rng, kind), int(rng.integers(0, 3))
    speed = rng.integers(-6, 7, 2) if kind == "ties" else rng.normal(0, 5, 2)
    rows = []
    for frame in np.flatnonzero(rng.random(6) < 0.8):
        moved = tuple(float(v) for v in np.array(box) + np.tile(speed * frame, 2))
        rows.append(Truth(video, int(frame), track, label, moved, bool(rng.random() < 0.15)))
    return rows


def _random_detections(rng: np.random.Generator, kind: str, video: int, frame: int, around: list[Truth]) -> list[Found]:
    founds = []
    for truth in around:
        for _ in range(rng.integers(0, 4 if kind == "crowded" else 3)):  # 2 or more: duplicates
            label = truth.label if rng.random() < 0.8 else int(rng.integers(0, 4))  # 3 has no ground truth
            founds.append(Found(video, frame, label, _random_score(rng, kind), _near(rng, kind, truth.box)))
    for _ in range(rng.integers(0, 3)):
        founds.append(Found(video, frame, int(rng.integers(0, 4)), _random_score(rng, kind), _random_box(rng, kind)))
    return founds


def _random_score(rng: np.random.Generator, kind: str) -> float:
    return float(rng.integers(1, 5) / 4 if kind in ("ties", "crowded") else rng.random())


def _random_box(rng: np.random.Generator, kind: str) -> Box:
    if kind == "ties":
        x, y, w, h = (int(v) for v in rng.integers(0, 4, 4) * 8)
        return (float(x), float(y), float(x + w), float(y + h))
    x, y = rng.random(2) * 40
    w, h = rng.random(2) * (8 if kind == "tiny" else 30) - (10 if kind == "degenerate" else 0)
    return (float(x), float(y), float(x + w), float(y + h))


def _near(rng: np.random.Generator, kind: str, box: Box) -> Box:
    shift = rng.integers(-1, 2, 4) * 4 if kind == "ties" else rng.normal(0, 2, 4)
    return tuple(float(v) for v in np.array(box) + shift)
