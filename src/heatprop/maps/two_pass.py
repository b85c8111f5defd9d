"""Detections from saved maps in both directions of time.

Needs torch, which is loaded when something runs.
"""

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np

from heatprop.evaluation.columns import Predictions
from heatprop.maps.detecting import name_classes
from heatprop.maps.saved import SavedMaps

if TYPE_CHECKING:
    from heatprop.offline.merging import Combine
    from heatprop.propagator import HeatmapPropagator


def two_pass_in_maps(
    maps: SavedMaps, propagator: "HeatmapPropagator", *, cuts: Collection[int] = (), combine: "Combine" = "mean"
) -> Predictions:
    """Detect objects in one video's saved maps by `heatprop.two_pass`.

    Args:
        maps: The maps.
        propagator: The memory with its options; its stride must be that of the maps.
        cuts: Frames with which a new scene starts.
        combine: Which score an object gets that both directions find: the ``"mean"`` or the ``"maximum"`` of the two.

    Returns:
        Detections by frame, in each by falling score; ``label`` is the name of the class (`name_classes`).

    Raises:
        ValueError: If the strides differ or an option is out of its range.
    """
    import torch

    from heatprop.offline.two_pass import two_pass
    from heatprop.structures import HeadMaps

    if propagator.stride != maps.stride:
        raise ValueError(f"the propagator must have the stride of the maps, {maps.stride:g}, got {propagator.stride:g}")
    whole = (np.asarray(one).astype(np.float32) for one in (maps.heatmap, maps.offset, maps.size))
    heatmap, offset, size = (torch.from_numpy(one) for one in whole)
    frames = two_pass(HeadMaps(heatmap, offset, size), propagator, cuts=cuts, combine=combine)
    return name_classes(Predictions.of_video(maps.name, [one.unpad()[0] for one in frames]), maps)
