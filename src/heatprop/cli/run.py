"""``heatprop run``: a detector with a memory on video files; extra ``cli`` (Typer, Rich, Pillow)."""

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand

from heatprop.cli import run_options as use
from heatprop.cli.memory import make_memory
from heatprop.cli.terminal import FAILED, SIGNALLED, Terminal, progress, reporting
from heatprop.formats.whole_files import partial_path, sweep
from heatprop.running import (
    Detector,
    DetectorError,
    FrameDetector,
    Summary,
    TwoPassDetector,
    Wanted,
    distinct_stems,
    load_detector,
    run_video,
)
from heatprop.running.auto_radius import fit_radius
from heatprop.running.detectors import find_labels
from heatprop.running.results import Cuts
from heatprop.running.videos import Watched
from heatprop.video import CameraMotion, VideoReader

_SENSIBLE: dict[str, tuple[float, float, str]] = {  # lowest, highest, and why not more
    "score": (0, 1, "it is a score"),
    "mask_scale": (0.1, 100, "areas that are larger cover the whole picture"),
    "stride": (-math.inf, 1024, "one cell would be larger than the picture"),
}


class TakesFiles(TyperCommand):
    """A command that takes a file for one even if its name begins with a dash, like ``-dash.mp4``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Write such names so that they are no options."""
        return super().parse_args(ctx, [f"./{arg}" if arg[:1] == "-" and Path(arg).is_file() else arg for arg in args])


def run(
    videos: use.Videos,
    out: use.OutFolder,
    annotate: use.Annotate = None,
    blur: use.Blur = False,
    compare: use.Compare = False,
    json: use.Json = False,
    mot: use.Mot = False,
    coco: use.Coco = False,
    save_maps: use.SaveMaps = False,
    score: use.Score = 0.2,
    mask_scale: use.MaskScale = 1.3,
    container: use.ContainerOption = use.Container.mp4,
    skip_existing: use.SkipExisting = False,
    detector: use.DetectorName = "faces",
    classes: use.Classes = None,
    adapter: use.AdapterOption = None,
    head: use.HeadOption = None,
    detector_size: use.DetectorSize = None,
    stride: use.Stride = None,
    every: use.Every = 1,
    device: use.Device = "cpu",
    steady: use.Steady = False,
    radius: use.Radius = None,
    alpha: use.Alpha = None,
    beta: use.Beta = None,
    top_k: use.TopK = None,
    nms_threshold: use.NmsThreshold = None,
    carry: use.CarryOption = use.Carry.balanced,
    scene_cuts: use.SceneCutsOption = True,
    camera_motion: use.CameraMotionOption = False,
    two_pass: use.TwoPass = False,
    combine: use.CombineOption = use.Combine.mean,
) -> None:
    """Find faces in videos and box or blur them, with a memory that keeps them through blurred frames.

    To look at what it finds: heatprop run party.mp4 --out results

    To anonymise a video: heatprop run party.mp4 --out results --blur --two-pass

    Sound is copied. An existing file is replaced only by a complete one.

    The exit code is 0 if all went well, 1 if a video could not be processed to its end, 130 after Ctrl-C, and 143 or
    129 after SIGTERM or SIGHUP.
    """
    _refuse_absurd({"score": score, "mask_scale": mask_scale, "stride": stride})
    annotated = not blur if annotate is None else annotate
    wanted = Wanted(annotated, blur, compare, json, mask_scale, f".{container}", save_maps, mot, coco)
    if not wanted.paths(out, ""):
        raise typer.BadParameter("nothing would be written: add --blur, --compare, --json or --save-maps")
    if every > 1 and (two_pass or save_maps):
        other = "--two-pass" if two_pass else "--save-maps"
        raise typer.BadParameter(f"{other} needs the detector's maps of all frames; leave it out, or leave out --every")
    votes = head not in (None, use.HeadName.centernet)
    if head is not None:
        _refuse_beside_head(adapter, stride)
    try:
        memory = make_memory(
            steady=steady,
            radius=None if radius in (None, "auto") else _cells(radius),
            alpha=alpha,
            beta=beta,
            nms_threshold=nms_threshold,
            top_k=top_k,
            stride=stride,
            carry=carry,
            votes=votes,
        )
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    loaded = _load(detector, adapter, head, device)
    found = FrameDetector(
        loaded,
        memory,
        score=score,
        longer_side=loaded.longer_side if detector_size is None else detector_size,
        compare=compare,
        keep_maps=save_maps,
        camera=CameraMotion() if camera_motion else None,
        every=every,
        mask_scale=mask_scale if blur else None,
        labels=None if classes is None else _find_labels(classes, loaded),
    )
    detecting = TwoPassDetector(found, folder=out, combine=combine.value) if two_pass else found
    named = dict(zip(dict.fromkeys(videos), distinct_stems(list(dict.fromkeys(videos))), strict=True))
    _make_folder(out, named, wanted)
    if skip_existing:
        named = _without_finished(named, wanted, out)
    with reporting("run"):
        cuts = _scene_cuts() if scene_cuts else None
        prepare = _choose_radius(found, cuts) if radius == "auto" else None
        _run_all(named, detecting, wanted, out, cuts, prepare)


def _refuse_absurd(options: dict[str, float | None]) -> None:
    """Refuse what would take for ever, or all memory, or mean nothing."""
    for name, value in options.items():
        low, high, reason = _SENSIBLE[name]
        if value is not None and not low <= value <= high:
            option = f"--{name.replace('_', '-')}"
            bounds = f"at most {high:g}" if low == -math.inf else f"from {low:g} to {high:g}"
            raise typer.BadParameter(f"{option} must be {bounds}, got {value:.10g}; {reason}")


def _refuse_beside_head(adapter: use.AdapterName | None, stride: float | None) -> None:
    """Refuse what a head says by itself."""
    for option, value in (("--adapter", adapter), ("--stride", stride)):
        if value is not None:
            raise typer.BadParameter(f"--head says how to read the network, so leave out {option} {value}")


def _load(name: str, adapter: use.AdapterName | None, head: use.HeadName | None, device: str) -> Detector:
    named = {"adapter": None if adapter is None else adapter.value, "head": None if head is None else head.value}
    try:
        return load_detector(name, device=device, **named)
    except DetectorError as error:
        raise typer.BadParameter(str(error)) from error


def _cells(radius: str | None) -> int:
    try:
        return int(radius or "")
    except ValueError:
        raise typer.BadParameter(
            f"must be a whole number of cells, or auto, got {radius!r}", param_hint="--radius"
        ) from None


def _choose_radius(
    detector: FrameDetector, scene_cuts: Callable[[], Cuts] | None
) -> Callable[[VideoReader, Watched], str]:
    def prepare(video: VideoReader, watch: Watched) -> str:
        return fit_radius(detector, video, cuts=None if scene_cuts is None else scene_cuts(), watch=watch)

    return prepare


def _find_labels(classes: str, detector: Detector) -> frozenset[int]:
    try:
        return find_labels(classes, detector.class_names)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint="--classes") from error


def _scene_cuts() -> Callable[[], Cuts]:
    from heatprop.video.scenes import SceneCuts  # it needs OpenCV, which does not load everywhere

    return SceneCuts


def _run_all(
    named: dict[Path, str],
    detector: FrameDetector | TwoPassDetector,
    wanted: Wanted,
    out: Path,
    scene_cuts: Callable[[], Cuts] | None,
    prepare: Callable[[VideoReader, Watched], str] | None,
) -> NoReturn:
    terminal, summaries = Terminal(), list[Summary]()
    for number, (path, stem) in enumerate(named.items(), start=1):
        cuts = None if scene_cuts is None else scene_cuts()
        with progress(f"{number}/{len(named)} {path.name}") as on_frame:
            summary = run_video(
                path, detector, wanted=wanted, folder=out, stem=stem, cuts=cuts, on_frame=on_frame, prepare=prepare
            )
        if wanted.blurred and not summary.problem:
            summary.problem = summary.warning and f"{path}: {summary.warning}, so nothing is blurred"
        terminal.outcome(summary)
        summaries.append(summary)
        if summary.interrupted:
            break
    terminal.table(summaries)
    raise typer.Exit(_exit_code(summaries))


def _make_folder(out: Path, named: dict[Path, str], wanted: Wanted) -> None:
    """Make the folder of the results, and remove what killed processes left in it."""
    outputs = [path for video, stem in named.items() for path in wanted.paths(out, stem, video).values()]
    for path in [*outputs, *map(partial_path, outputs)]:
        if any(_is_same(path, video) for video in named):
            raise typer.BadParameter(
                f"{path} is one of the videos and would be replaced; choose another folder", param_hint="--out"
            )
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(
            f"{out} is no folder and cannot be made: {error.strerror}", param_hint="--out"
        ) from error
    sweep(out, spare=named)


def _is_same(path: Path, other: Path) -> bool:
    """Tell whether two paths are one file; some file systems do not tell a from A."""
    return path.resolve() == other.resolve() or (path.exists() and other.exists() and path.samefile(other))


def _without_finished(named: dict[Path, str], wanted: Wanted, out: Path) -> dict[Path, str]:
    """Leave out the videos all of whose results are there, and say how many."""
    left = {
        path: stem
        for path, stem in named.items()
        if not all(result.exists() for result in wanted.paths(out, stem, path).values())
    }
    if len(left) < len(named):
        typer.echo(f"{len(named) - len(left)} of {len(named)} videos are finished already and skipped", err=True)
    return left


def _exit_code(summaries: list[Summary]) -> int:
    for summary in summaries:
        if summary.interrupted:
            return SIGNALLED + summary.interrupted
    return FAILED if any(summary.problem for summary in summaries) else 0
