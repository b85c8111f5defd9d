"""Fig. 3: moments when the memory found what the detector alone lost; extra ``cli`` (Pillow)."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import BoolArray
from heatprop.evaluation.columns import GroundTruth
from heatprop.evaluation.hits import TrackHits
from heatprop.evaluation.tracks import order_tracks
from heatprop.reproducing.plan import Plan, Video
from heatprop.reproducing.propagating import read_video_detections
from heatprop.video.drawing import annotate

_SHOWN = 0.2
"""Lowest score of a box that is drawn."""
_FOUND = 0.4
"""Lowest score from the detector alone that an object must have before and after the moment."""
SIDE, GAP = 256, 6
_METHODS = ("per frame", "HP")


class Moment(NamedTuple):
    """A frame in which the memory helped.

    Attributes:
        video: Index of the video.
        frame: Number of the frame; the frames before and after it are shown too.
        gain: How much the memory added to the score.
    """

    video: int
    frame: int
    gain: float


def find_moments(truth: GroundTruth, hits: Mapping[str, TrackHits], *, count: int = 3) -> list[Moment]:
    """Find where an object was found before and after, lost in between, and kept by the memory.

    Args:
        truth: The objects that ``hits`` were made with.
        hits: Hits of ``per frame`` and ``HP``, at a threshold below all scores.
        count: Largest number of moments, all from different videos.

    Returns:
        The moments with the largest gain, in falling order.
    """
    order = order_tracks(truth)
    alone, memory = (np.nan_to_num(hits[name].score) for name in _METHODS)
    inner = _inner(hits["per frame"])
    before, after = np.roll(alone, 1), np.roll(alone, -1)
    helped = inner & (before >= _FOUND) & (after >= _FOUND) & (alone < _SHOWN) & (memory >= _SHOWN)
    gain = np.where(helped, memory - alone, 0)
    found = dict[int, Moment]()
    for row in np.argsort(-gain, kind="stable")[: int(helped.sum())].tolist():
        video = int(truth.video[order.rows[row]])
        found.setdefault(video, Moment(video, int(order.frame[row]), float(gain[row])))
    return list(found.values())[:count]


def draw_moment(plan: Plan, video: Video, moment: Moment) -> NDArray[np.uint8] | None:
    """Draw three frames: the detections of the detector alone above, those with memory below.

    Args:
        plan: The plan, which says where everything is.
        video: The video of the moment.
        moment: The moment.

    Returns:
        An RGB picture; ``None`` if the picture of a frame cannot be read.
    """
    from heatprop.centernet.data.reading import read_picture  # it needs torchvision

    names, rows = plan.class_names(), []
    for method in _METHODS:
        found = read_video_detections(plan.detections_file(video), video, method, size=plan.size)
        found = found.select(found.score >= _SHOWN)
        cells = []
        for number in (moment.frame - 1, moment.frame, moment.frame + 1):
            here = found.select(found.frame == number)
            texts = [f"{names[label - 1]} {score:.2f}" for label, score in zip(here.label, here.score, strict=True)]
            try:
                picture = read_picture(video.pictures[video.numbers.index(number)])
            except (ValueError, OSError):
                return None
            shown, factor = _enlarge(picture.permute(1, 2, 0).numpy())
            cells.append(annotate(shown, here.box * factor, texts=texts, carried=[method == "HP"] * len(texts)))
        rows.append(_join(cells, axis=1))
    return _join(rows, axis=0)


def draw_moments(plan: Plan, truth: GroundTruth, hits: Mapping[str, TrackHits]) -> list[Path]:
    """Draw the best moments and save them.

    Args:
        plan: The plan, which says where everything is.
        truth: The objects that ``hits`` were made with.
        hits: Hits of ``per frame`` and ``HP``.

    Returns:
        Paths of the files: ``moment-1.png`` and so on.
    """
    from PIL import Image

    from heatprop.formats.whole_files import replacing

    videos = {video.place: video for video in plan.videos()}
    paths = list[Path]()
    for moment in find_moments(truth, hits):
        picture = draw_moment(plan, videos[moment.video], moment)
        if picture is not None:
            path = plan.out / f"moment-{len(paths) + 1}.png"
            with replacing(path, "wb") as file:
                Image.fromarray(picture).save(file, "PNG", optimize=True)
            paths.append(path)
    return paths


def _inner(hits: TrackHits) -> BoolArray:
    """Mark boxes whose track has a box in the frame before and in the frame after."""
    follows = np.zeros(len(hits.track) + 1, np.bool_)
    follows[1:-1] = (np.diff(hits.track) == 0) & (np.diff(hits.frame) == 1)
    inner: BoolArray = follows[:-1] & follows[1:]
    return inner


def _enlarge(picture: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """Scale a picture to a shorter side of `SIDE`, so that letters can be read."""
    from PIL import Image

    height, width = picture.shape[:2]
    factor = SIDE / min(height, width)
    size = (round(width * factor), round(height * factor))
    return np.asarray(Image.fromarray(picture).resize(size, Image.Resampling.BICUBIC)), factor


def _join(pictures: list[NDArray[np.uint8]], *, axis: int) -> NDArray[np.uint8]:
    shape = list(pictures[0].shape)
    shape[axis] = GAP
    white = np.full(shape, 255, np.uint8)
    parts = [part for picture in pictures for part in (picture, white)][:-1]
    return np.concatenate(parts, axis=axis)
