"""Time the way of a picture into a batch: decoders, the letterbox, and whole data sets with 0, 1 and 2 workers.

Run from the repository root (about 1 minute)::

    PYTHONPATH=src python tests/benchmarks/bench_decoding.py
"""

import io
import tempfile
import time
import warnings
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from measure import milliseconds, table
from PIL import Image
from torch import Tensor
from torch.utils.data import DataLoader, Dataset
from torchvision.io import ImageReadMode, decode_image, read_file

from heatprop.centernet.data import Augmentation, ImageNetVID, Sample, collate, read_picture
from heatprop.centernet.letterbox import fit, warp
from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, write_annotation
from heatprop.synthetic import SceneOptions, make_scene, render_frame

SIZES = {"1280 x 720 to 512": ((1280, 720), 512), "192 x 192 to 128": ((192, 192), 128)}  # as in ImageNet VID, as made
WARP = "of which heatprop.centernet.letterbox"


def with_opencv(path: Path) -> np.ndarray:
    return cv2.imdecode(np.fromfile(path, np.uint8), cv2.IMREAD_COLOR_RGB | cv2.IMREAD_IGNORE_ORIENTATION)


def with_pyav(path: Path) -> Tensor:
    with av.open(io.BytesIO(path.read_bytes())) as container:
        frame = next(container.decode(video=0))
        return torch.from_numpy(frame.to_ndarray(format="rgb24")).permute(2, 0, 1)


def opencv_sample(path: Path, size: int) -> Tensor:
    """What the original does: OpenCV for both steps."""
    frame = with_opencv(path)
    where = fit(frame.shape[1], frame.shape[0], size)
    matrix = np.array([[where.scale, 0, where.left], [0, where.scale, where.top]])
    square = cv2.warpAffine(frame, matrix, (size, size), flags=cv2.INTER_LINEAR)
    return torch.from_numpy(square).permute(2, 0, 1)


def our_sample(path: Path, size: int) -> Tensor:
    frame = read_picture(path)
    return warp(frame[None], fit(frame.shape[2], frame.shape[1], size), size)[0]


def time_decoders(path: Path, size: int) -> tuple[dict[str, float], dict[str, float]]:
    """Milliseconds for one picture: to a tensor, and to a square."""
    frame = read_picture(path)
    decoders = {
        "Pillow (used)": lambda: read_picture(path),
        "OpenCV": lambda: torch.from_numpy(with_opencv(path)).permute(2, 0, 1),
        "torchvision.io": lambda: decode_image(read_file(str(path)), ImageReadMode.RGB),
        "PyAV": lambda: with_pyav(path),
    }
    samples = {
        "Pillow and heatprop.centernet.letterbox (used)": lambda: our_sample(path, size),
        "OpenCV for both": lambda: opencv_sample(path, size),
        WARP: lambda: warp(frame[None], fit(frame.shape[2], frame.shape[1], size), size),
    }
    return milliseconds(decoders, rounds=7), milliseconds(samples, rounds=7)


def images_per_second(data: Dataset[Sample], workers: int, *, batch_size: int = 16, passes: int = 3) -> float:
    """Best pass over a data set; workers live on, so that their start is not counted."""
    loader = DataLoader(
        data, batch_size, shuffle=True, collate_fn=collate, num_workers=workers, persistent_workers=workers > 0
    )
    best = float("inf")
    for number in range(passes + 1):
        start = time.perf_counter()
        count = sum(len(batch["name"]) for batch in loader)
        if number:  # the first one starts the workers and fills the cache
            best = min(best, time.perf_counter() - start)
    return count / best


def render(root: Path, size: tuple[int, int], count: int) -> None:
    """Pictures of one rendered scene, JPEG quality 90 as cameras have it, with two boxes each."""
    scene = make_scene(SceneOptions(size=size, frames=count), (0,))
    name = "train/v"
    (root / "Data" / "VID" / name).mkdir(parents=True)
    (root / "Annotations" / "VID" / name).mkdir(parents=True)
    objects = [AnnotatedObject("n02084071", (10, 10, 90, 70), 0), AnnotatedObject("n02958343", (50, 30, 150, 160), 1)]
    for frame in range(count):
        picture = Image.fromarray(render_frame(scene, frame))
        picture.save(root / "Data" / "VID" / name / f"{frame:06d}.JPEG", "JPEG", quality=90)
        write_annotation(root / "Annotations" / "VID" / name / f"{frame:06d}.xml", Annotation(*size, objects))


def main() -> None:
    """Measure and print three tables."""
    warnings.filterwarnings("ignore", category=DeprecationWarning, module="torchvision")
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    decoding: list[list[str]] = []
    sampling: list[list[str]] = []
    loading: list[list[str]] = []
    for title, (size, side) in SIZES.items():
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            render(root, size, 128 if side < 512 else 48)
            decoders, samples = time_decoders(root / "Data/VID/train/v/000000.JPEG", side)
            ours = decoders["Pillow (used)"]
            decoding += [[title, name, f"{took:.2f}", f"{took / ours:.2f}"] for name, took in decoders.items()]
            ours = samples["Pillow and heatprop.centernet.letterbox (used)"]
            sampling += [[title, name, f"{took:.2f}", f"{took / ours:.2f}"] for name, took in samples.items()]
            data = ImageNetVID(root, per_video=None, size=side, augmentation=Augmentation())
            loading.append([title, *(f"{images_per_second(data, workers):.0f}" for workers in (0, 1, 2))])
    print(table(["picture", "decoder", "ms", "of Pillow's"], decoding), end="\n\n")
    print(table(["picture", "decoded and letterboxed", "ms", "of ours"], sampling), end="\n\n")
    print(table(["pictures", "0 workers, images/s", "1 worker", "2 workers"], loading))


if __name__ == "__main__":
    main()
