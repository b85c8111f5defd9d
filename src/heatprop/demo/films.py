"""The demo's videos, made frame by frame."""

from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from heatprop.demo.bikes import Scenes
from heatprop.demo.carphone import Trial
from heatprop.demo.drawn_frames import LOST, Colour, Image, Panel, Tag, compose, draw_found, face_colour
from heatprop.demo.measures import FOUND_SCORE, GHOST_SCORE
from heatprop.video import VideoWriter
from heatprop.video.drawing import CARRIED, SEEN

_TITLES = ("per frame", "with memory")
_SLOW_RATE = 10  # frames per second: at thirty, a face lost for one frame is back before anyone notices
_QUIET: Colour = (150, 150, 155)
_FACE_KEY: tuple[tuple[Colour, str], ...] = ((SEEN, "found"), (CARRIED, "kept by memory"), (LOST, "lost"))
_SCENE_KEY: tuple[tuple[Colour, str], ...] = (
    (SEEN, "seen now"),
    (CARRIED, "from memory"),
    (LOST, "ghost of the scene before"),
)


def write_face_film(trial: Trial, path: Path) -> None:
    """Write the trial as a video, slowed down: on the left per frame, on the right with memory."""
    _write(_face_frames(trial), path, rate=_SLOW_RATE)


def write_scenes_film(scenes: Scenes, path: Path) -> None:
    """Write the street scenes as a video: on the left memory crosses the cuts, on the right it is reset."""
    _write(_scene_frames(scenes), path, rate=float(scenes.clip.rate))


def _face_frames(trial: Trial) -> Iterator[Image]:
    kinds = dict(trial.plan)
    found, scores = (trial.alone, trial.memory), (trial.alone_scores, trial.memory_scores)
    strips = [[face_colour(a, s, score=FOUND_SCORE) for a, s in zip(scores[0], shown, strict=True)] for shown in scores]
    for frame, image in enumerate(trial.images):
        panels = []
        for way, title in enumerate(_TITLES):
            score = float(scores[way][frame])
            lost = score < FOUND_SCORE
            drawn = draw_found(image, found[way][frame], score=FOUND_SCORE)
            panels.append(
                Panel(
                    drawn,
                    title,
                    f"score {score:.2f}",
                    Tag("face lost", LOST) if lost else Tag(),
                    _so_far(strips[way], frame),
                )
            )
        caption = f"frame {frame}" + (f", degraded: {kinds[frame]}" if frame in kinds else "")
        yield compose(panels, caption, _FACE_KEY)


def _scene_frames(scenes: Scenes) -> Iterator[Image]:
    ways = {"memory, no reset": scenes.crossing, "memory, reset at each cut": scenes.resetting}
    ghosts = {title: scenes.ghosts(found) for title, found in ways.items()}
    for frame, image in enumerate(scenes.clip.images):
        panels = []
        for title, found in ways.items():
            haunted = ghosts[title][frame] > 0
            strip = _so_far([LOST if count else _QUIET for count in ghosts[title]], frame)
            drawn = draw_found(image, found[frame], score=GHOST_SCORE)
            panels.append(Panel(drawn, title, "", Tag("ghost of the scene before", LOST) if haunted else Tag(), strip))
        scene = sum(cut <= frame for cut in scenes.cuts) + 1
        yield compose(panels, f"frame {scenes.first + frame}, scene {scene}", _SCENE_KEY)


def _so_far(strip: Sequence[Colour], frame: int) -> list[Colour | None]:
    return [*strip[: frame + 1], *[None] * (len(strip) - frame - 1)]


def _write(images: Iterator[Image], path: Path, *, rate: float) -> None:
    first = next(images)
    height, width, _ = first.shape
    with VideoWriter(path, width=width, height=height, rate=rate) as video:
        for image in chain([first], images):
            video.write(image)
