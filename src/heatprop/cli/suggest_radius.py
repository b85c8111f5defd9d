"""``heatprop suggest-radius``: how far objects move in somebody's own videos, annotated or not; extra ``cli``."""

from dataclasses import replace
from typing import Annotated, NamedTuple

import numpy as np
import typer
from rich.table import Table

from heatprop.cli import eval_options as use
from heatprop.cli.terminal import make_console, reporting
from heatprop.evaluation.column_checks import FloatArray
from heatprop.evaluation.motion import displacement, suggest_radius, uncovered_pairs
from heatprop.evaluation.tracked_motion import SURE
from heatprop.formats.bad_rows import Skipped
from heatprop.maps.following import FOLLOW, displacement_in_maps
from heatprop.maps.saved import iterate_saved_maps

FEW = 50
"""Pairs below which a suggestion hangs on single objects."""


class Moved(NamedTuple):
    """How far objects moved in a video, in cells, NaN where it is not known.

    Attributes:
        video: Its name.
        followed: As a propagator follows them, shape ``(n,)``.
        annotated: From ground truth, shape ``(m,)``; nothing where there is none.
    """

    video: str
    followed: FloatArray
    annotated: FloatArray


def suggest_radius_for(
    folder: use.Maps,
    radius: Annotated[int, typer.Option(min=1, max=64, help="How far objects are followed, in cells.")] = FOLLOW.radius,
    score: Annotated[
        float, typer.Option(min=0, max=1, help="Network score from which a detection is followed.")
    ] = SURE,
    uncovered: Annotated[
        float, typer.Option(min=0, max=1, help="Share of pairs that may move farther than the radius.")
    ] = 0.05,
    skip_bad: use.SkipBad = False,
) -> None:
    """Follow objects in saved maps and say which radius covers their motion; no ground truth is needed."""
    skipped = Skipped() if skip_bad else None
    setting = replace(FOLLOW, radius=radius)
    with reporting("suggest-radius"):
        moved = [
            Moved(
                maps.name,
                displacement_in_maps(maps, setting=setting, score=score),
                displacement(maps.truth, stride=maps.stride),
            )
            for maps in iterate_saved_maps(folder, skipped=skipped)
        ]
    followed = np.concatenate([np.zeros(0), *(one.followed for one in moved)])
    annotated = np.concatenate([np.zeros(0), *(one.annotated for one in moved)])
    console = make_console()
    console.print(motion_table([*moved, Moved("all", followed, annotated)], uncovered=uncovered))
    console.print(advice(followed, radius=radius, uncovered=uncovered))
    if skipped is not None:
        typer.echo(str(skipped), err=True)


def motion_table(rows: list[Moved], *, uncovered: float) -> Table:
    """Show Table 2's second row for each video, and what it suggests.

    Args:
        rows: The videos.
        uncovered: Largest share of pairs that may move farther, in [0, 1].

    Returns:
        The table.
    """
    table = Table(title="Pairs that move farther than a radius (%)", title_justify="left")
    table.add_column("")
    for name in ("pairs", *map(str, range(7)), "suggested", "from ground truth"):
        table.add_column(name, justify="right", no_wrap=True)
    for video, followed, annotated in rows:
        shares = uncovered_pairs(followed, range(7)).values()
        table.add_row(
            video,
            str(_pairs(followed)),
            *("-" if np.isnan(share) else f"{100 * share:.1f}" for share in shares),
            *(str(suggest_radius(one, uncovered=uncovered)) if _pairs(one) else "-" for one in (followed, annotated)),
        )
    return table


def advice(followed: FloatArray, *, radius: int, uncovered: float) -> str:
    """Say what to do with the suggestion for all videos together.

    Args:
        followed: Displacements, in cells, shape ``(n,)``.
        radius: How far objects were followed, in cells.
        uncovered: Largest share of pairs that may move farther, in [0, 1].

    Returns:
        One or two sentences.
    """
    count = _pairs(followed)
    if not count:
        return "No object was seen in two frames one after the other: try a lower --score."
    suggested = suggest_radius(followed, uncovered=uncovered)
    text = f"Suggested: --radius {suggested}, which covers all but {100 * uncovered:g} % of the motions that were seen."
    if suggested >= radius:
        return f"{text} Objects were followed only that far: look again with --radius {2 * radius}."
    return f"{text} These are few pairs; take a longer video." if count < FEW else text


def _pairs(moved: FloatArray) -> int:
    return int((~np.isnan(moved)).sum())
