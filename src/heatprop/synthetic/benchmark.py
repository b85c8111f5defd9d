"""A benchmark on disk, laid out like ImageNet VID: pictures, annotations, lists."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import suppress
from dataclasses import asdict
from functools import partial
from multiprocessing import get_context
from os import PathLike
from pathlib import Path
from typing import NamedTuple

import numpy as np

try:
    from PIL import Image
except ImportError as error:  # this module is the first of the package to be imported
    raise ImportError("heatprop.synthetic needs Pillow: pip install 'heatprop[benchmark]'") from error

from heatprop.formats.imagenet_xml import write_annotation
from heatprop.formats.whole_files import replacing
from heatprop.synthetic.rendering import render_frame
from heatprop.synthetic.scenes import SceneOptions, make_scene
from heatprop.synthetic.visible import annotate_frame

_SPLITS = ("train", "val")
_RENDERING = 1  # raise it when a change alters what is rendered: nothing is then added to old folders
STAMP, PARTS = "benchmark.json", ".parts"
SAMPLES = 15  # frames of each video in VID_train_15frames.txt


class RenderedVideo(NamedTuple):
    """A video of the benchmark that is now on disk.

    Attributes:
        name: Its name in the lists, such as ``val/ILSVRC2015_val_00000000``.
        frames: How many frames it has.
        new: Whether it was rendered now; otherwise it was already there.
    """

    name: str
    frames: int
    new: bool


def make_benchmark(
    out: str | PathLike[str],
    *,
    train: int = 40,
    val: int = 10,
    seed: int = 0,
    scene: SceneOptions | None = None,
    workers: int = 1,
) -> Iterator[RenderedVideo]:
    """Render a benchmark in the layout of ImageNet VID, one video each time the iterator is advanced.

    Equal arguments give equal bytes with the same releases of Pillow, numpy and scikit-image, whatever ``workers``
    is. A video that already exists is not rendered again, and you may ask for more videos later. A video is rendered
    next to its final place and moved there when it is complete. Read the iterator to its end: the lists come last.

    Args:
        out: The root folder, like ``ILSVRC2015`` of the real data: it gets ``Data/VID``, ``Annotations/VID`` and
            ``ImageSets``.
        train: How many videos to train on, at least 0.
        val: How many videos to validate on, at least 0; their backgrounds are other photographs.
        seed: Random seed of everything, at least 0.
        scene: What the videos are like; ``SceneOptions()`` by default.
        workers: How many processes render, at least 1. With more than 1, a script needs the usual
            ``if __name__ == "__main__":``, because the processes are spawned.

    Yields:
        Each video, in order, once it is on disk.

    Raises:
        ValueError: If a number is out of its range, or ``out`` holds a benchmark made with other options.
    """
    scene = SceneOptions() if scene is None else scene
    for name, number, low in (("train", train, 0), ("val", val, 0), ("seed", seed, 0), ("workers", workers, 1)):
        if number < low:
            raise ValueError(f"{name} must be at least {low}, got {number}")
    root = Path(out)
    _stamp(root, scene, seed)
    jobs = [(split, number) for split, count in zip(_SPLITS, (train, val), strict=True) for number in range(count)]
    render = partial(_render_video, root, scene, seed)
    if workers == 1:
        yield from map(render, jobs)
    else:
        with ProcessPoolExecutor(workers, get_context("spawn")) as pool:  # a fork of a process with threads may hang
            yield from pool.map(render, jobs)
    _write_lists(root / "ImageSets", train, val, scene.frames)
    with suppress(OSError):  # it does not exist, or another process is rendering
        (root / PARTS).rmdir()


def video_name(split: str, number: int) -> str:
    """Name a video as ImageNet VID does.

    Args:
        split: ``"train"`` or ``"val"``.
        number: Number of the video, from 0.

    Returns:
        Its folder below ``Data/VID``.

    Examples:
        >>> video_name("train", 7), video_name("val", 7)
        ('train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000007', 'val/ILSVRC2015_val_00000007')
    """
    if split == "train":
        return f"train/ILSVRC2015_VID_train_{number // 1000:04d}/ILSVRC2015_train_{number:08d}"
    return f"val/ILSVRC2015_val_{number:08d}"


def _render_video(root: Path, options: SceneOptions, seed: int, job: tuple[str, int]) -> RenderedVideo:
    split, number = job
    name = video_name(split, number)
    places = {kind: root / kind / "VID" / name for kind in ("Data", "Annotations")}
    if places["Annotations"].is_dir():  # moved last
        return RenderedVideo(name, options.frames, False)
    beside = root / PARTS / places["Data"].name
    for old in (beside, places["Data"]):
        shutil.rmtree(old, ignore_errors=True)
    scene = make_scene(options, (seed, _SPLITS.index(split), number), split=split)
    quality = 75 + int(np.random.default_rng((seed, 2, number)).integers(21))
    for frame in range(options.frames):
        path = beside / "Data" / places["Data"].name / f"{frame:06d}.JPEG"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(render_frame(scene, frame)).save(path, "JPEG", quality=quality)
        annotation = beside / "Annotations" / places["Data"].name / f"{frame:06d}.xml"
        write_annotation(annotation, annotate_frame(scene, frame))
    for kind, place in places.items():
        place.parent.mkdir(parents=True, exist_ok=True)
        (beside / kind / place.name).rename(place)
    shutil.rmtree(beside)
    return RenderedVideo(name, options.frames, True)


def _stamp(root: Path, scene: SceneOptions, seed: int) -> None:
    """Write down what the videos are made from, or make sure that existing ones were made in the same way."""
    made = json.loads(json.dumps({"rendering": _RENDERING, "seed": seed, "scene": asdict(scene)}))
    path = root / STAMP
    if path.exists():
        try:
            found = json.loads(path.read_text("utf-8"))
        except ValueError as problem:
            raise ValueError(f"{path} must be JSON, got {problem}; choose another folder") from None
        if found != made:
            raise ValueError(f"{root} must hold videos made with these options, got {found}; choose another folder")
    elif (root / "Data").exists() or (root / "Annotations").exists():
        raise ValueError(f"{root} must be new or hold {STAMP}, got a data set without it; choose another folder")
    else:
        with replacing(path) as file:
            json.dump(made, file, indent=2)


def _write_lists(folder: Path, train: int, val: int, frames: int) -> None:
    names = [video_name("val", number) for number in range(val)]
    every = [f"{name}/{frame:06d}" for name in names for frame in range(frames)]
    count = min(SAMPLES, frames)
    picks = [(2 * step + 1) * frames // (2 * count) for step in range(count)]
    _write(
        folder / "VID_val_videos.txt", (f"{name} {1 + frames * place} 0 {frames}" for place, name in enumerate(names))
    )
    _write(folder / "VID_val_frames.txt", (f"{name} {place}" for place, name in enumerate(every, start=1)))
    _write(folder / "VID" / "val.txt", (f"{name[4:]} {place}" for place, name in enumerate(every, start=1)))
    _write(
        folder / f"VID_train_{SAMPLES}frames.txt",
        (f"{video_name('train', number)} 1 {pick} {frames}" for number in range(train) for pick in picks),
    )


def _write(path: Path, lines: Iterator[str]) -> None:
    with replacing(path) as file:
        file.writelines(f"{line}\n" for line in lines)


def fingerprint(root: str | PathLike[str]) -> str:
    """Hash every byte of a benchmark, to compare two of them.

    Args:
        root: Folder of a benchmark from `make_benchmark`.

    Returns:
        SHA-256 of all file names and contents, in order, as hexadecimal digits.
    """
    total = hashlib.sha256()
    for path in sorted(path for path in Path(root).rglob("*") if path.is_file()):
        total.update(f"{path.relative_to(root).as_posix()}\n".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    return total.hexdigest()
