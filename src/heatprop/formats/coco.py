"""COCO's JSON, both plain (single images) and with videos (``videos``, ``video_id``, ``frame_id``, ``instance_id``)."""

import json
from collections.abc import Iterator
from os import PathLike
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from heatprop.evaluation.column_checks import LARGEST_FRAME, IntArray, check_names
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.formats.bad_rows import Skipped, located, parse_number, parse_path, parse_whole
from heatprop.formats.json_files import load_json, require, show_json
from heatprop.formats.whole_files import replacing

_FRAME_KEYS = ("frame_id", "frame_index")
_TRACK_KEYS = ("instance_id", "track_id")


class CocoImages(NamedTuple):
    """The n images of a data set, and what its ids mean.

    Attributes:
        image_id: Id of each image, shape ``(n,)``.
        video: Id of each image's video, shape ``(n,)``. An image without a video is a video of its own; its id is the
            image id, or -1 minus the image id if other images have videos.
        frame: Number of each image in its video, shape ``(n,)``; 0 for an image without a video.
        width: Width of each image in pixels, 0 if unknown, shape ``(n,)``.
        height: Height of each image in pixels, 0 if unknown, shape ``(n,)``.
        file_names: File name of each image.
        video_names: Video id -> name.
        categories: Category id -> name.
    """

    image_id: IntArray
    video: IntArray
    frame: IntArray
    width: IntArray
    height: IntArray
    file_names: list[str]
    video_names: dict[int, str]
    categories: dict[int, str]


class CocoData(NamedTuple):
    """A data set.

    Attributes:
        truth: Its boxes; ``video`` and ``frame`` are as in ``images``, and ``label`` is the category id.
        images: Its images, including those without boxes.
    """

    truth: GroundTruth
    images: CocoImages


def read_coco(path: str | PathLike[str], *, skipped: Skipped | None = None) -> CocoData:
    """Read a COCO or COCO-video annotation file.

    Boxes with ``iscrowd`` or ``ignore`` are ignored boxes. The track is ``instance_id`` or ``track_id``; a box
    without a track, or with a negative one, is an object of its own. The JSON is read all at once: a file of 1 GB
    takes several GB of memory.

    Args:
        path: The file.
        skipped: Collects malformed images and annotations; ``None`` stops at the first.

    Returns:
        Boxes ``(x, y, x + width, y + height)``, and the images.

    Raises:
        ValueError: If the file is not JSON or an element is malformed.
    """
    data = load_json(path)
    images = _read_images(path, data, skipped)
    place = {image_id: row for row, image_id in enumerate(images.image_id.tolist())}
    rows = []
    for name, one in _elements(path, data, "annotations"):
        with located(path, name, skipped):
            image = _known("image_id", require(one, "image_id"), place)
            label = _known("category_id", require(one, "category_id"), images.categories)
            track = next((parse_whole(key, one[key]) for key in _TRACK_KEYS if one.get(key) is not None), -1)
            ignore = bool(one.get("iscrowd")) or bool(one.get("ignore"))
            rows.append((place[image], track, label, ignore, _parse_box(require(one, "bbox"))))
    places, ids, labels, ignored, boxes = zip(*rows, strict=True) if rows else ((),) * 5
    row, tracks = np.array(places, np.int64), np.array(ids, np.int64)  # ids have 63 bits, float64 holds 53
    tracks = np.where(tracks < 0, -1 - np.arange(len(tracks)), tracks)
    truth = GroundTruth(images.video[row], images.frame[row], tracks, np.array(labels, np.int64), boxes, ignored)
    return CocoData(truth, images)


def read_coco_results(path: str | PathLike[str], images: CocoImages, *, skipped: Skipped | None = None) -> Predictions:
    """Read detections in COCO's results format: a list of ``image_id``, ``category_id``, ``bbox``, ``score``.

    Args:
        path: The file.
        images: The data set that its ids come from.
        skipped: Collects malformed detections; ``None`` stops at the first.

    Returns:
        Detections; ``video`` and ``frame`` are as in ``images``, and ``label`` is the category id.

    Raises:
        ValueError: If the file is not a JSON list or an element is malformed.
    """
    place = {image_id: row for row, image_id in enumerate(images.image_id.tolist())}
    rows = []
    for name, one in _elements(path, load_json(path), None):
        with located(path, name, skipped):
            image = _known("image_id", require(one, "image_id"), place)
            label = _known("category_id", require(one, "category_id"), images.categories)
            score = parse_number("score", require(one, "score"))
            rows.append((place[image], label, score, _parse_box(require(one, "bbox"))))
    places, labels, scores, boxes = zip(*rows, strict=True) if rows else ((),) * 4
    row = np.array(places, np.int64)
    return Predictions(images.video[row], images.frame[row], np.array(labels, np.int64), scores, boxes)


def write_coco(path: str | PathLike[str], data: CocoData) -> None:
    """Write a COCO-video annotation file, or a plain COCO file if there are no videos.

    Args:
        path: File to write; it is replaced when the new one is complete.
        data: The data set; every box lies in one of its images.

    Raises:
        ValueError: If a box lies in none of the images.
    """
    images, truth = data.images, data.truth
    videos = [{"id": number, "name": name} for number, name in images.video_names.items()]
    rows = zip(*(column.tolist() for column in images[:5]), images.file_names, strict=True)
    listed = [
        {"id": image_id, "file_name": name, "width": width, "height": height}
        | ({"video_id": video, "frame_id": frame} if video in images.video_names else {})
        for image_id, video, frame, width, height, name in rows
    ]
    image_id, box = _find_images(truth, images), _box_lists(truth)
    columns = (image_id, truth.track.tolist(), truth.label.tolist(), truth.ignore.tolist(), box)
    annotations = [
        {"id": number, "image_id": image, "category_id": label, "bbox": box, "area": box[2] * box[3]}
        | {"iscrowd": int(ignore), "instance_id": track}
        for number, (image, track, label, ignore, box) in enumerate(zip(*columns, strict=True), start=1)
    ]
    categories = [{"id": number, "name": name} for number, name in images.categories.items()]
    members = {"images": listed, "annotations": annotations, "categories": categories}
    with replacing(path) as file:
        json.dump(({"videos": videos} if videos else {}) | members, file)


def write_coco_results(
    path: str | PathLike[str], predictions: Predictions, images: CocoImages, *, track: ArrayLike | None = None
) -> None:
    """Write detections in COCO's results format.

    Args:
        path: File to write; it is replaced when the new one is complete.
        predictions: Detections; ``video`` and ``frame`` are as in ``images``.
        images: The data set that gives the ids.
        track: Identity of each detection, written as ``track_id``, shape ``(n,)``; ``None`` if unknown.

    Raises:
        ValueError: If a detection lies in none of the images, or the number of tracks differs from that of detections.
    """
    columns = [predictions.label.tolist(), _box_lists(predictions), predictions.score.tolist()]
    if track is not None:
        columns.append(check_names("track", track, len(predictions.box)).tolist())
    rows = zip(_find_images(predictions, images), *columns, strict=True)
    names = ("image_id", "category_id", "bbox", "score", "track_id")[: 1 + len(columns)]
    with replacing(path) as file:
        file.write("[")
        for number, row in enumerate(rows):
            file.write(("," if number else "") + "\n" + json.dumps(dict(zip(names, row, strict=True))))
        file.write("\n]\n")


def coco_result_rows(
    image_id: int,
    labels: NDArray[np.integer],
    boxes: NDArray[np.floating],
    scores: NDArray[np.floating],
    track: NDArray[np.integer],
) -> Iterator[dict[str, Any]]:
    """Make an image's elements of COCO's results format, with identities, for files that grow image by image.

    Args:
        image_id: Id of the image.
        labels: Class index from 0, shape ``(n,)``; categories count from 1.
        boxes: Boxes ``(x1, y1, x2, y2)``, shape ``(n, 4)``, in pixels.
        scores: Scores, shape ``(n,)``.
        track: Identity of each box, shape ``(n,)``.

    Yields:
        One dict per box; coordinates are rounded to 1/1,000 of a pixel, scores to 6 digits.
    """
    columns = (labels.tolist(), boxes.tolist(), scores.tolist(), track.tolist())
    for label, (x1, y1, x2, y2), score, number in zip(*columns, strict=True):
        bbox = [round(side, 3) for side in (x1, y1, x2 - x1, y2 - y1)]
        one = {"image_id": image_id, "category_id": label + 1, "bbox": bbox, "score": round(score, 6)}
        yield one | {"track_id": number}


def _read_images(path: str | PathLike[str], data: Any, skipped: Skipped | None) -> CocoImages:
    videos = _read_names(path, data, "videos", skipped) if isinstance(data, dict) and "videos" in data else {}
    categories = _read_names(path, data, "categories", skipped)
    rows: dict[int, tuple[int, int, int, int, str]] = {}
    for name, one in _elements(path, data, "images"):
        with located(path, name, skipped):
            image_id = parse_whole("id", require(one, "id"), low=0)
            if image_id in rows:
                raise ValueError(f"ids must differ, got {image_id} again")
            width, height = (
                parse_whole(key, one.get(key) or 0, low=0, high=LARGEST_FRAME) for key in ("width", "height")
            )
            file_name = parse_path("file_name", str(one.get("file_name", "")))
            rows[image_id] = (*_parse_time(one, image_id, videos), width, height, file_name)
    table = np.array([(image_id, *row[:4]) for image_id, row in rows.items()], dtype=np.int64).reshape(-1, 5)
    file_names = [row[4] for row in rows.values()]
    return CocoImages(table[:, 0], table[:, 1], table[:, 2], table[:, 3], table[:, 4], file_names, videos, categories)


def _parse_time(one: dict[str, Any], image_id: int, videos: dict[int, str]) -> tuple[int, int]:
    """Read the video and frame of an image."""
    video = one.get("video_id")
    if video is None or video == -1:  # how single images are marked among videos
        return (-1 - image_id if videos else image_id), 0
    if not videos:
        raise ValueError(f"video_id must be one of the file's videos, got {video!r} and no 'videos'")
    key = next((key for key in _FRAME_KEYS if key in one), _FRAME_KEYS[0])
    return _known("video_id", video, videos), parse_whole(
        key, require(one, key), low=-LARGEST_FRAME + 1, high=LARGEST_FRAME - 1
    )


def _read_names(path: str | PathLike[str], data: Any, member: str, skipped: Skipped | None) -> dict[int, str]:
    names = {}
    for place, one in _elements(path, data, member):
        with located(path, place, skipped):
            number = parse_whole("id", require(one, "id"))
            names[number] = str(one.get("name", number))
    return names


def _elements(path: str | PathLike[str], data: Any, member: str | None) -> Iterator[tuple[str, Any]]:
    """Yield the elements of a list with their places."""
    with located(path, "top level", None):
        elements = data if member is None else require(data, member)
        if not isinstance(elements, list):
            raise ValueError(f"{member or 'a results file'} must be a list, got {type(elements).__name__}")
    for number, one in enumerate(elements):
        yield f"{member or ''}[{number}]", one


def _known(name: str, value: Any, known: dict[int, Any]) -> int:
    number = parse_whole(name, value)
    if number not in known:
        raise ValueError(f"{name} must be one of the {len(known)} in the annotation file, got {number}")
    return number


def _parse_box(box: Any) -> tuple[float, float, float, float]:
    if not isinstance(box, list) or len(box) != 4:
        raise ValueError(f"bbox must be [x, y, width, height], got {show_json(box)}")
    x, y, width, height = (parse_number("bbox", number) for number in box)
    if width < 0 or height < 0:
        raise ValueError(f"bbox must have a width and height of at least 0, got {width:g} and {height:g}")
    return x, y, parse_number("x + width", x + width), parse_number("y + height", y + height)


def _box_lists(table: GroundTruth | Predictions) -> list[list[float]]:
    lists: list[list[float]] = np.concatenate([table.box[:, :2], table.box[:, 2:] - table.box[:, :2]], axis=1).tolist()
    return lists


def _find_images(table: GroundTruth | Predictions, images: CocoImages) -> list[int]:
    frames = zip(images.video.tolist(), images.frame.tolist(), strict=True)
    image_id = dict(zip(frames, images.image_id.tolist(), strict=True))
    wanted = list(zip(table.video.tolist(), table.frame.tolist(), strict=True))
    for row, key in enumerate(wanted):
        if key not in image_id:
            raise ValueError(f"every box must lie in an image, got video {key[0]}, frame {key[1]} in row {row}")
    return [image_id[key] for key in wanted]
