"""`heatprop.evaluation` as plain loops over Python numbers, written from the protocol and not from the code.

Ground truth is a list of `Truth`, predictions a list of `Found`; sources are named where a rule comes from one.
"""

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

Box = tuple[float, float, float, float]


class Truth(NamedTuple):
    video: int
    frame: int
    track: int
    label: int
    box: Box
    ignore: bool = False


class Found(NamedTuple):
    video: int
    frame: int
    label: int
    score: float
    box: Box


def side(low: float, high: float, plus_one: bool) -> float:
    return high - low + (1.0 if plus_one else 0.0)


def iou(a: Box, b: Box, plus_one: bool) -> float:
    width = side(max(a[0], b[0]), min(a[2], b[2]), plus_one)
    height = side(max(a[1], b[1]), min(a[3], b[3]), plus_one)
    if width <= 0 or height <= 0:
        return 0.0
    area_a = side(a[0], a[2], plus_one) * side(a[1], a[3], plus_one)
    area_b = side(b[0], b[2], plus_one) * side(b[1], b[3], plus_one)
    return width * height / (area_a + area_b - width * height)


def threshold(box: Box, iou_threshold: float, small_objects: bool, plus_one: bool) -> float:
    """Devkit: min(0.5, w h / ((w + 10) (h + 10)))."""
    if not small_objects:
        return iou_threshold
    w, h = side(box[0], box[2], plus_one), side(box[1], box[3], plus_one)
    if w <= 0 or h <= 0:
        return 0.0
    return min(iou_threshold, w * h / ((w + 10) * (h + 10)))


class Judged(NamedTuple):
    """One detection after matching, in the devkit's order: frame after frame, in each by falling score."""

    row: int
    truth: int | None
    ignored: bool


def match(
    truths: Sequence[Truth],
    founds: Sequence[Found],
    *,
    iou_threshold: float = 0.5,
    small_objects: bool = True,
    plus_one: bool = True,
    same_label: bool = True,
) -> list[Judged]:
    judged = []
    for place in sorted({(f.video, f.frame) for f in founds}):
        here = [i for i, f in enumerate(founds) if (f.video, f.frame) == place]
        here.sort(key=lambda i: -founds[i].score)  # stable
        objects = [k for k, t in enumerate(truths) if (t.video, t.frame) == place]
        taken: set[int] = set()
        for i in here:
            best, best_overlap, on_ignored = None, 0.0, False
            for k in objects:
                if same_label and truths[k].label != founds[i].label:
                    continue
                overlap = iou(founds[i].box, truths[k].box, plus_one)
                if overlap <= 0 or overlap < threshold(truths[k].box, iou_threshold, small_objects, plus_one):
                    continue
                if truths[k].ignore:
                    on_ignored = True
                elif k not in taken and overlap > best_overlap:
                    best, best_overlap = k, overlap
            if best is not None:
                taken.add(best)
            judged.append(Judged(i, best, best is None and on_ignored))
    return judged


def all_point_area(recall: list[float], precision: list[float]) -> float:
    """VOCap.m."""
    r, p = [0.0, *recall, 1.0], [0.0, *precision, 0.0]
    for i in range(len(p) - 2, -1, -1):
        p[i] = max(p[i], p[i + 1])
    return sum((r[i] - r[i - 1]) * p[i] for i in range(1, len(r)) if r[i] != r[i - 1])


def point_area(recall: list[float], precision: list[float], points: int) -> float:
    """Mean over recalls 0 .. 1 of the best precision at that recall or above, 0 where there is none."""
    total = 0.0
    for i in range(points):
        wanted = 1.0 if i == points - 1 else i * (1 / (points - 1))
        total += max([p for r, p in zip(recall, precision, strict=True) if r >= wanted], default=0.0)
    return total / points


def curve(flags: Sequence[bool], objects: int) -> tuple[list[float], list[float], list[int], list[int]]:
    """Recall, precision, TP and FP after each detection."""
    recall, precision, hits, misses, tp, fp = [], [], [], [], 0, 0
    for flag in flags:
        tp, fp = tp + flag, fp + (not flag)
        hits.append(tp)
        misses.append(fp)
        recall.append(tp / objects if objects else math.nan)
        precision.append(tp / (tp + fp))
    return recall, precision, hits, misses


class Averages(NamedTuple):
    mean: float
    per_class: dict[int, float]
    without: list[int]


def over_classes(
    truths: Sequence[Truth],
    founds: Sequence[Found],
    kept: Sequence[tuple[int, bool]],
    wanted: Sequence[bool],
    points: int | None,
) -> Averages:
    """``kept``: (row, right or wrong) in the devkit's order."""
    ranked = sorted(kept, key=lambda pair: -founds[pair[0]].score)  # stable
    per_class, without = {}, []
    for label in sorted({t.label for t in truths} | {f.label for f in founds}):
        objects = sum(1 for k, t in enumerate(truths) if t.label == label and wanted[k])
        if objects == 0:
            without.append(label)
            continue
        recall, precision, _, _ = curve([right for row, right in ranked if founds[row].label == label], objects)
        area = all_point_area(recall, precision) if points is None else point_area(recall, precision, points)
        per_class[label] = area
    mean = sum(per_class.values()) / len(per_class) if per_class else math.nan
    return Averages(mean, per_class, without)


def average_precision(
    truths: Sequence[Truth],
    founds: Sequence[Found],
    *,
    iou_threshold: float = 0.5,
    small_objects: bool = True,
    plus_one: bool = True,
    recall_points: int | None = None,
) -> Averages:
    judged = match(truths, founds, iou_threshold=iou_threshold, small_objects=small_objects, plus_one=plus_one)
    kept = [(j.row, j.truth is not None) for j in judged if not j.ignored]
    return over_classes(truths, founds, kept, [not t.ignore for t in truths], recall_points)


def nearest(truths: Sequence[Truth], found: Found, plus_one: bool = True) -> int | None:
    """Highest IoU, any class; where nothing is touched, the nearest centre; the first of equals."""
    best, best_key = None, (-math.inf, 0.0)
    for k, t in enumerate(truths):
        if (t.video, t.frame) != (found.video, found.frame) or t.ignore:
            continue
        a, b = found.box, t.box
        overlap = iou(a, b, plus_one)
        across, down = a[0] + a[2] - (b[0] + b[2]), a[1] + a[3] - (b[1] + b[3])
        key = (overlap, 0.0 if overlap > 0 else -(across * across + down * down))
        if key > best_key:
            best, best_key = k, key
    return best


def on_subset(
    truths: Sequence[Truth], founds: Sequence[Found], subset: Sequence[bool], *, same_label: bool
) -> list[tuple[int, bool]]:
    """Detections on the curve of a subset, in the devkit's order: (row, right or wrong)."""
    wanted = [inside and not t.ignore for inside, t in zip(subset, truths, strict=True)]
    kept = []
    for j in match(truths, founds, same_label=same_label):
        if j.ignored:
            continue
        if j.truth is not None:
            if wanted[j.truth]:
                kept.append((j.row, True))
            continue
        close = nearest(truths, founds[j.row])
        if close is None or wanted[close]:
            kept.append((j.row, False))
    return kept


def subset_average_precision(truths: Sequence[Truth], founds: Sequence[Found], subset: Sequence[bool]) -> Averages:
    wanted = [inside and not t.ignore for inside, t in zip(subset, truths, strict=True)]
    return over_classes(truths, founds, on_subset(truths, founds, subset, same_label=True), wanted, None)


def subset_curve(
    truths: Sequence[Truth], founds: Sequence[Found], subset: Sequence[bool], *, same_label: bool
) -> tuple[list[float], list[int], list[int]]:
    """Scores, TP and FP of the class-agnostic curve."""
    kept = on_subset(truths, founds, subset, same_label=same_label)
    kept.sort(key=lambda pair: -founds[pair[0]].score)
    _, _, hits, misses = curve([right for _, right in kept], 1)
    return [founds[row].score for row, _ in kept], hits, misses


def at_frame(truths: Sequence[Truth], one: Truth, frame: int) -> Truth | None:
    for t in truths:
        if (t.video, t.track, t.frame) == (one.video, one.track, frame) and not t.ignore:
            return t
    return None


def displacement(
    truths: Sequence[Truth],
    *,
    sizes: Mapping[int, tuple[float, float]] | None,
    quantize: bool,
    input_size: int = 512,
    stride: float = 4,
) -> list[float]:
    def center(t: Truth) -> tuple[float, float]:
        corners = list(t.box)
        if sizes is not None:
            width, height = sizes[t.video]
            ratio = input_size / max(width, height)
            for i in range(4):
                corners[i] = corners[i] * ratio + (input_size - ratio * (width, height)[i % 2]) / 2
        cells = [c / stride for c in corners]
        if quantize:
            cells = [float(round(c)) for c in cells]
        return (cells[0] + cells[2]) / 2, (cells[1] + cells[3]) / 2

    result = []
    for t in truths:
        before = None if t.ignore else at_frame(truths, t, t.frame - 1)
        if before is None:
            result.append(math.nan)
            continue
        (x, y), (before_x, before_y) = center(t), center(before)
        result.append(max(abs(x - before_x), abs(y - before_y)))
    return result


def motion_iou(truths: Sequence[Truth], reach: int = 10, plus_one: bool = True) -> list[float]:
    result = []
    for t in truths:
        values = []
        for distance in range(-reach, reach + 1):
            other = at_frame(truths, t, t.frame + distance) if distance else None
            if other is not None:
                values.append(iou(t.box, other.box, plus_one))
        result.append(sum(values) / len(values) if values and not t.ignore else math.nan)
    return result


def suggest_radius(displacements: Sequence[float], uncovered: float) -> int:
    pairs = [d for d in displacements if not math.isnan(d)]
    radius = 0
    while sum(d > radius for d in pairs) / len(pairs) > uncovered:
        radius += 1
    return radius


class Step(NamedTuple):
    """One box of a track and the detection that found it."""

    truth: Truth
    found: Found | None


def tracks(
    truths: Sequence[Truth], founds: Sequence[Found], *, score: float | None = None, recall: float | None = None
) -> dict[tuple[int, int], list[Step]]:
    """(video, track) -> its boxes in order; only videos that reach the recall."""
    finder = {j.truth: founds[j.row] for j in match(truths, founds) if j.truth is not None}
    limits = {}
    for video in {t.video for t in truths}:
        rows = [k for k, t in enumerate(truths) if t.video == video and not t.ignore]
        scores = sorted((finder[k].score for k in rows if k in finder), reverse=True)
        if score is not None:
            limits[video] = score
            continue
        for candidate in scores:
            if sum(s >= candidate for s in scores) >= recall * len(rows):
                limits[video] = candidate
                break
    result: dict[tuple[int, int], list[Step]] = {}
    for k in sorted(range(len(truths)), key=lambda k: truths[k].frame):
        t = truths[k]
        if t.ignore or t.video not in limits:
            continue
        found = finder.get(k)
        if found is not None and found.score < limits[t.video]:
            found = None
        result.setdefault((t.video, t.track), []).append(Step(t, found))
    return result


def gaps(paths: Mapping[tuple[int, int], Sequence[Step]]) -> list[int]:
    lengths = []
    for _, steps in sorted(paths.items()):
        run, started = 0, False
        for step in steps:
            if step.found is None:
                run += 1
                continue
            if started and run:
                lengths.append(run)
            run, started = 0, True
    return lengths


def pairs(paths: Mapping[tuple[int, int], Sequence[Step]]) -> list[tuple[Step, Step]]:
    """Neighbours in time, both hit."""
    return [
        (one, other)
        for steps in paths.values()
        for one, other in itertools.pairwise(steps)
        if one.found is not None and other.found is not None and other.truth.frame == one.truth.frame + 1
    ]


def mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


def score_jitter(paths: Mapping[tuple[int, int], Sequence[Step]]) -> float:
    return mean([abs(b.found.score - a.found.score) for a, b in pairs(paths)])


def box_jitter(paths: Mapping[tuple[int, int], Sequence[Step]]) -> tuple[float, float]:
    def change(measure: Callable[[Box], tuple[float, float]], a: Step, b: Step) -> float:
        found = [after - before for after, before in zip(measure(b.found.box), measure(a.found.box), strict=True)]
        truth = [after - before for after, before in zip(measure(b.truth.box), measure(a.truth.box), strict=True)]
        return math.hypot(found[0] - truth[0], found[1] - truth[1])

    def center(box: Box) -> tuple[float, float]:
        return (box[0] + box[2]) / 2, (box[1] + box[3]) / 2

    def size(box: Box) -> tuple[float, float]:
        return box[2] - box[0], box[3] - box[1]

    both = pairs(paths)
    return mean([change(center, a, b) for a, b in both]), mean([change(size, a, b) for a, b in both])


def detection_delay(paths: Mapping[tuple[int, int], Sequence[Step]]) -> tuple[float, int, int]:
    delays = []
    for steps in paths.values():
        frames = [step.truth.frame for step in steps if step.found is not None]
        if frames:
            delays.append(frames[0] - steps[0].truth.frame)
    return mean(delays), len(delays), len(paths) - len(delays)


def clip(box: Box, size: tuple[float, float] | None) -> Box:
    if size is None:
        return box
    return tuple(min(max(value, 0.0), size[i % 2]) for i, value in enumerate(box))


def ghosts(
    truths: Sequence[Truth], founds: Sequence[Found], sizes: Mapping[int, tuple[float, float]] | None
) -> list[bool]:
    result = []
    for f in founds:
        size = None if sizes is None else sizes[f.video]
        around = [t for t in truths if (t.video, t.frame) == (f.video, f.frame)]
        alone = all(iou(clip(f.box, size), clip(t.box, size), False) < 0.1 for t in around)
        result.append(f.score >= 0.3 and alone)
    return result


def ghost_ages(
    truths: Sequence[Truth], founds: Sequence[Found], sizes: Mapping[int, tuple[float, float]] | None
) -> list[int]:
    """Lengths of the chains, sorted."""
    mask = ghosts(truths, founds, sizes)
    boxes = [
        f._replace(box=clip(f.box, None if sizes is None else sizes[f.video]))
        for f, ghost in zip(founds, mask, strict=True)
        if ghost
    ]
    ages: dict[int, int] = {}
    ended = set(range(len(boxes)))
    for frame in sorted({f.frame for f in boxes}):
        taken: set[int] = set()
        now = sorted((i for i, f in enumerate(boxes) if f.frame == frame), key=lambda i: -boxes[i].score)
        for i in now:
            best, best_overlap = None, 0.0
            for k, f in enumerate(boxes):
                if (f.video, f.frame, f.label) != (boxes[i].video, frame - 1, boxes[i].label) or k in taken:
                    continue
                overlap = iou(boxes[i].box, f.box, False)
                if overlap >= 0.5 and overlap > best_overlap:
                    best, best_overlap = k, overlap
            ages[i] = 1
            if best is not None:
                taken.add(best)
                ended.discard(best)
                ages[i] = ages[best] + 1
    return sorted(ages[i] for i in ended)
