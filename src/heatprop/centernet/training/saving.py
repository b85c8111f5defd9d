"""What a training run saves: a checkpoint to resume from, and models to use."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import torch
from lightning.pytorch import LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint
from torch import Tensor

from heatprop.centernet.checkpoint_files import read_plain
from heatprop.centernet.checkpoints import fill_model
from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.model import CenterNet
from heatprop.centernet.training.validation import newest
from heatprop.formats.whole_files import WholeFile, replacing

LAST, MODEL, BEST = "last.ckpt", "model.pt", "best.pt"
FORMAT = "heatprop.centernet.1"


class TrainedModel(NamedTuple):
    """A model with what is needed to use it.

    Attributes:
        model: The network, in evaluation mode, on the CPU.
        classes: WordNet ids, in the order of the heatmap's channels.
        input_size: Side of the letterbox that it was trained with, in pixels.
    """

    model: CenterNet
    classes: tuple[str, ...]
    input_size: int


class Keeper(Checkpoint):
    """Save after every epoch; a new file replaces the old one once it is complete.

    Args:
        out: Output folder.
        config: Training options.
        classes: WordNet ids.
    """

    def __init__(self, out: Path, config: TrainingConfig, classes: tuple[str, ...]) -> None:
        self._out, self._config, self._classes = out, config, classes
        self._best = float("-inf")

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Save the checkpoint, the model, and also the best model if this epoch is the best so far."""
        result = newest(trainer)
        better = result is not None and result > self._best
        if better:
            self._best = float(result or 0)
        if not trainer.is_global_zero:
            trainer.save_checkpoint(self._out / LAST)  # takes part, and writes nothing
            return
        last = WholeFile(self._out / LAST)
        try:
            trainer.save_checkpoint(last.temporary)
            state = torch.load(last.temporary, weights_only=True, mmap=True, map_location="cpu")["state_dict"]
            weights = {name.removeprefix("model."): value for name, value in state.items()}
            for name in (MODEL, BEST) if better else (MODEL,):
                save_model(self._out / name, weights, config=self._config, classes=self._classes)
            last.keep()
        finally:
            last.drop()

    def state_dict(self) -> dict[str, Any]:
        """Return the best result so far."""
        return {"best": self._best}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the best result so far."""
        self._best = state_dict["best"]


def saved_epochs(out: Path) -> int:
    """Count the epochs in the checkpoint of a folder.

    Args:
        out: Output folder.

    Returns:
        The number of epochs; 0 without a checkpoint.
    """
    if not (out / LAST).exists():
        return 0
    return 1 + int(torch.load(out / LAST, weights_only=True, mmap=True)["epoch"])


def save_model(path: Path, weights: Mapping[str, Tensor], *, config: TrainingConfig, classes: tuple[str, ...]) -> None:
    """Write a model and what is needed to rebuild it, as plain types and tensors only.

    Args:
        path: The file; it is replaced once the new one is complete.
        weights: State dict of a `CenterNet`.
        config: Training options: backbone, head channels, deformable convolutions and input size.
        classes: WordNet ids.
    """
    document = {
        "format": FORMAT,
        "state_dict": dict(weights),
        "backbone": config.backbone,
        "head_channels": config.head_channels,
        "deformable": config.deformable,
        "input_size": config.input_size,
        "classes": list(classes),
    }
    with replacing(path, "wb") as file:
        torch.save(document, file)


def load_model(path: str | os.PathLike[str]) -> TrainedModel:
    """Read a model that a training run wrote.

    Args:
        path: Path of ``model.pt`` or ``best.pt``.

    Returns:
        The model, its classes and its input size.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file is not such a model, or is damaged.
    """
    document = read_plain(path)
    if not isinstance(document, dict) or document.get("format") != FORMAT:
        raise ValueError(
            f"{path} must be a model that heatprop train wrote (model.pt, best.pt); "
            "make a CenterNet and use load_checkpoint for other weights"
        )
    weights = _check_document(document, path)
    try:
        model = CenterNet(
            len(document["classes"]),
            backbone=document["backbone"],
            head_channels=document["head_channels"],
            deformable=document["deformable"],
        )
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} describes a model that cannot be made: {error}") from error
    fill_model(model, weights, path)
    return TrainedModel(model.eval(), tuple(document["classes"]), document["input_size"])


def _check_document(document: Mapping[object, Any], path: str | os.PathLike[str]) -> Mapping[str, Tensor]:
    """Require a complete description, and heads of the size that it gives, before a model is built."""
    kinds = {"backbone": str, "head_channels": int, "deformable": str, "input_size": int, "classes": list}
    for name, kind in kinds.items():
        if not isinstance(document.get(name), kind):
            raise ValueError(f"{path} must hold {name} as {kind.__name__}, got {document.get(name)!r}")
    weights, classes = document.get("state_dict"), document["classes"]
    if not isinstance(weights, Mapping) or not all(
        isinstance(name, str) and isinstance(value, Tensor) for name, value in weights.items()
    ):
        raise ValueError(f"{path} must hold tensors by name under state_dict, got {type(weights).__name__}")
    if not all(isinstance(name, str) for name in classes):
        raise ValueError(f"{path} must hold names under classes, got {classes!r}")
    last = weights.get("heads.heatmap.2.weight", torch.empty(0))
    wanted = (len(classes), document["head_channels"], 1, 1)
    if last.shape != wanted:
        raise ValueError(f"{path} must hold heads.heatmap.2.weight of shape {wanted}, got {tuple(last.shape)}")
    return weights
