"""Heads that give the distances to the sides of the box."""

from functools import partial
from typing import Any, Literal

from heatprop.adapters.named_maps import Adapter, ExpectedMaps
from heatprop.structures import HeadMaps

_LTRB = ExpectedMaps("ltrb", "a pair", {"heatmap": None, "distances": 4})


def ltrb(
    *, unit: Literal["pixels", "cells"] = "pixels", stride: float = 4, origin: float = 0.0, logits: bool = True
) -> Adapter:
    """Make an adapter for heads that give the distances from a point to the four sides of the box.

    The adapter takes the pair (heatmap ``(B, C, H, W)``, distances ``(B, 4, H, W)``: left, top, right,
    bottom, positive inside the box; a list with one level works like its only map). With the
    defaults it reads TTFNet's head (github.com/ZJULearning/ttfnet, ``TTFHead.get_bboxes``).

    Args:
        unit: What the distances are measured in, ``"pixels"`` of the network input or ``"cells"``.
        stride: Pixels per cell, above 0, the same as the propagator's.
        origin: Where in its cell the point lies, in cells: 0 is the corner (TTFNet), 0.5 the middle (FCOS).
        logits: Whether the heatmap still needs its sigmoid.

    Returns:
        An adapter: scores, the box's centre as offset and its size ``(w, h)``, both in cells.

    Raises:
        ValueError: If ``unit`` is another word, or ``stride`` is not above 0.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> heatmap, distances = torch.zeros(1, 80, 8, 8), torch.tensor([8.0, 4, 16, 4]).view(1, 4, 1, 1)
        >>> maps = adapters.ltrb()((heatmap, distances.expand(1, 4, 8, 8)))
        >>> maps.offset[0, :, 0, 0].tolist(), maps.size[0, :, 0, 0].tolist()
        ([1.0, 0.0], [6.0, 2.0])
    """
    if unit not in ("pixels", "cells"):
        raise ValueError(f"unit must be 'pixels' or 'cells', got {unit!r}")
    if not stride > 0:
        raise ValueError(f"stride must be above 0, got {stride}")
    return partial(_read_ltrb, cell=stride if unit == "pixels" else 1.0, origin=origin, logits=logits)


def _read_ltrb(raw: Any, *, cell: float, origin: float, logits: bool) -> HeadMaps:
    maps = _LTRB.check(_LTRB.name(raw), raw)
    heatmap = maps["heatmap"].sigmoid() if logits else maps["heatmap"]
    before, after = (maps["distances"] / cell).chunk(2, dim=1)  # (B, 2, H, W) each: left, top; right, bottom
    return HeadMaps(heatmap, (after - before) / 2 + origin, before + after)
