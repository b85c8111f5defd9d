"""Finished videos: two passes, Seq-NMS, and their pieces.

The functions themselves are `heatprop.two_pass`, `heatprop.seq_nms` and `heatprop.seq_nms_detections`.
"""

from heatprop.offline.frame_store import FrameStore
from heatprop.offline.merging import FrameObjects, merge_directions
from heatprop.offline.seq_nms import Tubelets, rescore_boxes
from heatprop.offline.two_pass import backward_pass, merged_pass

__all__ = [
    "FrameObjects",
    "FrameStore",
    "Tubelets",
    "backward_pass",
    "merge_directions",
    "merged_pass",
    "rescore_boxes",
]
