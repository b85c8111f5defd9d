"""The options beyond the paper as plain loops over numpy float64, built on `oracles.py`, without torch.

`SteadyOracle` walks a frame through: reset, predict, squares, balance, peaks, claims, candidates, NMS, ids. With every
option off it equals `oracles.OraclePropagator`: a test says so.
"""

import math
from collections import Counter
from typing import NamedTuple

import numpy as np
from identity_oracle import IdentityOracle, Shown
from oracles import balance_size, decode_box, drop_plateaus, find_peaks, find_seen, find_sizes, nms, square
from recall_oracle import move_frame, recall_frame, show

NOISE = 0.03
ROUNDING = 1e-9  # a box that only rounding puts outside is inside


class Memory(NamedTuple):
    """One detection of the frame before, with the words of `oracles.Tracklet` first."""

    label: int
    x: int
    y: int
    score: float
    length: int
    size: tuple
    track_id: int
    position: tuple
    velocity: tuple
    unseen: int
    leaving: bool = False  # during a frame: its weight is 0
    extras: dict | None = None  # what is remembered, places relative to the centre


def inside(position, size, shape):
    """Area of a box that lies in the map, in cells."""
    (x, y), (w, h), (_, height, width) = position, size, shape
    across = min(x + w / 2, width) - max(x - w / 2, 0)
    down = min(y + h / 2, height) - max(y - h / 2, 0)
    return max(0.0, across) * max(0.0, down)


def move(position, cell, shift):
    """Where a translation (2,), an affine (2, 3) or a flow (2, H, W) puts a centre; stays where it is not finite."""
    (x, y), (column, row) = position, cell
    if shift is None:
        return position
    if shift.ndim == 1:
        moved = (x + shift[0], y + shift[1])
    elif shift.ndim == 2:
        moved = tuple(shift[axis, 0] * x + shift[axis, 1] * y + shift[axis, 2] for axis in range(2))
    else:
        moved = (x + shift[0, row, column], y + shift[1, row, column])
    return moved if all(math.isfinite(value) for value in moved) else position


def predict(memory, shape, shift, *, velocity, border, frames=1.0):
    """The tracklet where it should be in the next frame; None outside the map."""
    _, height, width = shape
    x, y = move(memory.position, (memory.x, memory.y), shift)
    if velocity:
        x, y = x + frames * memory.velocity[0], y + frames * memory.velocity[1]
    new = (min(max(x, -1.0), float(width)), min(max(y, -1.0), float(height)))
    column = memory.x + math.floor(new[0]) - math.floor(memory.position[0])
    row = memory.y + math.floor(new[1]) - math.floor(memory.position[1])
    if not (0 <= column < width and 0 <= row < height):
        return None
    area, rest = inside(new, memory.size, shape), inside(memory.position, memory.size, shape)
    wanted = border * memory.size[0] * memory.size[1]
    leaving = area < wanted - ROUNDING and area < rest - ROUNDING
    return memory._replace(x=column, y=row, position=new, leaving=leaving)


class SteadyOracle:
    """One frame after another over B streams; `frames` are lists of dict(heatmap, size_map, detections)."""

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
        average="arithmetic",
        claim_once=False,
        max_length=None,
        evidence=False,
        max_unseen=None,
        border=0.0,
        velocity=False,
        radius_per_size=0.0,
        max_radius=4,
        identity="square",
        remember=None,
        motion=None,
    ):
        self.radius, self.radius_per_size, self.max_radius = radius, radius_per_size, max_radius
        self.alpha, self.beta, self.average, self.max_length = alpha, beta, average, max_length
        self.top_k, self.score_threshold, self.nms_threshold = top_k, score_threshold, nms_threshold
        self.kernel, self.stride, self.carry = peak_kernel or max(3, 2 * radius + 1), stride, carry
        self.claim_once, self.evidence, self.max_unseen = claim_once, evidence, max_unseen
        self.border, self.velocity = border, velocity
        self.memories = self.next_id = self.shape = self.people = None
        self.identity, self.point_size = identity, 4.0 * radius + 2.0
        self.remember, self.motion, self.moves = remember, motion, velocity or motion is not None
        self.recalls = Counter()
        self.recalling = {"remember": remember, "identity": identity}
        self.tied_at_top_k = False
        self.events = {"leaving": 0, "outside": 0, "disinherited": 0, "blind": 0, "dropped unseen": 0, "faded": 0}

    def forward(self, heatmap, offset=None, size=None, *, extras=None, reset=None, shift=None, dt=None):
        """Maps of B streams as for `oracles.OraclePropagator`; shift (B, 2), (B, 2, 3) or (B, 2, H, W); dt (B,)."""
        heatmap = np.asarray(heatmap, dtype=float)
        if self.memories is None:
            self.memories, self.next_id = [[] for _ in heatmap], [0] * len(heatmap)
            self.people = [IdentityOracle(self.top_k) for _ in heatmap]
            self.unwatched = [0.0 for _ in heatmap]
        self.shape, outputs = heatmap.shape[1:], []
        for stream, scores in enumerate(heatmap):
            if reset is not None and reset[stream]:
                self.memories[stream], self.next_id[stream] = [], 0
                self.people[stream] = IdentityOracle(self.top_k)
            maps = [None if value is None else np.asarray(value[stream], dtype=float) for value in (offset, size)]
            more = {name: np.asarray(value[stream], dtype=float) for name, value in (extras or {}).items()}
            moved, frames = None if shift is None else shift[stream], 1.0 if dt is None else dt[stream]
            self.memories[stream] = self._predict(self.memories[stream], moved, frames)
            self._move_people(stream, moved)
            self._pass(stream, frames - 1)
            outputs.append(self._frame(stream, scores, *maps, more, shift is not None))
            self.unwatched[stream] = 0.0
        return outputs

    def coast(self, frames=1, shift=None, dt=None):
        """Frames that nobody looked at, each as long as dt (B,); the detections of the last, a list a stream."""
        for _ in range(frames):
            for stream, memories in enumerate(self.memories):
                moved, length = None if shift is None else shift[stream], 1.0 if dt is None else dt[stream]
                self.memories[stream] = [one for one in self._predict(memories, moved, length) if not one.leaving]
                self._move_people(stream, moved)
                self._pass(stream, length)
                self.memories[stream].sort(key=lambda one: -one.score)  # rule 3: by falling score
        return [[self._coasted(one) for one in memories] for memories in self.memories]

    def _pass(self, stream, frames):
        """So many frames that nobody looks at: scores fade, everybody waits. Below 0: the next frame comes early."""
        watchless, kept = max(frames, 0.0), []
        limit = math.inf if self.max_unseen is None else self.max_unseen
        for one in self.memories[stream]:
            faded = one._replace(score=one.score * self.alpha**watchless, unseen=one.unseen + frames)
            lost = faded.score < self.score_threshold <= one.score
            late = frames > 0 and faded.unseen > limit
            self.events["faded"] += lost
            if not lost and not late:
                kept.append(faded)
        self.memories[stream] = kept
        self.people[stream].wait(frames)
        self.unwatched[stream] += watchless

    def _coasted(self, one):
        return {
            "box": decode_box(0, 0, one.position, one.size, self.stride),
            "score": one.score,
            "label": one.label,
            "network_score": 0.0,
            "carried": True,
            "cell": (one.x, one.y),
            "age": one.length,
            "track_id": one.track_id,
            "extras": show(one.extras, np.subtract(one.position, (one.x, one.y)), self.remember),
        }

    def _predict(self, memories, shift, frames):
        if shift is None and not self.moves:
            return memories
        how = {"velocity": self.moves, "border": self.border, "frames": frames}
        moved = [predict(one, self.shape, shift, **how) for one in memories]
        self.events["outside"] += sum(one is None for one in moved)
        self.events["leaving"] += sum(one is not None and one.leaving for one in moved)
        return [one for one in moved if one is not None]

    def _frame(self, stream, heatmap, offset, size, extras, shifted):
        memories = self.memories[stream]
        finite = np.isfinite(heatmap) & find_seen(offset, size, heatmap.shape[1:])
        network = np.clip(np.where(finite, heatmap, 0), 0, 1)
        winners = self._winners(memories)
        balanced, sizes, own_sizes = self._propagate(network, finite, size, winners, memories)

        peaks = drop_plateaus(find_peaks(balanced, self.kernel), balanced, winners, memories)
        peaks.sort(key=lambda cell: (-balanced[cell], cell))
        self.tied_at_top_k |= len(peaks) > self.top_k and balanced[peaks[self.top_k]] == balanced[peaks[self.top_k - 1]]
        candidates, claimed = [], set()
        for cell in peaks[: self.top_k]:
            place = winners[cell]
            heir = place >= 0 and not (self.claim_once and place in claimed)
            claimed.add(place)
            self.events["disinherited"] += bool(place >= 0 and not heir)
            label, y, x = cell
            candidate = {
                "cell": (x, y),
                "label": label,
                "network_score": network[cell],
                "carried": bool(network[cell] < self.score_threshold),
                "score": network[cell] if place >= 0 and not heir else balanced[cell],
                "size": own_sizes[label, :, y, x] if place >= 0 and not heir else sizes[label, :, y, x],
                "own_size": own_sizes[label, :, y, x],
                "extras": {
                    name: value[:, y, x] if network[cell] >= self.score_threshold else np.zeros(len(value))
                    for name, value in extras.items()
                },
            }
            within = (0.5, 0.5) if offset is None else offset[:, y, x] if finite[cell] else (0.0, 0.0)
            position = (x + within[0], y + within[1])
            moving = shifted or self.moves
            self._inherit(candidate, position, memories[place] if heir else None, place, moving)
            candidates.append(candidate)
        candidates.sort(key=lambda one: (-one["score"], one["label"], one["cell"][1], one["cell"][0]))
        found = self._select(candidates, points=size is None)
        if self.identity == "memory":
            found = self._recognise(stream, found, memories, points=size is None)
        else:
            self._identify(stream, found, memories)
        recall_frame(found, memories, extras, self.recalling, self.recalls)
        if self.motion is not None:
            move_frame(found, memories, extras, self.motion, self.identity)
        self.memories[stream] = [self._remember(one) for one in found]
        return {"heatmap": balanced, "size_map": sizes, "detections": found}

    def _radius(self, one):
        if self.radius_per_size == 0:
            return self.radius
        return min(max(round(self.radius_per_size * min(one.size)), self.radius), self.max_radius)

    def _winners(self, memories):
        winners = np.full(self.shape, -1)
        for place, one in enumerate(memories):
            for cell in square(one, self.shape, self._radius(one)):
                if winners[cell] < 0 or one.score > memories[winners[cell]].score:
                    winners[cell] = place
        return winners

    def _weight(self, one):
        length = one.length if self.max_length is None else min(one.length, self.max_length)
        inverse = math.inf if self.beta == 0 else 1 / self.beta
        return 0.0 if one.leaving else self.alpha * length / (length + inverse)

    def _balance(self, y, one):
        weight = self._weight(one)
        if self.average == "arithmetic":
            return y + weight * (one.score - y)
        now, past = max(y, NOISE), max(one.score, NOISE)
        if weight == 0 or now == past:  # a power of equals is that number, whatever rounding says
            return y if weight == 0 else now
        return now ** (1 - weight) * past**weight

    def _propagate(self, network, finite, size, winners, memories):
        balanced, own_sizes = network.copy(), find_sizes(size, finite)
        sizes = own_sizes.copy()
        for cell in map(tuple, np.argwhere(winners >= 0).tolist()):
            (label, y, x), one = cell, memories[winners[cell]]
            balanced[cell] = self._balance(network[cell], one)
            sizes[label, :, y, x] = balance_size(network[cell], own_sizes[label, :, y, x], one.score, one.size)
        return balanced, sizes, own_sizes

    def _inherit(self, candidate, position, prior, place, moving):
        """What a candidate has from its tracklet, if it has one."""
        blind = prior is not None and candidate["carried"]
        self.events["blind"] += blind
        velocity = (0.0, 0.0)
        if prior is not None and self.velocity:
            gain, frames = (1.0 if prior.length <= 1 else 0.2), prior.unseen + 1
            surprise = [(now - then) / frames for now, then in zip(position, prior.position, strict=True)]
            measured = tuple(v + gain * s for v, s in zip(prior.velocity, surprise, strict=True))
            velocity = prior.velocity if blind else measured
        length = 1 if prior is None else prior.length + 1
        if blind and self.evidence:
            length = max(prior.length - 1, 1)
        candidate |= {
            "position": prior.position if blind and moving else position,
            "velocity": velocity,
            "age": length,
            "unseen": prior.unseen + 1 if blind else 0,
            "place": -1 if prior is None else place,
        }

    def _select(self, candidates, *, points):
        found = []
        for one in candidates:
            one["box"] = decode_box(0, 0, one["position"], one["size"], self.stride)
            late = self.max_unseen is not None and one["unseen"] > self.max_unseen
            self.events["dropped unseen"] += late
            if one["score"] >= self.score_threshold and np.isfinite(one["box"]).all() and not late:
                found.append(one)
        if points:
            return found
        labels = [one["label"] for one in found]
        kept = nms([one["box"] for one in found], [one["score"] for one in found], labels, self.nms_threshold)
        return [one for one, stays in zip(found, kept, strict=True) if stays]

    def _identify(self, stream, found, memories):
        claimed = set()
        for one in found:
            if one["place"] >= 0 and one["place"] not in claimed:
                one["track_id"] = memories[one["place"]].track_id
                claimed.add(one["place"])
            else:
                one["track_id"] = self.next_id[stream]
                self.next_id[stream] += 1

    def _move_people(self, stream, shift):
        """Where the remembered objects were seen moves with the picture."""
        _, height, width = self.shape
        for known in self.people[stream].known:
            if known is not None:
                for name in ("position", "previous"):
                    x, y = position = tuple(getattr(known, name))
                    cell = (min(max(math.floor(x), 0), width - 1), min(max(math.floor(y), 0), height - 1))
                    setattr(known, name, np.array(move(position, cell, shift)))

    def _recognise(self, stream, found, memories, *, points):
        """Identities by `identity_oracle`; who was seen elsewhere leaves no carried box behind."""
        people = self.people[stream]
        shown = [
            Shown(
                one["network_score"],
                np.array(one["position"]),
                np.full(2, self.point_size) if points else np.array(one["own_size"]),
                one["label"],
                one["carried"],
                one["place"] if one["place"] >= 0 else None,
                memories[one["place"]].track_id if one["place"] >= 0 else None,
            )
            for one in found
        ]
        track_ids = people.recognise(shown, unwatched=self.unwatched[stream])
        for number, (one, track_id) in enumerate(zip(found, track_ids, strict=True)):
            one["track_id"] = track_id
            stays = one["place"] >= 0 and memories[one["place"]].track_id == track_id
            if self.velocity and not stays:
                one["velocity"] = memories[one["place"]].velocity if one["place"] >= 0 else (0.0, 0.0)
                if number in people.velocities:
                    one["velocity"] = tuple(people.velocities[number])
        self.next_id[stream] = people.next_id
        return [one for one in found if one["track_id"] is not None]

    def _remember(self, one):
        (x, y), score = one["cell"], one["score" if self.carry == "balanced" else "network_score"]
        return Memory(
            one["label"],
            x,
            y,
            score,
            one["age"],
            tuple(one["size"]),
            one["track_id"],
            tuple(one["position"]),
            tuple(one["velocity"]),
            one["unseen"],
            extras=one["memory"],
        )
