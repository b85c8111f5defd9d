"""Memory for per-frame heatmap detectors: CenterNet Heatmap Propagation (ECCV 2020)."""

from heatprop.structures import Detections, HeadMaps, Tracklets

__version__ = "0.1.0"

__all__ = ["Detections", "HeadMaps", "Tracklets"]
