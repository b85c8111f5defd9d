"""The memory of identities: who was seen, where, and how each moved; beside the memory of scores.

An object keeps its place here while others hide it. In each frame the boxes that the network itself shows are compared
with the boxes expected of the objects; the best pair goes together first.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.matching import match_greedily
from heatprop.structures import Tracklets, change_fields

SURE, SEEN = 0.4, 0.15
"""Network scores from which a box may found an identity, and from which it may continue one."""
SURE_IOU, SEEN_IOU = 0.1, 0.3
"""Least overlap with the expected box, of sure boxes and of the others that are seen."""
SQUARE_BONUS, DIRECTION_BONUS, SURE_BONUS = 0.2, 0.3, 0.5
"""What counts beside the IoU: the square it lies in, the cosine between velocity and last step, being sure."""
WAIT = 30.0
"""Frames without a sighting after which an object is forgotten."""
FORESIGHT = 10.0
"""Frames for which an unseen object is expected to move on."""
VELOCITY_GAIN, SIZE_GAIN = 0.2, 0.5
"""Share of a new measurement in the remembered velocity and size; the first measured velocity counts whole."""
SLACK = 1.0
"""How much larger the boxes of an object count that was seen only once, for each frame that nobody looked at."""


KNOWN = ("id", "label", "position", "previous", "size", "velocity", "unseen", "sightings")
"""The fields of `Identities` as `Tracklets` names them, behind ``known_``."""


class Identities(NamedTuple):
    """Objects that a stream remembers, in K places in no particular order.

    Attributes:
        track_id: Identity, shape ``(B, K)``, ``int64``; -1 in an empty place.
        label: Class index, shape ``(B, K)``, ``int64``.
        position: Centre ``(x, y)`` when last seen, shape ``(B, K, 2)``, in cells of this frame.
        previous: Centre at the sighting before that, shape ``(B, K, 2)``, likewise.
        size: Size ``(w, h)`` that the network showed, smoothed, shape ``(B, K, 2)``, in cells.
        velocity: Motion, shape ``(B, K, 2)``, in cells per frame.
        unseen: Frames since the last sighting, shape ``(B, K)``.
        sightings: How often it was seen, shape ``(B, K)``, ``int32``.
    """

    track_id: Tensor
    label: Tensor
    position: Tensor
    previous: Tensor
    size: Tensor
    velocity: Tensor
    unseen: Tensor
    sightings: Tensor

    @classmethod
    def beside(cls, tracklets: Tracklets) -> "Identities":
        """Take what lies beside tracklets, of which nothing may be left out."""
        return cls(*(getattr(tracklets, f"known_{name}") for name in KNOWN))

    def fields(self) -> dict[str, Tensor]:
        """The fields as those of `Tracklets`."""
        return {f"known_{name}": field for name, field in zip(KNOWN, self, strict=True)}


class Sightings(NamedTuple):
    """What may become a detection in this frame, in no particular order.

    Attributes:
        scores: The network's own, shape ``(B, K)``.
        positions: The network's own centres ``(x, y)``, shape ``(B, K, 2)``, in cells.
        sizes: The network's own sizes ``(w, h)``, shape ``(B, K, 2)``, in cells.
        labels: Class index, shape ``(B, K)``, ``int64``.
        carried: The network's score is below the threshold, shape ``(B, K)``, ``bool``.
        kept: Which of them are left after NMS, shape ``(B, K)``, ``bool``.
        owner: Tracklet whose square each lies in, shape ``(B, K)``, ``int64``; K where there is none.
        owner_id: Identity of that tracklet, shape ``(B, K)``, ``int64``; -2 where there is none.
        rank: Order by balanced score, all different, shape ``(B, K)``, ``int64``.
    """

    scores: Tensor
    positions: Tensor
    sizes: Tensor
    labels: Tensor
    carried: Tensor
    kept: Tensor
    owner: Tensor
    owner_id: Tensor
    rank: Tensor

    def seen(self) -> Tensor:
        """Mark which of them the network itself shows."""
        return self.kept & ~self.carried & (self.scores >= SEEN)


class Recognition(NamedTuple):
    """Who the detections are.

    Attributes:
        track_ids: Identity of each, shape ``(B, K)``, ``int64``; -1 where not kept.
        kept: Which of them stay: who goes on elsewhere leaves no carried box behind, shape ``(B, K)``, ``bool``.
        next_id: The first identity not yet given, shape ``(B,)``, ``int64``.
        known: Which continue a remembered object that is seen, shape ``(B, K)``, ``bool``.
        velocity: How those move, shape ``(B, K, 2)``, in cells per frame; 0 after a gap, arbitrary elsewhere.
        memory: What is remembered after this frame.
    """

    track_ids: Tensor
    kept: Tensor
    next_id: Tensor
    known: Tensor
    velocity: Tensor
    memory: Identities


def recognise(memory: Identities, shown: Sightings, next_id: Tensor, *, unwatched: float | Tensor = 0.0) -> Recognition:
    """Give every detection of a frame its identity.

    First come those that the network itself shows, each as the remembered object that it looks most like. A detection
    without a match keeps the identity of its square, unless somebody has claimed it. The others are new.

    Args:
        memory: The objects that are remembered.
        shown: What may become a detection.
        next_id: The first identity not yet given, shape ``(B,)``, ``int64``.
        unwatched: How many of the frames that have passed nobody looked at, a number or shape ``(B, 1)``. They count as
            unseen already.

    Returns:
        Identities, and what is remembered.
    """
    M = memory.track_id.shape[1]
    linked = shown.owner_id.unsqueeze(2) == memory.track_id.unsqueeze(1)  # (B, K, M)
    scores, allowed = compare(memory, shown, linked, unwatched=unwatched)
    match = match_greedily(scores, allowed, shown.rank)
    taken = mark(match, M)
    link = torch.where(linked, torch.arange(M, device=match.device), M).amin(2)
    moved_on = taken.gather(1, link) & (link < M)
    heir = claim_first(shown, shown.kept & (match == M) & (shown.owner_id >= 0) & ~moved_on)
    kept = shown.kept & ~(shown.carried & moved_on)
    place = torch.where(heir, link, match)
    fresh = kept & (match == M) & ~heir
    number = next_id.unsqueeze(1) + count_before(fresh, shown.rank)
    ids = torch.where(heir, shown.owner_id, number)
    ids = torch.where(match < M, memory.track_id.gather(1, match.clamp(max=M - 1)), ids)
    ids = torch.where(kept, ids, -1)
    seen = shown.seen()
    after = remember(memory, shown, ids, place, seen, unwatched=unwatched)
    known = seen & (place < M)
    at = place.clamp(max=M - 1)
    lost = memory.unseen.gather(1, at) > unwatched  # until now: it may have turned since its velocity was measured
    velocity = after.velocity.gather(1, at.unsqueeze(2).expand(-1, -1, 2)).masked_fill(lost.unsqueeze(2), 0)
    return Recognition(ids, kept, next_id + fresh.sum(1), known, velocity, after)


def compare(
    memory: Identities, shown: Sightings, linked: Tensor, *, unwatched: float | Tensor
) -> tuple[Tensor, Tensor]:
    """Say how much each detection looks like each object, and whether it may be that at all.

    Args:
        memory: The objects that are remembered.
        shown: What may become a detection.
        linked: Whether it lies in the square of the object's tracklet, shape ``(B, K, M)``, ``bool``.
        unwatched: As in `recognise`. The boxes of an object that was seen only once, so that nobody knows how it moves,
            count as larger for each of these frames.

    Returns:
        Scores, and which pairs may be, shape ``(B, K, M)`` each.
    """
    ahead = (memory.unseen + 1).clamp(max=FORESIGHT).unsqueeze(2)
    expected = memory.position + memory.velocity * ahead
    slack = (1 + SLACK * (memory.sightings <= 1) * unwatched).unsqueeze(2)
    overlap = iou_of(shown.positions, shown.sizes, expected, memory.size, slack)
    sure = shown.scores >= SURE
    least = torch.full_like(shown.scores, SEEN_IOU).masked_fill_(sure, SURE_IOU).masked_fill_(~shown.seen(), torch.inf)
    label = memory.label.masked_fill(memory.track_id < 0, -1)
    allowed = (overlap >= least.unsqueeze(2)) & (shown.labels.unsqueeze(2) == label.unsqueeze(1))
    scores = overlap.add_(agreement(memory, shown.positions), alpha=DIRECTION_BONUS)
    return scores.add_(linked, alpha=SQUARE_BONUS).add_(sure.unsqueeze(2), alpha=SURE_BONUS), allowed


def agreement(memory: Identities, positions: Tensor) -> Tensor:
    """Give the cosine between an object's velocity and the step that a detection would be, ``(B, K, M)``.

    The step is measured from the sighting before the last: it is longer, so that its direction is less noise.
    """
    speed = memory.velocity.square().sum(2, keepdim=True).clamp(min=1e-12)
    unit = (memory.velocity * speed.rsqrt()).transpose(1, 2).unsqueeze(2)  # (B, 2, 1, M)
    step = positions.transpose(1, 2).unsqueeze(3) - memory.previous.transpose(1, 2).unsqueeze(2)  # (B, 2, K, M)
    along = (step * unit).sum(1)
    return along.mul_(step.square_().sum(1).clamp_(min=1e-12).rsqrt_())


def iou_of(centre: Tensor, size: Tensor, other_centre: Tensor, other_size: Tensor, scale: Tensor) -> Tensor:
    """Divide the common area of K and M boxes by the area of their union, shape ``(B, K, M)``; NaN where that is 0.

    Both boxes of a pair count as ``scale`` times as wide and high, shape ``(B, M, 1)``.
    """
    a, b, half, other_half = (x.transpose(1, 2) for x in (centre, other_centre, size / 2, other_size / 2))  # (B, 2, K)
    way = (a.unsqueeze(3) - b.unsqueeze(2)) / scale.transpose(1, 2).unsqueeze(2)  # (B, 2, K, M)
    half, other_half = half.unsqueeze(3), other_half.unsqueeze(2)
    low = torch.maximum(way - half, -other_half)
    side = torch.minimum(way + half, other_half).sub_(low).clamp_(min=0)
    common = side[:, 0] * side[:, 1]  # (B, K, M)
    return common / (size.prod(2).unsqueeze(2) + other_size.prod(2).unsqueeze(1)).sub_(common)


def claim_first(shown: Sightings, claims: Tensor) -> Tensor:
    """Of the detections in one square that claim its identity let the first by rank have it."""
    K = claims.shape[1]
    owner = torch.where(claims, shown.owner, K)
    first = owner.new_full((owner.shape[0], K + 1), K).scatter_reduce_(1, owner, shown.rank, "amin")
    return claims & (first.gather(1, owner) == shown.rank)


def remember(
    memory: Identities, shown: Sightings, ids: Tensor, place: Tensor, seen: Tensor, *, unwatched: float | Tensor
) -> Identities:
    """Measure the objects that were seen, take in new ones, and forget whom nobody has seen for long.

    Args:
        memory: The objects that were remembered.
        shown: What was shown.
        ids: Identity of each detection, shape ``(B, K)``, ``int64``.
        place: Which object each is, shape ``(B, K)``, ``int64``; M where none.
        seen: Which of them the network shows, shape ``(B, K)``, ``bool``.
        unwatched: As in `recognise`.

    Returns:
        The objects that are remembered.
    """
    K, M = ids.shape[1], memory.track_id.shape[1]
    founds = seen & (place == M) & (shown.scores >= SURE)
    target = torch.where(founds, free_places(memory, place).gather(1, count_before(founds, shown.rank)), place)
    target = torch.where(seen, target, M)
    rows = torch.arange(K, device=ids.device).expand_as(ids)
    source = ids.new_full((ids.shape[0], M + 1), K).scatter(1, target, rows)[:, :M]  # detection of each object
    hit, source = source < K, source.clamp(max=K - 1)
    new = hit & founds.gather(1, source)
    boxes = torch.cat([shown.positions, shown.sizes], dim=2)
    boxes = boxes.gather(1, source.unsqueeze(2).expand(-1, -1, 4))  # (B, M, 4)
    position, size = boxes[:, :, :2], boxes[:, :, 2:]
    gap = memory.unseen + 1
    one = torch.ones_like(gap)
    gain = torch.where(memory.sightings <= 1, one, VELOCITY_GAIN).masked_fill(~hit, 0)
    measured = (position - memory.position) / gap.unsqueeze(2)
    velocity = memory.velocity + gain.unsqueeze(2) * (measured - memory.velocity)
    smooth = torch.lerp(memory.size, size, torch.where(new, one, SIZE_GAIN).unsqueeze(2))
    unseen = torch.where(hit, 0, gap)
    here, fresh = hit.unsqueeze(2), new.unsqueeze(2)
    return Identities(
        torch.where(new, ids.gather(1, source), memory.track_id).masked_fill(~hit & (unseen > WAIT), -1),
        torch.where(new, shown.labels.gather(1, source), memory.label),
        torch.where(here, position, memory.position),
        torch.where(here, torch.where(fresh, position, memory.position), memory.previous),
        torch.where(here, smooth, memory.size),
        velocity.masked_fill(fresh, 0),
        unseen,
        torch.where(new, 1, memory.sightings + hit).to(torch.int32),
    )


def wait_for(memory: Identities, *, frames: float | Tensor) -> Identities:
    """Let frames pass that nobody looks at."""
    unseen = memory.unseen + frames
    return change_fields(memory, unseen=unseen, track_id=memory.track_id.masked_fill(unseen > WAIT, -1))


def free_places(memory: Identities, place: Tensor) -> Tensor:
    """Order places for new objects: empty ones, then whoever was not seen for longest; those of this frame last."""
    M = memory.track_id.shape[1]
    waiting = torch.where(memory.track_id < 0, torch.inf, memory.unseen)
    return waiting.masked_fill(mark(place, M)[:, :M], -1).argsort(dim=1, descending=True, stable=True)


def mark(places: Tensor, count: int) -> Tensor:
    """Mark the places that occur, shape ``(B, count + 1)``, ``bool``; the last says nothing."""
    return torch.zeros(places.shape[0], count + 1, dtype=torch.bool, device=places.device).scatter(1, places, True)


def count_before(chosen: Tensor, rank: Tensor) -> Tensor:
    """Count the chosen ones of lower rank than each, shape ``(B, K)``, ``int64``."""
    ordered = torch.zeros_like(rank).scatter(1, rank, chosen.long())
    return (ordered.cumsum(1) - ordered).gather(1, rank)


def nobody(batch: int, count: int, *, device: torch.device | str | None, dtype: torch.dtype) -> Identities:
    """Make a memory that holds nobody, with ``count`` places for each of ``batch`` streams."""

    def zeros(*shape: int, dtype: torch.dtype = dtype) -> Tensor:
        return torch.zeros(batch, count, *shape, dtype=dtype, device=device)

    track_id, label = zeros(dtype=torch.int64) - 1, zeros(dtype=torch.int64)
    return Identities(track_id, label, zeros(2), zeros(2), zeros(2), zeros(2), zeros(), zeros(dtype=torch.int32))
