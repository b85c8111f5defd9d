"""Find which setting is best, and how well it does on videos that played no part in the choice."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from heatprop.maps.detecting import Setting
from heatprop.tuning.measuring import SettingMeasures, summarize

SettingResults = Mapping[Setting, Mapping[str, SettingMeasures]]
"""Setting -> video -> measures of the setting on the video; all settings have the same videos."""
MOST_FOLDS = 10
"""Largest number of folds; more videos than this share folds."""


class Fold(NamedTuple):
    """One part of a cross-validation.

    Attributes:
        videos: The videos that are held out.
        chosen: The best setting on the other videos.
        held_out: Measures of that setting on the held-out videos.
        baseline: Measures of the detector alone on the held-out videos.
    """

    videos: tuple[str, ...]
    chosen: Setting
    held_out: SettingMeasures
    baseline: SettingMeasures


class Advice(NamedTuple):
    """Which setting to use, and how well it does.

    Attributes:
        setting: The best setting on all videos.
        tuned: Measures of that setting on all videos; these flatter it, because it was chosen there.
        baseline: Measures of the detector alone on all videos.
        folds: The cross-validation; empty for one video.
        held_out: Measures over all videos, each with the setting chosen without it; ``None`` for one video.
    """

    setting: Setting
    tuned: SettingMeasures
    baseline: SettingMeasures
    folds: list[Fold]
    held_out: SettingMeasures | None


def advise(results: SettingResults, baseline: Mapping[str, SettingMeasures], *, folds: int = MOST_FOLDS) -> Advice:
    """Choose the best setting and cross-validate the choice over videos.

    Args:
        results: Measures of each setting on each video.
        baseline: Measures of the detector alone on each video.
        folds: Largest number of folds; with fewer videos, each video is a fold of its own (leave one out).

    Returns:
        The setting, its measures, and those on held-out videos.

    Raises:
        ValueError: If there are no results or fewer than 2 folds.

    Examples:
        The best setting on one video is the worst on the other, so the choice is worth nothing on new videos:

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
    """Choose the setting of highest mean precision on some videos; ties go to fewer gaps, then fewer ghosts.

    Args:
        results: Measures of each setting on each video.
        videos: The videos that decide.

    Returns:
        The best setting; the first one in a tie.
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
    """Split videos into folds; every n-th video is in the same fold."""
    if folds < 2:
        raise ValueError(f"folds must be at least 2, got {folds}")
    count = min(folds, len(videos))
    return [tuple(videos[start::count]) for start in range(count)] if count > 1 else []
