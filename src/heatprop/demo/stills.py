"""The demo's pictures: the score over time, heatmaps of one frame, and a few frames with and without memory."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from heatprop.demo.bikes import Scenes
from heatprop.demo.carphone import Trial
from heatprop.demo.clips import Images
from heatprop.demo.detection import Array, FrameFaces
from heatprop.demo.drawn_frames import LOST, Image, Tag, compose_rows, draw_found, face_colour
from heatprop.demo.measures import FOUND_SCORE, GHOST_SCORE, object_scores
from heatprop.formats.whole_files import replacing
from heatprop.plots import heatmap_strip, score_timeline
from heatprop.video.drawing import CARRIED, SEEN

_COLOURS = 256  # in a picture file, so that it stays small
_CROP = 22  # cells around the face in the strip of heatmaps
_AROUND_CUT = (-1, 0, 10, 20)  # frames of the picture of a cut
_SCENE_WINDOW = (300, 180)  # the part of these frames that is shown, in pixels
_FACE_WINDOW = (264, 264)
_FACE_WORDS = {SEEN: "found", CARRIED: "kept", LOST: "lost"}


def write_timeline(trial: Trial, path: Path) -> None:
    """Plot the face's score over the frames."""
    figure = score_timeline(
        trial.alone_scores, trial.memory_scores, carried=trial.kept, degraded=trial.degraded, threshold=FOUND_SCORE
    )
    with replacing(path, "wb") as file:
        figure.savefig(file, format="png")


def write_heatmaps(trial: Trial, path: Path) -> None:
    """Draw how the memory keeps the face in the frame that matters most."""
    frame = choose_moment(trial)
    now = trial.outputs[frame]
    rows, columns = now.heatmap.shape[2:]
    height, width = trial.images.shape[1:3]
    x1, y1, x2, y2 = trial.reference[frame]
    x, y = round((x1 + x2) / 2 * columns / width), round((y1 + y2) / 2 * rows / height)
    crop = max(0, x - _CROP), max(0, y - _CROP), min(columns, x + _CROP + 1), min(rows, y + _CROP + 1)
    images = trial.images[frame - 1], trial.images[frame]
    with replacing(path, "wb") as file:
        heatmap_strip(trial.outputs[frame - 1], now, images=images, crop=crop).savefig(file, format="png")


def write_side_by_side(trial: Trial, path: Path, *, columns: int = 4) -> None:
    """Draw the frames around the one that matters most, as in the paper's Fig. 3: per frame above, memory below."""
    first = min(choose_moment(trial) - 1, len(trial.images) - columns)
    _write_both_ways(trial, range(first, first + columns), path)


def write_real_loss(trial: Trial, path: Path) -> None:
    """Draw the longest loss without degradation: the frame before, the first, middle and last one lost, the next."""
    loss = trial.real_loss
    frames = (loss.start - 1, loss.start, loss[len(loss) // 2], loss[-1], loss.stop)
    _write_both_ways(trial, sorted({t for t in frames if 0 <= t < len(trial.images)}), path)


def _write_both_ways(trial: Trial, frames: Sequence[int], path: Path) -> None:
    kinds = dict(trial.plan)
    corner = _corner(trial.images, trial.reference[frames[0]], _FACE_WINDOW)
    ways = {"Per frame: the detector alone": trial.alone, "With memory: heatprop": trial.memory}
    rows = {}
    for title, found in ways.items():
        images = [_window(trial.images[t], found[t], corner, _FACE_WINDOW, FOUND_SCORE) for t in frames]
        scores = object_scores(found, trial.reference)
        tags = [_face_tag(trial.alone_scores[t], scores[t]) for t in frames]
        rows[title] = list(zip(images, tags, strict=True))
    captions = [f"frame {t}" + (f": {kinds[t]}" if t in kinds else "") for t in frames]
    _save(compose_rows(rows, captions), path)


def write_scene_cut(scenes: Scenes, path: Path) -> None:
    """Draw frames around the cut with the longest ghost: memory crosses the cut above, and is reset below."""
    lasting = scenes.ghost_frames(scenes.crossing)
    cut = max(lasting, key=lambda number: lasting[number]) - scenes.first
    frames = [min(cut + step, len(scenes.clip.images) - 1) for step in _AROUND_CUT]
    boxes = scenes.crossing[cut].boxes
    corner = _corner(scenes.clip.images, boxes[0] if len(boxes) else np.zeros(4), _SCENE_WINDOW)
    ways = {"Memory crosses the cut": scenes.crossing, "Memory is reset at the cut": scenes.resetting}
    rows = {}
    for title, found in ways.items():
        ghosts = scenes.ghosts(found)
        images = [_window(scenes.clip.images[t], found[t], corner, _SCENE_WINDOW, GHOST_SCORE) for t in frames]
        tags = [_scene_tag(found[t].scores.max(initial=0.0), ghost=ghosts[t] > 0) for t in frames]
        rows[title] = list(zip(images, tags, strict=True))
    captions = [f"frame {scenes.first + t}" + (": new scene" if t == cut else "") for t in frames]
    _save(compose_rows(rows, captions), path)


def choose_moment(trial: Trial) -> int:
    """Choose the frame that best shows what the memory does.

    It begins the longest run, of two frames at most, that only the memory sees, with the face found both with and
    without memory right before and after it; the first such run in a tie. If there is none, it is the frame where the
    memory helps most.

    Args:
        trial: A clip, detected with and without memory.

    Returns:
        The frame's number, at least 1.
    """
    alone, memory = (scores >= FOUND_SCORE for scores in (trial.alone_scores, trial.memory_scores))
    for length in (2, 1):
        for frame in range(1, len(alone) - length):
            run, ends = slice(frame, frame + length), [frame - 1, frame + length]
            if memory[run].all() and not alone[run].any() and memory[ends].all() and alone[ends].all():
                return frame
    return 1 + int(np.argmax((trial.memory_scores - trial.alone_scores)[1:]))


def _face_tag(alone: float, shown: float) -> Tag:
    colour = face_colour(alone, shown, score=FOUND_SCORE)
    return Tag(f"{_FACE_WORDS[colour]} {shown:.2f}", colour)


def _scene_tag(best: float, *, ghost: bool) -> Tag:
    if best < GHOST_SCORE:
        return Tag()
    return Tag(f"ghost {best:.2f}", LOST) if ghost else Tag(f"face {best:.2f}")


def _corner(images: Images, box: Array, size: tuple[int, int]) -> tuple[int, int]:
    """Find the top left corner of a part of the picture that has a box in its middle."""
    height, width = images.shape[1:3]
    x, y = (box[0] + box[2] - size[0]) / 2, (box[1] + box[3] - size[1]) / 2
    return round(min(max(x, 0), width - size[0])), round(min(max(y, 0), height - size[1]))


def _window(image: Image, found: FrameFaces, corner: tuple[int, int], size: tuple[int, int], score: float) -> Image:
    """Draw the boxes on a part of a picture."""
    x, y = corner
    part = np.ascontiguousarray(image[y : y + size[1], x : x + size[0]])
    return draw_found(part, found._replace(boxes=found.boxes - (x, y, x, y)), score=score, numbers=False)


def _save(picture: Image, path: Path) -> None:
    few = Pillow.fromarray(picture).quantize(_COLOURS, dither=Pillow.Dither.NONE)
    with replacing(path, "wb") as file:
        few.save(file, format="png", optimize=True)
