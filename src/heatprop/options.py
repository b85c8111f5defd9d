"""The options of `heatprop.HeatmapPropagator` and its preset; what they mean stands there."""

import inspect
from typing import Any, Literal, Self

from heatprop.checks import check_options
from heatprop.memory import TrackletMemory
from heatprop.presets import STEADY
from heatprop.propagation import Average


class PropagatorOptions(TrackletMemory):
    """Take, check and show the options; the state lies below."""

    def __init__(
        self,
        *,
        radius: int = 2,
        alpha: float = 0.98,
        beta: float = 2.0,
        top_k: int = 100,
        score_threshold: float = 0.05,
        nms_threshold: float = 0.3,
        peak_kernel: int | None = None,
        stride: float = 4,
        carry: Literal["balanced", "network"] = "balanced",
        average: Average = "arithmetic",
        claim_once: bool = False,
        max_length: int | None = None,
        evidence: bool = False,
        max_unseen: int | None = None,
        border: float = 0.0,
        velocity: bool = False,
        radius_per_size: float = 0.0,
        max_radius: int = 4,
    ) -> None:
        super().__init__(top_k)
        self.radius = radius
        self.alpha = alpha
        self.beta = beta
        self.score_threshold = score_threshold
        self.nms_threshold = nms_threshold
        self.peak_kernel = peak_kernel
        self.stride = stride
        self.carry = carry
        self.average: Average = average
        self.claim_once = claim_once
        self.max_length = max_length
        self.evidence = evidence
        self.max_unseen = max_unseen
        self.border = border
        self.velocity = velocity
        self.radius_per_size = radius_per_size
        self.max_radius = max_radius
        check_options(self._options())

    @classmethod
    def steady(cls, **overrides: Any) -> Self:
        """Make a propagator that is meant for watching: no flicker, few ghosts, crowds stay apart.

        Not the paper's method any more; docs/steady.md explains each option, docs/research.md says what was measured.

        Args:
            overrides: Any option of the constructor, to change the preset.

        Returns:
            The propagator.

        Raises:
            TypeError: If there is no such option, or it has the wrong type.
            ValueError: If an option is out of its range.

        Examples:
            >>> from heatprop import HeatmapPropagator
            >>> propagator = HeatmapPropagator.steady(stride=8)
            >>> propagator.average, propagator.nms_threshold, propagator.stride
            ('geometric', 0.6, 8)
        """
        return cls(**(STEADY | overrides))

    def extra_repr(self) -> str:
        """Show every option."""
        return ", ".join(f"{name}={value!r}" for name, value in self._options().items())

    def _options(self) -> dict[str, Any]:
        return {name: getattr(self, name) for name in inspect.signature(PropagatorOptions).parameters}
