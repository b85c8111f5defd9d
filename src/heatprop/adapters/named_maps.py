"""What all adapters share: name the maps of a raw output, check them, and say what was expected."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from heatprop.checks import check_one_device, check_tensor
from heatprop.structures import HeadMaps

Adapter = Callable[[Any], HeadMaps]

_PER_CLASS = (
    " Sizes per class (cat_spec_wh) do not fit HeadMaps, which has one size per cell: choose one in an adapter"
    " of your own, for instance that of the cell's best class."
)


class ExpectedMaps(NamedTuple):
    """What an adapter accepts.

    Attributes:
        adapter: Its name.
        form: What holds the maps, for messages.
        channels: Names of the maps, heatmap first, with their channels; ``None`` is any number.
        optional: Names that may be absent.
    """

    adapter: str
    form: str
    channels: Mapping[str, int | None]
    optional: frozenset[str] = frozenset()

    def name(self, raw: Any) -> dict[str, Any]:
        """Name the maps of a positional output; a list with one level works like its only map."""
        if not isinstance(raw, list | tuple):
            raise TypeError(self._message(raw))
        if len(raw) != len(self.channels):
            raise ValueError(self._message(raw))
        return {name: _only_level(value) for name, value in zip(self.channels, raw, strict=True)}

    def check(self, found: Any, raw: Any) -> dict[str, Tensor]:
        """Return the named maps as tensors of the expected shapes; ``raw`` is for the error message."""
        if not isinstance(found, Mapping):
            raise TypeError(self._message(raw))
        maps = {name: as_tensor(found[name]) for name in self.channels if found.get(name) is not None}
        if not self.channels.keys() - self.optional <= maps.keys():
            raise ValueError(self._message(raw))
        if not all(isinstance(value, Tensor) for value in maps.values()):
            raise TypeError(self._message(raw))
        for name, value in maps.items():
            check_tensor(repr(name), value, floating=True)
        check_one_device(**maps)
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
            f"adapters.{self.adapter} expects {self.form}: {wanted}; got {describe(raw)}. For another detector pass "
            "adapter= another of heatprop.adapters, or any function from the detector's output to HeadMaps."
        )


def describe(raw: Any) -> str:
    """Say what a raw output is: its containers, types and shapes."""
    if isinstance(raw, Mapping):
        return "{" + ", ".join(f"{name!r}: {describe(value)}" for name, value in raw.items()) + "}"
    if isinstance(raw, list | tuple):
        return f"{type(raw).__name__} of {len(raw)} (" + ", ".join(describe(value) for value in raw) + ")"
    return f"{type(raw).__name__} {tuple(raw.shape)}" if isinstance(raw, Tensor | np.ndarray) else type(raw).__name__


def _only_level(value: Any) -> Any:
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def as_tensor(value: Any) -> Any:
    """Wrap a numpy array without a copy; torch warns about read-only arrays, so these are copied."""
    return torch.from_numpy(np.require(value, requirements=["C", "W"])) if isinstance(value, np.ndarray) else value


def only_output(raw: Any) -> Any:
    """Take the only output of all places ``(B, N, ...)`` out of its list, as ONNX Runtime gives it, as a tensor."""
    only = isinstance(raw, list | tuple) and len(raw) == 1 and getattr(raw[0], "ndim", 0) == 3
    return as_tensor(raw[0] if only else raw)
