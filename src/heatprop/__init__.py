"""Memory for per-frame heatmap detectors: CenterNet Heatmap Propagation (ECCV 2020)."""

import heatprop.starting  # noqa: F401 # isort: skip # it comes before what takes seconds
from heatprop import adapters
from heatprop.boxes import decode_boxes, pairwise_iou
from heatprop.detector import VideoDetector
from heatprop.equations import balance, balance_size, extend_length, extend_score, extend_size, temporal_average
from heatprop.offline.seq_nms import Tubelets, seq_nms
from heatprop.offline.seq_nms_detections import seq_nms_detections
from heatprop.offline.two_pass import two_pass
from heatprop.options import PropagatorOptions
from heatprop.output import PropagatorOutput
from heatprop.peaks import find_peaks, top_k, window_maximum
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets
from heatprop.suppression import nms

__version__ = "0.1.0"

__all__ = [
    "Detections",
    "HeadMaps",
    "HeatmapPropagator",
    "PropagatorOptions",
    "PropagatorOutput",
    "Tracklets",
    "Tubelets",
    "VideoDetector",
    "adapters",
    "balance",
    "balance_size",
    "decode_boxes",
    "extend_length",
    "extend_score",
    "extend_size",
    "find_peaks",
    "nms",
    "pairwise_iou",
    "seq_nms",
    "seq_nms_detections",
    "temporal_average",
    "top_k",
    "two_pass",
    "window_maximum",
]
