"""The paper's Figs. 4 and 5 of evaluated detections; extra ``plots`` (matplotlib, without pyplot)."""

from collections.abc import Iterable, Mapping
from itertools import count

import numpy as np
from numpy.typing import ArrayLike

from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.evaluation.curves import Curve, area_under_curve
from heatprop.evaluation.hits import TrackHits

try:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
except ImportError as error:
    raise ImportError(
        f"heatprop.plots.curves needs matplotlib ({error}): pip install 'heatprop[plots]'", name=error.name
    ) from error

_COLORS = ("#4d4d4d", "#0072b2", "#e69f00", "#009e73", "#56b4e9", "#d55e00", "#cc79a7", "#000000")  # Okabe and Ito
_LINES = ("--", "-", "-.", ":")
PLACES = {"per frame": 0, "HP": 1, "interpolation": 2}
"""Methods that look the same in all pictures; others get what is left."""
_ZOOM = 0.25
"""The lower row of Fig. 5 shows the curves around this share of their axes."""

POINTS = 5000
"""A curve is drawn through every n-th of its points, so that about so many are left."""


def draw_scores(hits: Mapping[str, TrackHits], *, tracks: int = 4) -> Figure:
    """Draw the scores of single objects over the frames (Fig. 4): those that flicker most by the first method.

    Args:
        hits: Method -> where each track was found, at a threshold below all scores; the same tracks in all.
        tracks: How many objects.

    Returns:
        A picture with one row per object; a frame without a detection of it counts as score 0.
    """
    first = next(iter(hits.values()))
    chosen = _most_flickering(first.track, np.nan_to_num(first.score))[:tracks]
    figure, styles = Figure(figsize=(8, 2.2 * max(len(chosen), 1)), layout="constrained"), _styles(hits)
    for place, track in enumerate(chosen):
        axes = figure.add_subplot(len(chosen), 1, place + 1)
        for name, one in hits.items():
            rows = one.track == track
            _draw_line(axes, one.frame[rows], np.nan_to_num(one.score[rows]), name, styles[name])
        axes.set(ylabel="score", title=f"object {track}")
        low, high = axes.get_ylim()
        axes.set_ylim(min(low, 0), max(high, 1))
        if place == 0:
            axes.legend(loc="lower right")
    if chosen:
        axes.set_xlabel("frame")
    return figure


def draw_curves(methods: Mapping[str, Mapping[str, Curve]]) -> Figure:
    """Draw precision against recall for slow, median and fast objects (Fig. 5), below each a closer view.

    Args:
        methods: Method -> ``slow``, ``median`` and ``fast`` -> its curve, where there is one.

    Returns:
        A picture; the legends give the areas under the curves, in percent.
    """
    figure, styles = Figure(figsize=(12, 7), layout="constrained"), _styles(methods)
    for place, subset in enumerate(("slow", "median", "fast")):
        whole, close = (figure.add_subplot(2, 3, place + 1 + 3 * row) for row in range(2))
        recalls = []
        for name, curves in methods.items():
            curve = curves.get(subset)
            if curve is None or not len(curve.score) or not curve.ground_truth:
                continue
            recalls.append(float(curve.recall[-1]))
            for axes in (whole, close):
                label = f"{name} {100 * area_under_curve(curve):.1f}"
                _draw_curve(axes, curve, label, styles[name])
        whole.set(title=f"{subset} motion", xlim=(0, 1), ylim=(0, 1.02), xlabel="recall", ylabel="precision")
        middle = max(recalls, default=0.0) or 1.0  # nothing found: no closer view
        close.set(xlim=(max(middle - 2 * _ZOOM, 0), middle), ylim=(0.5, 1.02), xlabel="recall", ylabel="precision")
        if recalls:
            whole.legend(loc="lower left")
    return figure


def _styles(names: Iterable[str]) -> dict[str, int]:
    """Give each method a colour and a line of its own."""
    names = list(names)
    taken = {PLACES[name] for name in names if name in PLACES}
    left = (number for number in count() if number not in taken)
    return {name: PLACES[name] if name in PLACES else next(left) for name in names}


def _draw_curve(axes: Axes, curve: Curve, label: str, number: int) -> None:
    thin = slice(None, None, max(1, len(curve.score) // POINTS))
    _draw_line(axes, curve.recall[thin], curve.precision[thin], label, number)


def _draw_line(axes: Axes, x: ArrayLike, y: ArrayLike, label: str, number: int) -> None:
    color, line = _COLORS[number % len(_COLORS)], _LINES[number % len(_LINES)]
    axes.plot(np.asarray(x), np.asarray(y), label=label, linewidth=1.2, color=color, linestyle=line)


def _most_flickering(track: IntArray, score: FloatArray) -> list[int]:
    """Tracks by falling sum of the changes of the score."""
    same = track[1:] == track[:-1]
    change = np.bincount(track[1:][same], np.abs(np.diff(score))[same], minlength=int(track.max(initial=-1)) + 1)
    present = np.unique(track)
    return [int(one) for one in present[np.argsort(-change[present], kind="stable")]]
