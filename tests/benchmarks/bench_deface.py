"""`heatprop run --blur` against PyPI's deface: one real clip, enlarged, both at its size; programs that take turns."""

import os
import statistics
import subprocess
import sys
import tempfile
import time
from importlib import metadata
from pathlib import Path

import numpy as np
from measure import table

from heatprop.demo.clips import PRISTINE, load_clip
from heatprop.video import VideoWriter

FRAMES, ROUNDS = (int(number) for number in sys.argv[1:3] or (200, 3))
SCALE = 4  # 704 x 576


def write_clip(path: Path, frames: int) -> None:
    """Write the clip forward and backward, until there are enough frames."""
    clip = load_clip(PRISTINE, count=120)
    images = [image.repeat(SCALE, 0).repeat(SCALE, 1) for image in (*clip.images, *clip.images[::-1])]
    height, width = images[0].shape[:2]
    with VideoWriter(path, width=width, height=height, rate=clip.rate) as video:
        for number in range(frames):
            video.write(np.ascontiguousarray(images[number % len(images)]))


def measure(command: list[str]) -> tuple[float, float]:
    """Seconds of a program and the most memory that it held, in MB (Linux)."""
    start, peak = time.perf_counter(), 0.0
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        peak = max(peak, high_water(process.pid))
        time.sleep(0.02)
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}")
    return time.perf_counter() - start, peak


def high_water(process: int) -> float:
    """Most memory that a process has held since it started its program, in MB; 0 when it is gone."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0.0
    lines = [line for line in status.splitlines() if line.startswith("VmHWM")]
    return int(lines[0].split()[1]) / 1000 if lines else 0.0


def commands(video: Path, folder: Path) -> dict[str, list[str]]:
    def python(module: str) -> list[str]:
        return [sys.executable, "-c", f"from {module} import main; main()"]

    return {
        "deface": [*python("deface.deface"), str(video), "--output", str(folder / "deface.mp4")],
        "heatprop": [*python("heatprop.cli"), "run", str(video), "--out", str(folder), "--blur"],
    }


if __name__ == "__main__":
    times: dict[str, dict[int, list[float]]] = {name: {1: [], FRAMES: []} for name in ("deface", "heatprop")}
    memory: dict[str, list[float]] = {name: [] for name in times}
    with tempfile.TemporaryDirectory() as folder:
        for frames in (1, FRAMES):
            write_clip(Path(folder) / f"{frames}.mp4", frames)
        for _ in range(ROUNDS):
            for frames in (1, FRAMES):
                for name, command in commands(Path(folder) / f"{frames}.mp4", Path(folder)).items():
                    seconds, megabytes = measure(command)
                    times[name][frames].append(seconds)
                    memory[name].append(megabytes)
    rows = []
    for name, of in times.items():
        first, whole = (statistics.median(of[frames]) for frames in (1, FRAMES))
        pace = (FRAMES - 1) / (whole - first)
        rows.append([f"{name} {metadata.version(name)}", f"{first:.1f}", f"{whole:.1f}", f"{pace:.1f}"])
        rows[-1].append(f"{max(memory[name]):.0f}")
    print(f"{FRAMES} frames, median of {ROUNDS} rounds, {os.cpu_count()} CPUs, load {os.getloadavg()[0]:.1f}")
    print(table(["program", "1 frame, s", f"{FRAMES} frames, s", "frames/s after the first", "peak memory, MB"], rows))
