"""Detectors of the ground seen from above: groups of classes with maps of their own, metres, turned boxes."""

from heatprop.adapters.birds_eye import BirdsEyeGrid
from heatprop.birds_eye.grouped import GroupedOutput, GroupedPropagator
from heatprop.birds_eye.metric import ego_shift, metric_boxes
from heatprop.birds_eye.suppression import CircleSuppression, RotatedSuppression, rotated_iou

__all__ = [
    "BirdsEyeGrid",
    "CircleSuppression",
    "GroupedOutput",
    "GroupedPropagator",
    "RotatedSuppression",
    "ego_shift",
    "metric_boxes",
    "rotated_iou",
]
