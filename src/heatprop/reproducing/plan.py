"""The plan: which videos, in which files, from which checkpoint. All processes that share a folder must agree on it."""

import hashlib
import json
from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.formats.imagenet_lists import FrameList
from heatprop.formats.json_files import load_json
from heatprop.formats.whole_files import replacing

STAMP = "reproduce.json"
STRIDE = 4
"""Pixels of the network's input per cell."""


class Video(NamedTuple):
    """A video and its frames, in their order.

    Attributes:
        place: Index in ``FrameList.videos``.
        name: Name of the video, such as ``val/ILSVRC2015_val_00000000``.
        numbers: Numbers of the frames, as in their file names.
        pictures: Picture files of the frames.
    """

    place: int
    name: str
    numbers: list[int]
    pictures: list[Path]


class Plan(NamedTuple):
    """What is reproduced, and where.

    Attributes:
        data: The ``ILSVRC2015`` folder.
        out: Folder of the results.
        frames: The frames.
        classes: WordNet ids of the detector's channels.
        size: Side of the network's input, in pixels.
        checkpoint: `checkpoint_digest` of the weights, which every file records.
    """

    data: Path
    out: Path
    frames: FrameList
    classes: tuple[str, ...]
    size: int
    checkpoint: str

    def videos(self, shard: tuple[int, int] = (0, 1)) -> list[Video]:
        """List the videos, or every n-th of them.

        Args:
            shard: Number of the shard, from 0, and the number of shards.

        Returns:
            Videos in the order of the list.
        """
        order = np.argsort(self.frames.video, kind="stable")
        parts = np.split(order, np.searchsorted(self.frames.video[order], range(1, len(self.frames.videos))))
        return [self._video(place, parts[place]) for place in range(shard[0], len(parts), shard[1])]

    def maps_file(self, video: Video) -> Path:
        """Return the path of a video's maps."""
        return self.out / "maps" / f"{Path(video.name).name}.npz"

    def detections_file(self, video: Video) -> Path:
        """Return the path of a video's detections."""
        return self.out / "detections" / f"{Path(video.name).name}.npz"

    def class_names(self) -> tuple[str, ...]:
        """Name each channel; a class that is not in ImageNet VID is called by its id."""
        return tuple(VID_WNIDS.get(wnid, wnid) for wnid in self.classes)

    def _video(self, place: int, rows: np.ndarray[Any, np.dtype[np.int64]]) -> Video:
        name, numbers = self.frames.videos[place], self.frames.frame[rows].tolist()
        return Video(place, name, numbers, [self.data / "Data" / "VID" / name / f"{n:06d}.JPEG" for n in numbers])


def make_plan(
    data: str | PathLike[str],
    out: str | PathLike[str],
    frames: FrameList,
    *,
    classes: Sequence[str],
    size: int,
    checkpoint: str,
) -> Plan:
    """Check the arguments and make a plan.

    Args:
        data: The ``ILSVRC2015`` folder.
        out: Folder of the results.
        frames: The frames.
        classes: WordNet ids of the detector's channels.
        size: Side of the network's input, in pixels, a multiple of 32.
        checkpoint: `checkpoint_digest` of the weights.

    Returns:
        The plan.

    Raises:
        ValueError: If ``size`` is not a multiple of 32, or two videos would share a file.
    """
    if size < 32 or size % 32:
        raise ValueError(f"size must be a multiple of 32, got {size}")
    stems = [Path(name).name for name in frames.videos]
    if len(set(stems)) < len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise ValueError(f"videos must have different names, got {twice!r} twice; list only one of their folders")
    return Plan(Path(data), Path(out), frames, tuple(classes), size, checkpoint)


def parse_shard(text: str) -> tuple[int, int]:
    """Parse which shard of the videos is meant.

    Args:
        text: Number of the shard, from 0, and the number of shards, such as ``"0/4"`` to ``"3/4"``.

    Returns:
        Number of the shard, and the number of shards.

    Raises:
        ValueError: If the text is anything else.

    Examples:
        >>> parse_shard("3/4")
        (3, 4)
    """
    number, slash, count = text.partition("/")
    if not (slash and number.isdecimal() and count.isdecimal() and int(number) < int(count)):
        raise ValueError(f"shard must be a number from 0 and the number of shards, such as 0/4 to 3/4, got {text!r}")
    return int(number), int(count)


def checkpoint_digest(path: str | PathLike[str]) -> str:
    """Hash a file's bytes with SHA-256; returns hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_stamp(plan: Plan) -> None:
    """Write down what the files in a folder are made from.

    Args:
        plan: Plan with folder, frames, classes, size and checkpoint.
    """
    with replacing(plan.out / STAMP) as file:
        json.dump(_identity(plan), file, indent=2)


def check_stamp(plan: Plan) -> None:
    """Make sure that the files in a folder, if there are any, are made from the same things as the plan's.

    Args:
        plan: Plan with folder, frames, classes, size and checkpoint.

    Raises:
        ValueError: If the folder holds results of something else.
    """
    if (plan.out / STAMP).exists():
        made, found = _identity(plan), read_stamp(plan.out)
        if different := sorted(key for key in made if found.get(key) != made[key]):
            raise ValueError(
                f"{plan.out} must hold results of the same {', '.join(made)}, got results that differ in "
                f"{', '.join(different)}; choose another --out"
            )


def read_stamp(out: Path) -> dict[str, Any]:
    """Read what the files in a folder are made from.

    Args:
        out: Folder of the results.

    Returns:
        ``checkpoint``, ``frames``, ``classes``, ``size`` and more.

    Raises:
        ValueError: If there are no results, or the file is damaged.
    """
    if not (out / STAMP).exists():
        raise ValueError(f"{out} must hold results of heatprop reproduce, got no {STAMP}; run it with --checkpoint")
    found: dict[str, Any] = load_json(out / STAMP)
    return found


def _identity(plan: Plan) -> dict[str, Any]:
    listed = hashlib.sha256("\n".join(plan.frames.paths()).encode()).hexdigest()
    return {"checkpoint": plan.checkpoint, "frames": listed, "classes": list(plan.classes), "size": plan.size}
