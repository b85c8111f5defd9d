"""Find where a new scene starts, so that no memory crosses a cut; extra ``video`` (PySceneDetect)."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

try:
    import cv2
    from scenedetect import ContentDetector, FrameTimecode
    from scenedetect.scene_manager import compute_downscale_factor
except ImportError as error:
    raise ImportError(
        f"heatprop.video.scenes needs PySceneDetect and an OpenCV that loads ({error}): pip install 'heatprop[video]'; "
        "where OpenCV misses libGL or another library of the desktop: pip uninstall opencv-python, then "
        "pip install opencv-python-headless",
        name=error.name,
    ) from error

_RATE = 25.0  # any: cuts are counted in frames


class SceneCuts:
    """Say, for each frame of one video in turn, whether a new scene starts with it.

    This is PySceneDetect's ``ContentDetector`` without a minimum scene length, on pictures of the size that it uses
    itself: the longer side scaled down to 256 pixels. It recognises a cut at the first frame after it, so call it
    before that frame goes through the memory. A frame of another size starts a new scene.

    Args:
        threshold: Mean change of hue, saturation and brightness, in [0, 255], at which a cut is assumed; above 0.

    Raises:
        ValueError: If ``threshold`` is not above 0.

    Examples:
        >>> import numpy as np
        >>> from heatprop.video.scenes import SceneCuts
        >>> cuts = SceneCuts()
        >>> night, day = np.zeros((2, 90, 160, 3), np.uint8) + np.array([[[[9]]], [[[200]]]], np.uint8)
        >>> [cuts(image) for image in (night, night, day, day)]
        [False, False, True, False]
    """

    def __init__(self, threshold: float = 27.0) -> None:
        if not threshold > 0:
            raise ValueError(f"threshold must be above 0, got {threshold}; to see no cuts do not ask for them")
        self.threshold = threshold
        self._shape: tuple[int, ...] | None = None
        self._index = 0
        self._detector: Any = None

    def __call__(self, image: NDArray[np.uint8]) -> bool:
        """Look at the next frame.

        Args:
            image: RGB picture, shape ``(H, W, 3)``, ``uint8``.

        Returns:
            Whether it starts a new scene; ``False`` for the first frame.

        Raises:
            ValueError: If ``image`` has another shape or type.
        """
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise ValueError(f"image must have shape (H, W, 3) and type uint8, got {image.shape} and {image.dtype}")
        resized = self._shape not in (None, image.shape)
        if self._shape != image.shape:
            self._shape = image.shape
            self._detector = ContentDetector(threshold=self.threshold, min_scene_len=1)
        small = cv2.cvtColor(_shrink(image), cv2.COLOR_RGB2BGR)
        cuts = self._detector.process_frame(FrameTimecode(self._index, _RATE), small)
        self._index += 1
        return resized or bool(cuts)


def _shrink(image: NDArray[np.uint8]) -> Any:
    H, W = image.shape[:2]
    factor = compute_downscale_factor(max(H, W))
    size = max(1, round(W / factor)), max(1, round(H / factor))
    return image if factor == 1 else cv2.resize(image, size, interpolation=cv2.INTER_LINEAR)
