"""``heatprop run``: a detector with a memory on video files; extra ``cli`` (Typer, Rich, Pillow)."""

from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import typer

from heatprop.cli import run_options as use
from heatprop.cli.memory import make_memory
from heatprop.cli.terminal import FAILED, INTERRUPTED, Terminal, progress
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
from heatprop.running.results import Cuts
from heatprop.video import CameraMotion


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
    detector: use.DetectorName = "faces",
    adapter: use.AdapterOption = None,
    detector_size: use.DetectorSize = None,
    stride: use.Stride = 4,
    every: use.Every = 1,
    device: use.Device = "cpu",
    steady: use.Steady = False,
    radius: use.Radius = None,
    alpha: use.Alpha = None,
    beta: use.Beta = None,
    top_k: use.TopK = 100,
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

    Sound is copied. Files that are there already are replaced by whole ones only.

    The exit code is 0 if all went well, 1 if a video could not be processed to its end, 130 after Ctrl-C.
    """
    annotated = not blur if annotate is None else annotate
    wanted = Wanted(annotated, blur, compare, json, mask_scale, f".{container}", save_maps, mot, coco)
    if not wanted.paths(out, ""):
        raise typer.BadParameter("nothing would be written: add --blur, --compare, --json or --save-maps")
    if every > 1 and (two_pass or save_maps):
        other = "--two-pass" if two_pass else "--save-maps"
        raise typer.BadParameter(f"{other} needs the detector's maps of all frames; leave it out, or leave out --every")
    try:
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
    except ValueError as error:
        raise typer.BadParameter(str(error)) from error
    loaded = _load(detector, None if adapter is None else adapter.value, device)
    found = FrameDetector(
        loaded,
        memory,
        score=score,
        longer_side=detector_size,
        compare=compare,
        keep_maps=save_maps,
        camera=CameraMotion() if camera_motion else None,
        every=every,
        mask_scale=mask_scale if blur else None,
    )
    detecting = TwoPassDetector(found, folder=out, combine=combine.value) if two_pass else found
    _run_all(list(dict.fromkeys(videos)), detecting, wanted, out, _scene_cuts() if scene_cuts else None)


def _load(name: str, adapter: str | None, device: str) -> Detector:
    try:
        return load_detector(name, adapter=adapter, device=device)
    except DetectorError as error:
        raise typer.BadParameter(str(error)) from error


def _scene_cuts() -> Callable[[], Cuts]:
    from heatprop.video.scenes import SceneCuts  # it needs OpenCV, which does not load everywhere

    return SceneCuts


def _run_all(
    videos: list[Path],
    detector: FrameDetector | TwoPassDetector,
    wanted: Wanted,
    out: Path,
    scene_cuts: Callable[[], Cuts] | None,
) -> NoReturn:
    stems = distinct_stems(videos)
    _protect(videos, [path for stem in stems for path in wanted.paths(out, stem).values()])
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise typer.BadParameter(
            f"{out} is no folder and cannot be made: {error.strerror}", param_hint="--out"
        ) from error
    terminal, summaries = Terminal(), list[Summary]()
    for number, (path, stem) in enumerate(zip(videos, stems, strict=True), start=1):
        cuts = None if scene_cuts is None else scene_cuts()
        with progress(f"{number}/{len(videos)} {path.name}") as on_frame:
            summary = run_video(path, detector, wanted=wanted, folder=out, stem=stem, cuts=cuts, on_frame=on_frame)
        terminal.outcome(summary)
        summaries.append(summary)
        if summary.interrupted:
            break
    terminal.table(summaries)
    raise typer.Exit(_exit_code(summaries))


def _protect(videos: list[Path], outputs: list[Path]) -> None:
    """Refuse to replace an input by an output."""
    inputs = {path.resolve() for path in videos}
    for path in outputs:
        if path.resolve() in inputs:
            raise typer.BadParameter(
                f"{path} is one of the videos and would be replaced; choose another folder", param_hint="--out"
            )


def _exit_code(summaries: list[Summary]) -> int:
    if any(summary.interrupted for summary in summaries):
        return INTERRUPTED
    return FAILED if any(summary.problem for summary in summaries) else 0
