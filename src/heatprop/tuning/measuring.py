"""Measure how well one setting does on one video."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from heatprop.evaluation.average_precision import average_precision
from heatprop.evaluation.flicker import gaps, score_jitter
from heatprop.evaluation.ghosts import ghost_rate
from heatprop.evaluation.hits import track_hits
from heatprop.evaluation.matching import Rule
from heatprop.maps.detecting import Setting, clip_boxes, detect_in_maps, name_classes
from heatprop.maps.saved import SavedMaps

_CONFIDENT = 0.3
"""Lowest score of a detection that counts in gaps and ghosts."""


class SettingMeasures(NamedTuple):
    """Precision and flicker on one video, or on several together.

    Attributes:
        precision: mAP50 of the video, in [0, 1]; the mean if there are several.
        gaps: Number of runs of misses inside tracks at score 0.3.
        missed: Number of boxes missed in these runs.
        ghosts: Number of boxes of score 0.3 or more that touch no object.
        boxes: Number of boxes of score 0.3 or more.
        jitter: Score jitter; the mean if there are several videos; NaN if no two frames in a row are hit.
    """

    precision: float
    gaps: int
    missed: int
    ghosts: int
    boxes: int
    jitter: float


def measure_setting(maps: SavedMaps, setting: Setting, rule: Rule) -> SettingMeasures:
    """Propagate a video's maps and measure the result.

    Args:
        maps: The maps, with ground truth.
        setting: The setting to measure.
        rule: When a detection counts.

    Returns:
        The measures.

    Raises:
        ValueError: If the video has no object to find.
    """
    truth = clip_boxes(name_classes(maps.truth, maps), maps)
    if truth.ignore.all():
        raise ValueError(f"{maps.name} must have ground truth inside its pictures, got none; remove it from the folder")
    found = clip_boxes(detect_in_maps(maps, setting), maps)
    hits = track_hits(truth, found, score=_CONFIDENT, rule=rule)
    runs = gaps(hits)
    ghosts = ghost_rate(truth, found, score=_CONFIDENT, picture_size=maps.input_wh)
    precision = average_precision(truth, found, rule=rule).mean
    return SettingMeasures(precision, runs.number, runs.missed, ghosts.ghosts, ghosts.boxes, score_jitter(hits))


def summarize(measures: Sequence[SettingMeasures]) -> SettingMeasures:
    """Combine the measures of several videos.

    Args:
        measures: One per video, at least one.

    Returns:
        Means of precision and jitter, sums of the counts.

    Examples:
        >>> summarize([SettingMeasures(0.5, 1, 3, 0, 9, 0.25), SettingMeasures(1.0, 0, 0, 2, 5, float("nan"))])
        SettingMeasures(precision=0.75, gaps=1, missed=3, ghosts=2, boxes=14, jitter=0.25)
    """
    columns = np.array(measures, np.float64)
    known = columns[~np.isnan(columns[:, 5]), 5]
    return SettingMeasures(
        precision=float(columns[:, 0].mean()),
        gaps=sum(one.gaps for one in measures),
        missed=sum(one.missed for one in measures),
        ghosts=sum(one.ghosts for one in measures),
        boxes=sum(one.boxes for one in measures),
        jitter=float(known.mean()) if len(known) else float("nan"),
    )
