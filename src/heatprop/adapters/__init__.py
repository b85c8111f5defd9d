"""Turn the raw outputs of known detectors into HeadMaps, by the conventions of each detector's own code.

An adapter is any function from what a detector returns to :class:`heatprop.HeadMaps`. Write your own if none of these
fits:

>>> import torch
>>> from heatprop import HeadMaps
>>> def my_adapter(raw):
...     return HeadMaps(heatmap=raw["scores"].sigmoid(), offset=None, size=raw["sizes"] / 4)
>>> my_adapter({"scores": torch.zeros(1, 3, 8, 8), "sizes": torch.ones(1, 2, 8, 8)}).heatmap.shape
torch.Size([1, 3, 8, 8])

Adapters check names and shapes, never values, and do not change the raw output. They accept numpy arrays (from
onnxruntime, say) wherever they accept tensors. If an adapter has options, ``adapters.centernet(logits=False)`` makes
one with those options.

``CENTERFACE_EXTRAS``, ``CENTERTRACK_EXTRAS`` and ``CENTERPOINT_EXTRAS`` say how their extras are remembered
(``HeatmapPropagator(remember=...)``).
"""

from heatprop.adapters.birds_eye import CENTERPOINT_EXTRAS, BirdsEyeGrid, centerpoint
from heatprop.adapters.centers import CENTERTRACK_EXTRAS, centernet, centertrack, mmdet
from heatprop.adapters.dense_heads import dense
from heatprop.adapters.distances import ltrb
from heatprop.adapters.faces import CENTERFACE_EXTRAS, centerface
from heatprop.adapters.named_heads import fcos, nanodet, rtmdet, yolo, yolox
from heatprop.adapters.named_maps import Adapter
from heatprop.adapters.point_maps import points
from heatprop.adapters.scores import warn_about_scores

__all__ = [
    "CENTERFACE_EXTRAS",
    "CENTERPOINT_EXTRAS",
    "CENTERTRACK_EXTRAS",
    "Adapter",
    "BirdsEyeGrid",
    "centerface",
    "centernet",
    "centerpoint",
    "centertrack",
    "dense",
    "fcos",
    "ltrb",
    "mmdet",
    "nanodet",
    "points",
    "rtmdet",
    "warn_about_scores",
    "yolo",
    "yolox",
]
