"""Settings of `heatprop.HeatmapPropagator` that were measured on real video."""

from typing import Any

STEADY: dict[str, Any] = {
    "radius": 1,
    "radius_per_size": 0.1,
    "max_radius": 2,
    "alpha": 0.96,
    "beta": 10.0,
    "nms_threshold": 0.6,
    "peak_kernel": 3,
    "average": "geometric",
    "claim_once": True,
    "border": 0.9,
    "velocity": True,
}
"""The preset of `HeatmapPropagator.steady`."""
