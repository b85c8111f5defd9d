"""Equations 2 to 7 on the cells that they change, at most K * (2P + 1)^2. This is what runs in each frame.

`heatprop.equations` writes the same on dense maps.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.equations import length_weight
from heatprop.evidence import clean_scores, seen_cells
from heatprop.options import Average, PropagatorOptions
from heatprop.peaks import find_peaks
from heatprop.structures import HeadMaps, Tracklets

NOISE = 0.03
"""Scores below it say nothing to the geometric average: a network's heatmap is never quite 0."""


class Squares(NamedTuple):
    r"""The squares around the tracklets (Eqs. 2-4) and who wins where they overlap.

    Attributes:
        cells: Flat index ``(label * H + y) * W + x`` of every cell of every square, shape ``(B, M)``, ``int64``,
            ``M = K * (2P + 1)^2``; a cell appears once for each square that it lies in.
        centers: Flat index of each tracklet's own cell, shape ``(B, K)``, ``int64``.
        order: Tracklets by rank: falling score, ties to the earlier one, shape ``(B, K)``, ``int64``.
        rank_map: Best rank among the squares over each cell, K where there is none, shape ``(B, C * H * W)``,
            ``int32``.
        weight: $\alpha w$ of each tracklet, shape ``(B, K)``, in [0, 1]: Eqs. 5 and 6 are
            $\tilde Y = \hat Y + \alpha w (h - \hat Y)$.
    """

    cells: Tensor
    centers: Tensor
    order: Tensor
    rank_map: Tensor
    weight: Tensor


class Inheritance(NamedTuple):
    """What N cells inherit, each from the tracklet that wins it.

    Attributes:
        found: Whether the cell lies in a square, shape ``(B, N)``, ``bool``.
        owner: Index of the winning tracklet, shape ``(B, N)``, ``int64``; arbitrary where not found.
        score: Propagated score $h$, shape ``(B, N)``; arbitrary where not found.
        weight: Its weight against the network's score, shape ``(B, N)``, in [0, 1]; 0 where not found.
    """

    found: Tensor
    owner: Tensor
    score: Tensor
    weight: Tensor


class Balanced(NamedTuple):
    """A heatmap with the past blended in.

    Attributes:
        heatmap: Balanced scores (Eq. 6), shape ``(B, C, H, W)``, finite, ``float32`` at least.
        peaks: The same at peaks, else 0.
        squares: The squares of the tracklets.
        reach: Radius of each tracklet's square, shape ``(B, K)``, in cells; ``None`` if all have the same.
        seen: Cells where the network's box can be read, shape ``(B, 1, H, W)``, ``bool``; ``None`` for all.
    """

    heatmap: Tensor
    peaks: Tensor
    squares: Squares
    reach: Tensor | None
    seen: Tensor | None


def propagate(maps: HeadMaps, tracklets: Tracklets, leaving: Tensor | None, options: PropagatorOptions) -> Balanced:
    """Blend the tracklets into the next heatmap and find its peaks (Eqs. 2, 3, 5 and 6).

    Args:
        maps: The network's maps, ``(B, C, H, W)``.
        tracklets: Detections of the last frame, where they are expected now, ``(B, K)`` each.
        leaving: Tracklets that pass on their identity but not their score, shape ``(B, K)``, ``bool``.
        options: The propagator's options.

    Returns:
        The balanced heatmap.
    """
    seen = seen_cells(maps, stride=options.stride)
    reach, weight = square_radius(tracklets, options), past_weight(tracklets, options, leaving)
    squares = cast_squares(tracklets, maps.heatmap.shape[1:], radius=options.largest_radius, reach=reach, weight=weight)
    on_squares = inherit(tracklets, squares, squares.cells)
    network = clean_scores(maps.heatmap.contiguous().to(tracklets.score.dtype), seen)
    balanced = balance_heatmap(network, squares, on_squares, average=options.average)
    peaks = find_tracked_peaks(balanced, squares, on_squares, kernel=options.window)
    return Balanced(balanced, peaks, squares, reach, seen)


def square_radius(tracklets: Tracklets, options: PropagatorOptions) -> Tensor | None:
    """Return the radius of each tracklet's square, shape ``(B, K)``, in cells; ``None`` if all have the same."""
    if not options.radius_per_size:
        return None
    share = (options.radius_per_size * tracklets.size.amin(2)).round()
    return share.clamp(options.radius, options.largest_radius).long()


def past_weight(tracklets: Tracklets, options: PropagatorOptions, leaving: Tensor | None) -> Tensor:
    r"""Weigh each tracklet against the network's score (Eqs. 5 and 6): $\alpha w$, shape ``(B, K)``, in [0, 1]."""
    length = tracklets.length if options.max_length is None else tracklets.length.clamp(max=options.max_length)
    weight = options.alpha * length_weight(length, beta=options.beta, dtype=tracklets.score.dtype)
    return weight if leaving is None else torch.where(leaving, 0, weight)


def cast_squares(
    tracklets: Tracklets, shape: tuple[int, ...], *, radius: int, weight: Tensor, reach: Tensor | None = None
) -> Squares:
    """List the cells of each tracklet's square and rank the tracklets (Eq. 2).

    Squares are clipped at the border. A tracklet that is not valid or has score 0 has no square.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        radius: $P$, or the largest of all tracklets, at least 0, in cells.
        weight: Weight of each tracklet against the network's score, shape ``(B, K)``, in [0, 1].
        reach: Radius of each tracklet's square, shape ``(B, K)``, ``int64``; ``None`` for ``radius``.

    Returns:
        The squares.
    """
    C, H, W = shape
    casts = tracklets.valid & (tracklets.score > 0)
    order = torch.where(casts, tracklets.score, 0).argsort(dim=1, descending=True, stable=True)
    B, K = order.shape
    place = torch.arange(K, device=order.device).expand(B, K)
    rank = torch.empty_like(order).scatter_(1, order, place)
    rank = torch.where(casts, rank, K).to(torch.int32)
    step = torch.arange(-radius, radius + 1, device=order.device)
    if reach is not None:
        own = reach.unsqueeze(2)
        step = torch.minimum(torch.maximum(step, -own), own)  # (B, K, 2P + 1)
    x = (tracklets.x.unsqueeze(2) + step).clamp_(0, W - 1)  # (B, K, 2P + 1); a cell twice is harmless
    y = (tracklets.y.unsqueeze(2) + step).clamp_(0, H - 1)
    row = tracklets.label.unsqueeze(2) * H + y
    cells = (row.unsqueeze(3) * W + x.unsqueeze(2)).flatten(1)  # (B, M)
    ranks = rank.unsqueeze(2).expand(B, K, (2 * radius + 1) ** 2).reshape(cells.shape)
    rank_map = ranks.new_full((B, C * H * W), K).scatter_reduce_(1, cells, ranks, "amin")
    centers = (tracklets.label * H + tracklets.y) * W + tracklets.x
    return Squares(cells, centers, order, rank_map, weight)


def inherit(tracklets: Tracklets, squares: Squares, cells: Tensor) -> Inheritance:
    """Look up what some cells inherit from the squares (Eqs. 2 and 3).

    Args:
        tracklets: The tracklets that cast the squares, ``(B, K)`` each.
        squares: Their squares.
        cells: Flat index of the cells asked for, shape ``(B, N)``, ``int64``.

    Returns:
        Shape ``(B, N)`` each.
    """
    K = squares.order.shape[1]
    rank = squares.rank_map.gather(1, cells)
    found = rank < K
    owner = squares.order.gather(1, rank.clamp(max=K - 1).long())
    weight = torch.where(found, squares.weight.gather(1, owner), 0)
    return Inheritance(found, owner, tracklets.score.gather(1, owner), weight)


def balance_scores(network: Tensor, inherited: Inheritance, *, average: Average = "arithmetic") -> Tensor:
    r"""Balance some of the network's scores with what their cells inherit (Eqs. 5 and 6).

    The geometric average is the same on logarithms: $\tilde Y = \hat Y^{1 - \alpha w} h^{\alpha w}$, with scores below
    `NOISE` raised to it. The score is high only if past and present agree, so an object that the network no longer sees
    fades within a few frames. Cells of pure noise become equal, so the object stays where it was.

    Args:
        network: The network's scores, shape ``(B, N)``, in [0, 1].
        inherited: What their cells inherit.
        average: ``"arithmetic"`` (the paper) or ``"geometric"``.

    Returns:
        Balanced scores, shape ``(B, N)``.
    """
    if average == "arithmetic":
        return network + inherited.weight * (inherited.score - network)
    now, past = network.clamp(min=NOISE), inherited.score.clamp(min=NOISE)
    # exact where both agree and where the past alone counts; no pow, whose last bit depends on a cell's place in memory
    balanced = past * torch.exp((1 - inherited.weight) * torch.log(now / past))
    return torch.where(inherited.weight > 0, balanced.clamp(max=1), network)


def balance_sizes(network: Tensor, size: Tensor, inherited: Inheritance, tracklets: Tracklets) -> Tensor:
    r"""Balance the box sizes at some cells with the sizes that they inherit (Eq. 7).

    $$\tilde S = \frac{\hat Y \hat S + h s}{\hat Y + h} \tag{7}$$

    Args:
        network: The network's scores $\hat Y$, shape ``(B, N)``.
        size: Its sizes $\hat S$ as ``(w, h)``, shape ``(B, N, 2)``, in cells.
        inherited: What the cells inherit, $h$ included.
        tracklets: The tracklets whose sizes $s$ they inherit, ``(B, K)`` each.

    Returns:
        Balanced sizes, shape ``(B, N, 2)``, in cells: the network's size outside all squares, exactly the past size
        where the network's score is 0.
    """
    found, owner, score, _ = inherited
    past_share = torch.where(found, score, 0) / torch.where(found, network + score, 1)
    past = tracklets.size.gather(1, owner.unsqueeze(2).expand_as(size))
    return torch.lerp(size, past, past_share.unsqueeze(2))


def extend_lengths(inherited: Inheritance, tracklets: Tracklets, *, unproven: Tensor | None = None) -> Tensor:
    """Add this frame to the tracklet lengths: $l + 1$ in a square, else 1.

    Args:
        inherited: What N cells inherit.
        tracklets: The tracklets whose lengths they inherit, ``(B, K)`` each.
        unproven: Where a length shrinks by one instead, but not below 1, shape ``(B, N)``, ``bool``.

    Returns:
        Lengths, shape ``(B, N)``, ``int32``, in frames.
    """
    length = torch.where(inherited.found, tracklets.length.gather(1, inherited.owner), 0)
    if unproven is None:
        return length + 1
    return torch.where(unproven, (length - 1).clamp(min=1), length + 1)


def balance_heatmap(
    network: Tensor, squares: Squares, inherited: Inheritance, *, average: Average = "arithmetic"
) -> Tensor:
    """Balance the cells of the squares (Eqs. 5 and 6), and leave every other cell unchanged.

    Args:
        network: A copy of the network's scores, contiguous, shape ``(B, C, H, W)``, in [0, 1], ``float32`` at least:
            rounded to half precision, the cells of a square would be equal, and all of them peaks.
        squares: The squares of the tracklets.
        inherited: What the cells of the squares inherit.
        average: How the past is blended in; see `balance_scores`.

    Returns:
        The balanced scores, written into ``network`` where no gradient is asked for.
    """
    flat = network.view(network.shape[0], -1)  # (B, C * H * W)
    values = balance_scores(flat.gather(1, squares.cells), inherited, average=average)
    if values.requires_grad:
        values = torch.where(_first_of_each(squares), values, values.detach())
        return flat.scatter(1, squares.cells, values).view_as(network)  # in place, the gather would lose what it read
    flat.scatter_(1, squares.cells, values)  # entries that share a cell all write its winner's value
    return network


def find_tracked_peaks(balanced: Tensor, squares: Squares, inherited: Inheritance, *, kernel: int) -> Tensor:
    """Find the peaks of a balanced heatmap; on a plateau, an object stays where it was.

    A cell of a square with the same value as the winning tracklet's own cell is not a peak, unless it is that cell.
    Otherwise a blank frame would turn every cell of the square into a peak.

    Args:
        balanced: Balanced scores, shape ``(B, C, H, W)``, in [0, 1].
        squares: The squares of the tracklets.
        inherited: What the cells of the squares inherit.
        kernel: Side of the peak window, odd, in cells.

    Returns:
        The score at peaks, else 0; shape and dtype of ``balanced``.
    """
    peaks = find_peaks(balanced, kernel=kernel)
    flat = balanced.detach().flatten(1)
    center = squares.centers.gather(1, inherited.owner)  # (B, M)
    level = flat.gather(1, squares.centers).gather(1, inherited.owner)
    echo = inherited.found & (flat.gather(1, squares.cells) == level) & (squares.cells != center)
    found = peaks.view(flat.shape)
    found.scatter_(1, squares.cells, found.gather(1, squares.cells).masked_fill_(echo, 0))
    return peaks


def _first_of_each(squares: Squares) -> Tensor:
    """Mark one entry per cell, (B, M), so that the gradient reaches the cell's winner only once."""
    place = torch.arange(squares.cells.shape[1], device=squares.cells.device).expand_as(squares.cells)
    first = torch.zeros_like(squares.rank_map, dtype=torch.int64)
    first = first.scatter_reduce_(1, squares.cells, place, "amin", include_self=False)
    return first.gather(1, squares.cells) == place
