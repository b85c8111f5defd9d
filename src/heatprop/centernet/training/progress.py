"""What a training run prints on standard error."""

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.callbacks import Checkpoint, RichProgressBar
from rich.console import Console

from heatprop.centernet.training.validation import newest


class Bar(RichProgressBar):
    """Lightning's progress bar, on standard error."""

    def __init__(self) -> None:
        super().__init__(refresh_rate=1, console_kwargs={"stderr": True})

    def get_metrics(
        self, trainer: Trainer, pl_module: LightningModule
    ) -> dict[str, int | str | float | dict[str, float]]:
        """Leave out the number of the run."""
        metrics = super().get_metrics(trainer, pl_module)
        metrics.pop("v_num", None)
        return metrics


class EpochLines(Checkpoint):
    """Print a line after each epoch: loss, mAP50, seconds.

    It is a Lightning ``Checkpoint``, because Lightning calls those after all other callbacks.

    Args:
        epochs: Total number of epochs.
    """

    def __init__(self, epochs: int) -> None:
        self._epochs, self._start = epochs, 0.0

    def on_train_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Note the time."""
        self._start = time.perf_counter()

    def on_train_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Print the line."""
        if trainer.is_global_zero:
            metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
            parts = [f"loss {metrics['train/loss']:.3f}"]
            if (precision := newest(trainer)) is not None:
                parts.append(f"mAP50 {precision:.1f} %")
            if metrics.get("train/skipped"):
                parts.append(f"{metrics['train/skipped']:.0f} bad pictures skipped")
            seconds = time.perf_counter() - self._start
            line = f"epoch {trainer.current_epoch + 1} of {self._epochs}: {', '.join(parts)}, {seconds:.0f} s"
            Console(stderr=True).print(line, highlight=False)


LOGGERS = ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero")
ADVICE = (
    ".*does not have many workers.*",  # how many is an option
    ".*isinstance.treespec, LeafSpec.* is deprecated.*",  # Lightning's own
)


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Lightning's advice off the terminal until the block ends."""
    levels = [logging.getLogger(name).level for name in LOGGERS]
    try:
        with warnings.catch_warnings():
            _hush()
            yield
    finally:
        for name, level in zip(LOGGERS, levels, strict=True):
            logging.getLogger(name).setLevel(level)


class Quiet(Callback):
    """Keep Lightning's advice off the terminal in the processes that it spawns."""

    def setup(self, trainer: Trainer, pl_module: LightningModule, stage: str) -> None:
        """Silence Lightning before it prints anything."""
        _hush()


def _hush() -> None:
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.ERROR)
    for message in ADVICE:
        warnings.filterwarnings("ignore", message=message)
