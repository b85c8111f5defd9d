"""Check that a training can resume from a checkpoint; if not, say why in a sentence instead of a traceback."""

import traceback
from pathlib import Path
from typing import Any

import yaml

from heatprop.centernet.checkpoint_files import read_plain

_PARTS: dict[str, type] = {
    "epoch": int,
    "global_step": int,
    "state_dict": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "loops": dict,
    "callbacks": dict,
}
_ADVICE = "start again in another --out, or restore a copy of it"
_RESTORING = "checkpoint_connector.py"  # where Lightning takes a checkpoint apart


def check_resumable(path: Path) -> None:
    """Require a complete training checkpoint before anything is created or overwritten.

    Args:
        path: Path of ``last.ckpt``.

    Raises:
        ValueError: If it is damaged, holds code, or is not a training checkpoint.
    """
    try:
        content = read_plain(path)
    except ValueError as error:
        raise ValueError(f"training cannot resume from {path}; {_ADVICE}. {error}") from error
    came: dict[Any, Any] = content if isinstance(content, dict) else {}
    wrong = [name for name, kind in _PARTS.items() if not isinstance(came.get(name), kind)]
    if wrong:
        raise ValueError(f"training cannot resume from {path}: it lacks {', '.join(wrong)}; {_ADVICE}")


def read_config(path: Path) -> dict[str, Any]:
    """Read the options that a training run saved.

    Args:
        path: Path of ``config.yaml``.

    Returns:
        Option -> value.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must hold the options of a training run, got invalid YAML: {reason}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold the options of a training run, got {values!r}")
    return {str(name): value for name, value in values.items()}


def explain_failure(path: Path | None, error: Exception) -> ValueError | None:
    """Tell whether a training failed because its checkpoint does not hold what the training needs.

    Args:
        path: Path of ``last.ckpt``, or ``None`` if the training started from scratch.
        error: The exception that ended the training.

    Returns:
        The error to raise; ``None`` if the training failed for another reason.
    """
    steps = traceback.extract_tb(error.__traceback__)
    if path is None or not any(Path(step.filename).name == _RESTORING for step in steps):
        return None
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    short = reason if len(reason) < 300 else f"{reason[:300]} ..."
    return ValueError(f"training cannot resume from {path}: {short}; {_ADVICE}")
