"""Saved maps of a detector, an ``.npz`` per video: written, read, detected and followed on."""

from heatprop.maps.archives import read_archive
from heatprop.maps.detecting import (
    HP,
    INTERPOLATION,
    PER_FRAME,
    STEADY,
    Setting,
    TimedDetections,
    clip_boxes,
    detect_frames,
    detect_in_maps,
    detect_with_each,
    name_classes,
    seq_nms_predictions,
)
from heatprop.maps.following import FOLLOW, displacement_in_maps
from heatprop.maps.saved import (
    SavedMaps,
    compact_maps,
    iterate_saved_maps,
    read_saved_maps,
    write_saved_maps,
)
from heatprop.maps.sparse import MapPacker, PackedMaps, SparseFrames
from heatprop.maps.table1 import FLAT, Comparison, Table1Row, compare_methods, methods_like, rows_of_table1
from heatprop.maps.two_pass import two_pass_in_maps

__all__ = [
    "FLAT",
    "FOLLOW",
    "HP",
    "INTERPOLATION",
    "PER_FRAME",
    "STEADY",
    "Comparison",
    "MapPacker",
    "PackedMaps",
    "SavedMaps",
    "Setting",
    "SparseFrames",
    "Table1Row",
    "TimedDetections",
    "clip_boxes",
    "compact_maps",
    "compare_methods",
    "detect_frames",
    "detect_in_maps",
    "detect_with_each",
    "displacement_in_maps",
    "iterate_saved_maps",
    "methods_like",
    "name_classes",
    "read_archive",
    "read_saved_maps",
    "rows_of_table1",
    "seq_nms_predictions",
    "two_pass_in_maps",
    "write_saved_maps",
]
