"""heatprop's own result file, JSON Lines: one detection per line, as ``heatprop run --json`` writes it."""

import json
from collections.abc import Iterable, Iterator
from itertools import islice
from os import PathLike
from typing import Any, NamedTuple

import numpy as np

from heatprop.evaluation.column_checks import LARGEST_FRAME, IntArray
from heatprop.evaluation.columns import Predictions, join
from heatprop.formats.bad_rows import Skipped, located, parse_number, parse_whole
from heatprop.formats.json_files import require, show_json
from heatprop.formats.whole_files import replacing

ROWS_AT_ONCE = 1 << 16


class DetectionLine(NamedTuple):
    """One line of the file. Fields that are ``None`` are not written.

    Attributes:
        frame: Number of the frame, from 0.
        time: Time of the frame, in seconds.
        box: Box ``(x1, y1, x2, y2)``, in pixels of the video.
        score: Balanced score.
        network_score: The network's own score.
        age: Length of the tracklet, in frames.
        id: Identity of the object.
        carried: Whether the memory brought it back.
        label: Class, a whole number or a name.
        video: Number or name of the video, if a file holds several.
    """

    frame: int
    time: float | None
    box: tuple[float, float, float, float]
    score: float
    network_score: float | None = None
    age: int | None = None
    id: int | None = None
    carried: bool | None = None
    label: int | str = 0
    video: int | str | None = None


def iterate_json_lines(path: str | PathLike[str], *, skipped: Skipped | None = None) -> Iterator[DetectionLine]:
    """Read detections one by one.

    Args:
        path: The file. ``frame``, ``box`` and ``score`` must be in every line; other members may be missing, and
            unknown ones are ignored. Lines that hold a list ``masked_only`` instead of a box are skipped.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Yields:
        Detections in the order of the file; ``label`` is 0 if it is missing.

    Raises:
        ValueError: If a line is malformed.
    """
    with open(path, encoding="utf-8-sig", errors="replace") as file:
        for number, text in enumerate(file, start=1):
            if text.isspace():
                continue
            parsed = None
            with located(path, f"line {number}", skipped):
                parsed = _parse_line(text)
            if parsed is not None:  # a line of masks is not a detection
                yield parsed


def read_json_lines(path: str | PathLike[str], *, video: int | str = 0, skipped: Skipped | None = None) -> Predictions:
    """Read all detections of a file as columns.

    Args:
        path: The file, as `iterate_json_lines` reads it.
        video: The video that detections belong to if their lines do not name one.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Returns:
        Detections in the order of the file.

    Raises:
        ValueError: If a line is malformed, or videos or labels are names in some lines and numbers in others.
    """
    return read_json_tracks(path, video=video, skipped=skipped)[0]


def read_json_tracks(
    path: str | PathLike[str], *, video: int | str = 0, skipped: Skipped | None = None
) -> tuple[Predictions, IntArray]:
    """Read all detections of a file as columns, with their identities.

    Args:
        path: The file, as `iterate_json_lines` reads it.
        video: Which video they belong to, where the lines do not say.
        skipped: Collects malformed lines; ``None`` stops at the first.

    Returns:
        Detections as `read_json_lines` gives them; and the identity of each, -1 where there is none, shape ``(n,)``.

    Raises:
        ValueError: If a line is malformed, or videos or labels are names in some lines and numbers in others.
    """
    lines = iterate_json_lines(path, skipped=skipped)
    pieces, track = [], list[int]()
    while rows := list(islice(lines, ROWS_AT_ONCE)):
        piece = Predictions(
            video=_one_kind(path, "video", [video if row.video is None else row.video for row in rows]),
            frame=[row.frame for row in rows],
            label=_one_kind(path, "label", [row.label for row in rows]),
            score=[row.score for row in rows],
            box=[row.box for row in rows],
        )
        pieces.append(piece)
        track += [-1 if row.id is None else row.id for row in rows]
    with located(path, "all lines", None):
        found = join(pieces) if pieces else Predictions([], [], [], [], [])
    return found, np.array(track, np.int64)


def write_json_lines(path: str | PathLike[str], lines: Iterable[DetectionLine]) -> None:
    """Write detections, one per line.

    Args:
        path: File to write; it is replaced when the new one is complete.
        lines: Detections; numbers may be Python's or numpy's.
    """
    with replacing(path) as file:
        for line in lines:
            members = {name: value for name, value in line._asdict().items() if value is not None}
            file.write(json.dumps(members, default=_plain, allow_nan=False) + "\n")


def _parse_line(text: str) -> DetectionLine | None:
    try:
        table = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"must be a JSON object, {error.msg} in column {error.colno}") from None
    except RecursionError:
        raise ValueError("must be a JSON object with only a few levels, got brackets nested too deeply") from None
    if isinstance(table, dict) and "masked_only" in table and "box" not in table:
        return None
    box = require(table, "box")
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"box must be [x1, y1, x2, y2], got {show_json(box)}")
    x1, y1, x2, y2 = (parse_number("box", number) for number in box)
    numbers = {name: parse_number(name, table[name]) for name in ("time", "network_score") if _given(table, name)}
    return DetectionLine(
        frame=parse_whole("frame", require(table, "frame"), low=0, high=LARGEST_FRAME - 1),
        time=numbers.get("time"),
        box=(x1, y1, x2, y2),
        score=parse_number("score", require(table, "score")),
        network_score=numbers.get("network_score"),
        age=parse_whole("age", table["age"]) if _given(table, "age") else None,
        id=parse_whole("id", table["id"]) if _given(table, "id") else None,
        carried=_parse_flag("carried", table["carried"]) if _given(table, "carried") else None,
        label=_parse_name("label", table["label"]) if _given(table, "label") else 0,
        video=_parse_name("video", table["video"]) if _given(table, "video") else None,
    )


def _given(table: dict[str, Any], name: str) -> bool:
    return table.get(name) is not None


def _parse_name(name: str, value: Any) -> int | str:
    return value if isinstance(value, str) else parse_whole(name, value)


def _parse_flag(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} must be true or false, got {show_json(value)}")
    return value


def _one_kind(path: str | PathLike[str], name: str, values: list[int | str]) -> list[int | str]:
    """Require either names or numbers, because numpy would turn numbers into names."""
    if len({isinstance(value, str) for value in values}) > 1:
        text = next(value for value in values if isinstance(value, str))
        raise ValueError(
            f"{path}: {name} must be a name in all lines or a number in all lines, got {text!r} among numbers"
        )
    return values


def _plain(value: Any) -> Any:
    """Convert a numpy number to one that JSON can hold."""
    if isinstance(value, np.generic | np.ndarray):
        return value.tolist()
    raise TypeError(f"a line must hold numbers and text, got {type(value).__name__}")
