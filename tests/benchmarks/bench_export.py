"""The exported step in ONNX Runtime against torch's eager step and CenterNet's own decode of the same maps.

python tests/benchmarks/bench_export.py
"""

import tempfile
from pathlib import Path

import torch
from measure import milliseconds, table
from recipes import centernet_decode

from heatprop import HeatmapPropagator
from heatprop.export import OnnxPropagator, export_onnx

MAKERS = {"paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}


def main():
    torch.set_num_threads(2)
    rows = []
    for name, make in MAKERS.items():
        for classes in (30, 80):
            maps = torch.rand(1, classes, 128, 128) ** 8, torch.rand(1, 2, 128, 128), 5 * torch.rand(1, 2, 128, 128)
            with tempfile.TemporaryDirectory() as folder:
                path = export_onnx(make(), Path(folder) / "memory.onnx", example=maps)
                exported, propagator = OnnxPropagator(path, threads=2), make()
            took = milliseconds(
                {
                    "onnx": lambda exported=exported, maps=maps: exported(*maps),
                    "eager": lambda propagator=propagator, maps=maps: propagator(*maps),
                    "decode": lambda maps=maps: centernet_decode(*maps),
                }
            )
            ratios = [f"{took['onnx'] / took[other]:.2f}" for other in ("eager", "decode")]
            rows.append([name, str(classes), *(f"{took[key]:.2f}" for key in ("onnx", "eager", "decode")), *ratios])
    print(table(["options", "classes", "ONNX, ms", "eager, ms", "decode, ms", "of eager", "of the decode"], rows))


if __name__ == "__main__":
    main()
