"""Who is who: identities of the steady preset and of two trackers on saved maps of real detectors.

Any folder of ``.npz`` files with ground truth serves (``heatprop run --save-maps`` and docs/eval-and-tune.md write
them). OC-SORT and ByteTrack of PyPI's ``trackers`` follow the detector's boxes; the same package measures HOTA, IDF1,
MOTA and switches. Run from the repository root; it prints the tables of docs/steady.md::

    pip install trackers==2.6.1
    PYTHONPATH=src python tests/benchmarks/study_identities.py --maps ../shared/clips --views "as is" half quarter
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from measure import table

from heatprop import evaluation, pairwise_iou
from heatprop.maps.detecting import PER_FRAME, STEADY, clip_boxes, detect_frames, name_classes
from heatprop.maps.saved import SavedMaps, read_saved_maps
from heatprop.maps.table1 import FLAT

CUTS = (0.2, 0.3, 0.4, 0.5)
"""Scores from which boxes count for identities; each method has its best one on each clip."""

VIEWS = {
    "as is": slice(None),
    "backwards": slice(None, None, -1),
    "half": slice(None, None, 2),
    "quarter": slice(None, None, 4),
}
OC_SORT = {"minimum_consecutive_frames": 1, "high_conf_det_threshold": 0.4}
BYTE_TRACK = {**OC_SORT, "track_activation_threshold": 0.4}
"""No frames to confirm a track, and the score from which the memory founds an identity too."""

Frames = list[dict[str, Any]]


class Clip(NamedTuple):
    """A clip seen one way."""

    view: str
    maps: SavedMaps
    truth: evaluation.GroundTruth


class Who(NamedTuple):
    """How well identities are kept, at one score cut."""

    hota: float
    idf1: float
    mota: float
    switches: float


class Boxes(NamedTuple):
    """What the boxes are worth; AP50 in percent, ghosts per frame."""

    precision: float
    gaps: float
    ghosts: float
    jitter: float


class Row(NamedTuple):
    """One method on one clip, and the detector alone beside it."""

    clip: str
    view: str
    method: str
    who: Who
    boxes: Boxes
    alone: Boxes


def view_clip(maps: SavedMaps, view: str) -> Clip:
    """Show a clip one way."""
    truth = clip_boxes(name_classes(maps.truth, maps), maps)
    order = np.arange(len(maps.heatmap))[VIEWS[view]]
    place = np.full(len(maps.heatmap), -1)
    place[order] = np.arange(len(order))
    kept = truth.select(place[truth.frame] >= 0)
    kept = kept._replace(frame=place[kept.frame])
    arrays = {name: getattr(maps, name)[order] for name in ("heatmap", "offset", "size")}
    return Clip(view, maps._replace(truth=kept, **arrays), kept)


def as_arrays(frames: Frames, maps: SavedMaps) -> Frames:
    """Take boxes, scores, labels and identities of each frame as numpy, boxes clipped to the input."""
    corners = np.tile(maps.input_wh, 2)
    found = []
    for frame in frames:
        one = {name: np.asarray(frame[name]) for name in ("boxes", "scores", "labels", "track_ids")}
        found.append({**one, "boxes": np.clip(one["boxes"], 0, corners).astype(float)})
    return found


def track(frames: Frames, tracker: Any) -> Frames:
    """Let a tracker of ``trackers`` follow the detector's boxes; what it leaves without an identity is left out."""
    import supervision

    found = []
    for frame in frames:
        boxes = supervision.Detections(
            xyxy=frame["boxes"], confidence=frame["scores"].astype(float), class_id=frame["labels"]
        )
        boxes = tracker.update(boxes)
        one = {"boxes": boxes.xyxy, "scores": boxes.confidence, "labels": boxes.class_id, "track_ids": boxes.tracker_id}
        if not len(boxes):
            one = {name: field[:0] for name, field in frame.items()}
        kept = np.asarray(one["track_ids"]) >= 0
        found.append({name: np.asarray(field)[kept] for name, field in one.items()})
    return found


def methods() -> dict[str, Callable[[SavedMaps, Frames], Frames]]:
    """The four that are compared: each makes frames of maps, or of the detector's frames."""
    from trackers import ByteTrackTracker, OCSORTTracker

    square = replace(STEADY, identity="square")
    return {
        'steady(identity="square")': lambda maps, _: as_arrays(detect_frames(maps, square), maps),
        "steady()": lambda maps, _: as_arrays(detect_frames(maps, STEADY), maps),
        "OC-SORT": lambda _, frames: track(frames, OCSORTTracker(**OC_SORT)),
        "ByteTrack": lambda _, frames: track(frames, ByteTrackTracker(**BYTE_TRACK)),
    }


def similarities(clip: Clip, frames: Frames, cut: float) -> Iterator[tuple[np.ndarray, np.ndarray, np.ndarray]]:
    """Give each frame's true tracks, identities from a score on, and their IoU.

    Boxes on ignored objects are neither right nor wrong.
    """
    _, tracks = np.unique(clip.truth.track, return_inverse=True)
    for number, frame in enumerate(frames):
        here = clip.truth.frame == number
        true, ignored = here & ~clip.truth.ignore, here & clip.truth.ignore
        kept = frame["scores"] >= cut
        boxes, ids = frame["boxes"][kept], frame["track_ids"][kept]
        overlap = iou_of(clip.truth.box[true], boxes)
        on_ignored = iou_of(clip.truth.box[ignored], boxes).max(0, initial=0) >= 0.5
        counted = ~on_ignored | (overlap.max(0, initial=0) >= 0.5)
        yield tracks[true], ids[counted].astype(int), overlap[:, counted]


def iou_of(boxes: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Compare n boxes with m others, shape ``(n, m)``; boxes without area overlap nothing."""
    overlap = pairwise_iou(*(torch.from_numpy(some).double()[None] for some in (boxes, others)))
    return overlap[0].nan_to_num().numpy()


def who_at(clip: Clip, frames: Frames, cut: float) -> Who:
    """Measure identities at one score cut."""
    from trackers.eval.clear import compute_clear_metrics
    from trackers.eval.hota import compute_hota_metrics
    from trackers.eval.identity import compute_identity_metrics

    columns = [list(column) for column in zip(*similarities(clip, frames, cut), strict=True)]
    clear = compute_clear_metrics(*columns, 0.5)
    return Who(
        hota=compute_hota_metrics(*columns)["HOTA"],
        idf1=compute_identity_metrics(*columns, 0.5)["IDF1"],
        mota=clear["MOTA"],
        switches=clear["IDSW"],
    )


def value_boxes(clip: Clip, frames: Frames) -> Boxes:
    """Measure boxes whatever their identities."""
    found = evaluation.Predictions.of_video(clip.maps.name, frames)
    found = name_classes(found, clip.maps)
    hits = evaluation.track_hits(clip.truth, found, recall=0.5, rule=FLAT)
    ghosts = evaluation.ghost_rate(clip.truth, found, picture_size=clip.maps.input_wh).ghosts
    return Boxes(
        precision=100 * evaluation.average_precision(clip.truth, found, rule=FLAT).mean,
        gaps=evaluation.gaps(hits).number,
        ghosts=ghosts / len(frames),
        jitter=evaluation.score_jitter(hits),
    )


def measure(clip: Clip) -> Iterator[Row]:
    """Measure every method on a clip."""
    frames = as_arrays(detect_frames(clip.maps, replace(PER_FRAME, nms_threshold=0.6)), clip.maps)
    alone = value_boxes(clip, frames)
    for name, method in methods().items():
        found = method(clip.maps, frames)
        who = max((who_at(clip, found, cut) for cut in CUTS), key=lambda one: one.hota)
        yield Row(clip.maps.name, clip.view, name, who, value_boxes(clip, found), alone)


def summarize(rows: list[Row]) -> Iterator[Row]:
    """Put the clips of each view together: means; switches and gaps added up."""
    for view, method in dict.fromkeys((row.view, row.method) for row in rows):
        some = [row for row in rows if (row.view, row.method) == (view, method)]
        who = Who(*np.mean([row.who for row in some], axis=0))
        boxes, alone = (_together([getattr(row, name) for row in some]) for name in ("boxes", "alone"))
        who = who._replace(switches=sum(row.who.switches for row in some))
        yield Row(f"all {len(some)}", view, method, who, boxes, alone)


def _together(some: list[Boxes]) -> Boxes:
    return Boxes(*np.mean(some, axis=0))._replace(gaps=sum(one.gaps for one in some))


def to_table(rows: list[Row]) -> str:
    """One line per method, clip and view."""
    header = ["clip", "rate", "method", "HOTA", "IDF1", "MOTA", "switches", "AP50 against per frame", "gaps"]
    lines = []
    for row in rows:
        who, boxes, alone = row.who, row.boxes, row.alone
        line = [row.clip, row.view, row.method, f"{who.hota:.3f}", f"{who.idf1:.3f}", f"{who.mota:.3f}"]
        line += [f"{who.switches:.0f}", f"{boxes.precision - alone.precision:+.1f}"]
        line += [f"{alone.gaps:.0f} -> {boxes.gaps:.0f}", f"{alone.ghosts:.2f} -> {boxes.ghosts:.2f}"]
        lines.append([*line, f"{alone.jitter:.3f} -> {boxes.jitter:.3f}"])
    return table([*header, "ghosts a frame", "score jitter"], lines)


def main() -> None:
    """Print the tables, or say what is missing."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--maps", type=Path, default=Path("../shared/clips"), help="folder of .npz files")
    parser.add_argument("--clips", nargs="+", default=["*"], help="names of some of them, all by default")
    parser.add_argument("--views", nargs="+", choices=VIEWS, default=list(VIEWS), help="all by default")
    options = parser.parse_args()
    paths = sorted(path for name in options.clips for path in options.maps.glob(f"{name}.npz"))
    if not paths:
        sys.exit(f"nothing measured: {options.maps} holds no such saved maps (.npz); name a folder with --maps")
    try:
        methods()
    except ModuleNotFoundError as missing:
        sys.exit(f"nothing measured: {missing.name} is not installed; pip install trackers==2.6.1")
    torch.set_num_threads(1)
    rows = []
    for path in paths:
        maps = read_saved_maps(path)
        for view in options.views:
            rows += measure(view_clip(maps, view))
            print(path.stem, view, file=sys.stderr, flush=True)
    print("## Together\n\n" + to_table(list(summarize(rows))))
    print("\n## Per clip\n\n" + to_table(rows))


if __name__ == "__main__":
    main()
