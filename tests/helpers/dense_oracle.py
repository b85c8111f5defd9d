"""Dense heads once more, as plain loops over float64 numbers: one box at a time, for reading and to test against."""

import math

import numpy as np


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def box_of(numbers, *, form, point, scale, bins):
    """The box ``(x1, y1, x2, y2)`` of one place, in pixels."""
    if bins:
        sides = []
        for side in np.reshape(numbers, (4, bins)):
            weights = [math.exp(x - max(side)) for x in side]
            sides.append(sum(n * weight for n, weight in enumerate(weights)) / sum(weights))
        numbers = sides
    a, b, c, d = (float(x) for x in numbers)
    if form == "xyxy":
        return a, b, c, d
    if form == "xywh":
        return a - c / 2, b - d / 2, a + c / 2, b + d / 2
    return point[0] - a * scale, point[1] - b * scale, point[0] + c * scale, point[1] + d * scale


def scores_of(numbers, *, logits, objectness):
    scores = [sigmoid(x) if logits else float(x) for x in numbers]
    return [score * scores[0] for score in scores[1:]] if objectness else scores


def places_of(levels, strides, *, unit="cells", origin=0.5, boxes="ltrb", bins=None, logits=True, objectness=False):
    """Scores and box of every place of one stream, the finest level first, then row after row."""
    for (scores, numbers), stride in sorted(zip(levels, strides, strict=True), key=lambda level: level[1]):
        for y in range(scores.shape[1]):
            for x in range(scores.shape[2]):
                point = ((x + origin) * stride, (y + origin) * stride)
                scale = stride if unit == "cells" else 1
                box = box_of(numbers[:, y, x], form=boxes, point=point, scale=scale, bins=bins)
                yield scores_of(scores[:, y, x], logits=logits, objectness=objectness), box


def vote(places, classes, cells, *, grid=8, low=0.01):
    """Heatmap (C, H, W), offset and size (2, H, W) of one stream; the first of equal scores keeps the cell."""
    rows, columns = cells
    heatmap, size = np.zeros((classes, rows, columns)), np.zeros((2, rows, columns))
    offset = np.full((2, rows, columns), 0.5)
    leader = np.zeros((rows, columns))
    for scores, (x1, y1, x2, y2) in places:
        x, y, w, h = (x1 + x2) / 2 / grid, (y1 + y2) / 2 / grid, (x2 - x1) / grid, (y2 - y1) / grid
        if not all(map(math.isfinite, (x, y, w, h, *scores))) or w < 0 or h < 0 or max(scores) <= low:
            continue
        column, row = math.floor(x), math.floor(y)
        if not (0 <= column < columns and 0 <= row < rows):
            continue
        for label, score in enumerate(scores):
            if score > low:
                heatmap[label, row, column] = max(heatmap[label, row, column], score)
        if max(scores) > leader[row, column]:
            leader[row, column] = max(scores)
            offset[:, row, column], size[:, row, column] = (x - column, y - row), (w, h)
    return heatmap, offset, size
