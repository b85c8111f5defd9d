"""Load the detector named on the command line, CenterFace or any other, as a function from a picture to its maps."""

import importlib
import importlib.util
import inspect
import os
import sys
import sysconfig
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from heatprop import adapters
from heatprop.running.threads import torch_threads
from heatprop.structures import HeadMaps

FACES = "faces"
ADAPTERS: dict[str, adapters.Adapter] = {
    "centernet": adapters.centernet,
    "centertrack": adapters.centertrack,
    "mmdet": adapters.mmdet,
    "centerface": adapters.centerface,
}


_PACKAGE = str(Path(__file__).parents[1])
_LIBRARIES = ("<frozen", *(sysconfig.get_path(name) for name in ("stdlib", "platstdlib", "purelib", "platlib")))


class DetectorError(RuntimeError):
    """A detector that cannot be loaded, or that fails on a frame.

    Attributes:
        frame: Number of that frame, if it is not the next one to be written.
    """

    frame: int | None = None


class Detector(NamedTuple):
    """A loaded detector.

    Attributes:
        name: Name that the user gave for the detector.
        network: Turns pictures ``(1, 3, H, W)`` into raw output or :class:`heatprop.HeadMaps`.
        adapter: Turns raw output into ``HeadMaps``; ``None`` if the network must return them itself.
        device: Device that the pictures must be on.
        threads: Number of torch's CPU threads while the network runs; ``None`` leaves the number as it is.
        class_names: Name of each class, in the order of the heatmap's channels; empty if the detector has no names.
        longer_side: Longer side of the largest picture that fits, in pixels; ``None`` if any size fits.
    """

    name: str
    network: Callable[[Tensor], Any]
    adapter: adapters.Adapter | None
    device: torch.device
    class_names: tuple[str, ...] = ()
    threads: int | None = None
    longer_side: int | None = None

    def __call__(self, pixels: Tensor) -> HeadMaps:
        """Run the detector on one picture.

        Args:
            pixels: Shape ``(1, 3, H, W)``, ``float32`` in [0, 255].

        Returns:
            Its maps.

        Raises:
            DetectorError: If it fails, or its output is not what the adapter expects.
        """
        try:
            with torch_threads(self.threads or torch.get_num_threads()):
                raw = self.network(pixels.to(self.device))
        except Exception as error:  # whatever a user's detector raises
            raise DetectorError(f"{self.name} failed: {in_one_line(error)}") from error
        try:
            maps = raw if isinstance(raw, HeadMaps) or self.adapter is None else self.adapter(raw)
        except (TypeError, ValueError) as error:
            raise DetectorError(f"{self.name}: {error}") from error
        if not isinstance(maps, HeadMaps):
            raise DetectorError(
                f"{self.name} returned {type(maps).__name__}, not heatprop.HeadMaps(heatmap, offset, size); return "
                f"HeadMaps, or say with --adapter how to read its output: {', '.join(ADAPTERS)}"
            )
        for field, value in zip(maps._fields, maps[:3], strict=False):
            if not isinstance(value, Tensor) and (value is not None or field == "heatmap"):
                raise DetectorError(f"{self.name}: {field} must be a tensor, got {type(value).__name__}")
        return maps


def load_detector(name: str, *, adapter: str | None = None, head: str | None = None, device: str = "cpu") -> Detector:
    """Find a detector by its name and make it ready to run.

    Args:
        name: ``"faces"`` for CenterFace, ``"file.onnx"`` for a network that ``head`` says how to read, else
            ``"package.module:callable"`` or ``"folder/file.py:callable"``; packages are also looked for in the
            current folder. A torch module is moved to ``device`` and put into ``eval`` mode. The names of the classes
            come from ``class_names`` of the callable, or else of its module.
        adapter: One of `ADAPTERS`, for a callable that does not return HeadMaps.
        head: One of `heatprop.running.onnx_detectors.HEADS`, for an ONNX file.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or any other device that torch knows.

    Returns:
        The detector.

    Raises:
        DetectorError: If there is no such callable, importing it fails, or the device does not exist.
        ImportError: If ``"faces"`` or an ONNX file is named and its packages are not installed.
    """
    if name.endswith(".onnx") or head is not None:
        return _load_onnx(name, head, device)
    if name == FACES:
        return _load_faces(device)
    place = find_device(device)
    network, class_names = _find(name)
    if isinstance(network, nn.Module):
        network = network.to(place).eval()
    read = None if adapter is None else ADAPTERS[adapter]
    return Detector(name, network, read, place, class_names, torch.get_num_threads())


def find_labels(wanted: str, class_names: tuple[str, ...]) -> frozenset[int]:
    """Look up classes by name or number.

    Args:
        wanted: Names, or numbers from 0, separated by commas.
        class_names: Names of the detector's classes; empty if it has no names.

    Returns:
        Numbers of the classes.

    Raises:
        ValueError: If the detector has no such class.

    Examples:
        >>> sorted(find_labels("plate,0", ("face", "person", "plate")))
        [0, 2]
    """
    labels = set()
    for word in (part.strip() for part in wanted.split(",")):
        number = class_names.index(word) if word in class_names else int(word) if word.isdecimal() else -1
        if number < 0 or (class_names and number >= len(class_names)):
            known = ", ".join(class_names) or "no names: give numbers from 0, or give it an attribute class_names"
            raise ValueError(f"classes must be among the detector's, got {word!r}; it has {known}")
        labels.add(number)
    return frozenset(labels)


def in_one_line(error: BaseException) -> str:
    """Describe an exception in one line, with the place in the user's code that it comes from, if there is one."""
    steps = traceback.extract_tb(error.__traceback__)
    own = [step for step in steps if not step.filename.startswith((_PACKAGE, *_LIBRARIES))]
    where = f" ({own[-1].filename}, line {own[-1].lineno})" if own else ""
    return f"{type(error).__name__}: {error}{where}"


def find_device(device: str) -> torch.device:
    """Find a device by its name.

    Args:
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``, or any other device that torch knows.

    Returns:
        The device.

    Raises:
        DetectorError: If the device does not exist.
    """
    try:
        return torch.zeros(1, device=device).device
    except Exception as error:  # torch has no single error for this: RuntimeError, AssertionError, NotImplementedError
        reason = str(error).splitlines()[0]
        raise DetectorError(f"no device {device!r} here ({reason}); use --device cpu for the processor") from error


def _load_faces(device: str) -> Detector:
    from heatprop.faces import CenterFace  # an extra of its own

    try:
        faces = CenterFace(device=device)
    except (OSError, RuntimeError, ValueError) as error:
        raise DetectorError(str(error)) from error
    cpu = torch.device("cpu")  # it takes pictures to its device itself
    return Detector(FACES, faces, adapters.centerface, cpu, ("face",))


def _load_onnx(name: str, head: str | None, device: str) -> Detector:
    from heatprop.running.onnx_detectors import HEADS, OnnxDetector  # it stands on this file's adapters

    if not name.endswith(".onnx"):
        raise DetectorError(f"--head reads a network in an .onnx file, got --detector {name!r}; use --adapter for it")
    if head is None:
        raise DetectorError(f"{name} needs --head, the kind of network that it is: {', '.join(HEADS)}")
    if not Path(name).is_file():
        raise DetectorError(f"there is no file {name}")
    try:
        network = OnnxDetector(Path(name), head, device=device)
    except (RuntimeError, ValueError) as error:
        raise DetectorError(str(error)) from error
    cpu = torch.device("cpu")  # it takes pictures to its device itself
    return Detector(name, network, None, cpu, network.class_names, longer_side=network.longer_side)


def _find(name: str) -> tuple[Callable[[Tensor], Any], tuple[str, ...]]:
    """Find the callable of a name, and the names of its classes."""
    module_name, _, path = name.rpartition(":")
    if not module_name or not path:
        raise DetectorError(
            f"--detector must be 'faces', file.onnx, package.module:callable or file.py:callable, got {name!r}"
        )
    module = found = _import_file(Path(module_name)) if module_name.endswith(".py") else _import(module_name)
    for step in path.split("."):
        if not hasattr(found, step):
            raise DetectorError(f"{module_name} has no {path!r}; it has: {', '.join(_callables(module)) or 'nothing'}")
        found = getattr(found, step)
    if inspect.isclass(found):
        raise DetectorError(f"{name} is a class; name an instance of it, or a function, that takes a batch of pictures")
    if not callable(found):
        raise DetectorError(f"{name} is a {type(found).__name__}, which cannot be called with a batch of pictures")
    return found, _class_names(name, getattr(found, "class_names", getattr(module, "class_names", ())))


def _class_names(detector: str, found: Any) -> tuple[str, ...]:
    names = [found[label] for label in sorted(found)] if isinstance(found, Mapping) else found
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise DetectorError(f"class_names of {detector} must be the names of its classes in their order, got {found!r}")
    return tuple(names)


def _import_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise DetectorError(f"there is no file {path}; --detector names a Python file, a colon and a callable in it")
    folder = str(path.parent.resolve())
    if folder not in sys.path:
        sys.path.insert(0, folder)  # for its imports from the same folder
    spec = importlib.util.spec_from_file_location(path.stem, path)
    if spec is None or spec.loader is None:
        raise DetectorError(f"{path} cannot be imported")
    module = sys.modules[path.stem] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:  # whatever a user's module does
        del sys.modules[path.stem]
        raise DetectorError(f"{path} cannot be imported: {in_one_line(error)}") from error
    return module


def _import(name: str) -> ModuleType:
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise DetectorError(
                f"there is no module {error.name!r}, neither installed nor in {os.getcwd()}; run heatprop from the "
                "folder that holds it"
            ) from error
        raise DetectorError(f"{name} cannot be imported: {in_one_line(error)}") from error
    except Exception as error:  # whatever a user's module does
        raise DetectorError(f"{name} cannot be imported: {in_one_line(error)}") from error


def _callables(module: ModuleType) -> list[str]:
    return [name for name, value in vars(module).items() if callable(value) and not name.startswith("_")]
