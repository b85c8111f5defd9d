"""How far objects move in saved maps, without ground truth: they are followed, which needs torch."""

from heatprop.evaluation.column_checks import FloatArray
from heatprop.evaluation.tracked_motion import SURE, tracked_displacement
from heatprop.maps.detecting import Setting, detect_frames
from heatprop.maps.saved import SavedMaps

FOLLOW = Setting(radius=6, alpha=0.5, nms_threshold=0.5, peak_kernel=3, claim_once=True)
"""A memory to follow objects with, not to detect them: it looks far, and lets each go on as one only."""


def displacement_in_maps(maps: SavedMaps, *, setting: Setting = FOLLOW, score: float = SURE) -> FloatArray:
    """Measure `tracked_displacement` in one video's saved maps; no ground truth is read, torch is needed.

    Args:
        maps: The maps.
        setting: How objects are followed.
        score: Lowest network score, in [0, 1].

    Returns:
        In cells, shape ``(n,)``.

    Raises:
        ValueError: If an option is out of its range.
    """
    return tracked_displacement(detect_frames(maps, setting), stride=maps.stride, score=score)
