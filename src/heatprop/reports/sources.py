"""Load the material of an evaluation: ground truth and detections of each layout, with the sizes of the pictures."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions, join
from heatprop.evaluation.motion import displacement
from heatprop.evaluation.picture_sizes import PictureSize
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.coco import CocoImages, read_coco, read_coco_results
from heatprop.formats.detections_file import read_detections_file
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_classes import VID_CLASSES
from heatprop.formats.imagenet_lists import FrameList, list_frames, read_frame_list
from heatprop.formats.imagenet_xml import read_annotation
from heatprop.formats.json_lines import read_json_tracks
from heatprop.formats.mot import (
    PEDESTRIAN,
    find_mot_sequences,
    read_mot_truth,
    read_seqinfo,
)
from heatprop.formats.mot_tracks import read_mot_tracks


class Material(NamedTuple):
    """Everything that an evaluation needs.

    Attributes:
        truth: Objects.
        predictions: Detections.
        displacement: Displacement of each object, in cells of the 512 px letterbox, shape ``(n,)``; NaN without a pair.
        picture_size: Picture size of each video; ``None`` if it is not known.
        class_names: Label -> name.
        track: Identity of each detection, below 0 where there is none, shape ``(n,)``; ``None`` where none has one.
    """

    truth: GroundTruth
    predictions: Predictions
    displacement: FloatArray
    picture_size: PictureSize | None
    class_names: Mapping[Any, str]
    track: IntArray | None = None


def load_vid(
    root: Path, detections: Path, *, frames: Path | None, split: str, quantize: bool, skipped: Skipped | None
) -> Material:
    """Load ImageNet VID and the devkit's detection file.

    Args:
        root: The ``ILSVRC2015`` folder.
        detections: The detection file.
        frames: A list of frames; ``None`` takes all frames of the split, by name.
        split: Folder below ``Annotations/VID``.
        quantize: Round corners to cells before displacement is measured.
        skipped: Collects malformed rows.

    Returns:
        The material of the evaluation.

    Raises:
        ValueError: If something is malformed.
    """
    listed = list_frames(root, split) if frames is None else read_frame_list(frames, skipped=skipped)
    truth = read_vid(root, listed, skipped=skipped)
    predictions = read_detections_file(detections, listed, skipped=skipped)
    sizes = _vid_sizes(root, listed, skipped)
    moved = displacement(truth, picture_size=sizes, quantize=quantize)
    return Material(truth, predictions, moved, sizes, dict(enumerate(VID_CLASSES, start=1)))


def load_mot(root: Path, detections: Path | None, *, quantize: bool, skipped: Skipped | None) -> Material:
    """Load MOTChallenge sequences with their ``seqinfo.ini``; if one is missing, no displacement is known.

    Args:
        root: A sequence, or a folder of sequences.
        detections: A file for one sequence, or a folder of ``NAME.txt`` or ``NAME.jsonl``, as ``heatprop run`` writes
            them; ``None`` reads each sequence's ``det/det.txt``. All boxes count as pedestrians.
        quantize: Round corners to cells before displacement is measured.
        skipped: Collects malformed rows.

    Returns:
        The material of the evaluation.

    Raises:
        ValueError: If something is malformed.
    """
    folders = find_mot_sequences(root)
    if detections is not None and not detections.is_dir() and len(folders) > 1:
        raise ValueError(
            f"detections of {len(folders)} sequences must be a folder of NAME.txt or NAME.jsonl, got {detections}"
        )
    truths, found, tracks, sizes = [], [], [], dict[str, tuple[float, float]]()
    for folder in folders:
        name = folder.resolve().name
        if (folder / "seqinfo.ini").exists():
            info = read_seqinfo(folder)
            sizes[name] = (info.width, info.height)
        truths.append(read_mot_truth(folder, video=name, skipped=skipped))
        predictions, track = _read_found(folder, name, detections, skipped)
        found.append(predictions)
        tracks.append(track)
    truth, known = join(truths), sizes if len(sizes) == len(folders) else None
    if known is None:
        moved = np.full(len(truth.box), np.nan)
    else:
        moved = displacement(truth, picture_size=known, quantize=quantize)
    named = np.concatenate(tracks)
    return Material(truth, join(found), moved, known, {PEDESTRIAN: "pedestrian"}, named if (named >= 0).any() else None)


def load_coco(annotations: Path, detections: Path, *, quantize: bool, skipped: Skipped | None) -> Material:
    """Load COCO or COCO-video annotations and results.

    Args:
        annotations: The annotation file; without tracks, no motion is known.
        detections: The results file.
        quantize: Round corners to cells before displacement is measured.
        skipped: Collects malformed rows.

    Returns:
        The material of the evaluation; if the file lacks a picture's size, no displacement is known.

    Raises:
        ValueError: If something is malformed.
    """
    data = read_coco(annotations, skipped=skipped)
    predictions = read_coco_results(detections, data.images, skipped=skipped)
    sizes = _coco_sizes(data.images)
    if sizes is None:
        moved = np.full(len(data.truth.box), np.nan)
    else:
        moved = displacement(data.truth, picture_size=sizes, quantize=quantize)
    return Material(data.truth, predictions, moved, sizes, data.images.categories)


def _read_found(
    folder: Path, name: str, detections: Path | None, skipped: Skipped | None
) -> tuple[Predictions, IntArray]:
    """Read the detections of a sequence with their identities, from MOTChallenge's text or heatprop's JSON Lines."""
    path = folder if detections is None else detections
    if detections is not None and detections.is_dir():
        text, lines = detections / f"{name}.txt", detections / f"{name}.jsonl"
        if text.exists() and lines.exists():
            raise ValueError(f"{detections} must hold {text.name} or {lines.name}, got both; name one of the files")
        path = lines if lines.exists() else text
    if path.suffix != ".jsonl":
        return read_mot_tracks(path, video=name, skipped=skipped)
    found, track = read_json_tracks(path, video=name, skipped=skipped)
    if len(videos := np.unique(found.video)) > 1:
        raise ValueError(f"{path} must hold the detections of one sequence, got {len(videos)} videos")
    video, label = np.full(len(found.box), name), np.full(len(found.box), PEDESTRIAN)
    return found._replace(video=video, label=label), track


def _coco_sizes(images: CocoImages) -> dict[int, tuple[float, float]] | None:
    if not ((images.width > 0) & (images.height > 0)).all():
        return None
    return dict(
        zip(images.video.tolist(), zip(images.width.tolist(), images.height.tolist(), strict=True), strict=True)
    )


def _vid_sizes(root: Path, frames: FrameList, skipped: Skipped | None) -> dict[int, tuple[float, float]]:
    """Take sizes from each video's first readable annotation; unreadable ones were reported before."""
    sizes = dict[int, tuple[float, float]]()
    for video, name in zip(frames.video.tolist(), frames.paths(), strict=True):
        if video not in sizes:
            try:
                annotation = read_annotation(root / "Annotations" / "VID" / f"{name}.xml", skipped=Skipped())
                sizes[video] = (annotation.width, annotation.height)
            except (ValueError, FileNotFoundError):
                if skipped is None:
                    raise
    return {video: sizes.get(video, (1.0, 1.0)) for video in range(len(frames.videos))}
