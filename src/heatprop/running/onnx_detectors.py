"""An ONNX file as the detector of a run: what its head needs, and the names of its classes; extra ``onnx``."""

import ast
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from heatprop import adapters
from heatprop.onnx_runtime.sessions import open_session
from heatprop.structures import HeadMaps

GRID = 8
"""Pixels per cell of the grid that dense heads vote on."""
_NAMES = ("names", "classes", "class_names", "labels")


class Head(NamedTuple):
    """What a kind of head needs.

    Attributes:
        read: From the size of the network input ``(width, height)`` to an adapter.
        divide: Pixels in [0, 255] are divided by it first.
        mean: Then subtracted, per channel.
        deviation: Then divided by, per channel.
        bgr: Whether the network takes blue first; ``mean`` and ``deviation`` are in its order.
        stride: Pixels per cell of the maps.
    """

    read: Callable[[tuple[int, int]], adapters.Adapter]
    divide: float = 1.0
    mean: tuple[float, float, float] = (0.0, 0.0, 0.0)
    deviation: tuple[float, float, float] = (1.0, 1.0, 1.0)
    bgr: bool = False
    stride: int = GRID


def _read_centernet(_: tuple[int, int]) -> adapters.Adapter:
    return adapters.centernet


_MEAN, _DEVIATION = (103.53, 116.28, 123.675), (57.375, 57.12, 58.395)  # ImageNet's, blue first

HEADS: Mapping[str, Head] = {
    "yolo": Head(lambda size: adapters.yolo(input_size=size), divide=255.0),
    "yolox": Head(lambda size: adapters.yolox(decoded=False, input_size=size), bgr=True),  # as its export leaves boxes
    "nanodet": Head(lambda size: adapters.nanodet(input_size=size), mean=_MEAN, deviation=_DEVIATION, bgr=True),
    "fcos": Head(lambda size: adapters.fcos(input_size=size), mean=(102.9801, 115.9465, 122.7717), bgr=True),
    "rtmdet": Head(lambda size: adapters.rtmdet(input_size=size), mean=_MEAN, deviation=_DEVIATION, bgr=True),
    "centernet": Head(
        _read_centernet,
        divide=255.0,
        mean=(0.408, 0.447, 0.470),
        deviation=(0.289, 0.274, 0.278),
        bgr=True,
        stride=4,
    ),
}
"""Each with the pictures that its own code makes."""


class OnnxDetector:
    """A network in an ONNX file, with ONNX Runtime, as a function from a picture to maps.

    Args:
        path: The file.
        head: One of `HEADS`.
        device: ``"cpu"``, ``"cuda"`` or ``"cuda:<index>"``.

    Attributes:
        class_names: From the file's metadata; empty where it tells none.
        input_size: Width and height that the file is fixed to, in pixels; ``None`` where it takes any.

    Raises:
        ImportError: If onnxruntime is not installed.
        ValueError: If the file is no network that takes one picture.
        RuntimeError: If ONNX Runtime cannot use the device.
    """

    def __init__(self, path: Path, head: str, *, device: str = "cpu") -> None:
        self._session = _open(path, device)
        self._head = HEADS[head]
        (entry,) = self._session.get_inputs()
        self._input, self._half = entry.name, "float16" in entry.type
        self._outputs = [output.name for output in self._session.get_outputs()]
        self.input_size = _fixed_size(path, entry)
        self.class_names = read_class_names(self._session.get_modelmeta().custom_metadata_map)

    @property
    def longer_side(self) -> int | None:
        """Longer side of the largest picture that always fits; ``None`` where any does."""
        return None if self.input_size is None else min(self.input_size)

    def __call__(self, pixels: Tensor) -> HeadMaps:
        """Run the network on a picture.

        Args:
            pixels: RGB, shape ``(1, 3, H, W)``, ``float32`` in [0, 255].

        Returns:
            Its maps, one cell for every `Head.stride` pixels, rounded up.

        Raises:
            ValueError: If the picture does not fit the network, or its output is not that of the head.
        """
        H, W = pixels.shape[2:]
        array = self._prepare(pixels.detach().cpu().numpy())
        raw = self._session.run(self._outputs, {self._input: array})
        if self._head.read is _read_centernet:
            raw = dict(zip(self._outputs if "hm" in self._outputs else ("hm", "wh", "reg"), raw, strict=False))
        maps = self._head.read((array.shape[3], array.shape[2]))(raw)
        rows, columns = -(-H // self._head.stride), -(-W // self._head.stride)
        return maps.map(lambda field: field[..., :rows, :columns])

    def _prepare(self, pixels: NDArray[np.float32]) -> NDArray[Any]:
        """Make what the network takes; what a fixed size leaves over is grey, as YOLO's own letterbox."""
        head = self._head
        if self.input_size is not None:
            width, height = self.input_size
            H, W = pixels.shape[2:]
            if height < H or width < W:
                raise ValueError(
                    f"the network takes pictures of {width} x {height} pixels, got one of {W} x {H}; "
                    f"pass --detector-size {min(width, height)}"
                )
            pixels = np.pad(pixels, ((0, 0), (0, 0), (0, height - H), (0, width - W)), constant_values=114)
        if head.bgr:
            pixels = pixels[:, ::-1]
        mean, deviation = (np.array(x, np.float32).reshape(1, 3, 1, 1) for x in (head.mean, head.deviation))
        ready = np.ascontiguousarray((pixels / np.float32(head.divide) - mean) / deviation)
        return ready.astype(np.float16) if self._half else ready


def read_class_names(metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Read the names of classes from the metadata of an ONNX file.

    Args:
        metadata: What exporters write: ``names`` as ultralytics does, or ``classes``, ``class_names`` or ``labels``; a
            list or a dict in the syntax of Python or JSON, or words with commas or line breaks between them.

    Returns:
        The names by their number; empty where there are none.

    Examples:
        >>> read_class_names({"names": "{0: 'person', 1: 'dog'}"})
        ('person', 'dog')
        >>> read_class_names({"classes": "person,dog"})
        ('person', 'dog')
    """
    written = next((metadata[key] for key in _NAMES if metadata.get(key)), "")
    for parse in (ast.literal_eval, json.loads):
        try:
            found = parse(written)
        except (ValueError, SyntaxError):
            continue
        if isinstance(found, Mapping):
            return tuple(str(found[key]) for key in sorted(found, key=int))
        if isinstance(found, list | tuple):
            return tuple(map(str, found))
    return tuple(name for name in (part.strip() for part in written.replace("\n", ",").split(",")) if name)


def _open(path: Path, device: str) -> Any:
    try:
        return open_session(str(path), device=device)
    except (ImportError, RuntimeError, ValueError):
        raise  # they say what is wrong
    except Exception as error:  # onnxruntime's exceptions have no common class that it names
        raise ValueError(f"{path} is no ONNX network that onnxruntime can load: {error}") from error


def _fixed_size(path: Path, entry: Any) -> tuple[int, int] | None:
    """Width and height of the network input; ``None`` where the file leaves them open."""
    shape = list(entry.shape)
    if len(shape) != 4 or (shape[1] not in (3, None) and not isinstance(shape[1], str)):
        raise ValueError(f"{path} must take pictures (1, 3, H, W), its input is {shape}")
    sides = shape[3], shape[2]
    return (int(sides[0]), int(sides[1])) if all(isinstance(side, int) for side in sides) else None
