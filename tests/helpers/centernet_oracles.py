"""CenterNet's targets and losses as plain loops over numpy float64, restated from PROTOCOL.md section 4."""

import math

import numpy as np


def oracle_radius(w, h, min_overlap, rule):
    """The smallest root of three quadratics a r^2 + b r + c = 0, after a, b, c of the original code."""
    roots = []
    w, h = math.ceil(w), math.ceil(h)
    for kind, a, b, c in (
        ("moved", 1, h + w, w * h * (1 - min_overlap) / (1 + min_overlap)),
        ("smaller", 4, 2 * (h + w), (1 - min_overlap) * w * h),
        ("larger", 4 * min_overlap, -2 * min_overlap * (h + w), (min_overlap - 1) * w * h),
    ):
        root = math.sqrt(b * b - 4 * a * c)
        if rule == "original":
            roots.append((b + root) / 2)
        else:
            roots.append((b + root) / (2 * a) if kind == "larger" else (b - root) / (2 * a))
    return max(0, int(min(roots)))


def oracle_targets(boxes, labels, valid, num_classes, shape, stride=4, min_overlap=0.7, rule="original"):
    """One image: heatmap (C, H, W), and per place index, offset, size, valid; object by object, cell by cell."""
    height, width = shape
    heatmap = np.zeros((num_classes, height, width))
    rows = []
    for box, label, there in zip(boxes, labels, valid, strict=True):
        x1, x2 = (min(max(box[place] / stride, 0), width - 1) for place in (0, 2))
        y1, y2 = (min(max(box[place] / stride, 0), height - 1) for place in (1, 3))
        w, h = x2 - x1, y2 - y1
        if not there or not w > 0 or not h > 0:
            rows.append((0, (0, 0), (0, 0), False))
            continue
        centre = (x1 + x2) / 2, (y1 + y2) / 2
        column, row = int(centre[0]), int(centre[1])
        radius = oracle_radius(w, h, min_overlap, rule)
        sigma = (2 * radius + 1) / 6
        for y in range(max(0, row - radius), min(height, row + radius + 1)):
            for x in range(max(0, column - radius), min(width, column + radius + 1)):
                value = math.exp(-((x - column) ** 2 + (y - row) ** 2) / (2 * sigma**2))
                heatmap[label, y, x] = max(heatmap[label, y, x], value)
        rows.append((row * width + column, (centre[0] - column, centre[1] - row), (w, h), True))
    index, offset, size, kept = zip(*rows, strict=True) if rows else ((), (), (), ())
    return heatmap, np.array(index, int), np.array(offset).reshape(-1, 2), np.array(size).reshape(-1, 2), np.array(kept)


def oracle_focal(logits, target):
    """Cell by cell; centres are the cells of exactly 1."""
    total, centres = 0.0, 0
    for x, y in zip(logits.ravel().tolist(), target.ravel().tolist(), strict=True):
        p = min(max(1 / (1 + math.exp(-x)), 1e-4), 1 - 1e-4)
        if y == 1:
            centres += 1
            total -= (1 - p) ** 2 * math.log(p)
        else:
            total -= (1 - y) ** 4 * p**2 * math.log(1 - p)
    return total / centres if centres else total


def oracle_l1(field, index, target, valid):
    """Mean over the coordinates of the valid objects; 0 without any."""
    width = field.shape[3]
    gaps = []
    for image in range(field.shape[0]):
        for place in range(index.shape[1]):
            if valid[image, place]:
                y, x = divmod(int(index[image, place]), width)
                gaps += [abs(field[image, d, y, x] - target[image, place, d]) for d in range(field.shape[1])]
    return sum(gaps) / len(gaps) if gaps else 0.0
