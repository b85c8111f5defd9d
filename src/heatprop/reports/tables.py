"""Reports as tables in the terminal, laid out like the paper's: several methods in one cell, separated by a slash."""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from rich.table import Table

from heatprop.maps.table1 import Table1Row
from heatprop.reports.report import RECALLS, Report, TrackedIdentities

Reports = Mapping[str, Report]
"""Method -> its report; one method or several."""


def method_table(
    rows: Sequence[Table1Row], *, network_milliseconds: float = 0, published: Mapping[str, str] = MappingProxyType({})
) -> Table:
    """Make Table 1: methods, mAP50, milliseconds, frames per second, each without and with Seq-NMS.

    Args:
        rows: One row per method.
        network_milliseconds: Time of the network per frame, which is added to each time; 0 leaves it out.
        published: Method -> mAP50 in the paper, for an extra column.

    Returns:
        The table.
    """
    time = "time with the network" if network_milliseconds else "time without the network"
    more = ["the paper (%)"] if published else []
    table = _table(f"Table 1: methods ({time})", "method", "mAP50 (%)", *more, "ms", "FPS")
    for row in rows:
        times = [network_milliseconds + own for own in (row.milliseconds, row.milliseconds_with_seq_nms)]
        precision = _percent(row.alone.mean) + "/" + _percent(row.with_seq_nms.mean)
        speed = "/".join(f"{1000 / one:.0f}" if one else "-" for one in times)
        paper = [published.get(row.method, "-")] if published else []
        table.add_row(f"{row.method}/+Seq-NMS", precision, *paper, "/".join(f"{one:.2f}" for one in times), speed)
    return table


def class_table(reports: Reports, class_names: Mapping[Any, str]) -> Table:
    """Make a table of the average precision of each class and the mean."""
    table = _table(f"Average precision at IoU 0.5, {_heading(reports)}", "class", "AP50 (%)")
    first = next(iter(reports.values()))
    for label in first.average.per_class:
        name = class_names.get(label, str(label))
        table.add_row(name, _join(one.average.per_class[label] for one in reports.values()))
    table.add_section()
    table.add_row("mean", _join(one.average.mean for one in reports.values()))
    return table


def uncovered_table(report: Report) -> Table:
    """Make the second row of Table 2: how many pairs a radius does not cover."""
    hint = "" if report.suggested_radius is None else f" (suggested: {report.suggested_radius})"
    table = _table("Table 2: uncovered pairs", f"P{hint}", *(f"{radius:g}" for radius in report.uncovered))
    table.add_row("pairs (%)", *(_percent(share) for share in report.uncovered.values()))
    return table


def speed_tables(reports: Reports) -> list[Table]:
    """Make Table 3: GT, FN, FP and precision at 75 % and 65 % recall per displacement; and the areas of Fig. 5."""
    areas = _table(f"Displacement, {_heading(reports)}", "motion", "objects", "share (%)", "mAP50 (%)", "area (%)")
    first = next(iter(reports.values()))
    for name, subset in first.displacement.items():
        parts = [report.displacement[name] for report in reports.values()]
        precision = _join(part.average.mean for part in parts)
        area = _join(part.area for part in parts)
        areas.add_row(name, str(subset.objects), _percent(subset.share), precision, area)
    return [areas, *(_reading_table(reports, recall) for recall in RECALLS)]


def motion_iou_table(reports: Reports) -> Table:
    """Make a table of FGFA's split: mAP50 of slow, medium and fast objects."""
    table = _table(f"Motion IoU, {_heading(reports)}", "motion", "objects", "share (%)", "mAP50 (%)")
    for name, subset in next(iter(reports.values())).motion_iou.items():
        values = _join(report.motion_iou[name].average.mean for report in reports.values())
        table.add_row(name, str(subset.objects), _percent(subset.share), values)
    return table


def flicker_table(reports: Reports) -> Table:
    """Make a table of gaps, jitter, delay and ghosts, with a column per method."""
    rows: list[tuple[str, Callable[[Report], str]]] = [
        ("gaps at 50 % recall", lambda one: str(one.at_recall.gaps.number)),
        ("boxes missed in them", lambda one: str(one.at_recall.gaps.missed)),
        ("gaps at score 0.3", lambda one: str(one.at_score.gaps.number)),
        ("boxes missed in them", lambda one: str(one.at_score.gaps.missed)),
        ("score jitter at 50 % recall", lambda one: _number(one.at_recall.score_jitter, 4)),
        ("box jitter, centre (px)", lambda one: _number(one.at_recall.box_jitter.center)),
        ("box jitter, size (px)", lambda one: _number(one.at_recall.box_jitter.size)),
        ("delay at score 0.3 (frames)", lambda one: _number(one.at_score.delay.mean)),
        ("tracks never found at score 0.3", lambda one: str(one.at_score.delay.never)),
        ("ghosts", lambda one: str(one.ghosts.ghosts)),
        ("ghost rate (%)", lambda one: _percent(one.ghosts.rate)),
        ("ghost age, mean (frames)", lambda one: _number(one.ghost_age.mean)),
        ("ghost age, longest (frames)", lambda one: str(one.ghost_age.longest)),
        ("videos below 50 % recall", lambda one: str(one.at_recall.left_out)),
    ]
    table = _table("Flicker", "", *reports)
    for name, read in rows:
        table.add_row(name, *(read(report) for report in reports.values()))
    return table


def identity_table(reports: Reports) -> Table | None:
    """HOTA, IDF1, MOTA and what they are made of: a column per method that has identities; ``None`` without any."""
    tracked = {name: one.identities for name, one in reports.items() if one.identities is not None}
    if not tracked:
        return None
    score = next(iter(tracked.values())).score
    title = "Identities" if score is None else f"Identities, boxes from score {score:g} on"
    rows: list[tuple[str, Callable[[TrackedIdentities], str]]] = [
        ("HOTA (%)", lambda one: _percent(one.hota.hota)),
        ("DetA (%)", lambda one: _percent(one.hota.detection)),
        ("AssA (%)", lambda one: _percent(one.hota.association)),
        ("IDF1 (%)", lambda one: _percent(one.identity.idf1)),
        ("MOTA (%)", lambda one: _percent(one.clear.mota)),
        ("switches", lambda one: str(one.clear.switches)),
        ("fragmentations", lambda one: str(one.clear.fragmentations)),
        ("tracks mostly tracked", lambda one: str(one.clear.mostly_tracked)),
        ("tracks mostly lost", lambda one: str(one.clear.mostly_lost)),
    ]
    table = _table(title, "", *tracked)
    for name, read in rows:
        table.add_row(name, *(read(one) for one in tracked.values()))
    return table


def _reading_table(reports: Reports, recall: float) -> Table:
    title = f"Table 3: {100 * recall:g} % recall, {_heading(reports)}"
    table = _table(title, "motion", "GT", "FN", "FP", "precision (%)")
    for name in next(iter(reports.values())).displacement:
        points = [report.displacement[name].readings.get(recall) for report in reports.values()]
        objects = next(iter(reports.values())).displacement[name].objects
        missed = {str(point.false_negatives) for point in points if point is not None} or {"-"}
        wrong = "/".join("-" if point is None else str(point.false_positives) for point in points)
        precision = "/".join("-" if point is None else _percent(point.precision) for point in points)
        table.add_row(name, str(objects), "/".join(sorted(missed)), wrong, precision)
    return table


def _join(shares: Iterable[float]) -> str:
    return "/".join(_percent(share) for share in shares)


def _heading(reports: Reports) -> str:
    return "/".join(reports)


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table


def _percent(share: float) -> str:
    return _number(100 * share, 1)


def _number(value: float, digits: int = 2) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
