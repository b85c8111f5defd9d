"""Which memory can be trusted: options of HeatmapPropagator on saved maps of real detectors, per clip and together.

Any folder of ``.npz`` files with ground truth serves (``heatprop run --save-maps`` and docs/eval-and-tune.md write
them). Each clip is taken as it is, backwards, and at half the frame rate in both directions, because a setting that
only fits the clips at hand shows itself there. Run from the repository root; it prints the tables of docs/research.md::

    PYTHONPATH=src python tests/benchmarks/study_steady.py --maps ../shared/clips --sweep
"""

import argparse
import itertools
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from measure import table

from heatprop import evaluation
from heatprop.maps.detecting import HP, PER_FRAME, STEADY, Setting, clip_boxes, detect_in_maps, name_classes
from heatprop.maps.saved import SavedMaps, iterate_saved_maps

FLAT = evaluation.Rule(iou_threshold=0.5, small_objects=False, plus_one=False)
RECALL = 0.5
CROWD = 2.0
"""Objects per frame from which a clip is a crowd."""

START = Setting(radius=1, alpha=0.9, beta=5.0, claim_once=True, nms_threshold=0.6)
NAMED = {
    "the paper, NMS 0.3": HP,
    "the paper, NMS 0.6": replace(HP, nms_threshold=0.6),
    "radius 1, alpha 0.9, beta 5": START,
    "steady": STEADY,
}
WITHOUT = {
    "steady": STEADY,
    "identity square": replace(STEADY, identity="square"),
    "average arithmetic, alpha 0.94": replace(STEADY, average="arithmetic", alpha=0.94),
    "claim_once off": replace(STEADY, claim_once=False),
    "velocity off": replace(STEADY, velocity=False),
    "border off": replace(STEADY, border=0.0),
    "radius 1 for all": replace(STEADY, radius_per_size=0.0),
    "radius 2 for all": replace(STEADY, radius=2, radius_per_size=0.0),
    "peak_kernel 5": replace(STEADY, peak_kernel=5),
    "nms_threshold 0.5": replace(STEADY, nms_threshold=0.5),
    "evidence on": replace(STEADY, evidence=True),
    "max_unseen 5": replace(STEADY, max_unseen=5),
    "max_unseen off": replace(STEADY, max_unseen=None),
    "max_length 5": replace(STEADY, max_length=5),
    "beta 5": replace(STEADY, beta=5.0),
    "beta 20": replace(STEADY, beta=20.0),
    "alpha 0.94": replace(STEADY, alpha=0.94),
    "alpha 0.98": replace(STEADY, alpha=0.98),
    "radius_per_size 0.08": replace(STEADY, radius_per_size=0.08),
    "radius_per_size 0.12, max_radius 3": replace(STEADY, radius_per_size=0.12, max_radius=3),
}


class Clip(NamedTuple):
    """A clip, or a clip seen another way."""

    origin: str
    view: str
    maps: SavedMaps
    truth: evaluation.GroundTruth
    crowd: bool


class Measures(NamedTuple):
    """What one setting does on one clip; AP50, precision at 50 % recall and recall at score 0.3 in percent."""

    precision: float
    precision_at_recall: float
    recall: float
    gaps: float
    ghosts: float  # per frame
    jitter: float
    delay: float


def views(maps: SavedMaps) -> Iterator[Clip]:
    """The clip, backwards, and at half the rate in both directions."""
    truth = clip_boxes(name_classes(maps.truth, maps), maps)
    frames = np.arange(len(maps.heatmap))
    crowd = (~truth.ignore).sum() / len(frames) >= CROWD
    orders = {
        "": frames,
        "backwards": frames[::-1],
        "half rate": frames[::2],
        "half rate backwards": frames[1::2][::-1],
    }
    for view, order in orders.items():
        place = np.full(len(frames), -1)
        place[order] = np.arange(len(order))
        kept = truth.select(place[truth.frame] >= 0)
        kept = kept._replace(frame=place[kept.frame])
        arrays = {name: getattr(maps, name)[order] for name in ("heatmap", "offset", "size")}
        yield Clip(maps.name, view, maps._replace(truth=kept, **arrays), kept, bool(crowd))


def measure(clip: Clip, setting: Setting) -> Measures:
    """Propagate a clip's maps and measure what comes out."""
    found = clip_boxes(detect_in_maps(clip.maps, setting), clip.maps)
    curve = evaluation.subset_curves(clip.truth, found, {"all": ~clip.truth.ignore}, rule=FLAT)["all"]
    steady = evaluation.track_hits(clip.truth, found, recall=RECALL, rule=FLAT)
    seen = evaluation.track_hits(clip.truth, found, score=0.3, rule=FLAT)
    ghosts = evaluation.ghost_rate(clip.truth, found, picture_size=clip.maps.input_wh).ghosts
    return Measures(
        precision=100 * evaluation.average_precision(clip.truth, found, rule=FLAT).mean,
        precision_at_recall=100 * evaluation.read_at_recall(curve, RECALL).precision,
        recall=100 * float(seen.hit.mean()),
        gaps=evaluation.gaps(steady).number,
        ghosts=ghosts / len(clip.maps.heatmap),
        jitter=evaluation.score_jitter(steady),
        delay=evaluation.detection_delay(steady).mean,
    )


def per_clip(clips: list[Clip], settings: Mapping[str, Setting]) -> str:
    """Every setting on every clip as it is, beside the per-frame baseline at the same NMS threshold."""
    rows = []
    for clip in clips:
        if clip.view:
            continue
        for name, setting in settings.items():
            base = measure(clip, replace(PER_FRAME, nms_threshold=setting.nms_threshold))
            got = measure(clip, setting)
            rows.append(
                [
                    clip.origin,
                    name,
                    f"{base.precision:.1f}",
                    f"{got.precision:.1f}",
                    f"{got.precision - base.precision:+.1f}",
                ]
            )
            rows[-1] += [f"{before:.{digits}f} -> {after:.{digits}f}" for before, after, digits in _pairs(base, got)]
    header = ["clip", "setting", "AP50 per frame", "with memory", "gain", "precision at 50 % recall", "recall at 0.3"]
    return table([*header, "gaps", "ghosts a frame", "score jitter", "delay"], rows)


def _pairs(base: Measures, got: Measures) -> Iterator[tuple[float, float, int]]:
    yield from zip(base[1:], got[1:], (1, 1, 0, 2, 3, 1), strict=True)


class Summary(NamedTuple):
    """A setting over many clips, against the per-frame baseline at its own NMS threshold."""

    crowd_worst: float
    crowd_mean: float
    others_mean: float
    gaps: float  # ratios over all clips
    jitter: float
    ghosts: float  # difference per frame, mean
    ghosts_worst: float


class Bench:
    """Measures of settings, each clip and setting once."""

    def __init__(self, clips: list[Clip]) -> None:
        self.clips = clips
        self._known: dict[tuple[int, Setting], Measures] = {}

    def of(self, number: int, setting: Setting) -> Measures:
        """Measure a setting on a clip."""
        key = (number, setting)
        if key not in self._known:
            self._known[key] = measure(self.clips[number], setting)
        return self._known[key]

    def summarize(self, setting: Setting, numbers: list[int]) -> Summary:
        """Put clips together."""
        base = replace(PER_FRAME, nms_threshold=setting.nms_threshold)
        before = np.array([self.of(number, base) for number in numbers])
        after = np.array([self.of(number, setting) for number in numbers])
        gain = (after - before)[:, 0]
        crowd = np.array([self.clips[number].crowd for number in numbers])
        known = ~np.isnan(before[:, 5]) & ~np.isnan(after[:, 5])
        ghosts = (after - before)[:, 4]
        return Summary(
            crowd_worst=_or_nan(gain[crowd], np.min),
            crowd_mean=_or_nan(gain[crowd], np.mean),
            others_mean=_or_nan(gain[~crowd], np.mean),
            gaps=float(after[:, 3].sum() / max(before[:, 3].sum(), 1)),
            jitter=float(after[known, 5].sum() / max(before[known, 5].sum(), 1e-9)),
            ghosts=float(ghosts.mean()),
            ghosts_worst=float(ghosts.max()),
        )


def _or_nan(values, function) -> float:
    return float(function(values)) if len(values) else float("nan")


def together(bench: Bench, settings: Mapping[str, Setting], numbers: list[int]) -> str:
    """One row per setting over some clips."""
    rows = []
    for name, setting in settings.items():
        one = bench.summarize(setting, numbers)
        rows.append([name, *(f"{value:+.1f}" for value in one[:3]), *(f"{value:.2f}" for value in one[3:5])])
        rows[-1] += [f"{value:+.2f}" for value in one[5:]]
    header = ["setting", "crowds, worst", "crowds, mean", "others, mean", "gaps, ratio", "jitter, ratio"]
    return table([*header, "ghosts a frame", "ghosts, worst"], rows)


def margin(one: Summary) -> float:
    """How far a setting is on the right side of everything that is asked of it, in units of about one step each."""
    asked = [(one.crowd_worst - 0.5) / 0.5, (one.crowd_mean - 1.2) / 0.5, (one.others_mean - 4.5) / 2]
    asked += [(0.35 - one.gaps) / 0.05, (0.35 - one.jitter) / 0.05, (0.05 - one.ghosts) / 0.05]
    return min(value for value in asked if not np.isnan(value))


def sweep() -> dict[str, Setting]:
    """The settings around the preset that are ranked."""
    choices = itertools.product(
        ("geometric", "arithmetic"), (0.92, 0.94, 0.96), (5.0, 10.0), (0.0, 0.08, 0.1), (True, False), (0.9, 0.0)
    )
    settings = {}
    for average, alpha, beta, share, velocity, border in choices:
        name = f"{average} {alpha:g} {beta:g}, size {share:g}, velocity {velocity}, border {border:g}"
        settings[name] = replace(
            STEADY, average=average, alpha=alpha, beta=beta, radius_per_size=share, velocity=velocity, border=border
        )
    return settings


def cross_validate(bench: Bench, settings: Mapping[str, Setting]) -> str:
    """For each clip: the setting that ranks first on all others, and what it does on this one."""
    rows = []
    for origin in sorted({clip.origin for clip in bench.clips}):
        others = [number for number, clip in enumerate(bench.clips) if clip.origin != origin]
        own = [number for number, clip in enumerate(bench.clips) if clip.origin == origin]
        best = max(settings, key=lambda name: margin(bench.summarize(settings[name], others)))
        chosen, steady = bench.summarize(settings[best], own), bench.summarize(STEADY, own)
        gains = [f"{np.nansum([one.crowd_mean, one.others_mean]):+.1f}" for one in (chosen, steady)]
        rows.append([origin, best, *gains, f"{chosen.ghosts:+.2f}", f"{steady.ghosts:+.2f}"])
    header = ["clip left out", "first on the others", "its gain here", "steady's", "its ghosts a frame", "steady's"]
    return table(header, rows)


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=Path, default=Path("../shared/clips"), help="folder of .npz files")
    parser.add_argument("--sweep", action="store_true", help="rank 144 settings and cross-validate (20 minutes)")
    options = parser.parse_args()
    if not any(options.maps.glob("*.npz")):
        sys.exit(f"nothing measured: {options.maps} holds no saved maps (.npz); name a folder with --maps")
    torch.set_num_threads(1)
    clips = [clip for maps in iterate_saved_maps(options.maps) for clip in views(maps)]
    bench, everything = Bench(clips), list(range(len(clips)))
    as_they_are = [number for number in everything if not clips[number].view]
    print("## Per clip\n\n" + per_clip(clips, NAMED))
    print("\n## Together, as they are\n\n" + together(bench, NAMED, as_they_are))
    print("\n## Together, four views of each\n\n" + together(bench, NAMED, everything))
    print("\n## What each option does (four views)\n\n" + together(bench, WITHOUT, everything))
    if options.sweep:
        settings = sweep()
        ranked = sorted(settings, key=lambda name: -margin(bench.summarize(settings[name], everything)))
        print("\n## The first and the last of a sweep\n")
        print(together(bench, {name: settings[name] for name in ranked[:10] + ranked[-3:]}, everything))
        print("\n## Cross-validated\n\n" + cross_validate(bench, settings))


if __name__ == "__main__":
    main()
