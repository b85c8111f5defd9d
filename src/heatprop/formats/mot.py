"""MOTChallenge: ``gt/gt.txt``, ``det/det.txt`` and ``seqinfo.ini`` of a sequence."""

import configparser
from collections.abc import Collection, Sequence
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.column_checks import LARGEST_FRAME, FloatArray, IntArray
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.formats.bad_rows import LARGEST_EXACT, Skipped, located, parse_number, parse_path, parse_whole
from heatprop.formats.number_rows import count_fields, read_number_rows
from heatprop.formats.whole_files import replacing

_COLUMNS = ("frame", "id", "left", "top", "width", "height", "score or flag", "class")
_FIELDS_OF_2015 = 10
"""The last three columns are the position in the world; files of later years have 9, with the class in the eighth."""
PEDESTRIAN = 1
DISTRACTORS = (2, 7, 8, 12)
"""Person on a vehicle, static person, distractor, reflection: finding them is neither required nor penalised."""


class MotSequence(NamedTuple):
    """What ``seqinfo.ini`` says.

    Attributes:
        name: Name of the sequence.
        frame_rate: Frames per second.
        length: Number of frames.
        width: Width of the picture, in pixels.
        height: Height of the picture, in pixels.
        image_folder: Folder of the frames.
        image_ending: File extension of the frames, such as ``.jpg``.
    """

    name: str
    frame_rate: float
    length: int
    width: int
    height: int
    image_folder: str
    image_ending: str


def find_mot_sequences(root: str | PathLike[str]) -> list[Path]:
    """Find the sequences of a folder: the folder itself, or those directly below it, by name.

    Args:
        root: A sequence, or a folder of sequences.

    Returns:
        Folders that hold ``gt/gt.txt``.

    Raises:
        ValueError: If there is no sequence.
    """
    root = Path(root)
    candidates = [root, *sorted(path for path in root.iterdir() if path.is_dir())] if root.is_dir() else []
    found = [path for path in candidates if (path / "gt" / "gt.txt").is_file()]
    if not found:
        raise ValueError(f"{root} must be a MOTChallenge sequence (gt/gt.txt) or hold sequences, got none")
    return found[:1] if found[0] == root else found


def read_seqinfo(path: str | PathLike[str]) -> MotSequence:
    """Read a ``seqinfo.ini``.

    Args:
        path: The file, or its folder.

    Returns:
        The content of the file; ``imDir`` and ``imExt`` may be missing in it.

    Raises:
        ValueError: If the file is malformed.
    """
    path = _inside(path, "seqinfo.ini")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(path.read_text(encoding="utf-8-sig"), source=str(path))
        section = parser["Sequence"]
    except UnicodeDecodeError as problem:
        raise ValueError(f"{path} must be text in UTF-8, got {problem}") from None
    except (configparser.Error, KeyError) as problem:
        raise ValueError(f"{path} must hold a section [Sequence], got {problem}") from None
    with located(path, "[Sequence]", None):
        return MotSequence(
            name=parse_path("name", section.get("name", path.parent.name)),
            frame_rate=parse_number("frameRate", section.get("frameRate")),
            length=parse_whole("seqLength", section.get("seqLength"), low=0, high=LARGEST_FRAME),
            width=parse_whole("imWidth", section.get("imWidth"), low=1, high=LARGEST_FRAME),
            height=parse_whole("imHeight", section.get("imHeight"), low=1, high=LARGEST_FRAME),
            image_folder=parse_path("imDir", section.get("imDir", "img1")),
            image_ending=parse_path("imExt", section.get("imExt", ".jpg")),
        )


def read_mot_truth(
    path: str | PathLike[str],
    *,
    video: str | None = None,
    classes: Sequence[int] | None = (PEDESTRIAN,),
    distractors: Collection[int] = DISTRACTORS,
    skipped: Skipped | None = None,
) -> GroundTruth:
    """Read the ground truth of a sequence: ``frame, id, left, top, width, height[, flag[, class, ...]]``.

    Rows with flag 0 are ignored boxes, and so are distractors, which get the first of the classes as their label.
    Rows of other classes are left out. A class of -1 means the first class, and so does every box of 2015: files of
    2015 have ten columns, the last three of which are the position in the world. Files of 2016 and later have nine.

    Args:
        path: ``gt.txt``, or the sequence's folder.
        video: Name of the video; by default that of the folder.
        classes: Classes that count; ``None`` counts all of them, with no distractors.
        distractors: Classes whose boxes are ignored.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Returns:
        Boxes ``(left, top, left + width, top + height)``; frames count from 0, one less than in the file.

    Raises:
        ValueError: If a row is malformed.
    """
    path = _inside(path, "gt/gt.txt")
    fields = count_fields(path, ",") or len(_COLUMNS)
    columns = len(_COLUMNS) if fields < _FIELDS_OF_2015 else len(_COLUMNS) - 1
    table = _read_rows(path, skipped, columns=min(fields, columns), fields=fields)
    flag = table[:, 6] if table.shape[1] > 6 else np.ones(len(table))
    first = classes[0] if classes else PEDESTRIAN
    label = table[:, 7].astype(np.int64) if table.shape[1] > 7 else np.full(len(table), -1)
    label = np.where(label == -1, first, label)
    distracting = np.isin(label, list(distractors)) & (classes is not None)
    wanted = distracting | (np.isin(label, classes) if classes is not None else True)
    truth = GroundTruth(
        video=_names(path, video, len(table)),
        frame=table[:, 0] - 1,
        track=table[:, 1],
        label=np.where(distracting, first, label),
        box=_corners(table),
        ignore=(flag == 0) | distracting,
    )
    return truth.select(np.broadcast_to(wanted, flag.shape))


def read_mot_detections(
    path: str | PathLike[str], *, video: str | None = None, label: int = PEDESTRIAN, skipped: Skipped | None = None
) -> Predictions:
    """Read the detections of a sequence, or a tracker's results: ``frame, id, left, top, width, height, score, ...``.

    Args:
        path: ``det.txt``, or the sequence's folder.
        video: Name of the video; by default that of the folder.
        label: Class of all detections.
        skipped: Collects malformed rows; ``None`` stops at the first.

    Returns:
        Boxes ``(left, top, left + width, top + height)``; frames count from 0, one less than in the file.

    Raises:
        ValueError: If a row is malformed.
    """
    return read_found(path, video, label, skipped)[0]


def write_mot_truth(path: str | PathLike[str], truth: GroundTruth) -> None:
    """Write the boxes of one video as ``gt.txt``: ``frame, id, left, top, width, height, flag, class, visibility``.

    Args:
        path: File to write; it is replaced when the new one is complete.
        truth: Boxes of one video; an ignored box gets flag 0.

    Raises:
        ValueError: If tracks or labels are text.
    """
    if truth.track.dtype.kind == "U" or truth.label.dtype.kind == "U":
        raise ValueError("MOTChallenge files hold whole numbers: number the tracks and labels first, got text")
    flags = (~truth.ignore).astype(np.int64).tolist()
    ends = [f"{flag},{label},1" for flag, label in zip(flags, truth.label.tolist(), strict=True)]
    write_rows(path, truth, truth.track.tolist(), ends)


def write_mot_detections(path: str | PathLike[str], predictions: Predictions) -> None:
    """Write the detections of one video as ``det.txt``: ``frame, -1, left, top, width, height, score``.

    Args:
        path: File to write; it is replaced when the new one is complete.
        predictions: Detections of one video.
    """
    scores = [repr(score) for score in predictions.score.tolist()]
    write_rows(path, predictions, [-1] * len(scores), scores)


def write_rows(
    path: str | PathLike[str], table: GroundTruth | Predictions, numbers: list[int], ends: list[str]
) -> None:
    """Write boxes as ``frame, number, left, top, width, height, end``."""
    if len(np.unique(table.video)) > 1:
        raise ValueError(f"a MOTChallenge file holds one video, got {len(np.unique(table.video))}; select one")
    size = (table.box[:, 2:] - table.box[:, :2]).tolist()
    with replacing(path) as file:
        for frame, number, (x1, y1, _, _), (width, height), end in zip(
            table.frame.tolist(), numbers, table.box.tolist(), size, ends, strict=True
        ):
            file.write(f"{frame + 1},{number},{x1!r},{y1!r},{width!r},{height!r},{end}\n")


def read_found(
    path: str | PathLike[str], video: str | None, label: int, skipped: Skipped | None
) -> tuple[Predictions, IntArray]:
    """Read detections, and what their column of identities holds."""
    path = _inside(path, "det/det.txt")
    table = _read_rows(path, skipped, columns=7)
    names, labels = _names(path, video, len(table)), np.full(len(table), label)
    found = Predictions(video=names, frame=table[:, 0] - 1, label=labels, score=table[:, 6], box=_corners(table))
    return found, table[:, 1].astype(np.int64)


def _read_rows(path: Path, skipped: Skipped | None, *, columns: int, fields: int | None = None) -> FloatArray:
    if columns < 6:
        raise ValueError(f"{path} must hold at least 6 columns ({', '.join(_COLUMNS[:6])}), got {columns}")
    pieces = [np.zeros((0, columns))]
    for lines, values in read_number_rows(path, _COLUMNS[:columns], separator=",", fields=fields, skipped=skipped):
        good = _good_rows(values)
        for row in np.flatnonzero(~good).tolist():
            with located(path, f"line {lines[row]}", skipped):
                _refuse(*values[row].tolist())
        pieces.append(values[good])
    return np.concatenate(pieces)


def _good_rows(values: FloatArray) -> NDArray[np.bool_]:
    whole = values[:, [0, 1, 7] if values.shape[1] > 7 else [0, 1]]
    exact: NDArray[np.bool_] = ((whole == np.rint(whole)) & (np.abs(whole) < LARGEST_EXACT)).all(axis=1)
    with np.errstate(over="ignore"):
        sound = np.isfinite(_corners(values)).all(axis=1) & (values[:, 4:6] >= 0).all(axis=1)
    return exact & sound & (values[:, 0] >= 1) & (values[:, 0] < LARGEST_FRAME)


def _refuse(frame: float, number: float, left: float, top: float, width: float, height: float, *rest: float) -> None:
    """Say what is wrong with a row."""
    parse_whole("frame", frame, low=1, high=LARGEST_FRAME - 1)
    parse_whole("id", number)
    parse_whole("class", rest[1] if len(rest) > 1 else 0)
    if width < 0 or height < 0:
        raise ValueError(f"width and height must be at least 0, got {width:g} and {height:g}")
    parse_number("left + width", left + width)
    parse_number("top + height", top + height)


def _corners(table: FloatArray) -> FloatArray:
    return np.concatenate([table[:, 2:4], table[:, 2:4] + table[:, 4:6]], axis=1)


def _names(path: Path, video: str | None, count: int) -> NDArray[np.str_]:
    name = path.resolve().parent.parent.name if path.parent.name in ("gt", "det") else path.stem
    return np.full(count, name if video is None else video)


def _inside(path: str | PathLike[str], name: str) -> Path:
    path = Path(path)
    return path / name if path.is_dir() else path
