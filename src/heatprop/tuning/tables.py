"""Show the sweeps as the paper's Tables 2, 4 and 5, and the advice with its cost, in the terminal and as JSON."""

import math
from collections.abc import Callable, Mapping
from typing import Any

from rich.table import Table

from heatprop.maps.detecting import HP, Setting
from heatprop.tuning.choosing import Advice, SettingResults
from heatprop.tuning.measuring import SettingMeasures, summarize
from heatprop.tuning.space import SWEEPS, sweep

SWEEP_TITLES = {"radius": "Table 2: P", "alpha": "Table 4: alpha", "beta": "Table 5: beta"}


def sweep_tables(results: SettingResults, uncovered: Mapping[float, float], base: Setting = HP) -> list[Table]:
    """Make Tables 2, 4 and 5: one option varies, and the others keep the paper's defaults.

    Args:
        results: Measures of each setting on each video.
        uncovered: Radius -> share of uncovered pairs, from `uncovered_pairs`.
        base: The defaults.

    Returns:
        A table per option, with "-" where a setting was not tried.
    """
    tables = []
    for name in SWEEPS:
        settings = sweep(name, base)
        table = Table(title=SWEEP_TITLES[name], title_justify="left")
        table.add_column(f"{name} (default *)")
        for value in settings:
            star = "*" if value == getattr(base, name) else ""
            table.add_column(f"{value:g}{star}", justify="right", no_wrap=True)
        if name == "radius":
            table.add_row("uncovered pairs (%)", *(_percent(uncovered.get(value, math.nan)) for value in settings))
        totals = [summarize(list(results[one].values())) if one in results else None for one in settings.values()]
        for title, show in _ROWS[:3]:
            table.add_row(title, *("-" if total is None else show(total) for total in totals))
        tables.append(table)
    return tables


def advice_table(advice: Advice, results: SettingResults, base: Setting = HP) -> Table:
    """Compare the recommended setting with the detector alone and the defaults.

    Args:
        advice: The advice, from `advise`.
        results: Measures of each setting on each video.
        base: The defaults.

    Returns:
        The table; its column "held out" measures each video with the setting chosen without it.
    """
    columns: dict[str, SettingMeasures] = {"detector alone": advice.baseline}
    if base in results:
        columns["the paper's defaults"] = summarize(list(results[base].values()))
    columns["recommended"] = advice.tuned
    if advice.held_out is not None:
        columns["held out"] = advice.held_out
    table = Table(title=f"Recommended: {_describe_setting(advice.setting)}", title_justify="left")
    table.add_column("")
    for name in columns:
        table.add_column(name, justify="right")
    for title, show in _ROWS:
        table.add_row(title, *(show(one) for one in columns.values()))
    return table


def fold_table(advice: Advice) -> Table:
    """Show which setting was chosen without each video, and how well it does there."""
    table = Table(title="Cross-validation over videos", title_justify="left")
    for name in ("held out", "chosen on the others", "mAP50 (%)", "gain", "gaps", "ghosts"):
        table.add_column(name, justify="left" if name in ("held out", "chosen on the others") else "right")
    for fold in advice.folds:
        before, after = fold.baseline, fold.held_out
        table.add_row(
            ", ".join(fold.videos),
            _describe_setting(fold.chosen),
            f"{_percent(before.precision)} -> {_percent(after.precision)}",
            f"{100 * (after.precision - before.precision):+.1f}",
            f"{before.gaps} -> {after.gaps}",
            f"{before.ghosts} -> {after.ghosts}",
        )
    return table


def _describe_setting(setting: Setting) -> str:
    """Name the searched options of a setting.

    Args:
        setting: The setting.

    Returns:
        The options, written as the arguments of a call.

    Examples:
        >>> _describe_setting(Setting(radius=1, beta=1.0))
        'radius=1, alpha=0.98, beta=1, nms_threshold=0.3'
    """
    names = ("radius", "alpha", "beta", "nms_threshold")
    return ", ".join(f"{name}={getattr(setting, name):g}" for name in names)


def tuning_document(advice: Advice, results: SettingResults, uncovered: Mapping[float, float]) -> dict[str, Any]:
    """Convert everything to plain numbers for JSON.

    Args:
        advice: The advice, from `advise`.
        results: Measures of each setting on each video.
        uncovered: Radius -> share of uncovered pairs.

    Returns:
        ``recommended``, ``baseline``, ``tuned``, ``held_out``, ``folds``, ``uncovered`` and ``settings``.
    """
    return {
        "recommended": _options(advice.setting),
        "baseline": _numbers(advice.baseline),
        "tuned": _numbers(advice.tuned),
        "held_out": advice.held_out and _numbers(advice.held_out),
        "folds": [
            {
                "videos": list(fold.videos),
                "chosen": _options(fold.chosen),
                "held_out": _numbers(fold.held_out),
                "baseline": _numbers(fold.baseline),
            }
            for fold in advice.folds
        ],
        "uncovered": {str(radius): None if math.isnan(share) else share for radius, share in uncovered.items()},
        "settings": [{**_options(one), **_numbers(summarize(list(results[one].values())))} for one in results],
    }


_ROWS: list[tuple[str, Callable[[SettingMeasures], str]]] = [
    ("mAP50 (%)", lambda one: _percent(one.precision)),
    ("gaps at score 0.3", lambda one: str(one.gaps)),
    ("ghosts at score 0.3", lambda one: str(one.ghosts)),
    ("boxes missed in gaps", lambda one: str(one.missed)),
    ("score jitter", lambda one: "-" if math.isnan(one.jitter) else f"{one.jitter:.4f}"),
]


def _options(setting: Setting) -> dict[str, float]:
    return {name: getattr(setting, name) for name in ("radius", "alpha", "beta", "nms_threshold")}


def _numbers(one: SettingMeasures) -> dict[str, float | None]:
    numbers = {"mAP50" if name == "precision" else name: value for name, value in one._asdict().items()}
    return {name: None if math.isnan(value) else value for name, value in numbers.items()}


def _percent(share: float) -> str:
    return "-" if math.isnan(share) else f"{100 * share:.1f}"
