"""Which setting is best, and what it is worth on videos that had no say in the choice."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from heatprop.maps.detecting import Setting
from heatprop.tuning.measuring import SettingMeasures, summarize

SettingResults = Mapping[Setting, Mapping[str, SettingMeasures]]
"""Setting -> video -> what it does there; all settings on the same videos."""
MOST_FOLDS = 10
"""More videos than this share folds."""


class Fold(NamedTuple):
    """One part of a cross-validation.

    Attributes:
        videos: Those held out.
        chosen: Best setting on the others.
        held_out: What that does on those held out.
        baseline: What the detector alone does there.
    """

    videos: tuple[str, ...]
    chosen: Setting
    held_out: SettingMeasures
    baseline: SettingMeasures


class Advice(NamedTuple):
    """What to use and what it brings.

    Attributes:
        setting: Best on all videos.
        tuned: What it does on them: flattering, since it was chosen there.
        baseline: What the detector alone does on them.
        folds: The cross-validation; empty for one video.
        held_out: What settings chosen without a video do on it, over all videos; ``None`` for one video.
    """

    setting: Setting
    tuned: SettingMeasures
    baseline: SettingMeasures
    folds: list[Fold]
    held_out: SettingMeasures | None


def advise(results: SettingResults, baseline: Mapping[str, SettingMeasures], *, folds: int = MOST_FOLDS) -> Advice:
    """Choose the best setting and cross-validate the choice over videos.

    Args:
        results: What each setting does on each video.
        baseline: What the detector alone does on each.
        folds: How many parts at most; with fewer videos each is a part of its own (leave one out).

    Returns:
        The setting, its measures and those held out.

    Raises:
        ValueError: If there are no results or fewer than 2 folds.

    Examples:
        What is best on one video is worst on the other, so that the choice is worth nothing on new ones:

        >>> a, b = Setting(radius=1), Setting(radius=2)
        >>> good, bad = SettingMeasures(0.9, 0, 0, 0, 9, 0.1), SettingMeasures(0.4, 0, 0, 0, 9, 0.1)
        >>> advice = advise({a: {"x": good, "y": bad}, b: {"x": bad, "y": good}}, {"x": bad, "y": bad})
        >>> [fold.chosen.radius for fold in advice.folds], advice.held_out.precision
        ([2, 1], 0.4)
    """
    if not results:
        raise ValueError("results must hold at least one setting, got none")
    videos = sorted(baseline)
    parts = _split(videos, folds)
    done = [_fold(results, baseline, part, [video for video in videos if video not in part]) for part in parts]
    best = choose(results, videos)
    held_out = [results[fold.chosen][video] for fold in done for video in fold.videos]
    return Advice(
        setting=best,
        tuned=summarize([results[best][video] for video in videos]),
        baseline=summarize([baseline[video] for video in videos]),
        folds=done,
        held_out=summarize(held_out) if held_out else None,
    )


def choose(results: SettingResults, videos: Sequence[str]) -> Setting:
    """Take the setting of the highest mean precision on some videos; of equals: fewer gaps, then fewer ghosts.

    Args:
        results: What each setting does on each video.
        videos: Those that have a say.

    Returns:
        The best; the first one in a tie.
    """

    def worth(setting: Setting) -> tuple[float, int, int]:
        total = summarize([results[setting][video] for video in videos])
        return (round(total.precision, 9), -total.gaps, -total.ghosts)

    return max(results, key=worth)


def _fold(
    results: SettingResults, baseline: Mapping[str, SettingMeasures], part: tuple[str, ...], others: list[str]
) -> Fold:
    chosen = choose(results, others)
    held_out = summarize([results[chosen][video] for video in part])
    return Fold(part, chosen, held_out, summarize([baseline[video] for video in part]))


def _split(videos: Sequence[str], folds: int) -> list[tuple[str, ...]]:
    """Every n-th video is in the same part."""
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    count = min(folds, len(videos))
    return [tuple(videos[start::count]) for start in range(count)] if count > 1 else []
