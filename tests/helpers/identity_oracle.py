"""`heatprop.identities` once more, as plain loops over one stream: for reading, and to test against."""

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from heatprop import identities as rules
from heatprop.matching import STEPS


@dataclass
class Known:
    """An object that is remembered."""

    track_id: int
    label: int
    position: Any
    size: Any
    previous: Any = None
    velocity: Any = field(default_factory=lambda: np.zeros(2))
    unseen: float = 0.0
    sightings: int = 1


@dataclass
class Shown:
    """A candidate of the frame, those that NMS left, by falling balanced score."""

    score: float
    position: Any
    size: Any
    label: int
    carried: bool
    owner: int | None  # index of the tracklet whose square it lies in
    owner_id: int | None

    @property
    def seen(self) -> bool:
        """Whether the network itself shows it."""
        return not self.carried and self.score >= rules.SEEN

    @property
    def sure(self) -> bool:
        """Whether it may found an identity."""
        return self.score >= rules.SURE


def similarity(one: Shown, known: Known, unwatched: float) -> float | None:
    """How much a detection looks like an object; ``None`` where it cannot be that."""
    if not one.seen or one.label != known.label:
        return None
    ahead = min(known.unseen + 1, rules.FORESIGHT)
    times = 1 + rules.SLACK * unwatched if known.sightings <= 1 else 1.0
    expected = known.position + known.velocity * ahead
    overlap = iou(one.position, times * one.size, expected, times * known.size)
    if not overlap >= (rules.SURE_IOU if one.sure else rules.SEEN_IOU):
        return None
    speed = max(math.hypot(*known.velocity), 1e-6)
    x, y = one.position - known.previous
    cosine = (x * known.velocity[0] + y * known.velocity[1]) / speed / max(math.hypot(x, y), 1e-6)
    linked = one.owner_id == known.track_id
    return overlap + rules.DIRECTION_BONUS * cosine + rules.SQUARE_BONUS * linked + rules.SURE_BONUS * one.sure


def iou(centre: Any, size: Any, other_centre: Any, other_size: Any) -> float:
    """Common area over the area of the union; NaN where that is 0."""
    common = 1.0
    for x, w, other_x, other_w in zip(centre, size, other_centre, other_size, strict=True):
        common *= max(0.0, min(x + w / 2, other_x + other_w / 2) - max(x - w / 2, other_x - other_w / 2))
    union = size[0] * size[1] + other_size[0] * other_size[1] - common
    return common / union if union else math.nan


class IdentityOracle:
    """The memory of one stream.

    Args:
        places: K, how many objects it can hold.
    """

    def __init__(self, places: int) -> None:
        self.known: list[Known | None] = [None] * places
        self.next_id = 0
        self.places: dict[int, int] = {}  # which remembered object each detection of the last frame is
        self.velocities: dict[int, Any] = {}  # how those that were seen move; not at all after a gap

    def recognise(self, shown: list[Shown], *, unwatched: float = 0.0) -> list[int | None]:
        """Give the identity of each detection, ``None`` for those that go."""
        match = self._match(shown, unwatched)
        claimed = {self.known[place].track_id for place in match.values()}
        ids: list[int | None] = [self.known[match[n]].track_id if n in match else None for n in range(len(shown))]
        place, used = dict(match), set()
        for n, one in enumerate(shown):
            free = one.owner_id is not None and one.owner_id not in claimed and one.owner not in used
            if n not in match and free:
                ids[n] = one.owner_id
                used.add(one.owner)
                for p, known in enumerate(self.known):
                    if known and known.track_id == one.owner_id:
                        place[n] = p
        gone = [n for n, one in enumerate(shown) if n not in match and one.carried and one.owner_id in claimed]
        gone = [n for n in gone if self._holds(shown[n].owner_id)]
        for n in range(len(shown)):
            if ids[n] is None and n not in gone:
                ids[n], self.next_id = self.next_id, self.next_id + 1
        self._remember(shown, ids, place, unwatched)
        self.places = place
        return ids

    def wait(self, frames: float) -> None:
        """Let frames pass that nobody looks at."""
        for place, known in enumerate(self.known):
            if known is not None:
                known.unseen += frames
                self.known[place] = None if known.unseen > rules.WAIT else known

    def _holds(self, track_id: int | None) -> bool:
        return any(known is not None and known.track_id == track_id for known in self.known)

    def _match(self, shown: list[Shown], unwatched: float) -> dict[int, int]:
        pairs = []
        for n, one in enumerate(shown):
            for place, known in enumerate(self.known):
                value = None if known is None else similarity(one, known, unwatched)
                if value is not None:
                    pairs.append((-math.floor((value + 4) * STEPS), n, place))
        match: dict[int, int] = {}
        for _, n, place in sorted(pairs):
            if n not in match and place not in match.values():
                match[n] = place
        return match

    def _remember(self, shown: list[Shown], ids: list[int | None], place: dict[int, int], unwatched: float) -> None:
        def waiting(p: int) -> float:
            known = self.known[p]
            return -1 if p in place.values() else math.inf if known is None else known.unseen

        free = sorted(range(len(self.known)), key=lambda p: -waiting(p))
        sighted = {place[n]: n for n, one in enumerate(shown) if one.seen and n in place}
        self.velocities = {}
        for p, known in enumerate(self.known):
            if known is None:
                continue
            if p in sighted:
                lost = known.unseen > unwatched
                measure(known, shown[sighted[p]])
                self.velocities[sighted[p]] = np.zeros(2) if lost else known.velocity
            else:
                known.unseen += 1
                self.known[p] = None if known.unseen > rules.WAIT else known
        for n, one in enumerate(shown):
            if one.seen and one.sure and n not in place and ids[n] is not None:
                new = Known(ids[n], one.label, one.position, one.size, previous=one.position)
                self.known[free.pop(0)] = new


def measure(known: Known, one: Shown) -> None:
    """Take in a sighting of a remembered object."""
    gap = known.unseen + 1
    gain = 1.0 if known.sightings <= 1 else rules.VELOCITY_GAIN
    known.velocity = known.velocity + gain * ((one.position - known.position) / gap - known.velocity)
    known.size = known.size + rules.SIZE_GAIN * (one.size - known.size)
    known.previous, known.position = known.position, one.position
    known.unseen, known.sightings = 0.0, known.sightings + 1
