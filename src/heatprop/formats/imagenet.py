"""Read the ground truth of ImageNet VID and DET, or of data in the same layout."""

from collections.abc import Iterable, Sequence
from os import PathLike
from pathlib import Path

import numpy as np

from heatprop.evaluation.column_checks import FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.imagenet_classes import VID_WNIDS, class_ids
from heatprop.formats.imagenet_lists import FrameList
from heatprop.formats.imagenet_xml import read_annotations


def read_vid(
    root: str | PathLike[str],
    frames: FrameList,
    *,
    classes: Sequence[str] = tuple(VID_WNIDS),
    skipped: Skipped | None = None,
) -> GroundTruth:
    """Read the boxes of ImageNet VID.

    Every object of these classes counts, even if it is occluded or generated, as in the devkit. Objects of other
    classes are left out.

    Args:
        root: The ``ILSVRC2015`` folder; only its ``Annotations/VID`` is read.
        frames: The frames, from `read_frame_list` or `list_frames`.
        classes: Values of ``<name>`` to read, in the order of the ids from 1.
        skipped: Collects malformed objects and files; ``None`` stops at the first.

    Returns:
        Boxes as written; ``video`` is the index in ``frames.videos``, ``frame`` counts from 0, and ``label`` is the
        class id.

    Raises:
        ValueError: If a file is missing or malformed, or there are objects but none of these classes.
    """
    place, track, label, box = _read_columns(Path(root) / "Annotations" / "VID", list(frames.paths()), classes, skipped)
    return GroundTruth(video=frames.video[place], frame=frames.frame[place], track=track, label=label, box=box)


def read_det(
    root: str | PathLike[str],
    names: Iterable[str],
    *,
    classes: Sequence[str] = tuple(VID_WNIDS),
    skipped: Skipped | None = None,
) -> GroundTruth:
    """Read the boxes of ImageNet DET images.

    The class is that of the object, because the folder is often named after a sub-synset. Objects of other classes
    are left out.

    Args:
        root: The ``ILSVRC2015`` folder; only its ``Annotations/DET`` is read.
        names: The images, from `read_image_list`.
        classes: Values of ``<name>`` to read, in the order of the ids from 1.
        skipped: Collects malformed objects and files; ``None`` stops at the first.

    Returns:
        Boxes as written; ``video`` is the index in ``names``, ``frame`` is 0, and ``label`` is the class id.

    Raises:
        ValueError: If a file is missing or malformed, or there are objects but none of these classes.
    """
    place, _, label, box = _read_columns(Path(root) / "Annotations" / "DET", list(names), classes, skipped)
    return GroundTruth(video=place, frame=np.zeros(len(place), np.int64), track=None, label=label, box=box)


def _read_columns(
    folder: Path, names: list[str], classes: Sequence[str], skipped: Skipped | None
) -> tuple[IntArray, IntArray, IntArray, FloatArray]:
    """Read the index in ``names``, track, label and box of each object."""
    ids = class_ids(classes)
    places = {name: place for place, name in enumerate(names)}
    rows, other = [], ""
    for name, annotation in read_annotations(folder, places, skipped=skipped):
        for one in annotation.objects:
            if one.name in ids:
                rows.append((places[name], one.track, ids[one.name], one.box))
            else:
                other = one.name
    if other and not rows:
        raise ValueError(f"{folder}: no object has a known class, one has {other!r}; pass the names as classes")
    place, track, label, box = zip(*rows, strict=True) if rows else ((),) * 4
    boxes = np.array(box, np.float64).reshape(-1, 4)
    return np.array(place, np.int64), np.array(track, np.int64), np.array(label, np.int64), boxes  # 63 bits, not 53
