"""``heatprop eval``: the paper's tables on any video; extra ``cli`` (Typer, Rich)."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from heatprop.cli import eval_options as use
from heatprop.cli.propagator_options import PAPER
from heatprop.cli.terminal import make_console, reporting
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.hits import track_hits
from heatprop.evaluation.matching import RuleLike
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.whole_files import replacing, sweep
from heatprop.maps.detecting import STEADY, Setting
from heatprop.maps.saved import iterate_saved_maps
from heatprop.maps.table1 import Comparison, compare_methods, rows_of_table1
from heatprop.reports.documents import table1_document, to_document, write_json
from heatprop.reports.report import GAP_SCORE, Report, evaluate, evaluate_tracks
from heatprop.reports.sources import Material, load_coco, load_mot, load_vid
from heatprop.reports.tables import (
    class_table,
    flicker_table,
    identity_table,
    method_table,
    motion_iou_table,
    speed_tables,
    uncovered_table,
)

eval_app = typer.Typer(no_args_is_help=True, help="Evaluate detections on video: precision, motion, flicker.")


@eval_app.command()
def vid(
    root: Annotated[Path, typer.Option(metavar="DIR", help="The ILSVRC2015 folder; its pictures are not needed.")],
    detections: Annotated[Path, typer.Option(metavar="FILE", help="The devkit's detection file.")],
    frames: Annotated[Path | None, typer.Option(metavar="LIST", help="List of frames; default: all, by name.")] = None,
    split: Annotated[str, typer.Option(help="Folder below Annotations/VID, without --frames.")] = "val",
    rule: use.RuleOption = use.RuleName.vid,
    quantize: use.Quantize = False,
    json: use.Json = None,
    plots: use.Plots = None,
    skip_bad: use.SkipBad = False,
) -> None:
    """Evaluate a detection file on ImageNet VID by the devkit's rule."""
    _protect(json, detections, frames)
    with reporting("eval"):
        skipped = Skipped() if skip_bad else None
        material = load_vid(root, detections, frames=frames, split=split, quantize=quantize, skipped=skipped)
        _report(material, rule.of_subsets, json, plots, skipped)


@eval_app.command()
def mot(
    root: Annotated[Path, typer.Option(metavar="DIR", help="A MOTChallenge sequence, or a folder of them.")],
    detections: Annotated[
        Path | None,
        typer.Option(metavar="PATH", help="Folder of NAME.txt or NAME.jsonl, or one file; default: det/det.txt."),
    ] = None,
    rule: use.RuleOption = use.RuleName.flat,
    quantize: use.Quantize = False,
    track_score: use.TrackScore = None,
    json: use.Json = None,
    plots: use.Plots = None,
    skip_bad: use.SkipBad = False,
) -> None:
    """Evaluate detections or a tracker's results on MOTChallenge sequences."""
    _protect(json, detections)
    with reporting("eval"):
        skipped = Skipped() if skip_bad else None
        material = load_mot(root, detections, quantize=quantize, skipped=skipped)
        _report(material, rule.of_subsets, json, plots, skipped, track_score=track_score)


@eval_app.command()
def coco(
    annotations: Annotated[Path, typer.Option(metavar="FILE", help="COCO or COCO-video annotations.")],
    detections: Annotated[Path, typer.Option(metavar="FILE", help="COCO's results format.")],
    rule: use.RuleOption = use.RuleName.coco,
    quantize: use.Quantize = False,
    json: use.Json = None,
    plots: use.Plots = None,
    skip_bad: use.SkipBad = False,
) -> None:
    """Evaluate COCO results at IoU 0.5, with motion and flicker where the annotations have videos."""
    _protect(json, annotations, detections)
    with reporting("eval"):
        skipped = Skipped() if skip_bad else None
        material = load_coco(annotations, detections, quantize=quantize, skipped=skipped)
        _report(material, rule.of_subsets, json, plots, skipped)


@eval_app.command()
def maps(
    context: typer.Context,
    folder: use.Maps,
    steady: use.Steady = False,
    radius: use.Radius = PAPER.radius,
    alpha: use.Alpha = PAPER.alpha,
    beta: use.Beta = PAPER.beta,
    nms_threshold: use.NmsThreshold = PAPER.nms_threshold,
    score_threshold: use.ScoreThreshold = PAPER.score_threshold,
    rule: use.RuleOption = use.RuleName.flat,
    track_score: use.MapsTrackScore = GAP_SCORE,
    json: use.Json = None,
    plots: use.Plots = None,
    skip_bad: use.SkipBad = False,
) -> None:
    """Propagate saved maps and compare: per frame, interpolation, HP, each with and without Seq-NMS."""
    with reporting("eval"):
        skipped = Skipped() if skip_bad else None
        named = {
            "radius": radius,
            "alpha": alpha,
            "beta": beta,
            "nms_threshold": nms_threshold,
            "score_threshold": score_threshold,
        }
        setting = _propagation(context, named, steady=steady)
        comparison = compare_methods(iterate_saved_maps(folder, skipped=skipped), propagation=setting)
        rows, reports = rows_of_table1(comparison, rule=rule.rule), _compare(comparison, rule.of_subsets, track_score)
        shown = {name: reports[name] for name in ("per frame", "HP")}
        options = {name: "inf" if value == math.inf else value for name, value in asdict(setting).items()}
        document = {**to_document(reports["HP"], {}), "table1": table1_document(rows), "setting": options}
        document |= {"per_frame": to_document(reports["per frame"], {})}
        document |= {"interpolation": to_document(reports["interpolation"], {})}
        _write(document, json, skipped)
        if plots:
            _draw(plots, reports, comparison.truth, {name: comparison.predictions[name] for name in shown}, rule.rule)
        console = make_console()
        console.print(method_table(rows))
        _print(console, shown, {})


def _protect(json: Path | None, *inputs: Path | None) -> None:
    """Refuse to replace an input by the figures."""
    if json is not None:
        for path in inputs:
            if path is not None and path.exists() and json.exists() and path.samefile(json):
                raise typer.BadParameter(f"{json} is read, and would be replaced; choose another file")
        sweep(json.parent, spare=[path for path in inputs if path is not None])


def _propagation(context: typer.Context, named: Mapping[str, Any], *, steady: bool) -> Setting:
    """The paper's options with those of the command line; or the preset with those that were given."""
    if not steady:
        return Setting(**named)
    sources = {name: context.get_parameter_source(name) for name in named}
    given = {name: named[name] for name, source in sources.items() if source is not None and source.name != "DEFAULT"}
    return replace(STEADY, max_radius=max(STEADY.max_radius, given.get("radius", 0)), **given)


def _compare(comparison: Comparison, rule: RuleLike, track_score: float) -> dict[str, Report]:
    truth, moved, sizes = comparison.truth, comparison.displacement, comparison.picture_size
    reports = {}
    for name, found in comparison.predictions.items():
        report, track = evaluate(truth, found, moved, rule=rule, picture_size=sizes), comparison.tracks[name]
        if (track >= 0).any():
            report = report._replace(identities=evaluate_tracks(truth, found, track, score=track_score))
        reports[name] = report
    return reports


def _report(
    material: Material,
    rule: RuleLike,
    json: Path | None,
    plots: Path | None,
    skipped: Skipped | None,
    *,
    track_score: float | None = None,
) -> None:
    truth, predictions, moved, sizes, names, track = material
    report, note = evaluate(truth, predictions, moved, rule=rule, picture_size=sizes), ""
    if track is not None:
        try:
            report = report._replace(identities=evaluate_tracks(truth, predictions, track, score=track_score))
        except ValueError as problem:  # numbers in that column need not be identities; the other figures stand
            note = f"nothing is said about identities: {problem}"
    reports = {"detections": report}
    _write(to_document(report, names), json, skipped)
    if plots:
        _draw(plots, reports, truth, {"detections": predictions}, rule)
    console = make_console()
    _print(console, reports, names)  # last: whoever reads may go away
    if note:
        console.print(note, markup=False)


def _print(console: Console, reports: Mapping[str, Report], names: Mapping[Any, str]) -> None:
    last = list(reports.values())[-1]
    console.print(class_table(reports, names))
    if last.average.without_ground_truth:
        without = ", ".join(names.get(label, str(label)) for label in last.average.without_ground_truth)
        console.print(f"without ground truth, not in the mean: {without}", markup=False)
    if last.suggested_radius is None:
        console.print("no object is annotated in two frames one after the other: nothing to say about displacement")
    else:
        console.print(uncovered_table(last), *speed_tables(reports))
        console.print(motion_iou_table(reports))
    console.print(flicker_table(reports))
    if (identities := identity_table(reports)) is not None:
        console.print(identities)


def _write(document: Mapping[str, Any], json: Path | None, skipped: Skipped | None) -> None:
    if skipped is not None:
        typer.echo(str(skipped), err=True)
        document = {**document, "skipped": skipped.count}
    if json:
        write_json(json, document)


def _draw(
    folder: Path, reports: Mapping[str, Report], truth: GroundTruth, found: Mapping[str, Predictions], rule: RuleLike
) -> None:
    from heatprop.plots.curves import draw_curves, draw_scores  # they need matplotlib

    hits = {name: track_hits(truth, one, score=-math.inf, rule=rule) for name, one in found.items()}
    curves = {name: report.curves for name, report in reports.items()}
    for name, figure in (("scores", draw_scores(hits)), ("curves", draw_curves(curves))):
        with replacing(folder / f"{name}.png", "wb") as file:
            figure.savefig(file, format="png", dpi=120)
