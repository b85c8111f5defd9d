"""From the candidates of a frame to its detections, and to the tracklets that the next frame inherits."""

import torch
from torch import Tensor

from heatprop.candidates import Candidates
from heatprop.evidence import read_at
from heatprop.motion import measure_velocity
from heatprop.options import PropagatorOptions
from heatprop.structures import Detections, HeadMaps, Tracklets
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
    place = candidates.flat_index.gather(1, order) % (maps.heatmap.shape[2] * maps.heatmap.shape[3])
    found = Candidates(*(take_places(field, order, valid) for field in candidates))
    shown = valid & (found.network_scores >= options.score_threshold)  # elsewhere the network saw nothing to read
    extras = {name: read_extra(field, place, shown, prior.score.dtype) for name, field in (maps.extras or {}).items()}
    return pack_detections(found, valid, extras, prior, options)


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


def pack_detections(
    found: Candidates, valid: Tensor, extras: dict[str, Tensor], prior: Tracklets, options: PropagatorOptions
) -> tuple[Detections, Tracklets]:
    """Give the ordered candidates their identities.

    Args:
        found: Candidates in their order, 0 where not valid, ``(B, K)`` each.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        extras: What the extra maps hold there, ``(B, K, D)`` each.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: The propagator's options.

    Returns:
        The detections, and the tracklets that the next frame inherits from.
    """
    track_ids, next_id = assign_ids(found.owner, valid, prior)
    score = found.scores if options.carry == "balanced" else found.network_scores
    speed = torch.zeros_like(found.positions)
    if options.velocity:
        owner = torch.where(valid, found.owner, prior.score.shape[1])
        speed = measure_velocity(found.positions, found.unseen == 0, owner, prior)
    carried = valid & (found.network_scores < options.score_threshold)
    tracklets = pack_tracklets(found, score, track_ids, valid, next_id, speed)
    return to_detections(found, track_ids, valid, carried=carried, extras=extras), tracklets


def pack_tracklets(
    found: Candidates, score: Tensor, track_ids: Tensor, valid: Tensor, next_id: Tensor, velocity: Tensor
) -> Tracklets:
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
        own(track_ids),
        own(valid),
        next_id,
        position=found.positions,
        velocity=velocity,
        unseen=found.unseen,
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


def read_extra(field: Tensor, place: Tensor, shown: Tensor, dtype: torch.dtype) -> Tensor:
    """Read an extra map like `read_at`; 0 where it is not shown; floats come in ``dtype`` or wider."""
    values = read_at(field, place)
    if values.is_floating_point():
        values = values.to(torch.promote_types(values.dtype, dtype))
    return values.masked_fill(~shown.unsqueeze(2), 0)


def take_places(field: Tensor, order: Tensor, valid: Tensor) -> Tensor:
    """Reorder a field ``(B, K)`` or ``(B, K, D)`` and put 0 where the new place is not valid."""
    if field.dim() == 3:
        order, valid = order.unsqueeze(2).expand_as(field), valid.unsqueeze(2)
    return torch.where(valid, field.gather(1, order), 0)
