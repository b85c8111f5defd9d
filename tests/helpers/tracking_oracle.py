"""`heatprop.evaluation.tracking` once more, as plain loops: every assignment is tried, one after the other."""

import itertools
import math
from typing import NamedTuple

from evaluation_oracles import Found, Truth, iou

EPSILON = 2.0**-52


class Frame(NamedTuple):
    """One class in one frame: objects and detections as (track, box)."""

    objects: list[tuple]
    detections: list[tuple]


class Scores(NamedTuple):
    """All figures."""

    hota: float
    detection: float
    association: float
    idf1: float
    mota: float
    switches: int
    fragmentations: int
    mostly_tracked: int
    mostly_lost: int


def scores(truths: list[Truth], founds: list[Found], ids: list[int], *, score: float) -> Scores:
    """Evaluate found tracks."""
    clips = sequences(truths, founds, ids, score=score)
    return Scores(*hota(clips), idf1(clips), *clear(clips))


def sequences(truths: list[Truth], founds: list[Found], ids: list[int], *, score: float) -> list[list[Frame]]:
    """Frames of each video and class in their order, without what lies on ignored boxes."""
    both = [*truths, *founds]
    clips = []
    for key in sorted({(one.video, one.label) for one in both}):
        frames = []
        for number in sorted({one.frame for one in both if (one.video, one.label) == key}):
            here = [t for t in truths if (t.video, t.label, t.frame) == (*key, number)]
            objects = [(t.track, t.box) for t in here if not t.ignore]
            ignored = [t.box for t in here if t.ignore]
            detections = []
            for found, name in zip(founds, ids, strict=True):
                if (found.video, found.label, found.frame) != (*key, number) or name < 0 or found.score < score:
                    continue
                on_ignored = any(iou(found.box, box, 0) >= 0.5 for box in ignored)
                if not on_ignored or any(iou(found.box, box, 0) >= 0.5 for _, box in objects):
                    detections.append((name, found.box))
            frames.append(Frame(objects, detections))
        clips.append(frames)
    return clips


def best_pairs(table: list[list[float]]) -> list[tuple[int, int]]:
    """Try every assignment of rows to columns."""
    rows, columns = len(table), len(table[0]) if table else 0
    best, value = [], -1.0
    for chosen in itertools.permutations([*range(columns), *[None] * rows], rows):
        pairs = [(row, column) for row, column in enumerate(chosen) if column is not None and table[row][column] > 0]
        total = sum(table[row][column] for row, column in pairs)
        if total > value:
            best, value = pairs, total
    return best


def count_boxes(frames: list[Frame]) -> tuple[dict, dict]:
    """How many boxes each true and each found track has."""
    true, found = {}, {}
    for frame in frames:
        for track, _ in frame.objects:
            true[track] = true.get(track, 0) + 1
        for track, _ in frame.detections:
            found[track] = found.get(track, 0) + 1
    return true, found


def overlaps(frame: Frame) -> list[list[float]]:
    """IoU of all objects and detections."""
    return [[iou(box, other, 0) for _, other in frame.detections] for _, box in frame.objects]


def hota(clips: list[list[Frame]]) -> tuple[float, float, float]:
    """HOTA, DetA, AssA."""
    matched = []  # clip, true track, found track, IoU
    for number, frames in enumerate(clips):
        true, found = count_boxes(frames)
        common = {}
        for frame in frames:
            table = overlaps(frame)
            for i, (track, _) in enumerate(frame.objects):
                for j, (other, _) in enumerate(frame.detections):
                    whole = sum(table[i]) + sum(row[j] for row in table) - table[i][j]
                    if whole > 0:
                        common[track, other] = common.get((track, other), 0) + table[i][j] / whole
        for frame in frames:
            table = overlaps(frame)
            weighted = [list(row) for row in table]
            for i, (track, _) in enumerate(frame.objects):
                for j, (other, _) in enumerate(frame.detections):
                    c = common.get((track, other), 0)
                    weighted[i][j] *= c / (true[track] + found[other] - c)
            for i, j in best_pairs(weighted):
                matched.append((number, frame.objects[i][0], frame.detections[j][0], table[i][j]))
    boxes = sum(len(frame.objects) for frames in clips for frame in frames)
    detections = sum(len(frame.detections) for frames in clips for frame in frames)
    if not boxes + detections:
        return math.nan, math.nan, math.nan
    counts = [count_boxes(frames) for frames in clips]
    parts = []
    for step in range(1, 20):
        hits = [one[:3] for one in matched if one[3] >= step / 20 - EPSILON]
        found = len(hits) / (boxes + detections - len(hits))
        told = 0.0
        for one in hits:
            same = hits.count(one)
            told += same / (counts[one[0]][0][one[1]] + counts[one[0]][1][one[2]] - same)
        told /= max(1, len(hits))
        parts.append((math.sqrt(found * told), found, told))
    return tuple(sum(column) / 19 for column in zip(*parts, strict=True))


def idf1(clips: list[list[Frame]]) -> float:
    """IDF1 at IoU 0.5."""
    hits = boxes = 0
    for frames in clips:
        true, found = count_boxes(frames)
        boxes += sum(true.values()) + sum(found.values())
        common = {}
        for frame in frames:
            for row, (track, _) in zip(overlaps(frame), frame.objects, strict=True):
                for value, (other, _) in zip(row, frame.detections, strict=True):
                    common[track, other] = common.get((track, other), 0) + (value >= 0.5)
        table = [[common.get((track, other), 0) for other in found] for track in true]
        hits += sum(table[i][j] for i, j in best_pairs(table))
    return 2 * hits / boxes if boxes else math.nan


def clear(clips: list[list[Frame]]) -> tuple[float, int, int, int, int]:
    """MOTA, switches, fragmentations, mostly tracked and mostly lost tracks, at IoU 0.5."""
    hits = detections = boxes = switches = breaks = tracked = lost = 0
    for frames in clips:
        last, before, runs, found = {}, {}, {}, {}
        for frame in frames:
            boxes += len(frame.objects)
            detections += len(frame.detections)
            if not frame.objects or not frame.detections:
                continue
            table = overlaps(frame)
            for i, (track, _) in enumerate(frame.objects):
                for j, (other, _) in enumerate(frame.detections):
                    close = table[i][j] >= 0.5 - EPSILON
                    table[i][j] = (table[i][j] + 1000 * (before.get(track) == other)) if close else 0.0
            now = {frame.objects[i][0]: frame.detections[j][0] for i, j in best_pairs(table)}
            for track, other in now.items():
                hits += 1
                found[track] = found.get(track, 0) + 1
                switches += track in last and last[track] != other
                runs[track] = runs.get(track, 0) + (track not in before)
            last.update(now)
            before = now
        breaks += sum(number - 1 for number in runs.values())
        for track, number in count_boxes(frames)[0].items():
            tracked += found.get(track, 0) / number > 0.8
            lost += found.get(track, 0) / number < 0.2
    mota = (hits - (detections - hits) - switches) / boxes if boxes else math.nan
    return mota, switches, breaks, tracked, lost
