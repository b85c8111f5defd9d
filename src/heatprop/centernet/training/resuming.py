"""Is a checkpoint one that a training goes on from? A sentence where it is not, instead of a traceback of torch's."""

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
_ADVICE = "begin again in another --out, or put back a copy of it"
_RESTORING = "checkpoint_connector.py"  # where Lightning takes a checkpoint apart


def check_resumable(path: Path) -> None:
    """Require a whole checkpoint of a training, before anything is made or overwritten.

    Args:
        path: ``last.ckpt``.

    Raises:
        ValueError: If it is damaged, holds code, or is another file.
    """
    try:
        content = read_plain(path)
    except ValueError as error:
        raise ValueError(f"no training can go on from {path}; {_ADVICE}. {error}") from error
    came: dict[Any, Any] = content if isinstance(content, dict) else {}
    wrong = [name for name, kind in _PARTS.items() if not isinstance(came.get(name), kind)]
    if wrong:
        raise ValueError(f"no training can go on from {path}: it lacks {', '.join(wrong)}; {_ADVICE}")


def read_config(path: Path) -> dict[str, Any]:
    """Read the options that a training left.

    Args:
        path: ``config.yaml``.

    Returns:
        Option -> value.

    Raises:
        ValueError: If it is damaged.
    """
    try:
        values = yaml.safe_load(path.read_text("utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise ValueError(f"{path} must be the options that a training left, got no YAML: {reason}") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must be the options that a training left, got {values!r}")
    return {str(name): value for name, value in values.items()}


def explain_failure(path: Path | None, error: Exception) -> ValueError | None:
    """Tell whether a training failed because its checkpoint holds something else than the training needs.

    Args:
        path: ``last.ckpt``, or ``None`` where the training began anew.
        error: What it failed with.

    Returns:
        The error to raise; ``None`` where it failed for another reason.
    """
    steps = traceback.extract_tb(error.__traceback__)
    if path is None or not any(Path(step.filename).name == _RESTORING for step in steps):
        return None
    reason = " ".join(f"{type(error).__name__}: {error}".split())
    short = reason if len(reason) < 300 else f"{reason[:300]} ..."
    return ValueError(f"no training can go on from {path}: {short}; {_ADVICE}")
