"""Checks at the public edge: shapes, types, devices and numbers, never the values of a tensor."""

import math
from collections.abc import Mapping
from numbers import Integral, Real

import torch
from torch import Tensor

from heatprop.structures import HeadMaps, Tracklets

_DTYPES = (torch.float16, torch.bfloat16, torch.float32, torch.float64)
_PAIRS = ("size", "position", "velocity", "known_position", "known_previous", "known_size", "known_velocity")
_FLOATING = ("score", "known_unseen", "unwatched", "extras", *_PAIRS)
_MASKS = ("valid", "has_extras")
_WHOLE = ("label", "x", "y", "length", "track_id", "next_id", "known_id", "known_label", "known_sightings")
_NOT_NEGATIVE = (
    *("label", "x", "y", "length", "size", "next_id", "unseen"),
    *("known_label", "known_size", "known_unseen", "known_sightings", "unwatched"),
)
_HINTS = {
    2: "add the batch and class dimensions with heatmap[None, None]",
    3: "add the batch dimension with heatmap[None]; permute channels-last maps first",
    5: "use forward_chunk for (B, T, C, H, W)",
}


def check_number(name: str, value: float, *, low: float, high: float = math.inf) -> None:
    """Require a real number in [low, high]; NaN and booleans do not count.

    Raises:
        TypeError: If it is not a number.
        ValueError: If it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name} must be a number, got {value!r}")
    if isinstance(value, Integral) and abs(value) >= 2**63:
        raise ValueError(f"{name} must be below 2**63, which tensors can hold, got {value!r}; write it as a float")
    if not low <= value <= high:
        reach = f"at least {low:g}" if high == math.inf else f"between {low:g} and {high:g}"
        raise ValueError(f"{name} must be {reach}, got {value!r}")


def check_count(name: str, value: int, *, low: float, high: float = math.inf) -> None:
    """Require a whole number in [low, high].

    Raises:
        TypeError: If it is not a whole number.
        ValueError: If it is out of range.
    """
    if isinstance(value, bool) or not isinstance(value, Integral):
        raise TypeError(f"{name} must be a whole number, got {value!r}")
    if value < low:
        raise ValueError(f"{name} must be at least {low}, got {value}")
    if value > high:
        raise ValueError(f"{name} must be at most {high}, got {value}")


def check_tensor(name: str, value: object, *, floating: bool, dims: int | None = None) -> None:
    """Require a dense tensor, of floating point numbers and of so many dimensions where that matters.

    Raises:
        TypeError: If it is none.
        ValueError: If it has other dimensions.
    """
    if not isinstance(value, Tensor):
        raise TypeError(f"{name} must be a torch.Tensor, got {type(value).__name__}; torch.as_tensor makes one")
    if value.layout != torch.strided:
        raise TypeError(f"{name} must be a dense tensor, got layout {value.layout}; call .to_dense()")
    if floating and value.dtype not in _DTYPES:
        raise TypeError(
            f"{name} must hold floating point numbers of 16 to 64 bits, got {value.dtype}; cast it with .float()"
        )
    if dims is not None and value.dim() != dims:
        raise ValueError(f"{name} must have {dims} dimensions, got shape {tuple(value.shape)}")


def check_real(name: str, value: object) -> None:
    """Require a dense tensor of whole numbers, or of floating point ones of 16 to 64 bits.

    Raises:
        TypeError: If it is none.
    """
    check_tensor(name, value, floating=False)
    dtype = value.dtype if isinstance(value, Tensor) else None
    if dtype is not None and (dtype.is_complex or (dtype.is_floating_point and dtype not in _DTYPES)):
        raise TypeError(f"{name} must hold whole numbers, or floating point ones of 16 to 64 bits, got {dtype}")


def check_one_device(**tensors: Tensor) -> None:
    """Require tensors of one device.

    Raises:
        ValueError: If they are on several.
    """
    devices = {name: tensor.device for name, tensor in tensors.items()}
    if len(set(devices.values())) > 1:
        came = ", ".join(f"{name} on {device}" for name, device in devices.items())
        raise ValueError(f"{' and '.join(devices)} must be on one device, got {came}; move them with .to()")


def check_maps(maps: HeadMaps) -> None:
    """Require maps of one frame that fit together.

    Raises:
        TypeError: If one is not a floating-point tensor (extras may hold whole numbers).
        ValueError: If shapes or devices do not fit.
    """
    heatmap, offset, size, extras = maps
    check_tensor("heatmap", heatmap, floating=True)
    if heatmap.dim() != 4:
        hint = _HINTS.get(heatmap.dim(), "add the dimensions that are missing")
        raise ValueError(f"heatmap must have shape (B, C, H, W), got {tuple(heatmap.shape)}; {hint}")
    if 0 in heatmap.shape:
        raise ValueError(f"heatmap must not be empty, got shape {tuple(heatmap.shape)}; skip batches without frames")
    for name, field, meaning in (("offset", offset, "(dx, dy)"), ("size", size, "(w, h)")):
        if field is not None:
            check_tensor(name, field, floating=True)
            if field.dim() == 4 and field.shape[1] != 2:
                raise ValueError(f"{name} has {field.shape[1]} channels, expected 2 {meaning}")
            _check_beside(name, field, heatmap, channels="2")
    check_extras(extras)
    for name, field in (extras or {}).items():
        check_real(f"extras[{name!r}]", field)
        _check_beside(f"extras[{name!r}]", field, heatmap, channels="D")


def check_extras(extras: object) -> None:
    """Require a dict of maps, or ``None``.

    Raises:
        TypeError: If it is neither.
    """
    if extras is not None and not isinstance(extras, Mapping):
        raise TypeError(f"extras must be a dict {{name: (B, D, H, W)}}, got {type(extras).__name__}")


def check_chunk(maps: HeadMaps) -> None:
    """Require maps of T frames, ``(B, T, ...)``; `check_maps` checks each frame.

    Raises:
        TypeError: If one is not a tensor.
        ValueError: If one does not have T frames.
    """
    check_tensor("heatmap", maps.heatmap, floating=True)
    leading = tuple(maps.heatmap.shape[:2])
    if maps.heatmap.dim() != 5 or 0 in leading:
        came = tuple(maps.heatmap.shape)
        raise ValueError(f"heatmap must have shape (B, T, C, H, W) with T >= 1, got {came}; use forward for one frame")
    check_extras(maps.extras)
    extras = {f"extras[{name!r}]": field for name, field in (maps.extras or {}).items()}
    beside = {"offset": maps.offset, "size": maps.size}
    given: dict[str, Tensor] = {name: field for name, field in beside.items() if field is not None} | extras
    for name, field in given.items():
        check_tensor(name, field, floating=False)
        if field.dim() != 5 or tuple(field.shape[:2]) != leading:
            raise ValueError(
                f"{name} must have shape (B, T, D, H, W) with (B, T) = {leading}, got {tuple(field.shape)}"
            )


def check_state(state: Tracklets) -> None:
    """Require tracklets as a propagator leaves them, values included. This waits for the device.

    Raises:
        TypeError: If they are not `Tracklets`, or a field has the wrong dtype.
        ValueError: If a propagator never leaves such a shape, device or value.
    """
    if not isinstance(state, Tracklets):
        raise TypeError(f"state must be Tracklets or None, got {type(state).__name__}")
    for name, field in state._asdict().items():
        if field is not None or name not in Tracklets._field_defaults:
            check_tensor(f"state.{name}", field, floating=name in _FLOATING)
            if name == "unseen":
                check_real("state.unseen", field)
            if name in _MASKS and field.dtype != torch.bool:
                raise TypeError(f"state.{name} must be a bool tensor, got {field.dtype}")
            if name in _WHOLE and (field.is_complex() or field.is_floating_point() or field.dtype == torch.bool):
                raise TypeError(f"state.{name} must hold whole numbers, got {field.dtype}")
    leading = tuple(state.valid.shape)
    if len(leading) != 2:
        raise ValueError(f"state.valid must have shape (B, K), got {leading}")
    for name, field in state._asdict().items():
        if field is not None:
            wanted = leading[:1] if name in ("next_id", "unwatched") else (*leading, 2) if name in _PAIRS else leading
            if name in ("extras", "has_extras"):  # as wide as what is remembered
                wanted = (*leading, *(field.shape[2:3] or ("R",)))
            if tuple(field.shape) != wanted:
                raise ValueError(f"state.{name} must have shape {wanted}, got {tuple(field.shape)}")
            if field.device != state.valid.device:
                raise ValueError(f"state.{name} is on {field.device}, state.valid on {state.valid.device}")
    if state.valid.is_meta:
        raise ValueError("state must have values, got meta tensors; pass them to step(), or move a state with .to()")
    _check_values(state)


def _check_values(state: Tracklets) -> None:
    for name in _FLOATING:
        field = getattr(state, name)
        if field is not None and not bool(field.isfinite().all()):
            raise ValueError(f"state.{name} must be finite; a propagator never leaves anything else")
    if state.extras is not None and bool((state.extras.abs() > torch.finfo(torch.float32).max / 2).any()):
        raise ValueError("state.extras must be below 1e38; a propagator never leaves more")
    if bool(((state.score < 0) | (state.score > 1)).any()):
        raise ValueError("state.score must be in [0, 1]; a propagator never leaves anything else")
    next_id = state.next_id.unsqueeze(1)
    if bool((state.valid & ((state.track_id < 0) | (state.track_id >= next_id))).any()):
        raise ValueError("state.track_id must be at least 0 and below state.next_id where valid, or identities repeat")
    own = torch.where(state.valid, state.track_id, -1 - torch.arange(state.valid.shape[1], device=next_id.device))
    if bool((own.sort(dim=1).values.diff(dim=1) == 0).any()):
        raise ValueError("state.track_id must differ among the valid tracklets of a stream, or two share an identity")
    for name in ("length", "unseen"):  # they grow by 1 in each frame, as int32
        field = getattr(state, name)
        if field is not None and bool((field >= 2**30).any()):
            raise ValueError(
                f"state.{name} must be below 2**30 frames, more than a year; a propagator never leaves more"
            )
    for name in _NOT_NEGATIVE:
        field = getattr(state, name)
        if field is not None and bool((field < 0).any()):
            raise ValueError(f"state.{name} must be at least 0; a propagator never leaves anything else")


def check_reset(reset: Tensor | None, shape: tuple[int, ...], device: torch.device) -> None:
    """Require a mask of the streams that start again.

    Raises:
        TypeError: If it is not a boolean tensor.
        ValueError: If the shape or the device does not fit.
    """
    if reset is None:
        return
    if not isinstance(reset, Tensor) or reset.dtype != torch.bool:
        came = reset.dtype if isinstance(reset, Tensor) else type(reset).__name__
        raise TypeError(f"reset must be a bool tensor such as torch.tensor([True]), one flag per stream, got {came}")
    if reset.shape != shape:
        per = "stream" if len(shape) == 1 else "stream and frame"
        raise ValueError(f"reset must have shape {tuple(shape)}, one flag per {per}, got {tuple(reset.shape)}")
    if reset.device != device:
        raise ValueError(f"reset is on {reset.device}, heatmap on {device}; move them to one device")


def check_shift(shift: Tensor | None, heatmap: Tensor, *, device: torch.device | None = None) -> None:
    """Require a motion of the picture that fits the heatmap, for one frame or for T.

    Raises:
        TypeError: If it is not a floating-point tensor.
        ValueError: If the shape or the device does not fit.
    """
    if shift is None:
        return
    check_tensor("shift", shift, floating=True)
    *leading, _, H, W = heatmap.shape
    forms = (*leading, 2), (*leading, 2, 3), (*leading, 2, H, W)
    if tuple(shift.shape) not in forms:
        names = "B" if len(leading) == 1 else "B, T"
        one, two, three = (
            f"({names}, {name}) = {form}" for name, form in zip(("2", "2, 3", "2, H, W"), forms, strict=True)
        )
        wanted = f"{one}, {two} or {three}"
        raise ValueError(f"shift must have shape {wanted}, in cells, got {tuple(shift.shape)}")
    if shift.device != (device or heatmap.device):
        raise ValueError(f"shift is on {shift.device}, heatmap on {device or heatmap.device}; move them to one device")


def _check_beside(name: str, field: Tensor, heatmap: Tensor, *, channels: str) -> None:
    B, _, H, W = heatmap.shape
    if field.dim() != 4 or (field.shape[0], *field.shape[2:]) != (B, H, W):
        wanted = f"(B, {channels}, H, W) = ({B}, {channels}, {H}, {W})"
        raise ValueError(f"{name} must have shape {wanted} to go with the heatmap, got {tuple(field.shape)}")
    if field.device != heatmap.device:
        raise ValueError(f"{name} is on {field.device}, heatmap on {heatmap.device}; move them to one device")
