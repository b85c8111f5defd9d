"""How well remembered landmarks stand in for those of a detector that is not asked: CenterFace on a real clip.

The detector looks at every n-th frame; on the others the landmarks of the memory are compared with those that it would
have given. And where it looks at every frame: how much they tremble. Run from the repository root with the extras
``demo`` and ``faces``; it prints the tables of docs/remembering.md::

    PYTHONPATH=src python tests/benchmarks/study_landmarks.py
"""

import numpy as np
import torch
from measure import table

from heatprop import Detections, HeadMaps, HeatmapPropagator, adapters
from heatprop.demo.clips import COMPRESSED, PRISTINE, enlarge, load_clip
from heatprop.faces import CenterFace

RULES = ("none", "last", "blend", "points")
STRIDE = 4


def face_maps(name: str, *, count: int = 120) -> list[HeadMaps]:
    """Maps of each frame of a clip, enlarged twice, with landmarks."""
    detector, adapter = CenterFace(landmarks=True, threads=1), adapters.centerface(landmarks=True)
    images = torch.from_numpy(enlarge(load_clip(name, count=count).images)).permute(0, 3, 1, 2)
    return [adapter(detector(image[None])) for image in images]


def best_landmarks(detections: Detections) -> tuple[np.ndarray, float, bool] | None:
    """Landmarks (5, 2) of the best face in pixels, the width of its box, and whether it is carried."""
    [found] = detections.unpad()
    if not found.count:
        return None
    points = found["extras"].get("landmarks", torch.zeros(found.count, 10))[0].view(5, 2)
    box = found["boxes"][0]
    return (STRIDE * (found["cells"][0] + points)).numpy(), float(box[2] - box[0]), bool(found["carried"][0])


def alone(maps: list[HeadMaps]) -> list[np.ndarray | None]:
    """The detector's own landmarks in each frame; ``None`` where it is not sure of a face."""
    propagator = HeatmapPropagator(radius=0, score_threshold=0.4)
    found = [best_landmarks(propagator.step(None, *one[:3], extras=one.extras)[1].detections) for one in maps]
    return [None if one is None else one[0] for one in found]


def errors(maps: list[HeadMaps], truth: list[np.ndarray | None], rule: str, every: int) -> list[float]:
    """Mean distance of the landmarks on the skipped frames, in shares of the face's width."""
    remember = None if rule == "none" else {"landmarks": (rule, 10)}
    propagator, shares = HeatmapPropagator.steady(remember=remember), []
    for number, (one, expected) in enumerate(zip(maps, truth, strict=True)):
        if number % every == 0:
            propagator(*one[:3], extras=one.extras)
            continue
        found = best_landmarks(propagator.coast())
        if found is not None and expected is not None:
            shares.append(float(np.linalg.norm(found[0] - expected, axis=1).mean() / found[1]))
    return shares


def jitter(maps: list[HeadMaps], rule: str) -> float:
    """Mean second difference of the landmarks from frame to frame, in shares of the face's width."""
    remember = None if rule == "none" else {"landmarks": (rule, 10)}
    propagator = HeatmapPropagator.steady(remember=remember)
    found = [best_landmarks(propagator(*one[:3], extras=one.extras).detections) for one in maps]
    bends = [
        np.linalg.norm(before[0] - 2 * now[0] + after[0], axis=1).mean() / now[1]
        for before, now, after in zip(found, found[1:], found[2:], strict=False)
        if not any(one is None or one[2] for one in (before, now, after))  # all three are seen
    ]
    return float(np.mean(bends))


def main() -> None:
    """Print both tables."""
    rows, trembling = [], []
    for name in (PRISTINE, COMPRESSED):
        maps = face_maps(name)
        truth = alone(maps)
        for every in (2, 3, 5):
            means = [errors(maps, truth, rule, every) for rule in RULES]
            rows.append([name, str(every), str(len(means[0])), *(f"{100 * np.mean(one):.1f} %" for one in means)])
        trembling.append([name, *(f"{100 * jitter(maps, rule):.1f} %" for rule in RULES)])
    print(table(["clip", "every", "frames", *RULES], rows), table(["clip", *RULES], trembling), sep="\n\n")


if __name__ == "__main__":
    with torch.inference_mode():
        main()
