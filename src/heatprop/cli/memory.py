"""The memory that a command line asks for: the paper's settings or the steady ones."""

from typing import Any

from heatprop.cli.propagator_options import PAPER
from heatprop.cli.run_options import Carry
from heatprop.options import STEADY
from heatprop.propagator import HeatmapPropagator


def make_memory(
    *,
    steady: bool,
    radius: int | None,
    alpha: float | None,
    beta: float | None,
    nms_threshold: float | None,
    top_k: int | None,
    stride: float,
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
        stride: Pixels per cell.
        carry: Which score is carried on.
        votes: Whether the maps are votes of a dense head, as docs/dense-heads.md explains.

    Returns:
        The propagator.

    Raises:
        ValueError: If an option is out of its range.
    """
    named = {"radius": radius, "alpha": alpha, "beta": beta, "nms_threshold": nms_threshold}
    options: dict[str, Any] = {name: value for name, value in named.items() if value is not None}
    if steady and radius is not None:
        options["max_radius"] = max(radius, STEADY.max_radius)
    make = HeatmapPropagator.steady if steady else HeatmapPropagator
    if votes:
        options["peak_kernel"] = 1
        top_k = 300 if top_k is None else top_k
    return make(top_k=PAPER.top_k if top_k is None else top_k, stride=stride, carry=carry.value, **options)
