"""The method as plain loops over numpy float64: slow, short, without torch, the judge of the fast code.

Eqs. 1-7 are functions of one cell, as the paper writes them; `OraclePropagator` walks one frame through all of them.
Where the paper leaves a choice, the comment names the rule of DESIGN.md section 3.
"""

import math
from typing import NamedTuple

import numpy as np


class Tracklet(NamedTuple):
    """One detection of the frame before; a stream's tracklets are a list in the returned order."""

    label: int
    x: int
    y: int
    score: float
    length: int
    size: tuple
    track_id: int = 0


# --- Eqs. 1-7 ---------------------------------------------------------------------------------------------------------


def decode_box(x, y, offset, size, stride):
    """Eq. 1, times the stride: (x1, y1, x2, y2) in pixels."""
    (dx, dy), (w, h) = offset, size
    corners = (x + dx - w / 2, y + dy - h / 2, x + dx + w / 2, y + dy + h / 2)
    return np.array([corner * stride for corner in corners])


def square(tracklet, shape, radius):
    """The (label, y, x) cells of a tracklet's (2P+1)^2 square, clipped at the border; none at score 0 (rule 3)."""
    _, height, width = shape
    for y in range(max(0, tracklet.y - radius), min(height, tracklet.y + radius + 1)):
        for x in range(max(0, tracklet.x - radius), min(width, tracklet.x + radius + 1)):
            if tracklet.score > 0:
                yield tracklet.label, y, x


def extend_score(tracklets, shape, radius):
    """Eq. 2 and the maximum over all detections: h."""
    prior_score = np.zeros(shape)
    for tracklet in tracklets:
        for cell in square(tracklet, shape, radius):
            prior_score[cell] = max(prior_score[cell], tracklet.score)
    return prior_score


def find_winners(tracklets, shape, radius):
    """The arg max of Eqs. 3 and 4: place of the winning tracklet, -1 without a square; equals: the earlier (rule 3)."""
    winners = np.full(shape, -1)
    for place, tracklet in enumerate(tracklets):
        for cell in square(tracklet, shape, radius):
            if winners[cell] < 0 or tracklet.score > tracklets[winners[cell]].score:
                winners[cell] = place
    return winners


def extend_length(tracklets, shape, radius):
    """Eq. 3: l."""
    prior_length = np.zeros(shape, dtype=int)
    for cell, place in np.ndenumerate(find_winners(tracklets, shape, radius)):
        prior_length[cell] = tracklets[place].length if place >= 0 else 0
    return prior_length


def extend_size(tracklets, shape, radius):
    """Eq. 4: s, with (w, h) behind the class."""
    classes, height, width = shape
    prior_size = np.zeros((classes, 2, height, width))
    for (label, y, x), place in np.ndenumerate(find_winners(tracklets, shape, radius)):
        prior_size[label, :, y, x] = tracklets[place].size if place >= 0 else 0
    return prior_size


def temporal_average(y, h, length, beta):
    """Eq. 5 at one cell, with its limit at beta = infinity."""
    if math.isinf(beta):
        return h if length > 0 else y
    return (y + beta * h * length) / (1 + beta * length)


def balance(y, average, alpha):
    """Eq. 6 at one cell."""
    return (1 - alpha) * y + alpha * average


def blend(y, h, length, alpha, beta):
    """Eqs. 5 and 6 in one line (rule 4), for a cell in a square."""
    inverse = math.inf if beta == 0 else 1 / beta
    return y + alpha * (length / (length + inverse)) * (h - y)


def balanced_scores(scores, *, alpha=0.98, beta=2.0, elapsed=None):
    """Eqs. 5 and 6 for one object that stays where it is; ``elapsed`` frames lie between two looks, one by default."""
    balanced = []
    for length, score in enumerate(scores):
        if balanced:
            skipped = 0.0 if elapsed is None else max(elapsed[length] - 1, 0.0)
            balanced.append(blend(score, balanced[-1] * alpha**skipped, length, alpha, beta))
        else:
            balanced.append(score)
    return balanced


def balance_size(y, size, h, prior_size):
    """Eq. 7 at one cell: (w, h); without a square the network's size (rule 5)."""
    if h == 0:
        return np.array(size, dtype=float)
    with np.errstate(invalid="ignore"):  # 0 * inf: the box is not finite and is dropped (rule 9)
        return (y * np.asarray(size) + h * np.asarray(prior_size)) / (y + h)


def find_seen(offset, size, shape):
    """Rule 9: where offset and size are finite and the size is not negative, (H, W)."""
    seen = np.ones(shape, dtype=bool)
    if offset is not None:
        seen &= np.isfinite(offset).all(axis=0)
    if size is not None:
        seen &= np.isfinite(size).all(axis=0) & (size >= 0).all(axis=0)
    return seen


def find_sizes(size, seen):
    """The network's size in every class, (C, 2, H, W): 0 where it was not seen, and without sizes."""
    size = np.zeros((2, *seen.shape[1:])) if size is None else size
    return np.where(seen[:, None], size[None], 0.0)


# --- peaks, boxes -----------------------------------------------------------------------------------------------------


def window_maximum(heatmap, kernel):
    """The largest value of each cell's kernel x kernel window, clipped at the border."""
    maximum = np.empty_like(heatmap)
    for cell in np.ndindex(heatmap.shape):
        maximum[cell] = window(heatmap, cell, kernel).max()
    return maximum


def window(heatmap, cell, kernel):
    """The kernel x kernel cells around a cell, clipped at the border."""
    (label, y, x), reach = cell, kernel // 2
    return heatmap[label, max(0, y - reach) : y + reach + 1, max(0, x - reach) : x + reach + 1]


def find_peaks(heatmap, kernel):
    """The cells (label, y, x) that are above 0 and below no cell of their window, in flat order (rule 6)."""
    above = map(tuple, np.argwhere(heatmap > 0).tolist())
    return [cell for cell in above if heatmap[cell] >= window(heatmap, cell, kernel).max()]


def drop_plateaus(peaks, heatmap, winners, tracklets):
    """Inside a square, drop the peaks as high as the winning tracklet's own cell, but for that cell (rule 6)."""
    kept = []
    for cell in peaks:
        if winners[cell] >= 0:
            winner = tracklets[winners[cell]]
            own = (winner.label, winner.y, winner.x)
            if cell != own and heatmap[cell] == heatmap[own]:
                continue
        kept.append(cell)
    return kept


def intersection_over_union(one, other):
    """IoU of two boxes; 0 where the union is 0, so that NMS keeps both."""
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    intersection = max(0.0, width) * max(0.0, height)
    union = (one[2] - one[0]) * (one[3] - one[1]) + (other[2] - other[0]) * (other[3] - other[1]) - intersection
    return intersection / union if union != 0 else 0.0


def nms(boxes, scores, labels, threshold=0.3):
    """Which boxes stay: best first, equal scores by place, IoU > threshold within a class suppresses."""
    kept = [False] * len(boxes)
    for place in sorted(range(len(boxes)), key=lambda place: (-scores[place], place)):
        kept[place] = all(
            intersection_over_union(boxes[better], boxes[place]) <= threshold
            for better in range(len(boxes))
            if kept[better] and labels[better] == labels[place]
        )
    return kept


def suppress(overlaps, valid):
    """Greedy suppression from the relation itself: stays who is valid and below nobody who stays."""
    kept = np.zeros(len(valid), dtype=bool)
    decided = np.zeros(len(valid), dtype=bool)
    while not decided.all():
        for place in np.flatnonzero(~decided):
            better = np.flatnonzero(overlaps[:, place] & valid)
            if decided[better].all():
                kept[place] = valid[place] and not kept[better].any()
                decided[place] = True
    return kept


# --- a stream of frames -----------------------------------------------------------------------------------------------


class OraclePropagator:
    """All of DESIGN.md section 3 over B streams: `forward` returns one dict(heatmap, size_map, detections) a stream.

    `detections` is a list of dicts in the returned order, without padding. `tied_at_top_k` turns true when equal peaks
    competed for the last place, which rule 3 leaves open.
    """

    def __init__(
        self,
        *,
        radius=2,
        alpha=0.98,
        beta=2.0,
        top_k=100,
        score_threshold=0.05,
        nms_threshold=0.3,
        peak_kernel=None,
        stride=4,
        carry="balanced",
    ):
        self.radius, self.alpha, self.beta, self.top_k = radius, alpha, beta, top_k
        self.score_threshold, self.nms_threshold, self.stride, self.carry = (
            score_threshold,
            nms_threshold,
            stride,
            carry,
        )
        self.kernel = peak_kernel or max(3, 2 * radius + 1)  # rule 6
        self.tracklets = None  # one list a stream
        self.next_id = None
        self.tied_at_top_k = False

    def forward(self, heatmap, offset=None, size=None, *, extras=None, reset=None):
        """Maps of B streams, (B, C, H, W), (B, 2, H, W), (B, 2, H, W), extras {name: (B, D, H, W)}, reset (B,)."""
        streams = len(heatmap)
        if self.tracklets is None:
            self.tracklets, self.next_id = [[] for _ in range(streams)], [0] * streams
        frames = []
        for stream in range(streams):
            if reset is not None and reset[stream]:
                self.tracklets[stream], self.next_id[stream] = [], 0
            frames.append(
                self._frame(
                    stream,
                    np.asarray(heatmap[stream], dtype=float),
                    None if offset is None else np.asarray(offset[stream], dtype=float),
                    None if size is None else np.asarray(size[stream], dtype=float),
                    {name: np.asarray(value[stream], dtype=float) for name, value in (extras or {}).items()},
                )
            )
        return frames

    def _frame(self, stream, heatmap, offset, size, extras):
        tracklets = self.tracklets[stream]
        finite = np.isfinite(heatmap) & find_seen(offset, size, heatmap.shape[1:])
        network = np.clip(np.where(finite, heatmap, 0), 0, 1)  # rule 9: score 0, and below offset 0, size 0
        winners = find_winners(tracklets, network.shape, self.radius)
        balanced, sizes = self._propagate(network, finite, size, winners, tracklets)

        cells = drop_plateaus(find_peaks(balanced, self.kernel), balanced, winners, tracklets)
        cells.sort(key=lambda cell: (-balanced[cell], cell))  # rule 3: falling score, then rising (label, y, x)
        self.tied_at_top_k |= len(cells) > self.top_k and balanced[cells[self.top_k]] == balanced[cells[self.top_k - 1]]
        found = []
        for cell in cells[: self.top_k]:  # rule 2: top K, threshold, NMS
            label, y, x = cell
            shift = (0.5, 0.5) if offset is None else offset[:, y, x] if finite[cell] else (0.0, 0.0)
            box = decode_box(x, y, shift, sizes[label, :, y, x], self.stride)
            if balanced[cell] >= self.score_threshold and np.isfinite(box).all():  # rule 9: no box, no detection
                found.append((cell, box))
        if size is not None:  # points have no NMS
            scores, labels = [balanced[cell] for cell, _ in found], [cell[0] for cell, _ in found]
            kept = nms([box for _, box in found], scores, labels, self.nms_threshold)
            found = [pair for pair, stays in zip(found, kept, strict=True) if stays]

        detections = [self._describe(cell, box, network, balanced, extras) for cell, box in found]
        self._identify(stream, detections, winners, tracklets)
        self.tracklets[stream] = [self._remember(detection, sizes) for detection in detections]
        return {"heatmap": balanced, "size_map": sizes, "detections": detections}

    def _propagate(self, network, finite, size, winners, tracklets):
        balanced = network.copy()  # a cell without a square keeps its value
        sizes = find_sizes(size, finite)
        for cell in map(tuple, np.argwhere(winners >= 0).tolist()):
            (label, y, x), tracklet = cell, tracklets[winners[cell]]
            balanced[cell] = blend(network[cell], tracklet.score, tracklet.length, self.alpha, self.beta)
            sizes[label, :, y, x] = balance_size(network[cell], sizes[label, :, y, x], tracklet.score, tracklet.size)
        return balanced, sizes

    def _describe(self, cell, box, network, balanced, extras):
        label, y, x = cell
        return {
            "box": box,
            "score": balanced[cell],
            "label": label,
            "network_score": network[cell],
            "carried": bool(network[cell] < self.score_threshold),
            "cell": (x, y),
            "extras": {
                name: value[:, y, x] * (network[cell] >= self.score_threshold) for name, value in extras.items()
            },
        }

    def _identify(self, stream, detections, winners, tracklets):
        claimed = set()
        for detection in detections:  # by falling score: the higher score keeps the id
            x, y = detection["cell"]
            place = winners[detection["label"], y, x]
            detection["age"] = tracklets[place].length + 1 if place >= 0 else 1  # rule 7
            if place >= 0 and place not in claimed:
                detection["track_id"] = tracklets[place].track_id
                claimed.add(place)
            else:
                detection["track_id"] = self.next_id[stream]
                self.next_id[stream] += 1

    def _remember(self, detection, sizes):
        (x, y), label = detection["cell"], detection["label"]
        return Tracklet(
            label=label,
            x=x,
            y=y,
            score=detection["score" if self.carry == "balanced" else "network_score"],  # rule 1
            length=detection["age"],
            size=tuple(sizes[label, :, y, x]),  # rule 5: the balanced size
            track_id=detection["track_id"],
        )
