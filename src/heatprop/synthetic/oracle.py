"""An oracle detector: it draws maps like CenterNet's from the boxes, with the faults that you ask for."""

import math
from dataclasses import dataclass, fields
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heatprop.evaluation.columns import GroundTruth
from heatprop.evaluation.motion import displacement
from heatprop.maps.saved import SavedMaps
from heatprop.synthetic.oracle_maps import Peaks, draw_maps, join_peaks

BoolArray = NDArray[np.bool_]
FloatArray = NDArray[np.float64]


class OracleMaps(NamedTuple):
    """What an oracle detector saw.

    Attributes:
        maps: Maps and boxes; ``maps.truth`` keeps the rows in the given order.
        dropped: Which rows were missed, shape ``(n,)``.
        score: Peak score of each row, shape ``(n,)``.
    """

    maps: SavedMaps
    dropped: BoolArray
    score: FloatArray


@dataclass(frozen=True, kw_only=True)
class OracleDetector:
    """Draw CenterNet-like maps from boxes, with controlled faults.

    Every box becomes a Gaussian of CenterNet's radius in the channel of its class. Its offset and size fill the 5 x 5
    cells around its centre; where two boxes meet, the nearer centre counts. A dropped box keeps all this, but its peak
    falls to ``dropped_score``, as blur does to a real detector.

    Attributes:
        stride: Pixels of the picture per cell.
        score: Peak score of an object that is seen, in [0, 1].
        score_noise: Standard deviation of the peak score.
        drop_rate: Probability that an object is missed in a frame, independently of other frames, in [0, 1].
        run_rate: Probability that a run of misses begins at a frame of a track, in [0, 1].
        run_length: Length of such a run, in frames.
        blur_drop: Added probability of a miss per cell of motion since the frame before (`evaluation.displacement`).
        dropped_score: Peak score of a missed object, in [0, 1].
        parasite_rate: Probability of a low peak of the same class next to an object, in [0, 1].
        parasite_score: Score of that peak, by default above the score of a dropped object.
        parasite_distance: How far that peak is from the object, in box widths and heights.
        clutter: Mean number of false peaks per frame, anywhere and of any class.
        clutter_score: Lowest and highest score of false peaks, drawn uniformly.
        position_noise: Standard deviation of the centres, in cells.
        position_bias: Shift ``(dx, dy)`` of every centre, in cells.
        size_noise: Standard deviation of the sizes, relative to the size.

    Raises:
        ValueError: If a number is out of its range.

    Examples:
        >>> truth = GroundTruth(video=[0], frame=[1], track=[0], label=[2], box=[[30, 20, 60, 50]])
        >>> seen = OracleDetector(score=0.9).detect(truth, frames=3, size=(96, 64), class_names=("bird", "bus", "car"))
        >>> seen.maps.heatmap.shape, float(seen.maps.heatmap[1, 2, 8, 11])
        ((3, 3, 16, 24), 0.8999...)
    """

    stride: int = 4
    score: float = 0.8
    score_noise: float = 0.0
    drop_rate: float = 0.0
    run_rate: float = 0.0
    run_length: int = 4
    blur_drop: float = 0.0
    dropped_score: float = 0.1
    parasite_rate: float = 0.0
    parasite_score: float = 0.15
    parasite_distance: float = 0.8
    clutter: float = 0.0
    clutter_score: tuple[float, float] = (0.05, 0.4)
    position_noise: float = 0.0
    position_bias: tuple[float, float] = (0.0, 0.0)
    size_noise: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            chance = field.name.endswith("_rate") or field.name in ("score", "dropped_score", "parasite_score")
            low = -math.inf if field.name == "position_bias" else 1 if field.name in ("stride", "run_length") else 0
            high = 1 if chance or field.name == "clutter_score" else math.inf
            for number in value if isinstance(value, tuple) else (value,):
                if not low <= number <= high:
                    raise ValueError(f"{field.name} must be {low} to {high}, got {value}")

    def detect(
        self, truth: GroundTruth, *, frames: int, size: tuple[int, int], class_names: tuple[str, ...], seed: int = 0
    ) -> OracleMaps:
        """Draw the maps of one video.

        Args:
            truth: The boxes that the maps encode, in pixels; ``label`` is the channel.
            frames: Number of frames T, counted from 0.
            size: Width and height of the picture, in pixels.
            class_names: Name of each channel.
            seed: Random seed of the faults.

        Returns:
            Maps, and which boxes were dropped.

        Raises:
            ValueError: If the boxes belong to several videos, or one lies beyond the frames or in no channel.
        """
        _check_truth(truth, frames, len(class_names))
        rng = np.random.default_rng(seed)
        dropped = self._drop(rng, truth)
        score = np.where(dropped, self.dropped_score, self.score) + self.score_noise * rng.standard_normal(len(dropped))
        score = score.clip(0, 1)
        grid = (math.ceil(size[0] / self.stride), math.ceil(size[1] / self.stride))
        peaks = self._peaks(rng, truth, score)
        drawn = join_peaks(peaks, self._parasites(rng, peaks), self._clutter(rng, frames, len(class_names), grid))
        maps = SavedMaps(
            str(truth.video[0]) if len(truth.video) else "video",
            *draw_maps(drawn, (frames, len(class_names), grid[1], grid[0])),
            self.stride,
            size,
            class_names,
            truth,
        )
        return OracleMaps(maps, dropped, score)

    def _drop(self, rng: np.random.Generator, truth: GroundTruth) -> BoolArray:
        """Miss single frames, runs, and fast objects. A higher rate drops the same rows and more."""
        single, start = rng.random((2, len(truth.frame)))
        speed = np.nan_to_num(displacement(truth, stride=self.stride))
        dropped: BoolArray = np.less(single, self.drop_rate + self.blur_drop * speed)
        begins = np.flatnonzero(start < self.run_rate)
        for row in begins.tolist():
            later = truth.frame - truth.frame[row]
            dropped |= (truth.track == truth.track[row]) & (later >= 0) & (later < self.run_length)
        return dropped

    def _peaks(self, rng: np.random.Generator, truth: GroundTruth, score: FloatArray) -> Peaks:
        corners = truth.box / self.stride  # (n, 4), in cells
        shift = self.position_bias + self.position_noise * rng.standard_normal((len(score), 2))
        center = (corners[:, :2] + corners[:, 2:]) / 2 + shift
        growth = np.exp(self.size_noise * rng.standard_normal((len(score), 2)))
        return Peaks(truth.frame, truth.label, center, (corners[:, 2:] - corners[:, :2]) * growth, score)

    def _parasites(self, rng: np.random.Generator, peaks: Peaks) -> Peaks:
        """Put low peaks next to objects; all are drawn and then chosen from, so the rate moves none of them."""
        here = rng.random(len(peaks.score)) < self.parasite_rate
        angle = rng.uniform(0, 2 * np.pi, len(peaks.score))
        way = np.stack([np.cos(angle), np.sin(angle)], axis=1)  # (n, 2)
        beside = peaks._replace(
            center=peaks.center + self.parasite_distance * way * peaks.size,
            score=np.full(len(peaks.score), self.parasite_score),
        )
        return Peaks._make(column[here] for column in beside)

    def _clutter(self, rng: np.random.Generator, frames: int, classes: int, grid: tuple[int, int]) -> Peaks:
        frame = np.repeat(np.arange(frames), rng.poisson(self.clutter, frames))
        count = len(frame)
        size = rng.uniform(0.1, 0.4, (count, 2)) * min(grid)
        score = rng.uniform(*self.clutter_score, count)
        return Peaks(frame, rng.integers(classes, size=count), rng.random((count, 2)) * grid, size, score)


def _check_truth(truth: GroundTruth, frames: int, classes: int) -> None:
    if len(np.unique(truth.video)) > 1:
        raise ValueError(f"truth must hold one video, got {np.unique(truth.video)[:3].tolist()}; select one")
    for name, column, limit in (("frame", truth.frame, frames), ("label", truth.label, classes)):
        if len(column) and not (column.min() >= 0 and column.max() < limit):
            raise ValueError(f"truth.{name} must be 0 to {limit - 1}, got {column.min()} to {column.max()}")
