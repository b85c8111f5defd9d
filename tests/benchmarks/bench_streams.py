"""64 streams in one step of a pool against 64 propagators, one after the other.

python tests/benchmarks/bench_streams.py
"""

import torch
from measure import milliseconds, table

from heatprop import HeatmapPropagator
from heatprop.streams import StreamPool

STREAMS = 64


def main():
    torch.set_num_threads(2)
    rows = []
    for name, make in (("paper", HeatmapPropagator), ("steady", HeatmapPropagator.steady)):
        maps = [(torch.rand(1, 64, 64) ** 8, torch.rand(2, 64, 64), 5 * torch.rand(2, 64, 64)) for _ in range(STREAMS)]
        pool, alone = StreamPool(make(), streams=STREAMS), [make() for _ in maps]
        pushed = {pool.open(): one for one in maps}

        def one_by_one(alone=alone, maps=maps):
            for propagator, one in zip(alone, maps, strict=True):
                propagator(*(field[None] for field in one))

        took = milliseconds({"pool": lambda pool=pool, pushed=pushed: pool.push(pushed), "alone": one_by_one}, rounds=7)
        rows.append([name, f"{took['pool']:.0f}", f"{took['alone']:.0f}", f"{took['pool'] / took['alone']:.2f}"])
    print(table(["options", "pool, ms", "64 propagators, ms", "ratio"], rows))


if __name__ == "__main__":
    main()
