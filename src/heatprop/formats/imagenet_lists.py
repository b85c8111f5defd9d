"""Which frames of ImageNet VID, in which order: read every list format in use, or list the folders themselves."""

import os
from collections.abc import Iterable, Iterator
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import LARGEST_FRAME, IntArray
from heatprop.formats.bad_rows import LARGEST_EXACT, Skipped, located, parse_path, parse_whole, shorten
from heatprop.formats.whole_files import replacing

_MOST_FRAMES = 10_000_000
"""How many frames a list of videos may stand for; ImageNet VID has 1.3 million."""


class FrameList(NamedTuple):
    """n frames of the videos in ``videos``, in the order of a list.

    Attributes:
        videos: Name of each video, relative to ``Annotations/VID``, such as ``val/ILSVRC2015_val_00000000``.
        video: Index in ``videos`` of each frame's video, shape ``(n,)``.
        frame: Number of each frame in its video, as in its file name, from 0, shape ``(n,)``.
        frame_id: Id of each frame in the devkit's detection file, shape ``(n,)``.
    """

    videos: list[str]
    video: IntArray
    frame: IntArray
    frame_id: IntArray

    def paths(self) -> Iterator[str]:
        """Name each frame's file, relative to ``Annotations/VID``, without the extension."""
        for video, frame in zip(self.video.tolist(), self.frame.tolist(), strict=True):
            yield f"{self.videos[video]}/{frame:06d}"


def read_frame_list(path: str | PathLike[str], *, skipped: Skipped | None = None) -> FrameList:
    """Read a list of frames in any of the formats in use.

    ========================================================== ==========================================
    line                                                       file it is known from
    ========================================================== ==========================================
    ``val/ILSVRC2015_val_00000000/000000 1``                   ``VID_val_frames.txt``: frame, frame id
    ``ILSVRC2015_val_00000000/000000 1``                       ``ImageSets/VID/val.txt`` of the devkit
    ``val/ILSVRC2015_val_00000000 1 0 464``                    ``VID_val_videos.txt``: video, id of its first
                                                               frame, 0, number of frames
    ``train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_        ``VID_train_15frames.txt``: video, 1, frame
    00000000 1 10 300``                                        *counted from 0*, number of frames
    ========================================================== ==========================================

    The last two look alike: a list of videos has 0 in the third column of every line, and a different second column
    in each line. If there are no frame ids (no second column, or the same in all lines), frames are counted from 1.

    Args:
        path: The list.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Returns:
        The frames of the list. A line of a list of videos stands for all frames of its video.

    Raises:
        ValueError: If a line is malformed, or frame ids come twice.
    """
    rows: list[tuple[int, str, list[int]]] = []
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, start=1):
            with located(path, f"line {line}", skipped):
                if fields := text.split():
                    rows.append((line, _with_split(fields[0]), _parse_columns(fields)))
    long = [row for row in rows if len(row[2]) == 3]
    if len(long) < len(rows) and long:
        line = next(line for line, _, columns in rows if len(columns) != len(rows[0][2]))
        raise ValueError(f"{path}, line {line}: all lines must have one format, got a different number of columns")
    if not long:
        return _frames_of_paths(path, rows, skipped)
    firsts = [columns[0] for _, _, columns in rows]
    if all(columns[1] == 0 for _, _, columns in rows) and len(set(firsts)) == len(firsts):
        return _frames_of_videos(path, rows, skipped)
    return _number([(video, columns[1]) for _, video, columns in rows])


def list_frames(root: str | PathLike[str], split: str = "val") -> FrameList:
    """List all annotated frames in a folder, by name: for ``val`` this is the order of ``VID_val_frames.txt``.

    Args:
        root: The ``ILSVRC2015`` folder.
        split: Folder below ``Annotations/VID``.

    Returns:
        The frames of the split.

    Raises:
        ValueError: If there are no frames.
    """
    base = Path(root) / "Annotations" / "VID"
    rows = [_split_path(f"{video}/{name[:-4]}") for video, name in _annotations(base, split) if name[:-4].isdecimal()]
    if not rows:
        raise ValueError(
            f"{base / split} must hold a folder per video with 000000.xml, ..., got none; is this the root?"
        )
    return _number(rows)


def read_image_list(path: str | PathLike[str], *, skipped: Skipped | None = None) -> list[str]:
    """Read a list of single images, such as ``DET_train_30classes.txt``.

    Args:
        path: The list, with lines like ``train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663 1``.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Returns:
        The names in order, each once: such lists repeat an image for every class that it shows.

    Raises:
        ValueError: If a line has more than two columns.
    """
    names: dict[str, None] = {}
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for line, text in enumerate(file, start=1):
            with located(path, f"line {line}", skipped):
                fields = text.split()
                if len(fields) > 2:
                    raise ValueError(f"a line must hold an image and at most one number, got {shorten(text.strip())}")
                names.update(dict.fromkeys(parse_path("an image's name", name) for name in fields[:1]))
    return list(names)


def list_images(root: str | PathLike[str], split: str = "train") -> list[str]:
    """List all annotated images of ImageNet DET, by name.

    The training set holds 456,567 images, most of other classes, so read a list instead if there is one.

    Args:
        root: The ``ILSVRC2015`` folder.
        split: Folder below ``Annotations/DET``.

    Returns:
        The names, relative to ``Annotations/DET``, without the extension.

    Raises:
        ValueError: If there are no images.
    """
    base = Path(root) / "Annotations" / "DET"
    names = [f"{folder}/{name[:-4]}" for folder, name in _annotations(base, split)]
    if not names:
        raise ValueError(f"{base / split} must hold annotations, *.xml, got none; is this the root?")
    return names


def write_frame_list(path: str | PathLike[str], frames: FrameList) -> None:
    """Write frames in the format of ``VID_val_frames.txt``.

    Args:
        path: File to write; it is replaced when the new one is complete.
        frames: The frames.
    """
    with replacing(path) as file:
        for name, frame_id in zip(frames.paths(), frames.frame_id.tolist(), strict=True):
            file.write(f"{name} {frame_id}\n")


def _parse_columns(fields: list[str]) -> list[int]:
    if len(fields) not in (1, 2, 4):
        raise ValueError(f"a line must have 1, 2 or 4 columns, got {len(fields)}: {' '.join(fields)[:60]!r}")
    parse_path("a video's name", fields[0])
    largest = (LARGEST_EXACT - 1, LARGEST_FRAME - 1, LARGEST_FRAME - 1)  # detection files hold ids as float64
    columns = [
        parse_whole(f"column {place}", field, low=0, high=high)
        for place, (field, high) in enumerate(zip(fields[1:], largest, strict=False), start=2)
    ]
    if len(columns) < 3:
        _split_path(fields[0])
    elif columns[1] >= columns[2]:
        raise ValueError(f"column 3, a frame counted from 0, must be below column 4, got {columns[1]} and {columns[2]}")
    return columns


def _frames_of_paths(
    path: str | PathLike[str], rows: list[tuple[int, str, list[int]]], skipped: Skipped | None
) -> FrameList:
    ids = [columns[0] if columns else 0 for _, _, columns in rows]
    if len(set(ids)) <= 1 < len(ids) or not all(columns for _, _, columns in rows):
        return _number([_split_path(name) for _, name, _ in rows])
    seen: set[int] = set()
    kept = []
    for (line, name, _), frame_id in zip(rows, ids, strict=True):
        with located(path, f"line {line}", skipped):
            if frame_id in seen:
                raise ValueError(f"frame ids must differ, got {frame_id} again; give each line its own")
            seen.add(frame_id)
            kept.append((*_split_path(name), frame_id))
    return _number([row[:2] for row in kept], [row[2] for row in kept])


def _frames_of_videos(
    path: str | PathLike[str], rows: list[tuple[int, str, list[int]]], skipped: Skipped | None
) -> FrameList:
    total, kept = 0, list[tuple[str, int, int]]()
    for line, name, (start, _, length) in rows:
        with located(path, f"line {line}", skipped):
            if total + length > _MOST_FRAMES:
                raise ValueError(f"a list must stand for at most {_MOST_FRAMES} frames, got {total} and {length} more")
            total += length
            kept.append((name, start, length))
    places = {name: place for place, name in enumerate(dict.fromkeys(name for name, _, _ in kept))}
    numbers = np.array([(places[name], first, length) for name, first, length in kept], np.int64).reshape(-1, 3)
    video, first, repeats = numbers.T
    frame = np.arange(total) - np.repeat(np.cumsum(repeats) - repeats, repeats)
    return FrameList(list(places), np.repeat(video, repeats), frame, np.repeat(first, repeats) + frame)


def _number(frames: list[tuple[str, int]], frame_ids: list[int] | None = None) -> FrameList:
    places: dict[str, int] = {}
    video = [places.setdefault(name, len(places)) for name, _ in frames]
    ids = range(1, len(frames) + 1) if frame_ids is None else frame_ids
    columns = (video, [frame for _, frame in frames], ids)
    return FrameList(list(places), *(np.array(column, dtype=np.int64) for column in columns))


def _split_path(name: str) -> tuple[str, int]:
    video, _, frame = name.rpartition("/")
    if not video or not frame.isdecimal():
        raise ValueError(f"a frame must be named video/000000, got {shorten(name)}")
    return video, parse_whole("a frame's number", frame, high=LARGEST_FRAME - 1)


def _with_split(name: str) -> str:
    """Add the first folder, which the devkit's own lists leave out."""
    for start, split in (("ILSVRC2015_val_", "val"), ("ILSVRC2015_VID_train_", "train")):
        if name.startswith(start):
            return f"{split}/{name}"
    return name


def _annotations(base: Path, split: str) -> Iterable[tuple[str, str]]:
    for folder, subfolders, files in os.walk(base / split):
        subfolders.sort()
        video = Path(folder).relative_to(base).as_posix()
        yield from ((video, name) for name in sorted(files) if name.endswith(".xml"))
