"""Readers and writers: ImageNet VID and DET, MOTChallenge, COCO, JSON Lines, detection files. They need numpy only.

Every reader takes ``skipped=Skipped()`` to leave out, count and list malformed rows. Readers raise only `ValueError`,
with file and line, and `OSError`. Every writer replaces its file when the new one is complete.
"""

from heatprop.formats.bad_rows import Skipped
from heatprop.formats.coco import (
    CocoData,
    CocoImages,
    coco_result_rows,
    read_coco,
    read_coco_results,
    write_coco,
    write_coco_results,
)
from heatprop.formats.detections_file import iterate_detections_file, read_detections_file, write_detections_file
from heatprop.formats.imagenet import read_det, read_vid
from heatprop.formats.imagenet_classes import VID_CLASSES, VID_WNIDS
from heatprop.formats.imagenet_lists import (
    FrameList,
    list_frames,
    list_images,
    read_frame_list,
    read_image_list,
    write_frame_list,
)
from heatprop.formats.imagenet_xml import (
    AnnotatedObject,
    Annotation,
    read_annotation,
    read_annotations,
    write_annotation,
)
from heatprop.formats.json_lines import (
    DetectionLine,
    iterate_json_lines,
    read_json_lines,
    read_json_tracks,
    write_json_lines,
)
from heatprop.formats.mot import (
    DISTRACTORS,
    PEDESTRIAN,
    MotSequence,
    find_mot_sequences,
    read_mot_detections,
    read_mot_truth,
    read_seqinfo,
    write_mot_detections,
    write_mot_truth,
)
from heatprop.formats.mot_tracks import mot_track_rows, read_mot_tracks, write_mot_tracks

__all__ = [
    "DISTRACTORS",
    "PEDESTRIAN",
    "VID_CLASSES",
    "VID_WNIDS",
    "AnnotatedObject",
    "Annotation",
    "CocoData",
    "CocoImages",
    "DetectionLine",
    "FrameList",
    "MotSequence",
    "Skipped",
    "coco_result_rows",
    "find_mot_sequences",
    "iterate_detections_file",
    "iterate_json_lines",
    "list_frames",
    "list_images",
    "mot_track_rows",
    "read_annotation",
    "read_annotations",
    "read_coco",
    "read_coco_results",
    "read_det",
    "read_detections_file",
    "read_frame_list",
    "read_image_list",
    "read_json_lines",
    "read_json_tracks",
    "read_mot_detections",
    "read_mot_tracks",
    "read_mot_truth",
    "read_seqinfo",
    "read_vid",
    "write_annotation",
    "write_coco",
    "write_coco_results",
    "write_detections_file",
    "write_frame_list",
    "write_json_lines",
    "write_mot_detections",
    "write_mot_tracks",
    "write_mot_truth",
]
