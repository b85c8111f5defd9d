"""The CenterNet family: CenterNet itself, CenterTrack and mmdetection's CenterNetHead."""

from collections.abc import Mapping
from functools import partial
from typing import Any, Literal, get_args, overload

import torch
from torch import Tensor

from heatprop.adapters.named_maps import Adapter, ExpectedMaps
from heatprop.remembering.rules import Rule
from heatprop.structures import HeadMaps

TrackBox = Literal["wh", "ltrb", "ltrb_amodal"]

CENTERTRACK_EXTRAS: Mapping[str, tuple[Rule, int]] = {
    "ltrb_amodal": ("points", 4),
    "ltrb": ("points", 4),
    "dep": ("blend", 1),
    "rot": ("last", 8),
    "dim": ("blend", 3),
    "amodel_offset": ("blend", 2),
    "velocity": ("blend", 3),
    "nuscenes_att": ("blend", 8),
    "hps": ("points", 34),
}
"""How the extras of `centertrack` are remembered; take those that your model has.

``rot`` holds two bins of scores and angles, of which a blend would be neither; ``hps`` are 17 joints, as on COCO.
"""

_STACKS = "a dict of maps, or a list of such dicts of which the last counts"
_OFFSET = frozenset({"reg"})
_CENTERNET = ExpectedMaps("centernet", _STACKS, {"hm": None, "wh": 2, "reg": 2}, _OFFSET)
_TRACK_EXTRAS: dict[str, int | None] = {
    "tracking": 2,
    "ltrb_amodal": 4,
    "ltrb": 4,
    "dep": 1,
    "rot": 8,
    "dim": 3,
    "amodel_offset": 2,
    "velocity": 3,
    "nuscenes_att": 8,
    "hps": None,
}
_TRACK_HEADS = {**_CENTERNET.channels, **_TRACK_EXTRAS}
_CENTERTRACK = {
    box: ExpectedMaps("centertrack", _STACKS, _TRACK_HEADS, frozenset(_TRACK_HEADS) - {"hm", box})
    for box in get_args(TrackBox)
}
_MMDET = ExpectedMaps("mmdet", "three lists of one level each", {"center_heatmap": None, "wh": 2, "offset": 2})
_LATER = object()  # stands for the raw output where only options were given


@overload
def centernet(*, logits: bool = True) -> Adapter: ...
@overload
def centernet(raw: Any, *, logits: bool = True) -> HeadMaps: ...
def centernet(raw: Any = _LATER, *, logits: bool = True) -> HeadMaps | Adapter:
    """Read CenterNet's heads (github.com/xingyizhou/CenterNet, ``ctdet_decode``).

    Other heads are ignored. Without ``raw`` it returns an adapter with the given options.

    Args:
        raw: ``{"hm": (B, C, H, W) logits, "wh": (B, 2, H, W) cells, "reg": (B, 2, H, W) cells}``, or the
            model's list of such dicts, one per stack, of which the last is read. Without ``reg`` a centre
            lies in the middle of its cell.
        logits: Whether ``hm`` still needs its sigmoid. CenterNet's own detectors apply it in place
            (``output["hm"].sigmoid_()``): for a dict that went through them, pass ``False``.

    Returns:
        Scores after the sigmoid, ``reg`` as offset ``(dx, dy)``, ``wh`` as size ``(w, h)``.

    Raises:
        TypeError: If ``raw`` is neither a dict of tensors nor a list of such dicts.
        ValueError: If a head is missing or has another shape.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> heads = {"hm": torch.zeros(1, 80, 8, 8), "wh": torch.ones(1, 2, 8, 8)}
        >>> maps = adapters.centernet([heads])
        >>> maps.heatmap[0, 0, 0, 0].item(), maps.offset
        (0.5, None)
        >>> after_sigmoid = adapters.centernet(logits=False)  # VideoDetector(..., adapter=after_sigmoid)
        >>> after_sigmoid([heads]).heatmap[0, 0, 0, 0].item()
        0.0
    """
    if raw is _LATER:
        return partial(_read_centernet, logits=logits)
    return _read_centernet(raw, logits=logits)


@overload
def centertrack(*, logits: bool = True, box: TrackBox = "wh") -> Adapter: ...
@overload
def centertrack(raw: Any, *, logits: bool = True, box: TrackBox = "wh") -> HeadMaps: ...
def centertrack(raw: Any = _LATER, *, logits: bool = True, box: TrackBox = "wh") -> HeadMaps | Adapter:
    """Read CenterTrack's heads (github.com/xingyizhou/CenterTrack, ``generic_decode``).

    Like :func:`centernet`, but the other regression heads become extras, read at the peaks:
    ``tracking``, ``ltrb_amodal``, ``ltrb``, ``dep``, ``rot``, ``dim``, ``amodel_offset``, ``velocity``,
    ``nuscenes_att`` and ``hps`` (before its refinement by ``hm_hp``). ``dep`` is decoded as CenterTrack does,
    ``1 / (sigmoid + 1e-6) - 1``, with a ``depth_scale`` of 1. ``cells + tracking`` is the object's centre in the frame
    before, in cells; ``HeatmapPropagator(motion="tracking")`` moves the tracklets by it.

    CenterTrack sets negative sizes to 0. This adapter keeps them: a cell with a negative size counts as not seen.

    Args:
        raw: A dict of maps ``(B, D, H, W)`` with ``hm``, the head that ``box`` names and, optionally, ``reg``
            and the heads above, or the model's list of such dicts, of which the last is read.
        logits: Whether ``hm`` and ``dep`` still need what ``_sigmoid_output`` does to them, in place.
        box: The head that gives the box. CenterTrack itself reports the box of ``"ltrb_amodal"``, which may reach
            beyond the picture, if the model has it; else that of ``"ltrb"``; else that of ``"wh"``. The first two hold
            signed distances from the cell to the sides, in cells. The chosen head does not become an extra.

    Returns:
        Scores after the sigmoid, offset ``(dx, dy)`` and size ``(w, h)`` of that box, and the extras.

    Raises:
        TypeError: If ``raw`` is neither a dict of tensors nor a list of such dicts.
        ValueError: If a head is missing or has another shape, or ``box`` is another word.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> sides = torch.tensor([-2.0, -1, 4, 3]).view(1, 4, 1, 1).expand(1, 4, 8, 8)
        >>> heads = {"hm": torch.zeros(1, 1, 8, 8), "ltrb_amodal": sides}
        >>> maps = adapters.centertrack(box="ltrb_amodal")(heads)
        >>> maps.offset[0, :, 0, 0].tolist(), maps.size[0, :, 0, 0].tolist()
        ([1.0, 1.0], [6.0, 4.0])
    """
    if box not in _CENTERTRACK:
        raise ValueError(f"box must be one of {', '.join(map(repr, _CENTERTRACK))}, got {box!r}")
    if raw is _LATER:
        return partial(_read_centertrack, logits=logits, box=box)
    return _read_centertrack(raw, logits=logits, box=box)


def mmdet(raw: Any) -> HeadMaps:
    """Read mmdetection's ``CenterNetHead`` (what its ``forward`` and ``mode="tensor"`` return).

    Args:
        raw: Three lists of one level each: heatmaps ``(B, C, H, W)``, which this head returns **after** the sigmoid,
            sizes ``(w, h)`` and offsets ``(dx, dy)``, both ``(B, 2, H, W)`` in cells.

    Returns:
        The same three maps.

    Raises:
        TypeError: If ``raw`` is not a list or tuple, or holds anything but one level of maps.
        ValueError: If its length or the shapes of its maps are wrong.
    """
    maps = _MMDET.check(_MMDET.name(raw), raw)
    return HeadMaps(maps["center_heatmap"], maps["offset"], maps["wh"])


def _read_centernet(raw: Any, *, logits: bool) -> HeadMaps:
    heads = _CENTERNET.check(_last_stack(raw), raw)
    return HeadMaps(_scores(heads["hm"], logits), heads.get("reg"), heads["wh"])


def _read_centertrack(raw: Any, *, logits: bool, box: TrackBox) -> HeadMaps:
    heads = _CENTERTRACK[box].check(_last_stack(raw), raw)
    extras = {name: heads[name] for name in _TRACK_EXTRAS if name in heads and name != box}
    if logits and "dep" in extras:
        extras["dep"] = 1 / (extras["dep"].sigmoid() + 1e-6) - 1
    offset, size = (heads.get("reg"), heads["wh"]) if box == "wh" else _from_sides(heads[box])
    return HeadMaps(_scores(heads["hm"], logits), offset, size, extras)


def _scores(heatmap: Tensor, logits: bool) -> Tensor:
    return torch.sigmoid(heatmap) if logits else heatmap


def _from_sides(sides: Tensor) -> tuple[Tensor, Tensor]:
    """Signed positions of the four sides from the cell, (B, 4, H, W) -> offset and size, (B, 2, H, W) each."""
    low, high = sides.chunk(2, dim=1)
    return (low + high) / 2, high - low


def _last_stack(raw: Any) -> Any:
    return raw[-1] if isinstance(raw, list | tuple) and raw else raw
