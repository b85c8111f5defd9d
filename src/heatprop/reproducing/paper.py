"""The paper's own results on ImageNet VID's validation set with ResNet-101, for comparison with ours."""

from collections.abc import Mapping

TABLE_1: Mapping[str, str] = {"per frame": "73.6/75.9", "interpolation": "73.6/75.9", "HP": "76.7/78.4"}
"""Method -> mAP50 without and with Seq-NMS, in percent."""

UNCOVERED: Mapping[float, float] = {0: 60.4, 1: 11.3, 2: 3.7, 3: 1.6, 4: 0.79, 5: 0.45}
"""Table 2: radius -> share of pairs that it does not cover, in percent."""

SWEEPS: Mapping[str, Mapping[float, float]] = {
    "radius": {0: 75.0, 1: 76.5, 2: 76.7, 3: 76.4, 4: 75.8, 5: 75.5},
    "alpha": {0.5: 74.6, 0.6: 74.9, 0.7: 75.1, 0.8: 75.3, 0.9: 76.1, 0.95: 76.3, 0.98: 76.7, 1.0: 75.3},
    "beta": {0.5: 75.7, 1.0: 76.4, 2.0: 76.7, 5.0: 76.4, 10.0: 76.0, 100.0: 75.1, 1000.0: 75.0},
}
"""Tables 2, 4 and 5: value -> mAP50, in percent."""

PRECISION: Mapping[float, Mapping[str, str]] = {
    0.75: {"slow": "62.4/73.7", "median": "43.4/68.0", "fast": "29.3/37.8", "overall": "60.7/73.0"},
    0.65: {"slow": "88.2/90.3", "median": "83.6/86.5", "fast": "60.9/68.4", "overall": "87.8/89.9"},
}
"""Table 3: recall -> motion -> precision of the detector alone and of HP, in percent."""

AREAS: Mapping[str, Mapping[str, float]] = {
    "slow": {
        "per frame": 73.1,
        "interpolation": 73.2,
        "radius 1": 75.7,
        "HP": 75.8,
        "radius 3": 75.5,
        "radius 4": 75.2,
        "radius 5": 74.7,
    },
    "median": {"per frame": 70.6, "interpolation": 70.6, "radius 4": 74.9, "radius 5": 74.5},
    "fast": {
        "per frame": 64.3,
        "interpolation": 64.3,
        "radius 0": 64.0,
        "radius 1": 66.5,
        "radius 3": 67.7,
        "radius 4": 68.4,
        "radius 5": 68.6,
    },
}
"""Fig. 5: motion -> run -> average precision in the legend, in percent, as far as the text can be extracted."""

CLIPS = ("val/ILSVRC2015_val_00016000", "val/ILSVRC2015_val_00040001")
"""The videos of Fig. 4."""
