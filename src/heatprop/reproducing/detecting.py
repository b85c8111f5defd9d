"""Run the network over the frames of a video and save its sparse maps in a file."""

import time
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.centernet.letterbox import fit, letterbox
from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.imagenet_xml import read_annotation
from heatprop.maps.saved import SavedMaps, write_saved_maps
from heatprop.maps.sparse import MapPacker
from heatprop.reproducing.plan import STRIDE, Plan, Video
from heatprop.reproducing.reading_ahead import read_batches
from heatprop.structures import HeadMaps


class Network(NamedTuple):
    """A detector that is ready to run.

    Attributes:
        detect: Turns letterboxed pictures ``(B, 3, S, S)``, RGB, ``uint8``, on its device, into maps of stride 4.
        device: Device that the pictures must be on.
    """

    detect: Callable[[Tensor], HeadMaps]
    device: torch.device


def save_video_maps(
    plan: Plan,
    video: Video,
    network: Network,
    truth: GroundTruth,
    *,
    batch: int = 8,
    workers: int = 4,
    skip_bad: bool = False,
    on_frames: Callable[[int], None] = lambda count: None,
) -> None:
    """Run the network over a video and write its sparse maps, with the objects in pixels of the network's input.

    Args:
        plan: The plan, which says where everything is.
        video: The video.
        network: The detector.
        truth: The video's objects in pixels of its pictures; ``frame`` is the frame's number, ``label`` counts from 1.
        batch: How many pictures the network gets at a time.
        workers: How many threads read pictures.
        skip_bad: Count pictures that cannot be read and treat them as empty, instead of stopping.
        on_frames: Called with the number of frames done since the last call.

    Raises:
        ValueError: If a picture cannot be read, or the network's maps have a wrong shape.
    """
    skipped = Skipped() if skip_bad else None
    packer = MapPacker((len(plan.classes), plan.size // STRIDE, plan.size // STRIDE))
    sizes, seconds = list[tuple[int, int] | None](), 0.0
    for pictures in read_batches(video.pictures, batch=batch, workers=workers, skipped=skipped):
        seconds += _detect_batch(pictures, plan.size, network, packer)
        sizes += [None if one is None else (one.shape[2], one.shape[1]) for one in pictures]
        on_frames(len(pictures))
    picture_wh = _fill_sizes(plan, video, sizes)
    maps = SavedMaps(
        name=video.name,
        **packer.pack()._asdict(),
        stride=STRIDE,
        input_wh=(plan.size, plan.size),
        class_names=plan.class_names(),
        truth=_in_network_pixels(truth, video, picture_wh, plan.size),
    )
    notes: dict[str, NDArray[np.generic]] = {
        "number": np.array(video.numbers, np.int32),
        "picture_wh": picture_wh,
        "checkpoint": np.array(plan.checkpoint),
        "network_seconds": np.array(seconds),
        "unread": np.array(skipped.messages if skipped else [], np.str_),
    }
    write_saved_maps(plan.maps_file(video), maps, notes=notes)


def warm_up(network: Network, size: int) -> None:
    """Run the network once, so that the first video's time does not include loading kernels."""
    with torch.inference_mode():
        network.detect(torch.zeros(1, 3, size, size, dtype=torch.uint8, device=network.device))


def _detect_batch(pictures: list[Tensor | None], size: int, network: Network, packer: MapPacker) -> float:
    """Add the maps of a batch, and return the seconds that the network took."""
    with torch.inference_mode():
        squares = [letterbox(one[None].to(network.device), size)[0] for one in pictures if one is not None]
        maps, seconds = _timed(network, torch.cat(squares)) if squares else ((), 0.0)
    results = iter(zip(*(one.float().cpu().numpy() for one in maps), strict=True))
    for picture in pictures:
        if picture is None:
            packer.add_nothing()
        else:
            packer.add(*next(results))
    return seconds


def _timed(network: Network, squares: Tensor) -> tuple[tuple[Tensor, ...], float]:
    _wait(network.device)
    start = time.perf_counter()
    maps = network.detect(squares)
    _wait(network.device)
    seconds = time.perf_counter() - start
    if maps.offset is None or maps.size is None:
        raise ValueError("the network must return heatmap, offset and size, got no offset or no size")
    return (maps.heatmap, maps.offset, maps.size), seconds


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _fill_sizes(plan: Plan, video: Video, sizes: list[tuple[int, int] | None]) -> NDArray[np.int32]:
    """Take the sizes of pictures that could not be read from their annotations."""
    folder = plan.data / "Annotations" / "VID" / video.name
    filled = []
    for number, size in zip(video.numbers, sizes, strict=True):
        if size is None:
            annotation = read_annotation(folder / f"{number:06d}.xml", skipped=Skipped())
            size = (annotation.width, annotation.height)
        filled.append(size)
    return np.array(filled, np.int32)


def _in_network_pixels(truth: GroundTruth, video: Video, picture_wh: NDArray[np.int32], size: int) -> GroundTruth:
    """Convert objects to the form of saved maps: ``frame`` is the row of the frame, ``label`` the channel."""
    rows = {number: row for row, number in enumerate(video.numbers)}
    frame = np.array([rows[number] for number in truth.frame.tolist()], np.int64)
    boxes = []
    for row, box in zip(frame, truth.box, strict=True):
        width, height = picture_wh[row].tolist()
        boxes.append(fit(width, height, size).letterboxed(torch.from_numpy(box)).numpy())
    name = np.full(len(frame), video.name)
    return truth._replace(
        video=name, frame=frame, label=truth.label - 1, box=np.array(boxes, np.float64).reshape(-1, 4)
    )
