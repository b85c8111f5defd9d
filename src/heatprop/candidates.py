"""From the peaks of a frame to candidates: what each inherits, and what the maps and the past say about it."""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.boxes import decode_boxes
from heatprop.evidence import read_maps
from heatprop.options import PropagatorOptions
from heatprop.peaks import outranks, top_k
from heatprop.propagation import Balanced, Inheritance, Squares, balance_scores, balance_sizes, extend_lengths, inherit
from heatprop.structures import HeadMaps, Tracklets, change_fields


class Candidates(NamedTuple):
    """The K best peaks of a frame in no particular order, before threshold and NMS.

    Attributes:
        flat_index: Flat cell index ``(label * H + y) * W + x``, shape ``(B, K)``, ``int64``.
        cells: Position ``(x, y)``, shape ``(B, K, 2)``, ``int64``, in cells.
        labels: Class index, shape ``(B, K)``, ``int64``.
        scores: Balanced scores (Eq. 6), shape ``(B, K)``.
        network_scores: The network's own scores, shape ``(B, K)``; 0 where it saw nothing.
        sizes: Balanced sizes (Eq. 7) as ``(w, h)``, shape ``(B, K, 2)``, in cells; 0 for points.
        positions: Centres ``(x, y)``, shape ``(B, K, 2)``, in cells.
        boxes: ``(x1, y1, x2, y2)`` (Eq. 1), shape ``(B, K, 4)``, in pixels.
        ages: Tracklet length $l$ with this frame, shape ``(B, K)``, ``int32``.
        unseen: Frames in a row in which the network's score was below the threshold, shape ``(B, K)``.
        owner: Tracklet whose square each lies in, shape ``(B, K)``, ``int64``; K where there is none.
        network_sizes: The network's own sizes ``(w, h)``, shape ``(B, K, 2)``, in cells; 0 for points.
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
    network_sizes: Tensor


def choose_candidates(
    maps: HeadMaps, balanced: Balanced, prior: Tracklets, options: PropagatorOptions, *, moving: bool
) -> tuple[Candidates, Tensor]:
    """Take the K best peaks with what each inherits, and drop those that cannot be detections.

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        balanced: The heatmap with the past blended in.
        prior: Detections of the last frame, ``(B, K)`` each.
        options: The propagator's options.
        moving: Whether tracklets were moved; those that the network does not see then stay where they were moved to.

    Returns:
        The candidates; and which of them may become detections, shape ``(B, K)``, ``bool``.
    """
    peak_scores, index, inherited = claim_cells(balanced.peaks, prior, balanced.squares, once=options.claim_once)
    candidates = read_candidates(maps, balanced.seen, index, prior, inherited, options, moving=moving)
    kept = (peak_scores > 0) & (candidates.scores >= options.score_threshold)
    if options.max_unseen is not None:
        kept = kept & (candidates.unseen <= options.max_unseen)
    return candidates, kept


def claim_cells(peaks: Tensor, prior: Tracklets, squares: Squares, *, once: bool) -> tuple[Tensor, Tensor, Inheritance]:
    """Choose the K best peaks and what each inherits.

    Args:
        peaks: Balanced score at peaks, else 0, shape ``(B, C, H, W)``.
        prior: Detections of the last frame, ``(B, K)`` each.
        squares: Their squares.
        once: Whether only one peak inherits from a tracklet: the one with the highest balanced score, and among equals
            the lowest cell index. The others inherit nothing.

    Returns:
        Balanced score of the peaks (0 if there are fewer than K), shape ``(B, K)``; their flat index, shape ``(B, K)``,
        ``int64``; and what they inherit.
    """
    scores, index = top_k(peaks, prior.score.shape[1])
    inherited = inherit(prior, squares, index)
    if once:
        rival = inherited.found.unsqueeze(2) & (inherited.owner.unsqueeze(2) == inherited.owner.unsqueeze(1))
        beaten = (outranks(scores, index) & rival).any(1)
        found = inherited.found & ~beaten
        inherited = change_fields(inherited, found=found, weight=torch.where(found, inherited.weight, 0))
    return scores, index, inherited


def read_candidates(
    maps: HeadMaps,
    seen: Tensor | None,
    index: Tensor,
    tracklets: Tracklets,
    inherited: Inheritance,
    options: PropagatorOptions,
    *,
    moving: bool,
) -> Candidates:
    """Read the maps at the peaks and blend in what each peak inherits.

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        seen: Cells where the network's box can be read, shape ``(B, 1, H, W)``, ``bool``; ``None`` for all.
        index: Flat index of the peaks, shape ``(B, K)``, ``int64``.
        tracklets: Detections of the last frame, ``(B, K)`` each.
        inherited: What the peaks inherit from them.
        options: The propagator's options.
        moving: Whether tracklets were moved; those that the network does not see then stay where they were moved to.

    Returns:
        The candidates, floating values in the dtype of the tracklets, ``float32`` at least.
    """
    H, W = maps.heatmap.shape[2:]
    row = index // W
    cells = torch.stack([index % W, row % H], dim=2)  # (B, K, 2)
    network, offset, size = read_maps(maps, seen, index, tracklets.score.dtype)
    blind = inherited.found & (network < options.score_threshold)
    if moving:
        expected = tracklets.position.gather(1, inherited.owner.unsqueeze(2).expand_as(offset)) - cells
        offset = torch.where(blind.unsqueeze(2), expected, offset)
    sizes = torch.zeros_like(offset) if size is None else balance_sizes(network, size, inherited, tracklets)
    return Candidates(
        flat_index=index,
        cells=cells,
        labels=row // H,
        scores=balance_scores(network, inherited, average=options.average),
        network_scores=network,
        sizes=sizes,
        positions=cells + offset,
        boxes=decode_boxes(cells, offset, sizes, stride=options.stride),
        ages=extend_lengths(inherited, tracklets, unproven=blind if options.evidence else None),
        unseen=torch.where(blind, tracklets.unseen.gather(1, inherited.owner) + 1, 0),
        owner=torch.where(inherited.found, inherited.owner, tracklets.score.shape[1]),
        network_sizes=torch.zeros_like(offset) if size is None else size,
    )
