"""Equations 2 to 7 as the paper writes them: dense maps, one function per equation.

For reading, plots and tests. `heatprop.propagation` computes the same on the few cells that change.
"""

import math
from collections.abc import Iterable

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor

from heatprop.structures import Tracklets


def extend_score(tracklets: Tracklets, shape: tuple[int, ...], *, radius: int = 2) -> Tensor:
    r"""Dilate the score of each tracklet to a square and overlap the squares.

    $$h_{i,xyc} = \begin{cases} \tilde Y_{x_i y_i c_i} & c = c_i,\ |x - x_i| \le P,\ |y - y_i| \le P \\
    0 & \text{otherwise} \end{cases}, \qquad h_{xyc} = \max_i h_{i,xyc} \tag{2}$$

    Squares are clipped at the border; a tracklet with score 0 has none.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        radius: $P$, at least 0, in cells; the square's side is ``2 * radius + 1``.

    Returns:
        Propagated scores $h$, shape ``(B, C, H, W)``, in [0, 1].

    Examples:
        >>> import torch
        >>> from heatprop import HeatmapPropagator, extend_score
        >>> propagator = HeatmapPropagator(top_k=1)
        >>> heatmap = torch.zeros(1, 1, 3, 5)
        >>> heatmap[0, 0, 1, 0] = 0.5
        >>> _ = propagator(heatmap)
        >>> extend_score(propagator.state, (1, 3, 5), radius=1)
        tensor([[[[0.5000, 0.5000, 0.0000, 0.0000, 0.0000],
                  [0.5000, 0.5000, 0.0000, 0.0000, 0.0000],
                  [0.5000, 0.5000, 0.0000, 0.0000, 0.0000]]]])
    """
    return _inherit(tracklets.score, tracklets, shape, radius)


def extend_length(tracklets: Tracklets, shape: tuple[int, ...], *, radius: int = 2) -> Tensor:
    r"""Give each cell of the squares the tracklet length of the square that won it.

    $$l_{xyc} = \begin{cases} l_i,\ i = \arg\max_i h_{i,xyc} & h_{xyc} > 0 \\ 0 & h_{xyc} = 0 \end{cases} \tag{3}$$

    Among equal scores, the earlier tracklet wins.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        radius: $P$, at least 0, in cells.

    Returns:
        Propagated lengths $l$, shape ``(B, C, H, W)``, ``int32``, in frames.
    """
    return _inherit(tracklets.length, tracklets, shape, radius)


def extend_size(tracklets: Tracklets, shape: tuple[int, ...], *, radius: int = 2) -> Tensor:
    r"""Give each cell of the squares the box size of the square that won it.

    $$s_{xyc} = \begin{cases} s_i,\ i = \arg\max_i h_{i,xyc} & h_{xyc} > 0 \\ 0 & h_{xyc} = 0 \end{cases} \tag{4}$$

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        radius: $P$, at least 0, in cells.

    Returns:
        Propagated sizes $s$ as ``(w, h)``, shape ``(B, C, 2, H, W)``, in cells.
    """
    width, height = (_inherit(side, tracklets, shape, radius) for side in tracklets.size.unbind(-1))
    return torch.stack([width, height], dim=2)


def temporal_average(heatmap: Tensor, score: Tensor, length: Tensor, *, beta: float = 2.0) -> Tensor:
    r"""Average a new heatmap with the propagated one, weighted by tracklet length.

    $$\bar Y = \frac{\hat Y + \beta\, h\, l}{1 + \beta\, l} \tag{5}$$

    Cells that inherit nothing (``length == 0``) keep their value.

    Args:
        heatmap: New scores $\hat Y$, shape ``(B, C, H, W)``, in [0, 1].
        score: Propagated scores $h$, same shape, in [0, 1].
        length: Tracklet lengths $l$, same shape, ``int32``, in frames.
        beta: Trust in long tracklets, 0 to infinity; 0 ignores the past, infinity the present.

    Returns:
        Scores of the same shape, dtype and device as ``heatmap``, in [0, 1].

    Raises:
        ValueError: If the three maps differ in shape.

    Examples:
        A 20-frame track of score 0.9 meets a blurred frame of score 0.1 (Sec. 5.3):

        >>> import torch
        >>> from heatprop import temporal_average
        >>> heatmap = torch.full((1, 1, 1, 1), 0.1)
        >>> score = torch.full_like(heatmap, 0.9)
        >>> length = torch.full_like(heatmap, 20, dtype=torch.int32)
        >>> temporal_average(heatmap, score, length).item()
        0.8804...
    """
    _check_same_shape(heatmap=heatmap, score=score, length=length)
    return heatmap + length_weight(length, beta=beta, dtype=heatmap.dtype) * (score - heatmap)


def length_weight(length: Tensor, *, beta: float, dtype: torch.dtype) -> Tensor:
    r"""Weigh the past by tracklet length: $w = l / (l + 1/\beta)$, Eq. 5 as $\bar Y = \hat Y + w (h - \hat Y)$.

    Args:
        length: Tracklet lengths $l$, any shape, in frames.
        beta: Trust in long tracklets, 0 to infinity, both exact: 0 gives weight 0, infinity weight 1.
        dtype: Floating type of the result.

    Returns:
        Weights of the same shape, in [0, 1]; 0 where ``length`` is 0.
    """
    inverse = math.inf if beta == 0 else 1 / beta
    length = length.to(dtype)
    return torch.where(length > 0, length / (length + inverse), 0)


def balance(heatmap: Tensor, average: Tensor, *, alpha: float = 0.98) -> Tensor:
    r"""Balance the long-term heatmap with the network's instant one.

    $$\tilde Y = (1 - \alpha)\, \hat Y + \alpha\, \bar Y \tag{6}$$

    Args:
        heatmap: New scores $\hat Y$, shape ``(B, C, H, W)``, in [0, 1].
        average: Their temporal average $\bar Y$ (Eq. 5), same shape, in [0, 1].
        alpha: Share of the average, in [0, 1].

    Returns:
        Balanced scores, same shape, in [0, 1]; where both maps agree, exactly their value.

    Raises:
        ValueError: If the two maps differ in shape.

    Examples:
        >>> import torch
        >>> from heatprop import balance
        >>> balance(torch.tensor(0.1), torch.tensor(0.9), alpha=0.5)
        tensor(0.5000)
    """
    _check_same_shape(heatmap=heatmap, average=average)
    return heatmap + alpha * (average - heatmap)


def balance_size(heatmap: Tensor, size: Tensor, prior_score: Tensor, prior_size: Tensor) -> Tensor:
    r"""Balance the network's box size with the propagated one, per class.

    $$\tilde S_{xyc} = \frac{\hat Y_{xyc} \hat S_{xy} + h_{xyc} s_{xyc}}{\hat Y_{xyc} + h_{xyc}} \tag{7}$$

    Cells without a propagated score keep the network's size.

    Args:
        heatmap: New scores $\hat Y$, shape ``(B, C, H, W)``, in [0, 1].
        size: The network's size $\hat S$ as ``(w, h)``, shape ``(B, 2, H, W)``, in cells.
        prior_score: Propagated scores $h$ (Eq. 2), shape ``(B, C, H, W)``, in [0, 1].
        prior_size: Propagated sizes $s$ (Eq. 4), shape ``(B, C, 2, H, W)``, in cells.

    Returns:
        Balanced sizes, shape ``(B, C, 2, H, W)``, in cells.

    Raises:
        ValueError: If the shapes do not fit together.

    Examples:
        >>> import torch
        >>> from heatprop import balance_size
        >>> score, prior_score = torch.full((1, 1, 1, 1), 0.1), torch.full((1, 1, 1, 1), 0.3)
        >>> size, prior_size = torch.full((1, 2, 1, 1), 8.0), torch.full((1, 1, 2, 1, 1), 4.0)
        >>> balance_size(score, size, prior_score, prior_size).flatten()
        tensor([5., 5.])
    """
    _check_same_shape(heatmap=heatmap, prior_score=prior_score)
    B, C, H, W = heatmap.shape
    if size.shape != (B, 2, H, W) or prior_size.shape != (B, C, 2, H, W):
        raise ValueError(
            f"size must have shape (B, 2, H, W) = {(B, 2, H, W)} and prior_size (B, C, 2, H, W), "
            f"got {tuple(size.shape)} and {tuple(prior_size.shape)}"
        )
    score, prior_score = heatmap.unsqueeze(2), prior_score.unsqueeze(2)  # (B, C, 1, H, W)
    size = size.unsqueeze(1)  # (B, 1, 2, H, W)
    inside = prior_score > 0
    total = torch.where(inside, score + prior_score, 1)
    return torch.where(inside, (score * size + prior_score * prior_size) / total, size)  # (B, C, 2, H, W)


def _inherit(field: Tensor, tracklets: Tracklets, shape: tuple[int, ...], radius: int) -> Tensor:
    """Copy one field of the tracklets, (B, K), to the cells that each of them wins: (B, C, H, W), else 0."""
    winner = _winner(tracklets, shape, radius).flatten(1)  # (B, C * H * W)
    padded = torch.cat([field, torch.zeros_like(field[:, :1])], dim=1)  # (B, K + 1)
    return padded.gather(1, winner).view(len(field), *shape)


def _winner(tracklets: Tracklets, shape: tuple[int, ...], radius: int) -> Tensor:
    """Find the tracklet with the highest score around each cell (the earlier one in a tie); K if there is none."""
    B, K = tracklets.score.shape
    C, H, W = shape
    order = tracklets.score.argsort(dim=1, descending=True, stable=True)
    place = torch.arange(K, device=order.device).expand(B, K)
    rank = torch.empty_like(order).scatter_(1, order, place)
    rank = torch.where(tracklets.valid & (tracklets.score > 0), rank, K)
    cell = (tracklets.label * H + tracklets.y) * W + tracklets.x
    best = rank.new_full((B, C * H * W), K).scatter_reduce_(1, cell, rank, "amin")
    negative = -best.view(B, C, H, W).to(torch.float32)
    best = -F.max_pool2d(negative, 2 * radius + 1, stride=1, padding=radius).long().flatten(1)
    order = torch.cat([order, order.new_full((B, 1), K)], dim=1)  # (B, K + 1): rank -> tracklet
    return order.gather(1, best).view(B, C, H, W)


def _check_same_shape(**maps: Tensor) -> None:
    if len({tensor.shape for tensor in maps.values()}) > 1:
        names, shapes = _list(maps), _list(str(tuple(tensor.shape)) for tensor in maps.values())
        raise ValueError(f"{names} must share one shape (B, C, H, W), got {shapes}")


def _list(words: Iterable[str]) -> str:
    *first, last = words
    return f"{', '.join(first)} and {last}"
