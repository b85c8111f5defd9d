"""What the propagator returns for a frame, with the dense view of Eq. 7 on demand."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.equations import balance_size
from heatprop.propagation import cast_squares, inherit
from heatprop.structures import Detections, Tracklets


class PropagatorOutput(NamedTuple):
    """The balanced maps and the detections of one frame; for T frames, every shape has ``T`` after ``B``.

    Attributes:
        heatmap: Balanced scores (Eq. 6), shape ``(B, C, H, W)``, dtype of the network's heatmap.
        detections: The objects of the frame, ``(B, K)``.
        prior: The tracklets of the last frame, ``(B, K)``; none is valid on the first frame.
        network_heatmap: The network's scores as passed in, shape ``(B, C, H, W)``: your tensor, not a copy.
        network_size: The network's sizes as passed in, shape ``(B, 2, H, W)``, in cells; ``None`` for points.
        radius: $P$, or the largest of all tracklets, in cells.
        reach: Radius of each tracklet's square, shape ``(B, K)``, ``int64``, in cells; ``None`` if all have the same.
        seen: Cells where the network's box could be read, shape ``(B, 1, H, W)``, ``bool``; ``None`` for all. The
            other cells count as score 0.
    """

    heatmap: Tensor
    detections: Detections
    prior: Tracklets
    network_heatmap: Tensor
    network_size: Tensor | None
    radius: int
    reach: Tensor | None = None
    seen: Tensor | None = None

    def prior_score(self) -> Tensor:
        """Compute the propagated score of every cell and class (Eq. 2).

        Returns:
            Scores $h$, shape ``(B, C, H, W)``, or ``(B, T, C, H, W)`` after ``forward_chunk``, in [0, 1].
        """
        score, _ = self._propagated()
        return score.view(self.heatmap.shape)

    def size_map(self) -> Tensor:
        """Compute the balanced box sizes of every cell and class (Eq. 7).

        It reads the maps that you passed, so call it before you write the next frame into the same memory.

        Returns:
            Sizes ``(w, h)``, shape ``(B, C, 2, H, W)``, or ``(B, T, C, 2, H, W)`` after ``forward_chunk``, in cells.

        Raises:
            RuntimeError: If the frame was propagated without ``size`` (points have no size).
        """
        if self.network_size is None:
            raise RuntimeError("size_map needs box sizes, but this frame had size=None (points); pass size")
        leading = self.heatmap.shape[:-3]
        last = len(leading) - 1
        dtype = self.detections.scores.dtype
        heatmap, size = self.network_heatmap.flatten(0, last), self.network_size.flatten(0, last).to(dtype)
        seen = heatmap.isfinite() if self.seen is None else heatmap.isfinite() & self.seen.flatten(0, last)
        scores = torch.where(seen, heatmap.to(dtype), 0).clamp(0, 1)
        prior_score, prior_size = self._propagated()
        balanced = balance_size(scores, torch.nan_to_num(size, 0, 0, 0), prior_score, prior_size)
        # where the network saw nothing only the past speaks
        return torch.where(seen.unsqueeze(2), balanced, prior_size).view(*leading, *balanced.shape[1:])

    def _propagated(self) -> tuple[Tensor, Tensor]:
        """Return h and s (Eqs. 2 and 4) of every cell, (N, C, H, W) and (N, C, 2, H, W) of N streams and frames."""
        last, shape = self.heatmap.dim() - 4, self.heatmap.shape[-3:]
        prior = self.prior.map(lambda field: field.flatten(0, last))
        reach = None if self.reach is None else self.reach.flatten(0, last)
        weight = torch.ones_like(prior.score)  # nothing is blended here
        squares = cast_squares(prior, shape, radius=self.radius, weight=weight, reach=reach)
        everywhere = torch.arange(shape.numel(), device=prior.score.device).expand(len(prior.score), -1)
        found, owner, score, _ = inherit(prior, squares, everywhere)
        sides = [torch.where(found, side.gather(1, owner), 0).view(-1, *shape) for side in prior.size.unbind(2)]
        return torch.where(found, score, 0).view(-1, *shape), torch.stack(sides, dim=2)


def stack_outputs(
    outputs: Sequence[PropagatorOutput], network_heatmap: Tensor, network_size: Tensor | None
) -> PropagatorOutput:
    """Stack the outputs of T frames: every shape gets ``T`` after ``B``.

    Args:
        outputs: One output per frame.
        network_heatmap: The scores of all frames as passed in, shape ``(B, T, C, H, W)``.
        network_size: The sizes of all frames as passed in, shape ``(B, T, 2, H, W)``, or ``None``.

    Returns:
        One output.
    """
    return PropagatorOutput(
        heatmap=torch.stack([output.heatmap for output in outputs], dim=1),
        detections=Detections.stack([output.detections for output in outputs]),
        prior=Tracklets.stack([output.prior for output in outputs]),
        network_heatmap=network_heatmap,
        network_size=network_size,
        radius=outputs[0].radius,
        reach=_stack([output.reach for output in outputs]),
        seen=_stack([output.seen for output in outputs]),
    )


def _stack(fields: Sequence[Tensor | None]) -> Tensor | None:
    given = [field for field in fields if field is not None]
    return torch.stack(given, dim=1) if given else None
