"""Time NMS against torchvision's `batched_nms` on one thread, by processor time, which other programs disturb less.

Run from the repository root::

    PYTHONPATH=src python tests/benchmarks/bench_nms.py
"""

import time
from collections.abc import Callable

import torch
from measure import table
from torchvision.ops import batched_nms

from heatprop import nms

ROUNDS = 20


def random_boxes(places: int, classes: int, spread: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Boxes of 20 to 80 px in a square of ``spread`` px."""
    center, side = torch.rand(1, places, 2) * spread, 20 + 60 * torch.rand(1, places, 2)
    boxes = torch.cat([center - side / 2, center + side / 2], dim=2)
    return boxes, torch.rand(1, places), torch.randint(classes, (1, places))


def best_of_turns(*functions: Callable[[], object]) -> list[float]:
    """The shortest call of each in ms; the functions take turns."""
    best = [float("inf")] * len(functions)
    for _ in range(ROUNDS):
        for place, function in enumerate(functions):
            start = time.thread_time()
            function()
            best[place] = min(best[place], 1000 * (time.thread_time() - start))
    return best


def main() -> None:
    torch.set_num_threads(1)
    torch.manual_seed(0)
    rows = []
    for places in (100, 300, 500, 1000, 2000):
        for classes, spread in ((1, 600.0), (30, 600.0), (1, 3000.0)):
            boxes, scores, labels = random_boxes(places, classes, spread)
            kept = nms(boxes, scores, labels)
            theirs = batched_nms(boxes[0].double(), scores[0].double(), labels[0], 0.3)
            if not torch.equal(kept[0].nonzero()[:, 0], theirs.sort().values):
                raise RuntimeError(f"the results differ for {places} boxes of {classes} classes")
            ours, peer = best_of_turns(
                lambda case=(boxes, scores, labels): nms(*case),
                lambda case=(boxes[0], scores[0], labels[0]): batched_nms(*case, 0.3),
            )
            name = f"{classes} classes" if classes > 1 else "1 class"
            rows.append([str(places), f"{name} in {spread:.0f} px", str(int(kept.sum()))])
            rows[-1] += [f"{ours:.2f}", f"{peer:.2f}", f"{ours / peer:.1f}"]
    print(table(["boxes", "which", "kept", "heatprop, ms", "torchvision, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
