"""Dense heads by name: `heatprop.adapters.dense` with what each detector's own code does before it decodes."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor

from heatprop.adapters.dense_heads import check_input_size, dense
from heatprop.adapters.named_maps import Adapter, as_tensor, describe, only_output
from heatprop.structures import HeadMaps

InputSize = int | tuple[int, int] | None


def yolo(
    *,
    strides: Sequence[float] = (8, 16, 32),
    bins: int = 16,
    grid: float = 8,
    low: float = 0.01,
    input_size: InputSize = None,
) -> Adapter:
    """Make an adapter for ultralytics' detection head (YOLOv8 and later: ``Detect``).

    It reads the levels that the head computes, each ``(B, 4 * 16 + C, h, w)``: bins of the distances, then logits of
    the classes. Or what an exported or evaluated network gives, ``(B, 4 + C, N)``: boxes ``(x, y, w, h)`` in pixels,
    then scores; then ``input_size`` must be given. A network exported with its own NMS has dropped what a memory needs.

    Args:
        strides: Pixels per cell of each level.
        bins: Numbers that describe each distance (``reg_max``).
        grid: As in `dense`.
        low: As in `dense`.
        input_size: As in `dense`.

    Returns:
        An adapter.

    Raises:
        TypeError: As `dense`.
        ValueError: As `dense`.

    Examples:
        >>> import torch
        >>> from heatprop import adapters
        >>> exported = torch.zeros(1, 84, 8400)
        >>> adapters.yolo(input_size=640)(exported).heatmap.shape
        torch.Size([1, 80, 80, 80])
    """
    levels = dense(strides, grid=grid, bins=bins, low=low, input_size=input_size)
    boxes = dense(strides, grid=grid, boxes="xywh", logits=False, low=low, input_size=input_size)
    return partial(_read_yolo, levels=levels, boxes=boxes, numbers=4 * bins)


def yolox(
    *,
    decoded: bool = True,
    strides: Sequence[float] = (8, 16, 32),
    grid: float = 8,
    low: float = 0.01,
    input_size: InputSize = None,
) -> Adapter:
    """Make an adapter for YOLOX's head: one tensor ``(B, N, 5 + C)``, as the evaluated network returns it.

    The first four numbers are the box, the fifth is objectness, by which the network's own code multiplies the scores;
    both are after the sigmoid.

    Args:
        decoded: Whether boxes are ``(x, y, w, h)`` in pixels (the evaluated network), or as the layers give them
            (``decode_in_inference=False``, which YOLOX's export to ONNX sets).
        strides: Pixels per cell of each level.
        grid: As in `dense`.
        low: As in `dense`.
        input_size: As in `dense`; it must be given.

    Returns:
        An adapter.

    Raises:
        TypeError: As `dense`.
        ValueError: As `dense`.
    """
    if not isinstance(decoded, bool):
        raise TypeError(f"decoded must be True or False, got {decoded!r}")
    read = dense(strides, grid=grid, boxes="xywh", logits=False, objectness=True, low=low, input_size=input_size)
    if decoded:
        return read
    return partial(_read_raw_yolox, read=read, strides=tuple(strides), input_size=check_input_size(input_size))


def nanodet(
    *,
    plus: bool = True,
    logits: bool = False,
    bins: int = 8,
    grid: float = 8,
    low: float = 0.01,
    input_size: InputSize = None,
) -> Adapter:
    """Make an adapter for NanoDet's head: levels, or one tensor ``(B, N, C + 4 * 8)``, classes first.

    Args:
        plus: NanoDet-Plus: four levels (strides 8 to 64), distances from the corner of a cell; else the first NanoDet:
            three levels, distances from its middle.
        logits: Whether scores still need a sigmoid: ``False`` for exported networks, ``True`` for what the head
            returns in PyTorch.
        bins: Numbers that describe each distance (``reg_max + 1``).
        grid: As in `dense`.
        low: As in `dense`.
        input_size: As in `dense`; one tensor needs it.

    Returns:
        An adapter for one tensor, for levels ``(B, C + 4 * bins, h, w)``, or for a list of score maps and a list of box
        maps.

    Raises:
        TypeError: As `dense`.
        ValueError: As `dense`.
    """
    if not isinstance(plus, bool):
        raise TypeError(f"plus must be True or False, got {plus!r}")
    strides, origin = ((8, 16, 32, 64), 0.0) if plus else ((8, 16, 32), 0.5)
    read = dense(strides, grid=grid, origin=origin, bins=bins, logits=logits, low=low, input_size=input_size)
    return partial(_read_nanodet, read=read, numbers=4 * bins, count=len(strides))


def fcos(
    *,
    strides: Sequence[float] = (8, 16, 32, 64, 128),
    grid: float = 8,
    low: float = 0.01,
    input_size: InputSize = None,
) -> Adapter:
    """Make an adapter for mmdetection's ``FCOSHead``: what its ``forward`` returns, scores, boxes and centerness.

    Scores and centerness are logits, and scores are multiplied by the centerness as in ``predict``; distances are in
    pixels from the middle of a cell.

    Args:
        strides: Pixels per cell of each level.
        grid: As in `dense`.
        low: As in `dense`.
        input_size: As in `dense`.

    Returns:
        An adapter; it also reads the lists one after the other, as exported networks give them.

    Raises:
        TypeError: As `dense`.
        ValueError: As `dense`.
    """
    read = dense(strides, grid=grid, unit="pixels", objectness=True, low=low, input_size=input_size)
    return partial(_read_lists, read=read, name="fcos", lists=3, count=len(strides))


def rtmdet(
    *,
    strides: Sequence[float] = (8, 16, 32),
    grid: float = 8,
    low: float = 0.01,
    input_size: InputSize = None,
) -> Adapter:
    """Make an adapter for mmdetection's ``RTMDetHead``: lists of scores and boxes, as its ``forward`` returns them.

    Scores are logits; distances are in pixels from the corner of a cell.

    Args:
        strides: Pixels per cell of each level.
        grid: As in `dense`.
        low: As in `dense`.
        input_size: As in `dense`.

    Returns:
        An adapter; it also reads the lists one after the other, as exported networks give them.

    Raises:
        TypeError: As `dense`.
        ValueError: As `dense`.
    """
    read = dense(strides, grid=grid, unit="pixels", origin=0.0, low=low, input_size=input_size)
    return partial(_read_lists, read=read, name="rtmdet", lists=2, count=len(strides))


def _read_yolo(raw: Any, *, levels: Adapter, boxes: Adapter, numbers: int) -> HeadMaps:
    if isinstance(raw, list | tuple) and len(raw) and getattr(raw[0], "ndim", 0) == 3:
        raw = raw[0]  # the evaluated network gives boxes, and what they were made of
    if not isinstance(raw, list | tuple):
        return boxes(raw)
    return levels([_split(as_tensor(level), numbers, boxes_first=True, name="yolo", raw=raw) for level in raw])


def _read_raw_yolox(raw: Any, *, read: Adapter, strides: tuple[float, ...], input_size: Any) -> HeadMaps:
    """Do what ``YOLOXHead.decode_outputs`` does, then read boxes."""
    raw = only_output(raw)
    if not isinstance(raw, Tensor) or raw.dim() != 3 or input_size is None:
        return read(raw)  # which refuses it
    width, height = input_size
    cells = []
    for stride in strides:
        rows, columns = (torch.arange(-(-side // stride), device=raw.device) for side in (height, width))
        y, x = torch.meshgrid(rows, columns, indexing="ij")
        cells.append(torch.stack([x, y, torch.full_like(x, int(stride))], dim=2).flatten(0, 1))
    grid = torch.cat(cells).to(torch.promote_types(raw.dtype, torch.float32))  # (N, 3)
    if raw.shape[1] != len(grid):
        raise ValueError(
            f"adapters.yolox expects (B, {len(grid)}, 5 + C) with input_size={input_size} and strides {strides}, got "
            f"{describe(raw)}; give the size of the pictures that the network takes"
        )
    centre, size = (raw[:, :, :2] + grid[:, :2]) * grid[:, 2:], raw[:, :, 2:4].exp() * grid[:, 2:]
    return read(torch.cat([centre, size, raw[:, :, 4:].to(centre.dtype)], dim=2))


def _read_nanodet(raw: Any, *, read: Adapter, numbers: int, count: int) -> HeadMaps:
    raw = only_output(raw)
    if isinstance(raw, Tensor):
        if raw.dim() != 3:
            return read(raw)  # which refuses it
        return read(torch.cat([raw[:, :, -numbers:], raw[:, :, :-numbers]], dim=2))
    if isinstance(raw, list | tuple) and len(raw) == count and not isinstance(raw[0], list | tuple):
        return read([_split(as_tensor(level), numbers, boxes_first=False, name="nanodet", raw=raw) for level in raw])
    return _read_lists(raw, read=read, name="nanodet", lists=2, count=count)


def _read_lists(raw: Any, *, read: Adapter, name: str, lists: int, count: int) -> HeadMaps:
    """Read one list of maps per kind (scores, boxes, centerness), or all of them one after the other."""
    if isinstance(raw, list | tuple) and len(raw) == lists * count and count > 1:
        raw = [raw[start : start + count] for start in range(0, lists * count, count)]
    kinds = [list(kind) if isinstance(kind, list | tuple) else kind for kind in raw] if _is_list(raw, lists) else None
    if kinds is None or not all(_is_list(kind, count) for kind in kinds):
        words = ("scores", "boxes", "centerness")[:lists]
        raise ValueError(
            f"adapters.{name} expects {lists} lists ({', '.join(words)}) of {count} levels each, got {describe(raw)}; "
            "give strides= for another number of levels"
        )
    levels = zip(*[[as_tensor(one) for one in kind] for kind in kinds], strict=True)
    return read([_with_centerness(*level, name=name, raw=raw) for level in levels])


def _with_centerness(scores: Any, boxes: Any, centerness: Any = None, *, name: str, raw: Any) -> tuple[Any, Any]:
    if centerness is None:
        return scores, boxes
    fits = isinstance(scores, Tensor) and isinstance(centerness, Tensor) and scores.dim() == centerness.dim() == 4
    if not fits or centerness.shape != (scores.shape[0], 1, *scores.shape[2:]):
        raise ValueError(
            f"adapters.{name} expects centerness (B, 1, h, w) beside scores (B, C, h, w), got {describe(raw)}"
        )
    return torch.cat([centerness, scores], dim=1), boxes


def _split(level: Any, numbers: int, *, boxes_first: bool, name: str, raw: Any) -> tuple[Tensor, Tensor]:
    """Take scores and boxes of one map apart."""
    if not isinstance(level, Tensor) or level.dim() != 4 or level.shape[1] <= numbers:
        raise ValueError(
            f"adapters.{name} expects levels (B, {numbers} + C, h, w), got {describe(raw)}; bins= says how many "
            "numbers describe a distance"
        )
    if boxes_first:
        return level[:, numbers:], level[:, :numbers]
    return level[:, :-numbers], level[:, -numbers:]


def _is_list(value: Any, length: int) -> bool:
    return isinstance(value, list | tuple) and len(value) == length
