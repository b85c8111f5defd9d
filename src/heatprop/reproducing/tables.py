"""The paper's tables of a reproduction, with the paper's own figures beside them."""

import math
from collections.abc import Mapping, Sequence

from rich.table import Table

from heatprop.evaluation.curves import area_under_curve
from heatprop.maps.detecting import HP
from heatprop.reports.tables import (
    class_table,
    flicker_table,
    method_table,
    motion_iou_table,
    speed_tables,
)
from heatprop.reproducing import paper
from heatprop.reproducing.results import ReproducedResults
from heatprop.reproducing.runs import CURVES, name_of
from heatprop.tuning.space import SWEEPS
from heatprop.tuning.tables import SWEEP_TITLES

_MOTIONS = ("slow", "median", "fast")


def paper_tables(results: ReproducedResults, class_names: Mapping[int, str]) -> list[Table]:
    """Make all tables in the paper's order, then those of classes, FGFA's split and flicker.

    Args:
        results: The results.
        class_names: Class id -> name.

    Returns:
        Tables for the terminal, or for `to_markdown`.
    """
    shown = {name: results.reports[name] for name in ("per frame", "HP")}
    areas, *readings = speed_tables(shown)
    return [
        method_table(results.methods, network_milliseconds=results.network_milliseconds, published=paper.TABLE_1),
        _sweep_table("radius", results),
        *readings,
        _published_table_3(),
        _sweep_table("alpha", results),
        _sweep_table("beta", results),
        _curve_table(results),
        areas,
        motion_iou_table(shown),
        class_table(results.reports, class_names),
        flicker_table(results.reports),
    ]


def _curve_table(results: ReproducedResults) -> Table:
    """Make a table of Fig. 5's legends: average precision of each run by motion, next to the paper's.

    Args:
        results: The results.

    Returns:
        A table with a row per run.
    """
    table = _table("Fig. 5: area under the curves (%), and the paper's", "", *_MOTIONS)
    for name in CURVES:
        cells = []
        for motion in _MOTIONS:
            curve = results.curves[name].get(motion)
            area = math.nan if curve is None else 100 * area_under_curve(curve)
            cells.append(f"{_number(area)} ({_number(paper.AREAS[motion].get(name, math.nan))})")
        table.add_row(name, *cells)
    return table


def _published_table_3() -> Table:
    """Make a table of the precisions in the paper's Table 3."""
    table = _table("Table 3 in the paper: precision (%), per frame/HP", "recall", *paper.PRECISION[0.75])
    for recall, row in paper.PRECISION.items():
        table.add_row(f"{100 * recall:g} %", *row.values())
    return table


def to_markdown(table: Table) -> str:
    """Convert a table to Markdown, with its title above it.

    Args:
        table: A table from this module or `heatprop.reports.tables`.

    Returns:
        The Markdown text.

    Examples:
        >>> table = Table("method", "mAP50 (%)", title="Table 1")
        >>> table.add_row("HP", "76.7")
        >>> print(to_markdown(table))
        **Table 1**
        <BLANKLINE>
        | method | mAP50 (%) |
        | --- | --- |
        | HP | 76.7 |
    """
    rows: Sequence[Sequence[str]] = list(
        zip(*([str(cell) for cell in one.cells] for one in table.columns), strict=True)
    )
    marks = ["---:" if column.justify == "right" else "---" for column in table.columns]
    lines = [[str(column.header) for column in table.columns], marks, *rows]
    body = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    return f"**{table.title}**\n\n{body}"


def _sweep_table(option: str, results: ReproducedResults) -> Table:
    values = SWEEPS[option]
    stars = ["*" if value == getattr(HP, option) else "" for value in values]
    names = [f"{value:g}{star}" for value, star in zip(values, stars, strict=True)]
    table = _table(SWEEP_TITLES[option], f"{option} (default *)", *names)
    if option == "radius":
        table.add_row("uncovered pairs (%)", *(_number(100 * results.uncovered[value], 2) for value in values))
        table.add_row("uncovered in the paper (%)", *(f"{paper.UNCOVERED[value]:g}" for value in values))
    table.add_row("mAP50 (%)", *(_number(100 * results.precision[name_of(option, value)]) for value in values))
    table.add_row("mAP50 in the paper (%)", *(f"{paper.SWEEPS[option][value]:.1f}" for value in values))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for place, name in enumerate(columns):
        table.add_column(name, justify="left" if place == 0 else "right", no_wrap=place > 0)
    return table


def _number(value: float, digits: int = 1) -> str:
    return "-" if math.isnan(value) else f"{value:.{digits}f}"
