"""The reports of ``heatprop eval``: reading, computing and JSON documents; the tables are in `tables` (Rich)."""

from heatprop.reports.documents import table1_document, to_document, write_json
from heatprop.reports.report import Report, SubsetReport, TrackedIdentities, TrackFlicker, evaluate, evaluate_tracks
from heatprop.reports.sources import Material, load_coco, load_mot, load_vid

__all__ = [
    "Material",
    "Report",
    "SubsetReport",
    "TrackFlicker",
    "TrackedIdentities",
    "evaluate",
    "evaluate_tracks",
    "load_coco",
    "load_mot",
    "load_vid",
    "table1_document",
    "to_document",
    "write_json",
]
