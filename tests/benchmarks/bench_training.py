"""Training at 128 px with ResNet-18: images per second of a step, of loading, and their ratio.

PYTHONPATH=src python tests/benchmarks/bench_training.py   # about a minute; OMP_NUM_THREADS sets the threads
"""

import tempfile
import time
from pathlib import Path

import torch
from measure import table

from heatprop.centernet import CenterNet, CenterNetLoss, make_targets, normalize
from heatprop.centernet.data import Collate
from heatprop.centernet.training import TrainingConfig
from heatprop.centernet.training.images import find_classes, training_images
from heatprop.synthetic import SceneOptions, make_benchmark

SIZE, BATCH, STEPS = 128, 16, 5


def make_step(batch, *, deformable, bfloat16, channels_last):
    """One step of Adam, as training makes it, as a function."""
    layout = torch.channels_last if channels_last else torch.contiguous_format
    model = CenterNet(6, backbone="resnet18", deformable=deformable).train().to(memory_format=layout)
    loss, optimizer = CenterNetLoss(), torch.optim.Adam(model.parameters(), 1e-4)

    def step():
        images = normalize(batch["image"]).contiguous(memory_format=layout)
        with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
            maps = model(images)
        cells = (SIZE // 4, SIZE // 4)
        targets = make_targets(batch["boxes"], batch["labels"], batch["valid"], num_classes=6, shape=cells)
        optimizer.zero_grad()
        loss(maps, targets).total.backward()
        optimizer.step()

    return step


def seconds_of(function, clock):
    """Fastest of some calls after one to warm up."""
    function()
    times = []
    for _ in range(STEPS):
        start = clock()
        function()
        times.append(clock() - start)
    return min(times)


def main():
    clock = time.process_time if torch.get_num_threads() == 1 else time.perf_counter
    with tempfile.TemporaryDirectory() as folder:
        for _ in make_benchmark(folder, train=2, val=0, scene=SceneOptions(frames=32)):
            pass
        root = Path(folder)
        images = training_images(root, find_classes(root), TrainingConfig.small())
        images.set_epoch(0)
        batch = Collate()([images[place] for place in range(BATCH)])
        loading = BATCH / seconds_of(lambda: Collate()([images[place] for place in range(BATCH)]), clock)
        rows = []
        for deformable in ("none", "v2"):
            for bfloat16 in (False, True):
                for channels_last in (False, True):
                    step = make_step(batch, deformable=deformable, bfloat16=bfloat16, channels_last=channels_last)
                    training = BATCH / seconds_of(step, clock)
                    kind = "bfloat16" if bfloat16 else "float32"
                    layout = "channels last" if channels_last else "contiguous"
                    rows.append([deformable, kind, layout, f"{training:.1f}", f"{loading / training:.0f}"])
    print(f"{torch.get_num_threads()} threads; loading gives {loading:.0f} images per second in one process\n")
    print(table(["deformable", "precision", "layout", "images per second", "loading / training"], rows))


if __name__ == "__main__":
    main()
