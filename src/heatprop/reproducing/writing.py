"""The files of a reproduction: ``report.json``, ``report.md`` and, with matplotlib, the paper's figures."""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from heatprop.evaluation.hits import TrackHits
from heatprop.evaluation.tracks import order_tracks
from heatprop.formats.whole_files import replacing
from heatprop.reports.documents import table1_document, to_document, write_json
from heatprop.reproducing import paper
from heatprop.reproducing.plan import Plan
from heatprop.reproducing.results import ReproducedResults
from heatprop.reproducing.tables import to_markdown


def report_document(
    results: ReproducedResults, class_names: Mapping[int, str], stamp: Mapping[str, Any]
) -> dict[str, Any]:
    """Convert all results to plain numbers for JSON.

    Args:
        results: The results.
        class_names: Class id -> name.
        stamp: What the files are made from.

    Returns:
        ``table1``, ``mAP50`` (run -> precision), ``uncovered``, the report of each method, times and counts.
    """
    return {
        "made_from": dict(stamp),
        "frames": results.frames,
        "network_milliseconds": results.network_milliseconds,
        "table1": table1_document(results.methods),
        "mAP50": {name: _defined(value) for name, value in results.precision.items()},
        "uncovered": {str(radius): _defined(share) for radius, share in results.uncovered.items()},
        "methods": {name: to_document(report, class_names) for name, report in results.reports.items()},
        "pictures_skipped": results.unread,
    }


def write_report(out: Path, document: Mapping[str, Any], tables: list[Table], heading: str) -> list[Path]:
    """Write the results as JSON and as Markdown.

    Args:
        out: Output folder.
        document: The results, from `report_document`.
        tables: Tables for the Markdown file.
        heading: Heading above the tables.

    Returns:
        Paths of the files.
    """
    write_json(out / "report.json", document)
    with replacing(out / "report.md") as file:
        file.write("\n\n".join([heading, *(to_markdown(table) for table in tables)]) + "\n")
    return [out / "report.json", out / "report.md"]


def draw_figures(plan: Plan, results: ReproducedResults) -> list[Path]:
    """Draw the paper's Figs. 4 and 5.

    Args:
        plan: The plan: the output folder, and whether the two videos of Fig. 4 are listed.
        results: The results.

    Returns:
        Paths of the files; empty if matplotlib is not installed.
    """
    try:
        from heatprop.plots.curves import draw_curves, draw_scores
    except ImportError:
        return []
    paths = [plan.out / "scores.png", plan.out / "curves.png"]
    figures = (draw_scores(_hits_of_figure_4(plan, results)), draw_curves(results.curves))
    for path, figure in zip(paths, figures, strict=True):
        with replacing(path, "wb") as file:
            figure.savefig(file, format="png", dpi=120)
    return paths


def _hits_of_figure_4(plan: Plan, results: ReproducedResults) -> dict[str, TrackHits]:
    """Select the scores of the objects in the paper's two videos, or of all objects if these are not listed."""
    places = [place for place, name in enumerate(plan.frames.videos) if name in paper.CLIPS]
    if not places:
        return results.hits
    rows = np.isin(results.truth.video[order_tracks(results.truth).rows], places)
    columns = ("track", "frame", "hit", "score", "box", "truth_box")
    return {
        name: one._replace(**{column: getattr(one, column)[rows] for column in columns})
        for name, one in results.hits.items()
    }


def _defined(value: float) -> float | None:
    """Replace NaN by ``None``, because JSON has no NaN."""
    return None if math.isnan(value) else value
