"""``heatprop make-benchmark``: the options of the command line; extras ``benchmark`` and ``cli``."""

import time
from pathlib import Path
from typing import Annotated

import typer

from heatprop.cli.terminal import progress, reporting
from heatprop.formats.whole_files import sweep
from heatprop.synthetic.benchmark import make_benchmark as render_benchmark
from heatprop.synthetic.scenes import SceneOptions
from heatprop.synthetic.sprites import CLASSES


def make_benchmark(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Root of the data set, like ILSVRC2015.")],
    train: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Videos to train on.")] = 40,
    val: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Videos to validate on.")] = 10,
    frames: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Frames in each video.")] = 60,
    size: Annotated[str, typer.Option(metavar="PIXELS", help="Side of the pictures, or 256x192.")] = "192",
    classes: Annotated[
        str, typer.Option(metavar="NAMES", help="Some of bird, bus, car, turtle, whale, zebra.")
    ] = ",".join(CLASSES.values()),
    slowest: Annotated[float, typer.Option(min=0, metavar="SPEED", help="Slowest object, pixels a frame.")] = 0.5,
    fastest: Annotated[float, typer.Option(min=0, metavar="SPEED", help="Fastest object, pixels a frame.")] = 8.0,
    objects: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Most objects in a video.")] = 4,
    seed: Annotated[int, typer.Option(min=0, metavar="NUMBER", help="Random seed of everything.")] = 0,
    workers: Annotated[int, typer.Option(min=1, metavar="NUMBER", help="Processes that render.")] = 1,
) -> None:
    """Render videos with exact boxes and track ids in the layout of ImageNet VID.

    Objects of six classes move before real photographs, blurred by motion and defocus, occluded, leaving and
    entering. Run it again to continue where it stopped, or to add videos.
    """
    try:
        scene = SceneOptions(
            size=_parse_size(size),
            frames=frames,
            classes=_parse_classes(classes),
            speed=(slowest, fastest),
            objects=(1, objects),
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    with reporting("make-benchmark", resume="the same options"):
        sweep(out, deep=True)
        _render(out, train, val, seed, scene, workers)


def _render(out: Path, train: int, val: int, seed: int, scene: SceneOptions, workers: int) -> None:
    start, rendered = time.perf_counter(), 0
    with progress("videos", train + val) as show:
        videos = render_benchmark(out, train=train, val=val, seed=seed, scene=scene, workers=workers)
        for done, video in enumerate(videos, start=1):
            rendered += video.frames if video.new else 0
            show(done, train + val)
    seconds = time.perf_counter() - start
    typer.echo(f"{out}: {train} + {val} videos of {scene.frames} frames; {rendered} frames rendered in {seconds:.1f} s")


def _parse_size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) > 2 or not all(side.isdecimal() for side in sides):
        raise ValueError(f"size must be a side in pixels, or width and height like 256x192, got {text!r}")
    return int(sides[0]), int(sides[-1])


def _parse_classes(text: str) -> tuple[str, ...]:
    wnids = {name: wnid for wnid, name in CLASSES.items()}
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in wnids]:
        raise ValueError(f"classes must be among {', '.join(wnids)}, got {', '.join(unknown)}")
    return tuple(wnids[name] for name in names)
