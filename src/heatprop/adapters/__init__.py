"""Raw outputs of known detectors -> HeadMaps, each by the conventions of that detector's own code.

An adapter is any function from what a detector returns to :class:`heatprop.HeadMaps`. Write one of your
own where none of these fits:

>>> import torch
>>> from heatprop import HeadMaps
>>> def my_adapter(raw):
...     return HeadMaps(heatmap=raw["scores"].sigmoid(), offset=None, size=raw["sizes"] / 4)
>>> my_adapter({"scores": torch.zeros(1, 3, 8, 8), "sizes": torch.ones(1, 2, 8, 8)}).heatmap.shape
torch.Size([1, 3, 8, 8])

They check names and shapes, never values, and leave the raw output as it is. Numpy arrays (of onnxruntime,
say) are accepted wherever tensors are. Where one has options, ``adapters.centernet(logits=False)`` makes an adapter
with them.
"""

from heatprop.adapters.birds_eye import BirdsEyeGrid, centerpoint
from heatprop.adapters.centers import centernet, centertrack, mmdet
from heatprop.adapters.distances import ltrb
from heatprop.adapters.faces import centerface
from heatprop.adapters.named_maps import Adapter
from heatprop.adapters.scores import warn_about_scores

__all__ = [
    "Adapter",
    "BirdsEyeGrid",
    "centerface",
    "centernet",
    "centerpoint",
    "centertrack",
    "ltrb",
    "mmdet",
    "warn_about_scores",
]
