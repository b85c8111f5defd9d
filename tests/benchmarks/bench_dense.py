"""Time `adapters.dense` against a plain decode with NMS: 3 levels of 640 x 640, 80 classes.

The plain decode is what dense detectors do per frame: sigmoid, scores above 0.05, boxes, NMS per class at 0.6. With
``logits=False`` the scores come after the sigmoid, as exported networks give them. Run from the repository root::

    PYTHONPATH=src python tests/benchmarks/bench_dense.py --threads 2
"""

import argparse

import torch
from measure import milliseconds, table
from torch import Tensor

from heatprop import HeatmapPropagator, adapters

STRIDES = (8, 16, 32)
Levels = list[tuple[Tensor, Tensor]]


def scene(*, classes: int = 80, side: int = 640, objects: int = 12, bins: int | None = None) -> Levels:
    """Logits of a quiet background with a dozen objects, each seen by 2 x 2 to 5 x 5 places of one level."""
    levels = []
    for stride in STRIDES:
        cells = side // stride
        scores = torch.randn(1, classes, cells, cells) - 7
        for _ in range(objects // len(STRIDES)):
            label, row, column = (int(torch.randint(0, high, ())) for high in (classes, cells - 5, cells - 5))
            extent = int(torch.randint(2, 6, ()))
            scores[0, label, row : row + extent, column : column + extent] = 2 * torch.randn(extent, extent)
        levels.append((scores, 3 * torch.rand(1, 4 * (bins or 1), cells, cells)))
    return levels


def plain_decode(levels: Levels, *, logits: bool, bins: int | None, threshold: float = 0.05) -> Tensor:
    """Decode without memory."""
    from torchvision.ops import batched_nms

    scores, boxes = [], []
    for (score, distances), stride in zip(levels, STRIDES, strict=True):
        rows, columns = score.shape[2:]
        y, x = torch.meshgrid(torch.arange(rows) + 0.5, torch.arange(columns) + 0.5, indexing="ij")
        sides = distances[0].flatten(1)
        if bins is not None:
            sides = (sides.view(4, bins, -1).softmax(1) * torch.arange(bins).view(1, -1, 1)).sum(1)
        low, high = torch.stack([x, y]).flatten(1) - sides[:2], torch.stack([x, y]).flatten(1) + sides[2:]
        boxes.append(stride * torch.cat([low, high]).t())
        scores.append((score.sigmoid() if logits else score)[0].flatten(1).t())
    score, box = torch.cat(scores), torch.cat(boxes)
    place, label = (score > threshold).nonzero(as_tuple=True)
    kept = batched_nms(box[place], score[place, label], label, 0.6)[:100]
    return torch.cat([box[place[kept]], score[place[kept], label[kept]].unsqueeze(1), label[kept].unsqueeze(1)], dim=1)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=2)
    torch.set_num_threads(parser.parse_args().threads)
    torch.manual_seed(0)
    rows = []
    for name, logits, bins in (("distances", True, None), ("after the sigmoid", False, None), ("16 bins", True, 16)):
        levels = scene(bins=bins)
        if not logits:
            levels = [(scores.sigmoid(), boxes) for scores, boxes in levels]
        adapter = adapters.dense(STRIDES, logits=logits, bins=bins)
        propagator, maps = HeatmapPropagator.steady(stride=8, peak_kernel=1, top_k=300), adapter(levels)
        with torch.inference_mode():
            times = milliseconds(
                {
                    "adapter": lambda levels=levels, adapter=adapter: adapter(levels),
                    "decode": lambda levels=levels, logits=logits, bins=bins: plain_decode(
                        levels, logits=logits, bins=bins
                    ),
                    "memory": lambda maps=maps, propagator=propagator: propagator(*maps[:3]),
                }
            )
        figures = [f"{times[name]:.2f}" for name in ("adapter", "decode")]
        rows.append([name, *figures, f"{times['adapter'] / times['decode']:.2f}", f"{times['memory']:.2f}"])
    print(table(["boxes come as", "adapter, ms", "plain decode, ms", "of the decode", "memory, ms"], rows))


if __name__ == "__main__":
    main()
