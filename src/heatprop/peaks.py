"""The local maxima of a heatmap and the K best of them, exact and with static shapes."""

import math

import torch
import torch.nn.functional as F  # noqa: N812 (the name that PyTorch's own documentation uses)
from torch import Tensor

from heatprop.checks import check_count, check_tensor


def window_maximum(heatmap: Tensor, *, kernel: int = 3) -> Tensor:
    """Take the maximum of the square window around each cell, clipped at the border.

    Equals ``max_pool2d`` on scores in [0, 1]: cells outside the map count as 0. The running maximum doubles its
    width at each step, along rows, then along columns, so its cost grows with the logarithm of the window.

    Args:
        heatmap: Scores, shape ``(B, C, H, W)``, at least 0.
        kernel: Side of the window, odd, in cells.

    Returns:
        Maxima of the same shape and dtype.

    Raises:
        TypeError: If ``heatmap`` is no floating tensor, or ``kernel`` no whole number.
        ValueError: If ``heatmap`` has another rank, or ``kernel`` is not an odd number of at least 1.

    Examples:
        >>> import torch
        >>> window_maximum(torch.tensor([[[[0.1, 0.9, 0.2, 0.3]]]]))
        tensor([[[[0.9000, 0.9000, 0.9000, 0.3000]]]])
    """
    check_tensor("heatmap", heatmap, floating=True, dims=4)
    check_count("kernel", kernel, low=-math.inf)
    if kernel < 1 or kernel % 2 == 0:
        raise ValueError(f"kernel must be an odd number of at least 1, got {kernel}")
    padded = F.pad(heatmap, (kernel // 2,) * 4)
    return _running_maximum(_running_maximum(padded, kernel, dim=-1), kernel, dim=-2)


def find_peaks(heatmap: Tensor, *, kernel: int = 3) -> Tensor:
    """Keep the scores of the local maxima: above 0, and no lower than any value in their window (Sec. 3.1).

    Every cell of a plateau is a peak. No gradient flows, because choosing peaks is not differentiable.

    Args:
        heatmap: Scores, shape ``(B, C, H, W)``, at least 0, finite.
        kernel: Side of the window, odd, in cells; 3 in CenterNet, ``2 * radius + 1`` in the paper (Sec. 4.1).

    Returns:
        The score at peaks, else 0; same shape and dtype.

    Raises:
        TypeError: As `window_maximum`.
        ValueError: As `window_maximum`.

    Examples:
        >>> import torch
        >>> find_peaks(torch.tensor([[[[0.1, 0.9, 0.2, 0.3]]]]))
        tensor([[[[0.0000, 0.9000, 0.0000, 0.3000]]]])
    """
    check_tensor("heatmap", heatmap, floating=True, dims=4)
    heatmap = heatmap.detach()
    is_peak = torch.ge(heatmap, window_maximum(heatmap, kernel=kernel), out=torch.empty_like(heatmap))
    return is_peak.mul_(heatmap)


def top_k(peaks: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Take the K highest scores of each stream over all classes.

    The K best cells lie in the K best rows, so other rows are dropped first. Among equal scores, the order, and which
    one fills the last place, are not specified.

    Args:
        peaks: Scores, shape ``(B, C, H, W)``.
        k: Number of places, at least 1; places beyond the number of cells are padded.

    Returns:
        Scores by falling value, shape ``(B, K)``, padded with 0, and their flat index
        ``(label * H + y) * W + x``, shape ``(B, K)``, ``int64``.

    Raises:
        TypeError: If ``peaks`` is no floating tensor, or ``k`` no whole number.
        ValueError: If ``peaks`` has another rank or no cell, or ``k`` is below 1.
    """
    check_tensor("peaks", peaks, floating=True, dims=4)
    check_count("k", k, low=1)
    if 0 in peaks.shape:
        raise ValueError(f"peaks must not be empty, got shape {tuple(peaks.shape)}; skip batches without frames")
    rows = peaks.flatten(1, 2)  # (B, C * H, W)
    W = rows.shape[2]
    row = rows.amax(2).topk(min(k, rows.shape[1]), dim=1).indices  # (B, R)
    best = rows.gather(1, row.unsqueeze(2).expand(-1, -1, W)).flatten(1)  # (B, R * W)
    scores, place = best.topk(min(k, best.shape[1]), dim=1)
    index = row.gather(1, place // W) * W + place % W
    missing = k - scores.shape[1]
    return F.pad(scores, (0, missing)), F.pad(index, (0, missing))


def outranks(scores: Tensor, tie: Tensor) -> Tensor:
    """For each pair of places, say whether the first comes before the second: higher score, then lower tie value.

    Args:
        scores: Shape ``(B, K)``.
        tie: What decides among equal scores, shape ``(B, K)``, all different where scores are equal.

    Returns:
        Shape ``(B, K, K)``, ``bool``: entry ``[b, i, j]`` says whether i comes before j.
    """
    one, other = scores.unsqueeze(2), scores.unsqueeze(1)
    return (one > other) | ((one == other) & (tie.unsqueeze(2) < tie.unsqueeze(1)))


def _running_maximum(padded: Tensor, window: int, dim: int) -> Tensor:
    """Maximum of every run of ``window`` cells along a dimension, which becomes ``window - 1`` shorter."""
    width = 1
    while width < window:
        step = min(width, window - width)
        length = padded.shape[dim] - step
        padded = torch.maximum(padded.narrow(dim, 0, length), padded.narrow(dim, step, length))
        width += step
    return padded
