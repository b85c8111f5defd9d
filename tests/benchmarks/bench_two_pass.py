"""What the second pass gains: one pass against two on a folder of saved maps (.npz with ground truth).

    python tests/benchmarks/bench_two_pass.py FOLDER

AP50, gaps at 50 % recall, boxes missed at score 0.3 (all, not only inside tracks), frames until an object is first
found at 0.3, ghosts of 0.3 per frame, score jitter; each clip by itself, at the NMS threshold of the setting.
"""

import sys
import time

import numpy as np

from heatprop import HeatmapPropagator
from heatprop.evaluation import average_precision, detection_delay, gaps, ghost_rate, score_jitter, track_hits
from heatprop.maps.detecting import STEADY, Setting, clip_boxes, detect_in_maps, name_classes
from heatprop.maps.saved import iterate_saved_maps
from heatprop.maps.table1 import FLAT
from heatprop.maps.two_pass import two_pass_in_maps

SETTINGS = {
    "paper": Setting(),
    "radius 1, alpha 0.9, beta 5, NMS 0.6": Setting(radius=1, alpha=0.9, beta=5, nms_threshold=0.6),
    "steady": STEADY,
}


def measure(maps, found):
    """The figures of one clip."""
    truth, found = (clip_boxes(table, maps) for table in (name_classes(maps.truth, maps), found))
    at_recall, at_score = (track_hits(truth, found, rule=FLAT, **at) for at in ({"recall": 0.5}, {"score": 0.3}))
    ghosts = ghost_rate(truth, found, score=0.3, picture_size=maps.input_wh)
    return [
        100 * average_precision(truth, found, rule=FLAT).mean,
        gaps(at_recall).number,
        int((~at_score.hit).sum()),
        detection_delay(at_score).mean,
        ghosts.ghosts / len(maps.heatmap),
        score_jitter(at_recall),
    ]


def methods(setting, stride):
    """Name -> function from maps to detections."""
    options = setting.as_keywords()
    propagator = HeatmapPropagator(stride=stride, **options)
    per_frame = Setting(radius=0, memory=False, nms_threshold=setting.nms_threshold)
    return {
        "per frame": lambda maps: detect_in_maps(maps, per_frame),
        "one pass": lambda maps: detect_in_maps(maps, setting),
        "two passes": lambda maps: two_pass_in_maps(maps, propagator),
        "two, maximum": lambda maps: two_pass_in_maps(maps, propagator, combine="maximum"),
    }


def main(folder):
    for title, setting in SETTINGS.items():
        print(f"\n{title}\n\n| clip | method | AP50 | gaps | missed | delay | ghosts | jitter | ms a frame |")
        print("|---|---|---:|---:|---:|---:|---:|---:|---:|")
        averages = {}
        for maps in iterate_saved_maps(folder):
            for name, detect in methods(setting, maps.stride).items():
                start = time.perf_counter()
                found = detect(maps)
                milliseconds = 1000 * (time.perf_counter() - start) / len(maps.heatmap)
                row = measure(maps, found)
                averages.setdefault(name, []).append(row[0])
                cells = f"{row[0]:.1f} | {row[1]} | {row[2]} | {row[3]:.2f} | {row[4]:.2f} | {row[5]:.3f}"
                print(f"| {maps.name} | {name} | {cells} | {milliseconds:.1f} |")
        for name, values in averages.items():
            print(f"| mean | {name} | {np.mean(values):.1f} | | | | | | |")


if __name__ == "__main__":
    main(sys.argv[1])
