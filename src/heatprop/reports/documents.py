"""Write reports as JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from os import PathLike
from typing import Any

from heatprop.formats.whole_files import replacing
from heatprop.maps.table1 import Table1Row
from heatprop.reports.report import Report, SubsetReport, TrackedIdentities, TrackFlicker


def to_document(report: Report, class_names: Mapping[Any, str]) -> dict[str, Any]:
    """Convert a report to plain numbers, lists and dicts.

    Args:
        report: The report.
        class_names: Label -> name; other classes are called by their label.

    Returns:
        ``mAP50``, ``per_class``, ``without_ground_truth``, ``displacement``, ``motion_iou``, ``flicker`` and
        ``identities``. Shares and precisions are in [0, 1]; undefined values are ``None``.
    """
    average = report.average
    document = {
        "mAP50": average.mean,
        "per_class": {class_names.get(label, str(label)): value for label, value in average.per_class.items()},
        "without_ground_truth": [class_names.get(label, str(label)) for label in average.without_ground_truth],
        "displacement": {
            **{name: _subset(one) for name, one in report.displacement.items()},
            "uncovered": {str(radius): share for radius, share in report.uncovered.items()},
            "suggested_radius": report.suggested_radius,
        },
        "motion_iou": {name: _subset(one) for name, one in report.motion_iou.items()},
        "flicker": {
            "at_recall_50": _flicker(report.at_recall),
            "at_score_30": _flicker(report.at_score),
            "ghosts": report.ghosts._asdict(),
            "ghost_age": {"mean": report.ghost_age.mean, "longest": report.ghost_age.longest},
        },
        "identities": None if report.identities is None else _identities(report.identities),
    }
    return {key: _defined(value) for key, value in document.items()}


def table1_document(rows: Sequence[Table1Row]) -> list[dict[str, Any]]:
    """Convert the rows of Table 1 to plain numbers.

    Args:
        rows: The rows, from `table1`.

    Returns:
        A dict per method.
    """
    return [
        {
            "method": row.method,
            "mAP50": _defined(row.alone.mean),
            "mAP50_seq_nms": _defined(row.with_seq_nms.mean),
            "milliseconds": row.milliseconds,
            "milliseconds_seq_nms": row.milliseconds_with_seq_nms,
        }
        for row in rows
    ]


def write_json(path: str | PathLike[str], document: Mapping[str, Any]) -> None:
    """Write a document as JSON; it is moved to its place once it is complete.

    Args:
        path: File to write.
        document: The document; NaN is not allowed.
    """
    with replacing(path) as file:
        json.dump(document, file, indent=2, allow_nan=False)
        file.write("\n")


def _subset(one: SubsetReport) -> dict[str, Any]:
    document: dict[str, Any] = {"objects": one.objects, "share": one.share, "mAP50": one.average.mean}
    if one.curve is not None:
        document["area"] = one.area
        document["readings"] = {f"{at:g}": point and point._asdict() for at, point in one.readings.items()}
    return document


def _flicker(one: TrackFlicker) -> dict[str, Any]:
    return {
        "gaps": {"number": one.gaps.number, "missed": one.gaps.missed, "longest": one.gaps.longest},
        "score_jitter": one.score_jitter,
        "box_jitter": one.box_jitter._asdict(),
        "delay": one.delay._asdict(),
        "videos_left_out": one.left_out,
    }


def _identities(tracked: TrackedIdentities) -> dict[str, Any]:
    hota, clear, identity = tracked.hota, tracked.clear, tracked.identity
    return {
        "score": tracked.score,
        "HOTA": hota.hota,
        "DetA": hota.detection,
        "AssA": hota.association,
        "IDF1": identity.idf1,
        "IDP": identity.precision,
        "IDR": identity.recall,
        "MOTA": clear.mota,
        **{name: value for name, value in clear._asdict().items() if name != "mota"},
    }


def _defined(value: Any) -> Any:
    """Replace NaN and infinity by ``None``, because JSON has neither."""
    if isinstance(value, dict):
        return {key: _defined(one) for key, one in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value
