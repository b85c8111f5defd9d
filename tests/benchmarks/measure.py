"""Time functions side by side in one process: rounds of short blocks, the best block of each counts."""

import time
from collections.abc import Callable

import torch


def milliseconds(
    functions: dict[str, Callable[[], object]], *, rounds: int = 15, seconds: float = 0.1
) -> dict[str, float]:
    """Best mean time of a call over rounds of blocks that take turns, so that a noisy moment meets all of them."""
    calls = {}
    for name, function in functions.items():
        function()
        start = time.perf_counter()
        function()
        calls[name] = max(1, round(seconds / max(time.perf_counter() - start, 1e-6)))
    best = dict.fromkeys(functions, float("inf"))
    for _ in range(rounds):
        for name, function in functions.items():
            function()  # its data comes back to the cache
            start = time.perf_counter()
            for _ in range(calls[name]):
                function()
            best[name] = min(best[name], (time.perf_counter() - start) / calls[name])
    return {name: 1000 * time for name, time in best.items()}


def peak_bytes(function: Callable[[], object]) -> int:
    """Largest sum of tensor memory that is alive at once during a call, by torch's own record of allocations."""
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CPU], profile_memory=True) as record:
        function()
    alive = most = 0
    for event in sorted(record.profiler.kineto_results.events(), key=lambda event: event.start_ns()):
        if event.name() == "[memory]":
            alive += event.nbytes()
            most = max(most, alive)
    return most


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
