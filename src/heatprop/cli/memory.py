"""The memory that a command line asks for: the paper's settings or the steady ones."""

from typing import Any

from heatprop.cli.run_options import Carry
from heatprop.propagator import HeatmapPropagator
from heatprop.running.onnx_detectors import GRID


def make_memory(
    *,
    steady: bool,
    radius: int | None,
    alpha: float | None,
    beta: float | None,
    nms_threshold: float | None,
    top_k: int | None,
    stride: float | None,
    carry: Carry,
    votes: bool = False,
) -> HeatmapPropagator:
    """Make the propagator; ``None`` is what the paper, or the preset, says.

    Args:
        steady: Whether to start from `HeatmapPropagator.steady` instead of the paper.
        radius: In cells.
        alpha: In [0, 1].
        beta: 0 to infinity.
        nms_threshold: IoU, in [0, 1].
        top_k: Objects per frame.
        stride: Pixels per cell; ``None`` for 4, or for the grid of votes.
        carry: Which score is carried on.
        votes: Whether the maps are votes of a dense head, as docs/dense-heads.md explains.

    Returns:
        The propagator.

    Raises:
        ValueError: If an option is out of its range.
    """
    usual: dict[str, Any] = {"top_k": 300, "stride": GRID, "peak_kernel": 1} if votes else {}
    named = {"radius": radius, "alpha": alpha, "beta": beta, "nms_threshold": nms_threshold}
    named |= {"top_k": top_k, "stride": stride}
    asked = {name: value for name, value in named.items() if value is not None}
    make = HeatmapPropagator.steady if steady else HeatmapPropagator
    return make(carry=carry.value, **usual | asked)
