"""Cost of a whole `forward` against CenterNet's decode and the paper's dense recipe; how it grows; what it holds."""

import torch
from measure import milliseconds, peak_bytes, table
from recipes import DenseRecipe, centernet_decode, scene

from heatprop import HeatmapPropagator


def against_the_others() -> str:
    rows = []
    for classes in (30, 80):
        maps = scene(classes)
        propagator, dense = HeatmapPropagator(), DenseRecipe()
        times = milliseconds(
            {
                "forward": lambda maps=maps, propagator=propagator: propagator(*maps),
                "decode": lambda maps=maps: centernet_decode(*maps),
                "dense": lambda maps=maps, dense=dense: dense(*maps),
            }
        )
        shares = [f"{times['forward'] / times['decode']:.2f}", f"1/{times['dense'] / times['forward']:.0f}"]
        rows.append([f"1 x {classes} x 128 x 128", *(f"{times[name]:.2f}" for name in times), *shares])
    return table(
        ["maps", "forward, ms", "CenterNet decode, ms", "dense recipe, ms", "of the decode", "of the recipe"], rows
    )


def growth() -> str:
    cases = {
        "base: B = 1, 128 x 128, radius 2": ((1, 128, 128), 2),
        "B = 4": ((4, 128, 128), 2),
        "256 x 256": ((1, 256, 256), 2),
        "radius 0": ((1, 128, 128), 0),
        "radius 5": ((1, 128, 128), 5),
    }
    functions = {}
    for name, ((streams, height, width), radius) in cases.items():
        maps, propagator = scene(30, height, width, streams=streams), HeatmapPropagator(radius=radius)
        functions[name] = lambda maps=maps, propagator=propagator: propagator(*maps)
    times = milliseconds(functions)
    base = next(iter(times.values()))
    return table(
        ["case", "ms", "of base"], [[name, f"{time:.2f}", f"{time / base:.2f}"] for name, time in times.items()]
    )


def options() -> str:
    """What the options beyond the paper cost; `steady` may take 1.3 times the paper's step."""
    steady = HeatmapPropagator.steady()
    cases = {
        "the paper's defaults": HeatmapPropagator(),
        "average = geometric": HeatmapPropagator(average="geometric"),
        "claim_once": HeatmapPropagator(claim_once=True),
        "velocity": HeatmapPropagator(velocity=True),
        "velocity, border = 0.9": HeatmapPropagator(velocity=True, border=0.9),
        "radius_per_size = 0.1, up to 2": HeatmapPropagator(radius=1, radius_per_size=0.1, max_radius=2),
        "steady": steady,
    }
    maps = scene(30)
    times = milliseconds({name: lambda propagator=one: propagator(*maps) for name, one in cases.items()})
    times |= milliseconds({"steady, coast": lambda: steady.coast()})
    base = next(iter(times.values()))
    return table(
        ["options", "ms", "of the paper's"],
        [[name, f"{time:.2f}", f"{time / base:.2f}"] for name, time in times.items()],
    )


def memory() -> str:
    maps, propagator = scene(30), HeatmapPropagator()
    propagator(*maps)
    state = sum(field.element_size() * field.numel() for field in propagator.state)
    peak = peak_bytes(lambda: propagator(*maps)) / (maps[0].element_size() * maps[0].numel())
    return table(
        ["what", "size"],
        [["state per stream", f"{state / 1000:.1f} kB"], ["peak allocation of a step", f"{peak:.1f} heatmaps"]],
    )


if __name__ == "__main__":
    torch.set_num_threads(2)
    torch.manual_seed(0)
    with torch.inference_mode():
        print(against_the_others(), growth(), options(), memory(), sep="\n\n")
