"""How the camera moved between two frames, so that the memory moves with it; OpenCV, which extra ``video`` brings."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.centernet.letterbox import Letterbox

Image = NDArray[np.uint8]
Motion = NDArray[np.float64]

_LONGER_SIDE = 320  # pixels of the small picture: what a cell of 4 pixels needs, at a bounded cost
_GRID = 4  # the picture is looked at in 4 x 4 parts
_POINTS = 12  # per part, at most
_WINDOW = (15, 15)  # small pixels around a point that are compared
_LOST = 0.5  # small pixels: a point that does not come back to where it was is lost
_STILL = 0.25  # small pixels: less is noise, and less than a cell of any detector
_LEAST_POINTS = 20
_MOST = 1000  # corners to choose from


class CameraMotion:
    """Tell for each frame of one video, in turn, how the camera moved since the frame before.

    Corners of the last frame are followed into this one (sparse optical flow, forward and backward) on a grey picture
    whose longer side is 320 pixels, and a shift with rotation and zoom is fitted to them (RANSAC). It is meant to do
    no harm: the answer is *exactly* the identity for the first frame, after `reset`, at another size, and unless

    - at least 20 corners are followed, and half of them agree with the fit,
    - those that agree lie in at least half of the picture's 4 x 4 parts and three of its four columns, and in more
      parts than those that stand still (a large object in front of a still background does not move the camera),
    - they moved by more than a quarter of a small pixel in the mean (1/1280 of the longer side), and by more than
      three times what they scatter,
    - zoom and rotation are those of a camera: 0.8 to 1.25, and at most 15 degrees, and
    - the last picture, moved so, differs less from this one than as it was.

    Call `reset` at a scene cut; an unnoticed one gives the identity too, because no corners are followed across it.

    Raises:
        ImportError: If OpenCV is not there or does not load.

    Examples:
        >>> import numpy as np
        >>> from heatprop.video import CameraMotion
        >>> camera = CameraMotion()
        >>> black = np.zeros((90, 160, 3), np.uint8)
        >>> camera(black).tolist(), camera(black).tolist()
        ([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], [[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])
    """

    def __init__(self) -> None:
        self._cv2 = _load_opencv()
        self._shape: tuple[int, ...] | None = None
        self._last: Image | None = None

    def __call__(self, image: Image) -> Motion:
        """Look at the next frame.

        Args:
            image: RGB picture, shape ``(H, W, 3)``, ``uint8``.

        Returns:
            ``[[a, b, c], [d, e, f]]``, shape ``(2, 3)``, ``float64``: what was at (x, y) in the last frame is now at
            (a x + b y + c, d x + e y + f), in pixels of the frame, the middle of the first pixel at (0.5, 0.5).

        Raises:
            ValueError: If ``image`` has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must have shape (H, W, 3) and type uint8, got {image.shape} and {image.dtype}")
        if image.shape != self._shape:
            self.reset()
        small = self._shrink(image)
        last, self._last, self._shape = self._last, small, image.shape
        motion = None if last is None else self._estimate(last, small)
        if motion is None:
            return np.eye(2, 3)
        enlarged = np.array([image.shape[1] / small.shape[1], image.shape[0] / small.shape[0]])
        return _in_coordinates(motion, enlarged, 0.5 * enlarged)  # OpenCV's (0, 0) is the middle of the first pixel

    def reset(self) -> None:
        """Forget the last frame: a new video or scene starts."""
        self._last, self._shape = None, None

    def _shrink(self, image: Image) -> Image:
        H, W = image.shape[:2]
        factor = min(1.0, _LONGER_SIDE / max(H, W))
        size = max(1, round(factor * W)), max(1, round(factor * H))
        small = image if factor == 1 else self._cv2.resize(image, size, interpolation=self._cv2.INTER_AREA)
        grey: Image = self._cv2.cvtColor(small, self._cv2.COLOR_RGB2GRAY)
        return grey

    def _estimate(self, last: Image, now: Image) -> Motion | None:
        """The motion in small pixels, (0, 0) the middle of the first; None if no motion is certain."""
        points = self._corners(last)
        if len(points) < _LEAST_POINTS:
            return None
        there, found, _ = self._cv2.calcOpticalFlowPyrLK(last, now, points, None, winSize=_WINDOW)
        back, came, _ = self._cv2.calcOpticalFlowPyrLK(now, last, there, None, winSize=_WINDOW)
        error = np.abs(points - back).max(axis=(1, 2))
        followed = (found & came).ravel().astype(np.bool_) & (error < _LOST)
        start, end = points[followed, 0].astype(np.float64), there[followed, 0].astype(np.float64)  # (n, 2)
        if len(start) < _LEAST_POINTS:
            return None
        motion, agree = self._cv2.estimateAffinePartial2D(
            start, end, method=self._cv2.RANSAC, ransacReprojThreshold=1.0
        )
        if motion is None or not _is_sure(motion, start, end, agree.ravel().astype(np.bool_), now.shape):
            return None
        return motion if self._fits_better(motion, last, now) else None

    def _fits_better(self, motion: Motion, last: Image, now: Image) -> bool:
        """Whether the last picture, once moved, differs less from this one where the two overlap."""
        size = now.shape[::-1]
        inside = self._cv2.warpAffine(np.ones_like(last), motion, size) > 0
        moved = self._cv2.warpAffine(last, motion, size)
        with_it, without = (self._cv2.absdiff(one, now)[inside].mean(dtype=np.float64) for one in (moved, last))
        return bool(with_it < without)

    def _corners(self, grey: Image) -> NDArray[np.float32]:
        """The best corners of each part of the picture, shape (n, 1, 2), so that they do not all lie on one object."""
        distance = max(grey.shape) / 64
        corners = self._cv2.goodFeaturesToTrack(grey, _MOST, 0.005, distance)  # the best first
        if corners is None:
            return np.zeros((0, 1, 2), np.float32)
        part = _part_of(corners[:, 0], grey.shape)
        order = np.argsort(part, kind="stable")
        place = np.arange(len(part)) - np.searchsorted(part[order], part[order])  # within its part
        chosen: NDArray[np.float32] = corners[np.sort(order[place < _POINTS])]
        return chosen


def cell_motion(
    motion: Motion, *, letterbox: Letterbox | None = None, scale: tuple[float, float] = (1.0, 1.0), stride: float = 4.0
) -> Tensor:
    """Turn a motion in pixels of the frame into one in cells of a heatmap, for the ``shift`` of a propagator.

    Args:
        motion: From `CameraMotion`, shape ``(2, 3)``.
        letterbox: Where the frame lies in the detector's picture.
        scale: Without a letterbox: pixels of the detector's picture per pixel of the frame, ``(x, y)``.
        stride: Pixels of the detector's picture per cell.

    Returns:
        Shape ``(1, 2, 3)``, ``float64``: the same for positions in cells, the middle of the first cell at (0.5, 0.5).

    Examples:
        The camera turns left by 8 pixels of a frame that the detector sees at half its size:

        >>> import numpy as np
        >>> cell_motion(np.array([[1.0, 0.0, 8.0], [0.0, 1.0, 0.0]]), scale=(0.5, 0.5))[0].tolist()
        [[1.0, 0.0, 1.0], [0.0, 1.0, 0.0]]
    """
    corner = np.zeros(2)
    if letterbox is not None:
        scale, corner = (letterbox.scale, letterbox.scale), np.array([letterbox.left, letterbox.top])
    factor = np.array(scale) / stride  # cells per pixel
    return torch.from_numpy(_in_coordinates(motion, factor, corner / stride))[None]


def _in_coordinates(motion: Motion, factor: NDArray[np.float64], corner: NDArray[np.float64]) -> Motion:
    """The same motion where positions are called ``factor * position + corner``."""
    turn = motion[:, :2] * factor[:, None] / factor[None]
    return np.column_stack([turn, factor * motion[:, 2] + corner - turn @ corner])


def _is_sure(
    motion: Motion,
    start: NDArray[np.float64],
    end: NDArray[np.float64],
    agree: NDArray[np.bool_],
    shape: tuple[int, ...],
) -> bool:
    """Whether this motion can only be the camera's: see `CameraMotion`."""
    moved = start @ motion[:, :2].T + motion[:, 2]  # (n, 2)
    scatter = np.median(np.abs(end - moved)[agree])  # of points that follow the camera: noise
    least = max(_STILL, 3 * scatter)
    still = np.abs(end - start).max(1) < least
    moving_parts, still_parts = (np.unique(_part_of(start[mask], shape)) for mask in (agree & ~still, still))
    zoom, turn = np.hypot(*motion[:, 0]), np.degrees(np.arctan2(motion[1, 0], motion[0, 0]))
    return bool(
        agree.sum() >= max(_LEAST_POINTS, len(agree) / 2)
        and len(moving_parts) >= _GRID**2 / 2
        and len(np.unique(moving_parts % _GRID)) >= _GRID - 1
        and len(moving_parts) > len(still_parts)
        and np.hypot(*(moved - start)[agree].T).mean() > least
        and 0.8 <= zoom <= 1.25
        and abs(turn) <= 15
    )


def _part_of(points: NDArray[Any], shape: tuple[int, ...]) -> NDArray[np.int64]:
    """Number of the part of the picture that each point (x, y) lies in, shape (n,)."""
    column, row = (points * _GRID / np.array(shape[::-1])).astype(np.int64).clip(0, _GRID - 1).T
    number: NDArray[np.int64] = row * _GRID + column
    return number


def _load_opencv() -> Any:
    try:
        import cv2
    except ImportError as error:
        raise ImportError(
            f"heatprop.video.CameraMotion needs an OpenCV that loads ({error}): pip install 'heatprop[video]'; where "
            "it misses libGL or another library of the desktop: pip uninstall opencv-python, then pip install "
            "opencv-python-headless",
            name=error.name,
        ) from error
    return cv2
