"""Read names and tensors from a file of weights without running any code in it."""

import os
import zipfile
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

# Where weights lie in a file, in the order of preference: timm's and torchvision's averages, then CenterNet's and
# Lightning's, then torchvision's training. Lightning's averaging puts the average there and the raw weights elsewhere.
_AVERAGED = ("state_dict_ema", "model_ema", "state_dict", "model")
_RAW = ("current_model_state", "state_dict", "model")
_WRAPPERS = ("module.", "model.", "_orig_mod.")  # DataParallel and averages, a Lightning module's field, torch.compile


def read_weights(path: str | PathLike[str], *, averaged: bool) -> dict[str, Tensor]:
    """Read the tensors of a checkpoint, without the prefixes that wrappers add to their names.

    Args:
        path: A file from ``torch.save`` (read with ``weights_only=True``), or one that ends in ``.safetensors``.
        averaged: Prefer averaged weights if the file has averaged and raw ones.

    Returns:
        Names and tensors, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If it is a safetensors file and the package is not installed.
        ValueError: If it is not a checkpoint, holds code instead of plain weights, or holds no weights.
    """
    content = _read_safetensors(path) if Path(path).suffix == ".safetensors" else read_plain(path)
    weights = _find_weights(content, averaged=averaged)
    tensors = {
        _unwrapped(name): value
        for name, value in weights.items()
        if isinstance(name, str) and isinstance(value, Tensor)
    }
    if not tensors:
        holders = ", ".join(f'"{name}"' for name in (*_AVERAGED, _RAW[0]))
        came = ", ".join(map(repr, list(weights)[:5])) or "nothing"
        raise ValueError(f"{path} must hold tensors by name, at the top or under one of {holders}; it holds {came}")
    return tensors


def read_plain(path: str | PathLike[str]) -> object:
    """Read a ``torch.save`` file of plain types and tensors without running any code in it.

    Args:
        path: The file.

    Returns:
        What was saved, with tensors on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged, holds anything else, or unpacks to more than its own size.
    """
    with open(path, "rb"):  # a missing or unreadable file raises its own error
        pass
    try:
        _check_stored(path)
        content: object = torch.load(path, map_location="cpu", weights_only=True)
        _check_tensors(content)
    except Exception as error:  # damaged files raise whatever their bytes lead to, from KeyError to OSError
        raise ValueError(
            f"{path} is not a checkpoint of plain weights; others are refused because they could run code: "
            f"{_reason(error)} If you trust it, save its weights alone: "
            'torch.save({"state_dict": model.state_dict()}, path)'
        ) from error
    return content


def _reason(error: Exception) -> str:
    """What is wrong, in one sentence, without torch's advice to read the file in a way that can run code."""
    said = str(error).strip()
    _, found, inner = said.partition("WeightsUnpickler error: ")
    first = (inner if found else said).strip().partition("\n")[0].partition(". ")[0]
    return f"{(first or type(error).__name__).rstrip('.')}."


def _check_stored(path: str | PathLike[str]) -> None:
    """Refuse an archive that unpacks to more than its own size: ``torch.save`` never compresses."""
    if not zipfile.is_zipfile(path):
        return
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(record.file_size for record in archive.infolist())
    if unpacked > os.path.getsize(path):
        raise ValueError(f"it unpacks from {os.path.getsize(path)} to {unpacked} bytes.")


def _check_tensors(content: object) -> None:
    """Refuse tensors that are not plain numbers, or that claim more numbers than the file holds."""
    if isinstance(content, Mapping):
        for value in content.values():
            _check_tensors(value)
    elif isinstance(content, list | tuple):
        for value in content:
            _check_tensors(value)
    elif isinstance(content, Tensor):
        if content.layout != torch.strided or content.is_quantized or content.is_nested or content.device.type != "cpu":
            raise ValueError(f"it holds a tensor of {content.layout}, {content.dtype} on {content.device}.")
        if content.numel() * content.element_size() > content.untyped_storage().nbytes():
            raise ValueError(f"it holds a tensor of shape {tuple(content.shape)} that repeats fewer numbers.")


def _read_safetensors(path: str | PathLike[str]) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} needs the package safetensors: pip install safetensors") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is not a complete safetensors file: {error}") from error


def _find_weights(content: object, *, averaged: bool) -> Mapping[str, object]:
    """Find the mapping of names to tensors in what the file holds."""
    if not isinstance(content, Mapping):
        return {type(content).__name__: content} if not isinstance(content, Tensor) else {}
    for name in _AVERAGED if averaged else _RAW:
        if isinstance(content.get(name), Mapping):
            found: Mapping[str, object] = content[name]
            return found
    return content


def _unwrapped(name: str) -> str:
    while name.startswith(_WRAPPERS):
        name = name.split(".", 1)[1]
    return name
