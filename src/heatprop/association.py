"""From the candidates of a frame to its detections, and to the tracklets that the next frame inherits."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.candidates import Candidates
from heatprop.identities import Identities, Recognition, Sightings, recognise
from heatprop.motion import measure_velocity
from heatprop.options import PropagatorOptions
from heatprop.remembering.recall import Memories, Sights, read_extra, read_velocity, recall, show
from heatprop.structures import Detections, HeadMaps, Tracklets, change_fields
from heatprop.suppression import rank


def detect(
    maps: HeadMaps, candidates: Candidates, kept: Tensor, prior: Tracklets, options: PropagatorOptions
) -> tuple[Detections, Tracklets]:
    """Suppress and sort the candidates, and give them identities.

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        candidates: The K best peaks.
        kept: Which of them may become detections, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: The propagator's options.

    Returns:
        The detections, and the tracklets that the next frame inherits from.
    """
    points = maps.size is None  # points do not overlap
    order, valid = rank_kept(candidates, kept, nms_threshold=None if points else options.nms_threshold)
    names = None
    if options.identity == "memory":
        order, valid, names = name_by_memory(candidates, order, valid, prior, options, points=points)
    place = candidates.flat_index.gather(1, order) % (maps.heatmap.shape[2] * maps.heatmap.shape[3])
    found = Candidates(*(take_places(field, order, valid) for field in candidates))
    if names is None:
        names = name_by_square(found, valid, prior, options)
    shown = valid & (found.network_scores >= options.score_threshold)  # elsewhere the network saw nothing to read
    extras = {name: read_extra(field, place, shown, prior.score.dtype) for name, field in (maps.extras or {}).items()}
    memories = Memories.beside(prior)
    if options.remember or options.motion is not None:
        lean, source = found.positions - found.cells, find_source(found, names.track_ids, valid, prior, options)
        sights = Sights(place, shown & (found.network_scores > 0), found.network_scores, lean, source)
        memories = recall(maps.extras, sights, prior, options.remembered)
        extras |= show(memories, lean, options.remembered)
        if options.motion is not None and maps.extras is not None:
            names = change_fields(names, velocity=read_velocity(maps.extras[options.motion], sights, prior))
    score = found.scores if options.carry == "balanced" else found.network_scores
    carried = valid & (found.network_scores < options.score_threshold)
    detections = to_detections(found, names.track_ids, valid, carried=carried, extras=extras)
    tracklets = pack_tracklets(found, score, valid, names, unwatched=torch.zeros_like(prior.unwatched))
    return detections, change_fields(tracklets, **memories.fields())


def find_source(
    found: Candidates, track_ids: Tensor, valid: Tensor, prior: Tracklets, options: PropagatorOptions
) -> Tensor:
    """Find the tracklet whose extras and motion each detection goes on with.

    It is the one that gives length and size, in whose square the detection lies. With a memory of identities it is the
    tracklet of the same identity. If the network does not see the detection and no tracklet has its identity, it is
    again that of the square.

    Args:
        found: Candidates in their order, 0 where not valid, ``(B, K)`` each.
        track_ids: Their identities, shape ``(B, K)``, ``int64``.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: The propagator's options.

    Returns:
        Shape ``(B, K)``, ``int64``; K where there is none.
    """
    K = valid.shape[1]
    owner = torch.where(valid, found.owner, K)
    if options.identity == "square":
        return owner
    same = (track_ids.unsqueeze(2) == prior.track_id.unsqueeze(1)) & prior.valid.unsqueeze(1) & valid.unsqueeze(2)
    match = torch.where(same, torch.arange(K, device=owner.device), K).amin(2)
    carried = found.network_scores < options.score_threshold
    return torch.where((match == K) & carried, owner, match)


class Names(NamedTuple):
    """Who the detections of a frame are, in their order.

    Attributes:
        track_ids: Identity of each, shape ``(B, K)``, ``int64``; -1 where not valid.
        next_id: The first identity not yet given, shape ``(B,)``, ``int64``.
        velocity: How each moves, shape ``(B, K, 2)``, in cells per frame.
        known: The memory of identities after this frame.
    """

    track_ids: Tensor
    next_id: Tensor
    velocity: Tensor
    known: Identities


def rank_kept(candidates: Candidates, kept: Tensor, *, nms_threshold: float | None) -> tuple[Tensor, Tensor]:
    """Drop the boxes that are suppressed or not finite, and rank the rest.

    Args:
        candidates: The K best peaks.
        kept: Which of them reach the threshold, shape ``(B, K)``, ``bool``.
        nms_threshold: Largest IoU within a class, in [0, 1]; ``None`` suppresses nothing.

    Returns:
        The order of the candidates, shape ``(B, K)``, ``int64``: the kept ones first, by falling score, ties by rising
        cell index; and which places of that order are kept, shape ``(B, K)``, ``bool``.
    """
    boxes = candidates.boxes.detach()
    kept = kept & (boxes.abs().amax(2) < torch.inf)  # false for NaN too
    scores, labels, cells = candidates.scores.detach(), candidates.labels, candidates.flat_index
    return rank(boxes, scores, labels, cells, kept, iou_threshold=nms_threshold)


def name_by_square(found: Candidates, valid: Tensor, prior: Tracklets, options: PropagatorOptions) -> Names:
    """Let each detection inherit the identity of the tracklet in whose square it lies.

    Args:
        found: Candidates in their order, 0 where not valid, ``(B, K)`` each.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: The propagator's options.

    Returns:
        Identities, and velocities where they are measured.
    """
    track_ids, next_id = assign_ids(found.owner, valid, prior)
    velocity = torch.zeros_like(found.positions)
    if options.velocity:
        owner = torch.where(valid, found.owner, prior.score.shape[1])
        velocity = measure_velocity(found.positions, found.unseen == 0, owner, prior)
    return Names(track_ids, next_id, velocity, Identities.beside(prior))


def name_by_memory(
    candidates: Candidates,
    order: Tensor,
    valid: Tensor,
    prior: Tracklets,
    options: PropagatorOptions,
    *,
    points: bool,
) -> tuple[Tensor, Tensor, Names]:
    """Let the memory of identities say who the candidates are.

    Args:
        candidates: The K best peaks.
        order: Their order, shape ``(B, K)``, ``int64``.
        valid: Which places of that order hold a detection, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: All of them.
        points: Whether the network gives no sizes.

    Returns:
        The order and the valid places without the carried boxes of objects that were seen elsewhere; and identities.
    """
    K = order.shape[1]
    rank = torch.zeros_like(order).scatter_(1, order, torch.arange(K, device=order.device).expand_as(order))
    kept = torch.zeros_like(valid).scatter_(1, order, valid)
    nobody = candidates.owner == K
    owner = candidates.owner.clamp(max=K - 1)
    # the square of the largest step stands for the box of a point
    sizes = (
        torch.full_like(candidates.network_sizes, 4.0 * options.radius + 2.0) if points else candidates.network_sizes
    )
    shown = Sightings(
        scores=candidates.network_scores.detach(),
        positions=candidates.positions.detach(),
        sizes=sizes.detach(),
        labels=candidates.labels,
        carried=candidates.network_scores < options.score_threshold,
        kept=kept,
        owner=candidates.owner,
        owner_id=prior.track_id.gather(1, owner).masked_fill(nobody, -2),
        rank=rank,
    )
    who = recognise(Identities.beside(prior), shown, prior.next_id, unwatched=prior.unwatched.unsqueeze(1))
    velocity = torch.zeros_like(candidates.positions)
    if options.velocity:
        velocity = choose_velocity(candidates, who, prior)
    order = torch.where(who.kept, rank, K).argsort(dim=1)
    valid = who.kept.gather(1, order)
    track_ids = who.track_ids.gather(1, order)
    return order, valid, Names(track_ids, who.next_id, take_places(velocity, order, valid), who.memory)


def choose_velocity(candidates: Candidates, who: Recognition, prior: Tracklets) -> Tensor:
    """Say how the candidates move.

    Who stays in the square of its own tracklet moves as that was measured there, frame by frame. Who was recognised
    elsewhere moves as the memory of identities says, and the others as the tracklet of their square did.

    Args:
        candidates: The K best peaks.
        who: Their identities.
        prior: Detections of the last frame, ``(B, K)`` each.

    Returns:
        Velocities, shape ``(B, K, 2)``, in cells per frame; 0 without a square.
    """
    K = prior.score.shape[1]
    nobody, owner = candidates.owner == K, candidates.owner.clamp(max=K - 1)
    stays = ~nobody & (prior.track_id.gather(1, owner) == who.track_ids)
    past = prior.velocity.gather(1, owner.unsqueeze(2).expand_as(who.velocity)).masked_fill(nobody.unsqueeze(2), 0)
    elsewhere = torch.where(who.known.unsqueeze(2), who.velocity, past)
    measured = measure_velocity(candidates.positions, candidates.unseen == 0, candidates.owner, prior)
    return torch.where(stays.unsqueeze(2), measured, elsewhere)


def pack_tracklets(found: Candidates, score: Tensor, valid: Tensor, names: Names, *, unwatched: Tensor) -> Tracklets:
    """Keep of the ordered candidates what the next frame inherits from."""

    def own(field: Tensor) -> Tensor:
        """Copy what the detections share, so that editing them in place does not change the memory."""
        return field.clone(memory_format=torch.contiguous_format)

    x, y = found.cells.unbind(2)
    return Tracklets(
        own(found.labels),
        own(x),
        own(y),
        own(score),
        own(found.ages),
        own(found.sizes),
        own(names.track_ids),
        own(valid),
        names.next_id,
        position=found.positions,
        velocity=names.velocity,
        unseen=found.unseen,
        **names.known.fields(),
        unwatched=unwatched,
    )


def to_detections(
    found: Candidates, track_ids: Tensor, valid: Tensor, *, carried: Tensor, extras: dict[str, Tensor]
) -> Detections:
    """Turn the sorted candidates into the detections that the user sees."""
    return Detections(
        boxes=found.boxes,
        scores=found.scores,
        labels=found.labels,
        valid=valid,
        ages=found.ages,
        track_ids=track_ids,
        network_scores=found.network_scores,
        carried=carried,
        cells=found.cells,
        extras=extras,
    )


def assign_ids(owner: Tensor, valid: Tensor, prior: Tracklets) -> tuple[Tensor, Tensor]:
    """Let each detection inherit the identity of its tracklet; where several claim one, the first gets it.

    Args:
        owner: Tracklet of each detection, shape ``(B, K)``, ``int64``; K where there is none.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.

    Returns:
        Identities, shape ``(B, K)``, -1 where not valid, and the next unused identity, shape ``(B,)``.
    """
    B, K = owner.shape
    claim = torch.where(valid, owner, K)
    place = torch.arange(K, device=owner.device).expand(B, K)
    first = place.new_full((B, K + 1), K).scatter_reduce_(1, claim, place, "amin")
    inherits = (claim < K) & (first.gather(1, claim) == place)
    fresh = valid & ~inherits
    number = prior.next_id.unsqueeze(1) + fresh.cumsum(1) - 1
    track_ids = torch.where(inherits, prior.track_id.gather(1, claim.clamp(max=K - 1)), number)
    return torch.where(valid, track_ids, -1), prior.next_id + fresh.sum(1)


def take_places(field: Tensor, order: Tensor, valid: Tensor) -> Tensor:
    """Reorder a field ``(B, K)`` or ``(B, K, D)`` and put 0 where the new place is not valid."""
    if field.dim() == 3:
        order, valid = order.unsqueeze(2).expand_as(field), valid.unsqueeze(2)
    return torch.where(valid, field.gather(1, order), 0)
