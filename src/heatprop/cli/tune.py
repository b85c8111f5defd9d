"""``heatprop tune``: find radius, alpha and beta for somebody's own videos; extras ``cli`` and ``tune``."""

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from heatprop.cli import eval_options as use
from heatprop.cli.propagator_options import PAPER
from heatprop.cli.terminal import make_console, progress, reporting
from heatprop.evaluation.matching import Rule
from heatprop.evaluation.motion import uncovered_pairs
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.whole_files import sweep
from heatprop.maps.detecting import HP, Setting
from heatprop.reports.documents import write_json
from heatprop.tuning.choosing import MOST_FOLDS, Advice, advise
from heatprop.tuning.clips import Clips
from heatprop.tuning.space import RADII
from heatprop.tuning.tables import advice_table, fold_table, sweep_tables, tuning_document

if TYPE_CHECKING:
    from heatprop.tuning.search import Outcome


def tune(
    folder: use.Maps,
    out: Annotated[
        Path, typer.Option(metavar="DIR", help="Folder that keeps the search, to resume it, and tune.json.")
    ],
    trials: Annotated[int, typer.Option(min=1, help="How many settings to try; the first 19 are the paper's.")] = 60,
    folds: Annotated[int, typer.Option(min=2, help="Most parts of the cross-validation.")] = MOST_FOLDS,
    search_nms: Annotated[bool, typer.Option("--search-nms", help="Search the NMS threshold too.")] = False,
    nms_threshold: use.NmsThreshold = PAPER.nms_threshold,
    score_threshold: use.ScoreThreshold = PAPER.score_threshold,
    rule: use.RuleOption = use.RuleName.flat,
    seed: Annotated[int, typer.Option(help="Random seed of the search.")] = 0,
    skip_bad: use.SkipBad = False,
) -> None:
    """Search radius, alpha and beta on saved maps with ground truth, cross-validated over the videos.

    Started again with the same --out, an interrupted search continues where it was.
    """
    base = replace(HP, nms_threshold=nms_threshold, score_threshold=score_threshold)
    sweep(out)
    skipped = Skipped() if skip_bad else None
    with reporting("tune", resume=f"--out {out}"):
        clips = Clips(folder, skipped=skipped)
        outcome = _search(clips, out, trials, rule.rule, base, search_nms, seed)
        advice = advise(outcome.results, outcome.baseline, folds=folds)
        uncovered = uncovered_pairs(clips.displacement, RADII)
        write_json(out / "tune.json", tuning_document(advice, outcome.results, uncovered))
    console = make_console()
    console.print(*sweep_tables(outcome.results, uncovered, base), advice_table(advice, outcome.results, base))
    _print_validation(console, advice)
    if skipped is not None:
        typer.echo(str(skipped), err=True)


def _search(clips: Clips, out: Path, trials: int, rule: Rule, base: Setting, search_nms: bool, seed: int) -> "Outcome":
    from heatprop.tuning.search import search  # it needs Optuna

    with progress("settings", trials) as show:
        return search(
            clips,
            out,
            trials=trials,
            rule=rule,
            base=base,
            search_nms=search_nms,
            seed=seed,
            on_trial=lambda done: show(done, trials),
        )


def _print_validation(console: Console, advice: Advice) -> None:
    if advice.held_out is None:
        console.print("One video: the setting was chosen and measured on it, which flatters it. Add videos.")
        return
    console.print(fold_table(advice))
    gain = 100 * (advice.held_out.precision - advice.baseline.precision)
    console.print(
        f"Held out, tuning brings {gain:+.1f} mAP50 over the detector alone, "
        f"gaps {advice.baseline.gaps} -> {advice.held_out.gaps}, "
        f"ghosts {advice.baseline.ghosts} -> {advice.held_out.ghosts}."
    )
    if gain <= 0:
        console.print("On new videos the recommended setting may bring no precision: look at the gaps, or add videos.")
