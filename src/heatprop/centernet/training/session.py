"""One training run, from the data set to the models in its folder."""

import math
import signal
import sys
import threading
import time
from os import PathLike
from pathlib import Path
from typing import Any, NamedTuple

import torch
import yaml
from lightning.pytorch import Callback, Trainer
from lightning.pytorch.callbacks import EMAWeightAveraging
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from lightning.pytorch.strategies import DDPStrategy, Strategy

from heatprop.centernet.checkpoints import load_checkpoint
from heatprop.centernet.configuration import CONFIG_FILE, TrainingConfig, differences, from_plain, to_plain
from heatprop.centernet.model import CenterNet
from heatprop.centernet.training.clips import ValidationClips
from heatprop.centernet.training.images import find_classes, training_images
from heatprop.centernet.training.loading import Loading
from heatprop.centernet.training.module import CenterNetTraining
from heatprop.centernet.training.precision import lightning_precision
from heatprop.centernet.training.progress import Bar, EpochLines, Quiet, quiet
from heatprop.centernet.training.resuming import check_resumable, explain_failure, read_config
from heatprop.centernet.training.saving import BEST, LAST, MODEL, Keeper, saved_epochs
from heatprop.centernet.training.validation import Validation, read_record
from heatprop.checks import check_count
from heatprop.formats.whole_files import replacing


class TrainingInterrupted(KeyboardInterrupt):
    """Ctrl-C or a termination signal stopped the training; the message says where, and how to resume."""


class TrainingResult(NamedTuple):
    """The result of a training run.

    Attributes:
        checkpoint: The model after the last epoch, for `load_model`.
        best: The model of the epoch that validated best; ``None`` without validation.
        last: The checkpoint that `train` resumes from.
        epochs: Number of epochs trained in total.
        average_precision: mAP50 of the last validation, in percent; NaN without validation.
        per_class: Name of the class -> AP50 of the last validation, in percent.
        losses: Mean losses of the last epoch: ``loss``, ``heatmap``, ``size``, ``offset``.
        seconds: Time that this call took, in seconds.
    """

    checkpoint: Path
    best: Path | None
    last: Path
    epochs: int
    average_precision: float
    per_class: dict[str, float]
    losses: dict[str, float]
    seconds: float

    def __str__(self) -> str:
        """Summarise the result in a few lines."""
        lines = [f"{self.epochs} epochs; the model: {self.checkpoint}"]
        if self.best is not None:
            lines.append(f"the model of the best epoch: {self.best}")
        if math.isfinite(self.average_precision):
            listed = ", ".join(f"{name} {value:.1f}" for name, value in self.per_class.items())
            lines.append(f"mAP50 on the validation clips: {self.average_precision:.1f} % ({listed})")
        return "\n".join(lines)


def train(
    config: TrainingConfig,
    *,
    data: str | PathLike[str],
    out: str | PathLike[str],
    resume: bool = False,
    stop_after: int | None = None,
    progress: bool = False,
) -> TrainingResult:
    """Train CenterNet.

    Afterwards ``out`` holds ``model.pt`` and ``best.pt``, ``last.ckpt``, ``config.yaml``, ``validation.json``,
    ``pictures`` and ``logs`` (TensorBoard and CSV). Every epoch is saved when it ends. All random choices depend on
    the seed, the epoch and the image alone, so a training that was stopped and resumed on a CPU ends with exactly the
    same weights. With more than one device, a script needs the usual ``if __name__ == "__main__":``, because the
    processes are spawned.

    Args:
        config: Training options.
        data: The ``ILSVRC2015`` folder, or the folder of a benchmark from ``heatprop make-benchmark``.
        out: Folder for the results.
        resume: Resume the training in ``out``, or start it if no epoch has been saved there.
        stop_after: Stop once this many epochs are done, at least 1; ``None`` trains to the end.
        progress: Show a bar, and a line after each epoch, on standard error.

    Returns:
        Where the models are, and how good they are.

    Raises:
        TypeError: If ``stop_after`` is not a whole number.
        ValueError: If ``stop_after`` is below 1; if ``out`` already holds a training run and ``resume`` is false, or
            that run has other options or is damaged; if the data set has nothing to train on, or fewer images than a
            batch.
        TrainingInterrupted: After Ctrl-C or a termination signal.
    """
    start, root, folder = time.perf_counter(), Path(data), Path(out)
    if stop_after is not None:
        check_count("stop_after", stop_after, low=1)
    last = _prepare(folder, root, config, resume)
    classes = config.classes or find_classes(root)
    images = training_images(root, classes, config)
    clips = ValidationClips(root, classes, config) if config.validate_every else None
    steps = len(images) // config.batch_size
    training = CenterNetTraining(_model(len(classes), config, first=last is None), config, steps_per_epoch=steps)
    callbacks: list[Callback] = [EpochLines(config.epochs)] if progress else []
    if progress and sys.stderr.isatty():
        callbacks.append(Bar())
    if clips is not None:
        callbacks.append(Validation(clips, folder, pictures=config.pictures))
    callbacks.append(Quiet())
    callbacks.append(Keeper(folder, config, classes))
    with quiet():
        trainer = _trainer(config, folder, callbacks, steps, stop_after)
        on_interrupt = signal.getsignal(signal.SIGINT)
        try:
            trainer.fit(training, datamodule=Loading(images, clips, config), ckpt_path=last, weights_only=True)
        except (KeyboardInterrupt, SystemExit):  # Lightning exits after Ctrl-C, and ignores it from then on
            raise _interrupted(folder, trainer, config) from None
        except Exception as error:  # whatever Lightning raises for a checkpoint of another training
            if failure := explain_failure(last, error):
                raise failure from error
            raise
        finally:
            if threading.current_thread() is threading.main_thread():
                signal.signal(signal.SIGINT, on_interrupt)
    return _result(folder, trainer, time.perf_counter() - start)


def _prepare(folder: Path, data: Path, config: TrainingConfig, resume: bool) -> Path | None:
    """Make sure that nothing is overwritten, write the configuration, and return the checkpoint to resume from."""
    path, last = folder / CONFIG_FILE, folder / LAST
    if last.exists() and not resume:
        raise ValueError(f"{folder} already holds a training run; resume it with --resume, or choose another --out")
    if last.exists() and path.exists():
        values = read_config(path)
        values.pop("data", None)
        if changed := differences(from_plain(values, path), config):
            listed = ", ".join(f"{name} {old!r} -> {new!r}" for name, (old, new) in changed.items())
            raise ValueError(f"{folder} must be resumed with its own options, got {listed}; choose another --out")
    if last.exists():
        check_resumable(last)
    with replacing(path) as file:
        yaml.safe_dump({"data": str(data), **to_plain(config)}, file, sort_keys=False)
    return last if last.exists() else None


def _model(num_classes: int, config: TrainingConfig, *, first: bool) -> CenterNet:
    with torch.random.fork_rng(devices=[]):  # leaves the caller's random state alone
        torch.manual_seed(config.seed)
        model = CenterNet(
            num_classes,
            backbone=config.backbone,
            head_channels=config.head_channels,
            deformable=config.deformable,
        )
    if config.weights is not None and first:
        load_checkpoint(model, config.weights, heads=config.load_heads)
    return model


def _trainer(
    config: TrainingConfig, folder: Path, callbacks: list[Callback], steps: int, stop_after: int | None
) -> Trainer:
    if config.ema is not None:
        callbacks = [EMAWeightAveraging(decay=config.ema), *callbacks]
    return Trainer(
        accelerator=config.accelerator,
        devices=config.devices,
        strategy=_strategy(config),
        precision=lightning_precision(config),
        logger=_loggers(folder),
        callbacks=callbacks,
        max_epochs=min(config.epochs, stop_after or config.epochs),
        check_val_every_n_epoch=max(1, config.validate_every),
        gradient_clip_val=config.clip_norm,
        sync_batchnorm=config.sync_batch_norm,
        log_every_n_steps=max(1, min(20, steps)),
        num_sanity_val_steps=0,
        limit_val_batches=None if config.validate_every else 0,
        use_distributed_sampler=False,  # Loading shares the images out
        enable_progress_bar=any(isinstance(one, Bar) for one in callbacks),
        enable_model_summary=False,
    )


def _strategy(config: TrainingConfig) -> Strategy | str:
    return "auto" if config.devices == 1 else DDPStrategy(start_method="spawn")


def _loggers(folder: Path) -> list[Logger]:
    """Use a new log folder for each start, because Lightning would delete what an old one holds."""
    run = 1 + len(list((folder / "logs").glob("run-*")))
    place: dict[str, Any] = {"save_dir": folder, "name": "logs", "version": f"run-{run}"}
    return [CSVLogger(**place), TensorBoardLogger(**place)]


def _interrupted(folder: Path, trainer: Trainer, config: TrainingConfig) -> TrainingInterrupted:
    epochs = saved_epochs(folder)
    where = f"stopped in epoch {epochs + 1} of {config.epochs}"
    if config.devices == 1:  # else only the spawned processes know
        where += f", at step {trainer.fit_loop.batch_idx + 1} of {trainer.num_training_batches}"
    kept = f"{folder / LAST} holds {epochs} epochs" if epochs else "no epoch has ended yet"
    return TrainingInterrupted(f"{where}; {kept}. To resume: heatprop train --out {folder} --resume")


def _result(folder: Path, trainer: Trainer, seconds: float) -> TrainingResult:
    validations = read_record(folder)
    newest = validations[-1] if validations else {"mAP50": None, "AP50": {}}
    names = {"train/loss": "loss", "train/heatmap": "heatmap", "train/size": "size", "train/offset": "offset"}
    metrics = trainer.callback_metrics
    return TrainingResult(
        checkpoint=folder / MODEL,
        best=folder / BEST if (folder / BEST).exists() else None,
        last=folder / LAST,
        epochs=saved_epochs(folder),
        average_precision=math.nan if newest["mAP50"] is None else newest["mAP50"],
        per_class=newest["AP50"],
        losses={name: float(metrics[metric]) for metric, name in names.items() if metric in metrics},
        seconds=seconds,
    )
