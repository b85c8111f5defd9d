"""From the peaks of a frame to candidates: what each inherits, and what the maps and the past say of it."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.boxes import decode_boxes, outranks
from heatprop.peaks import top_k
from heatprop.propagation import Average, Inheritance, Squares, balance_scores, inherit
from heatprop.structures import HeadMaps, Tracklets


class Candidates(NamedTuple):
    """The K best peaks of a frame in no particular order, before threshold and NMS.

    Attributes:
        flat_index: Flat cell index ``(label * H + y) * W + x``, shape ``(B, K)``, ``int64``.
        cells: Position ``(x, y)``, shape ``(B, K, 2)``, ``int64``, in cells.
        labels: Class index, shape ``(B, K)``, ``int64``.
        scores: Balanced scores (Eq. 6), shape ``(B, K)``.
        network_scores: The network's own, shape ``(B, K)``; 0 where they are not finite.
        sizes: Balanced sizes (Eq. 7) as ``(w, h)``, shape ``(B, K, 2)``, in cells; 0 for points.
        positions: Centres ``(x, y)``, shape ``(B, K, 2)``, in cells.
        boxes: ``(x1, y1, x2, y2)`` (Eq. 1), shape ``(B, K, 4)``, in pixels.
        ages: Tracklet length $l$ with this frame, shape ``(B, K)``, ``int32``.
        unseen: Frames in a row in which the network's score was below the threshold, shape ``(B, K)``, ``int32``.
        owner: Tracklet whose square each lies in, shape ``(B, K)``, ``int64``; K where there is none.
    """

    flat_index: Tensor
    cells: Tensor
    labels: Tensor
    scores: Tensor
    network_scores: Tensor
    sizes: Tensor
    positions: Tensor
    boxes: Tensor
    ages: Tensor
    unseen: Tensor
    owner: Tensor


def claim_cells(peaks: Tensor, prior: Tracklets, squares: Squares, *, once: bool) -> tuple[Tensor, Tensor, Inheritance]:
    """Choose the K best peaks and what each inherits.

    Args:
        peaks: Balanced score at peaks, else 0, shape ``(B, C, H, W)``.
        prior: Detections of the last frame, ``(B, K)`` each.
        squares: Their squares.
        once: Whether a tracklet passes to one peak only: the highest balanced score, the lowest cell index of
            equals. The others inherit nothing.

    Returns:
        Balanced score of the peaks (0 where there are fewer), shape ``(B, K)``; their flat index, shape ``(B, K)``,
        ``int64``; and what they inherit.
    """
    scores, index = top_k(peaks, prior.score.shape[1])
    inherited = inherit(prior, squares, index)
    if once:
        rival = inherited.found.unsqueeze(2) & (inherited.owner.unsqueeze(2) == inherited.owner.unsqueeze(1))
        beaten = (outranks(scores, index) & rival).any(1)
        found = inherited.found & ~beaten
        inherited = inherited._replace(found=found, weight=torch.where(found, inherited.weight, 0))
    return scores, index, inherited


def read_candidates(
    maps: HeadMaps,
    index: Tensor,
    tracklets: Tracklets,
    inherited: Inheritance,
    *,
    stride: float,
    score_threshold: float,
    average: Average,
    moving: bool,
    evidence: bool,
) -> Candidates:
    """Read the maps at the peaks and blend in what each peak inherits (Eqs. 1, 5, 6 and 7).

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        index: Flat index of the peaks, shape ``(B, K)``, ``int64``.
        tracklets: Detections of the last frame, ``(B, K)`` each.
        inherited: What the peaks inherit from them.
        stride: $R$, pixels per cell.
        score_threshold: A network score below it saw nothing.
        average: How the past is blended in, `heatprop.propagation.balance_scores`.
        moving: Whether tracklets were moved: those that the network does not see lie where they were moved to.
        evidence: Whether a length shrinks in frames in which the network saw nothing.

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
    scores = balance_scores(network, inherited, average=average)
    if maps.offset is None:
        offset = torch.full_like(cells, 0.5, dtype=network.dtype)
    else:
        offset = torch.where(finite.unsqueeze(2), read_at(maps.offset, place).to(network.dtype), 0)
    blind = found & (network < score_threshold)
    both = owner.unsqueeze(2).expand_as(offset)
    if moving:
        offset = torch.where(blind.unsqueeze(2), tracklets.position.gather(1, both) - cells, offset)
    if maps.size is None:
        sizes = torch.zeros_like(offset)
    else:
        size = torch.where(finite.unsqueeze(2), read_at(maps.size, place).to(network.dtype), 0)
        past_share = torch.where(found, prior_score, 0) / torch.where(found, network + prior_score, 1)
        # exact where the network saw nothing
        sizes = torch.lerp(size, tracklets.size.gather(1, both), past_share.unsqueeze(2))
    boxes = decode_boxes(cells, offset, sizes, stride=stride)
    length = torch.where(found, tracklets.length.gather(1, owner), 0)
    ages = torch.where(blind, (length - 1).clamp(min=1), length + 1) if evidence else length + 1
    unseen = torch.where(blind, tracklets.unseen.gather(1, owner) + 1, 0)
    K = tracklets.score.shape[1]
    owner = torch.where(found, owner, K)
    return Candidates(index, cells, row // H, scores, network, sizes, cells + offset, boxes, ages, unseen, owner)


def read_at(field: Tensor, place: Tensor) -> Tensor:
    """Read maps ``(B, D, H, W)`` at flat positions ``y * W + x``, ``(B, K)``: ``(B, K, D)``."""
    index = place.unsqueeze(1).expand(-1, field.shape[1], -1)  # (B, D, K)
    return field.flatten(2).gather(2, index).transpose(1, 2)
