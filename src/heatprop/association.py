"""From the peaks of a frame to its detections, and to the tracklets that the next frame inherits."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.boxes import decode_boxes, outranks, overlap, suppress
from heatprop.peaks import top_k
from heatprop.propagation import Inheritance, Squares, balance_scores, inherit
from heatprop.structures import Detections, HeadMaps, Tracklets


def detect(
    maps: HeadMaps,
    peaks: Tensor,
    prior: Tracklets,
    squares: Squares,
    *,
    score_threshold: float,
    nms_threshold: float,
    stride: float,
    carry: str,
) -> tuple[Detections, Tracklets]:
    """Decode the K best peaks, suppress and order them, and give them their identities.

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        peaks: Balanced score at peaks, else 0, shape ``(B, C, H, W)``.
        prior: Detections of the last frame, ``(B, K)`` each.
        squares: Their squares.
        score_threshold: Lowest score that is kept, in [0, 1].
        nms_threshold: Largest IoU within a class, in [0, 1].
        stride: $R$, pixels per cell.
        carry: Which score goes on to the next frame, ``"balanced"`` or ``"network"``.

    Returns:
        The detections, and the tracklets that the next frame inherits from.
    """
    peak_scores, index = top_k(peaks, prior.score.shape[1])
    candidates = read_candidates(maps, index, prior, inherit(prior, squares, index), stride=stride)
    kept = (peak_scores > 0) & (candidates.scores >= score_threshold)
    points = maps.size is None  # points do not overlap
    order, valid = rank_kept(candidates, kept, nms_threshold=None if points else nms_threshold)
    place = index.gather(1, order) % (maps.heatmap.shape[2] * maps.heatmap.shape[3])
    extras = {name: read_extra(field, place, valid, prior.score.dtype) for name, field in (maps.extras or {}).items()}
    found = Candidates(*(take_places(field, order, valid) for field in candidates))
    return pack_detections(found, valid, extras, prior, score_threshold=score_threshold, carry=carry)


class Candidates(NamedTuple):
    """The K best peaks of a frame in no particular order, before threshold and NMS.

    Attributes:
        flat_index: Flat cell index ``(label * H + y) * W + x``, shape ``(B, K)``, ``int64``.
        cells: Position ``(x, y)``, shape ``(B, K, 2)``, ``int64``, in cells.
        labels: Class index, shape ``(B, K)``, ``int64``.
        scores: Balanced scores (Eq. 6), shape ``(B, K)``.
        network_scores: The network's own, shape ``(B, K)``; 0 where they are not finite.
        sizes: Balanced sizes (Eq. 7) as ``(w, h)``, shape ``(B, K, 2)``, in cells; 0 for points.
        boxes: ``(x1, y1, x2, y2)`` (Eq. 1), shape ``(B, K, 4)``, in pixels.
        ages: Tracklet length $l$ with this frame, shape ``(B, K)``, ``int32``.
        owner: Tracklet whose square each lies in, shape ``(B, K)``, ``int64``; K where there is none.
    """

    flat_index: Tensor
    cells: Tensor
    labels: Tensor
    scores: Tensor
    network_scores: Tensor
    sizes: Tensor
    boxes: Tensor
    ages: Tensor
    owner: Tensor


def read_candidates(
    maps: HeadMaps, index: Tensor, tracklets: Tracklets, inherited: Inheritance, *, stride: float
) -> Candidates:
    """Read the maps at the peaks and blend in what each peak inherits (Eqs. 1, 5, 6 and 7).

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        index: Flat index of the peaks, shape ``(B, K)``, ``int64``.
        tracklets: Detections of the last frame, ``(B, K)`` each.
        inherited: What the peaks inherit from them.
        stride: $R$, pixels per cell.

    Returns:
        The candidates, floating values in the dtype of the tracklets, ``float32`` at least.
    """
    H, W = maps.heatmap.shape[2:]
    row = index // W
    cells = torch.stack([index % W, row % H], dim=2)  # (B, K, 2)
    place = index % (H * W)
    found, owner, prior_score, _ = inherited
    raw = maps.heatmap.flatten(1).gather(1, index).to(prior_score.dtype)
    finite = raw.isfinite()
    network = torch.where(finite, raw, 0)
    scores = balance_scores(network, inherited)
    if maps.offset is None:
        offset = torch.full_like(cells, 0.5, dtype=network.dtype)
    else:
        offset = torch.where(finite.unsqueeze(2), read_at(maps.offset, place).to(network.dtype), 0)
    if maps.size is None:
        sizes = torch.zeros_like(offset)
    else:
        size = torch.where(finite.unsqueeze(2), read_at(maps.size, place).to(network.dtype), 0)
        prior_size = tracklets.size.gather(1, owner.unsqueeze(2).expand_as(size))
        past_share = torch.where(found, prior_score, 0) / torch.where(found, network + prior_score, 1)
        sizes = torch.lerp(size, prior_size, past_share.unsqueeze(2))  # exact where the network saw nothing
    boxes = decode_boxes(cells, offset, sizes, stride=stride)
    ages = torch.where(found, tracklets.length.gather(1, owner), 0) + 1
    K = tracklets.score.shape[1]
    return Candidates(index, cells, row // H, scores, network, sizes, boxes, ages, torch.where(found, owner, K))


def rank_kept(candidates: Candidates, kept: Tensor, *, nms_threshold: float | None) -> tuple[Tensor, Tensor]:
    """Drop the boxes that are not finite or suppressed, and rank the rest.

    Args:
        candidates: The K best peaks.
        kept: Which of them reach the threshold, shape ``(B, K)``, ``bool``.
        nms_threshold: Largest IoU within a class, in [0, 1]; ``None`` suppresses nothing.

    Returns:
        The order of the candidates, shape ``(B, K)``, ``int64``: the kept ones first by falling score, equal
        scores by rising cell index; and which places of that order are kept, shape ``(B, K)``, ``bool``.
    """
    scores, boxes, labels = candidates.scores.detach(), candidates.boxes.detach(), candidates.labels
    kept = kept & (boxes.abs().amax(2) < torch.inf)  # false for NaN too
    better = outranks(scores, candidates.flat_index)  # (B, K, K)
    if nms_threshold is not None:
        kept = suppress(better & overlap(boxes, labels, iou_threshold=nms_threshold), kept)
    place = (better & kept.unsqueeze(2)).sum(1)  # how many kept ones come before
    order = torch.where(kept, place, kept.shape[1]).argsort(dim=1)
    return order, kept.gather(1, order)


def pack_detections(
    found: Candidates, valid: Tensor, extras: dict[str, Tensor], prior: Tracklets, *, score_threshold: float, carry: str
) -> tuple[Detections, Tracklets]:
    """Give the ordered candidates their identities.

    Args:
        found: Candidates in their order, 0 where not valid, ``(B, K)`` each.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        extras: What the extra maps hold there, ``(B, K, D)`` each.
        prior: Detections of the last frame, ``(B, K)`` each.
        score_threshold: A network score below it makes a detection a carried one.
        carry: Which score goes on to the next frame, ``"balanced"`` or ``"network"``.

    Returns:
        The detections, and the tracklets that the next frame inherits from.
    """
    track_ids, next_id = assign_ids(found.owner, valid, prior)
    x, y = found.cells.unbind(2)
    score = found.scores if carry == "balanced" else found.network_scores
    tracklets = Tracklets(found.labels, x, y, score, found.ages, found.sizes, track_ids, valid, next_id)
    # copies: whoever edits the detections in place leaves the memory alone
    tracklets = Tracklets(*(field.clone(memory_format=torch.contiguous_format) for field in tracklets))
    detections = Detections(
        boxes=found.boxes,
        scores=found.scores,
        labels=found.labels,
        valid=valid,
        ages=found.ages,
        track_ids=track_ids,
        network_scores=found.network_scores,
        carried=valid & (found.network_scores < score_threshold),
        cells=found.cells,
        extras=extras,
    )
    return detections, tracklets


def assign_ids(owner: Tensor, valid: Tensor, prior: Tracklets) -> tuple[Tensor, Tensor]:
    """Let each detection inherit the identity of its tracklet, the first in order where several claim one.

    Args:
        owner: Tracklet of each detection, shape ``(B, K)``, ``int64``; K where there is none.
        valid: Which places hold a detection, shape ``(B, K)``, ``bool``.
        prior: Detections of the last frame, ``(B, K)`` each.

    Returns:
        Identities, shape ``(B, K)``, -1 where not valid, and the first identity not yet given, shape ``(B,)``.
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


def read_at(field: Tensor, place: Tensor) -> Tensor:
    """Read maps ``(B, D, H, W)`` at flat positions ``y * W + x``, ``(B, K)``: ``(B, K, D)``."""
    index = place.unsqueeze(1).expand(-1, field.shape[1], -1)  # (B, D, K)
    return field.flatten(2).gather(2, index).transpose(1, 2)


def read_extra(field: Tensor, place: Tensor, valid: Tensor, dtype: torch.dtype) -> Tensor:
    """Read an extra map like `read_at`, 0 where not valid; floating values in ``dtype`` or wider."""
    values = read_at(field, place)
    if values.is_floating_point():
        values = values.to(torch.promote_types(values.dtype, dtype))
    return values.masked_fill(~valid.unsqueeze(2), 0)


def take_places(field: Tensor, order: Tensor, valid: Tensor) -> Tensor:
    """Reorder a field ``(B, K)`` or ``(B, K, D)`` and put 0 where the new place is not valid."""
    if field.dim() == 3:
        order, valid = order.unsqueeze(2).expand_as(field), valid.unsqueeze(2)
    return torch.where(valid, field.gather(1, order), 0)
