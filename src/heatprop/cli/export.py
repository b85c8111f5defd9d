"""``heatprop export``: a detector with its memory as one file, checked against its source on a video."""

from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import torch
import typer
from torch import Tensor
from torch.nn.functional import interpolate

from heatprop.cli import run_options as use
from heatprop.cli.memory import make_memory
from heatprop.cli.terminal import FAILED, reporting
from heatprop.detector import VideoDetector
from heatprop.export import OnnxVideoDetector, Parity, compare, export_onnx, export_program
from heatprop.propagator import HeatmapPropagator
from heatprop.running.detectors import FACES, Detector, DetectorError, in_one_line, load_detector
from heatprop.video import VideoReader


class Kind(StrEnum):
    """The kinds of files, by their suffix."""

    onnx = ".onnx"
    pt2 = ".pt2"


def export(
    out: Annotated[Path, typer.Option(metavar="FILE", help="The file to be written: .onnx, or .pt2 for torch.")],
    detector: use.DetectorName = FACES,
    adapter: use.AdapterOption = None,
    stride: use.Stride = None,
    size: Annotated[
        str | None,
        typer.Option(
            metavar="WIDTHxHEIGHT",
            help="Size of the frames that the file takes, in pixels.",
            show_default="that of --check",
        ),
    ] = None,
    streams: Annotated[int, typer.Option(min=1, metavar="COUNT", help="Videos that go through it at once.")] = 1,
    check: Annotated[
        Path | None,
        typer.Option(metavar="VIDEO", help="Show both the same frames of this video, and say how far they are apart."),
    ] = None,
    frames: Annotated[int, typer.Option(min=1, metavar="COUNT", help="How many frames --check takes.")] = 100,
    steady: use.Steady = False,
    radius: Annotated[int | None, typer.Option(metavar="CELLS", min=0, max=100, help="As in heatprop run.")] = None,
    alpha: use.Alpha = None,
    beta: use.Beta = None,
    nms_threshold: use.NmsThreshold = None,
    top_k: use.TopK = None,
    carry: use.CarryOption = use.Carry.balanced,
) -> None:
    """Write a detector with its memory as one file that runs without torch: frames in, boxes with identities out."""
    with reporting("export"):
        kind = _kind(out)
        width, height = _size(size, check)
        memory = make_memory(
            steady=steady,
            radius=radius,
            alpha=alpha,
            beta=beta,
            nms_threshold=nms_threshold,
            top_k=top_k,
            stride=stride,
            carry=carry,
        )
        loaded = load_detector(detector, adapter=None if adapter is None else adapter.value)
        video = _video_detector(loaded, memory)
        path = _write(video, out, torch.zeros(streams, 3, height, width), loaded)
        typer.echo(f"wrote {path}: {streams} x 3 x {height} x {width} pixels in, {path.stat().st_size / 1e6:.1f} MB")
        if check is not None and kind is Kind.onnx:
            parity = compare(video, OnnxVideoDetector(path), _pictures(check, frames, streams, height, width))
            typer.echo(_say(parity, check))
            if not parity.holds:
                raise typer.Exit(FAILED)


def _write(video: VideoDetector, out: Path, example: Tensor, loaded: Detector) -> Path:
    write = export_onnx if _kind(out) is Kind.onnx else export_program
    try:
        return write(video, out, example=(example,), class_names=loaded.class_names)
    except (ImportError, ValueError, OSError):
        raise  # they say what is wrong
    except Exception as error:  # whatever tracing a user's detector raises
        raise DetectorError(f"{loaded.name} could not be exported: {in_one_line(error)}") from error


def _kind(out: Path) -> Kind:
    if out.suffix not in list(Kind):
        raise ValueError(f"--out must end in {' or '.join(Kind)}, got {out}")
    return Kind(out.suffix)


def _size(size: str | None, check: Path | None) -> tuple[int, int]:
    """Read width and height, in pixels."""
    if size is None:
        if check is None:
            raise ValueError("say with --size WIDTHxHEIGHT which frames the file takes, or give a video with --check")
        with VideoReader(check) as reader:
            return reader.width, reader.height
    width, _, height = size.partition("x")
    if not (width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise ValueError(f"--size must be WIDTHxHEIGHT such as 640x352, got {size}")
    return int(width), int(height)


def _video_detector(loaded: Detector, memory: HeatmapPropagator) -> VideoDetector:
    """Join the detector of a command line to a memory; without an adapter it must give HeadMaps itself."""
    return VideoDetector(loaded.network, memory, adapter=loaded.adapter or (lambda maps: maps))


def _pictures(path: Path, count: int, streams: int, height: int, width: int) -> Iterator[Tensor]:
    """Yield frames as the file takes them: scaled, the same for every stream."""
    with VideoReader(path) as reader:
        for frame, _ in zip(reader, range(count), strict=False):
            pixels = frame.tensor().float()
            if pixels.shape[2:] != (height, width):
                pixels = interpolate(pixels, (height, width), mode="bilinear", antialias=True)
            yield pixels.expand(streams, -1, -1, -1).contiguous()


def _say(parity: Parity, path: Path) -> str:
    verdict = "equal" if parity.holds else "NOT EQUAL"
    return (
        f"{verdict} on {parity.frames} frames of {path.name} with {parity.objects} detections: labels, identities, "
        f"cells or ages differ in {parity.different} frames, boxes by up to {parity.boxes:.1e} of their coordinates, "
        f"scores by up to {parity.scores:.1e}"
    )
