"""A file of weights -> names and tensors, never running what the file holds."""

import pickle
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
        path: A file of ``torch.save`` (read with ``weights_only=True``) or, by its ending, of safetensors.
        averaged: Prefer averaged weights where the file has both.

    Returns:
        Names and tensors, on the CPU.

    Raises:
        FileNotFoundError: If there is no such file.
        ModuleNotFoundError: If it is a file of safetensors and the package is not installed.
        ValueError: If it is no checkpoint, holds code instead of plain weights, or no weights.
    """
    content = _read_safetensors(path) if Path(path).suffix == ".safetensors" else _read_torch(path)
    weights = _find_weights(content, averaged=averaged)
    tensors = {_unwrapped(name): value for name, value in weights.items() if isinstance(value, Tensor)}
    if not tensors:
        holders = ", ".join(f'"{name}"' for name in (*_AVERAGED, _RAW[0]))
        came = ", ".join(map(repr, list(weights)[:5])) or "nothing"
        raise ValueError(f"{path} must hold tensors by name, at the top or under one of {holders}; it holds {came}")
    return tensors


def _read_torch(path: str | PathLike[str]) -> object:
    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise ValueError(
            f"{path} is no checkpoint of plain weights, which is all that is read, as others could run code: {reason} "
            'If you trust it, save its weights alone: torch.save({"state_dict": model.state_dict()}, path)'
        ) from error


def _read_safetensors(path: str | PathLike[str]) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ModuleNotFoundError as error:
        raise ModuleNotFoundError(f"{path} needs the package safetensors: pip install safetensors") from error
    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(f"{path} is no whole file of safetensors: {error}") from error


def _find_weights(content: object, *, averaged: bool) -> Mapping[str, object]:
    """The mapping of names to tensors inside what the file holds."""
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
