"""Average precision on the validation clips after an epoch, by the rule of ImageNet VID."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from lightning.pytorch import Callback, LightningModule, Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from numpy.typing import NDArray

from heatprop.centernet.data import Batch
from heatprop.centernet.training.clips import ValidationClips
from heatprop.centernet.training.drawn_validation import draw_validation
from heatprop.evaluation.average_precision import AveragePrecision, average_precision
from heatprop.evaluation.column_checks import FloatArray
from heatprop.evaluation.columns import Predictions
from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.formats.whole_files import replacing

RECORD = "validation.json"
METRIC = "val/mAP50"


class Validation(Callback):
    """Collect the detections of all devices, measure and draw them.

    Args:
        clips: The validation clips.
        out: Folder for ``validation.json`` and ``pictures``.
        pictures: How many frames to draw.
    """

    def __init__(self, clips: ValidationClips, out: Path, *, pictures: int) -> None:
        self._clips, self._out, self._pictures = clips, out, pictures
        self._rows: dict[int, FloatArray] = {}  # a frame comes twice if it fills up a share or replaces a bad one

    def on_validation_epoch_start(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Forget the last validation."""
        self._rows = {}

    def on_validation_batch_end(
        self,
        trainer: Trainer,
        pl_module: LightningModule,
        outputs: Any,
        batch: Batch,
        batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:
        """Collect the detections of a batch, in pixels of the frames."""
        for place, where, found in zip(batch["index"].tolist(), batch["where"], outputs["found"], strict=True):
            boxes = where.boxes(found["boxes"].double())
            columns = (torch.full_like(found["scores"], place), found["labels"], found["scores"])
            self._rows[place] = torch.cat([torch.stack(columns, dim=1).double(), boxes], dim=1).numpy()

    def on_validation_epoch_end(self, trainer: Trainer, pl_module: LightningModule) -> None:
        """Measure and log on every device; the first one writes and draws."""
        rows = _gather(self._rows, trainer)
        result = measure(self._clips, rows)
        named = _name_classes(self._clips, result)
        pl_module.log(METRIC, 100 * result.mean, prog_bar=True, sync_dist=True)  # all devices have the same
        for name, value in named.items():
            pl_module.log(f"val/AP50 {name}", 100 * value, sync_dist=True)
        if trainer.is_global_zero:
            record(self._out, trainer.current_epoch + 1, 100 * result.mean, named)
            picture = draw_validation(self._clips, rows, self._pictures)
            if picture is not None:
                _show(picture, trainer, self._out)


def newest(trainer: Trainer) -> float | None:
    """Return the mAP50 of the epoch that is ending.

    Args:
        trainer: The trainer.

    Returns:
        mAP50 in percent; ``None`` if the epoch was not validated.
    """
    if (trainer.current_epoch + 1) % (trainer.check_val_every_n_epoch or 1) or METRIC not in trainer.callback_metrics:
        return None
    return float(trainer.callback_metrics[METRIC])


def measure(clips: ValidationClips, rows: FloatArray) -> AveragePrecision:
    """Measure detections.

    Args:
        clips: The validation clips.
        rows: Index of the frame, label from 0, score and box in pixels of the frame, shape ``(n, 7)``.

    Returns:
        Average precision by the rule of ImageNet VID, with labels from 1.
    """
    place = rows[:, 0].astype(np.int64)
    video, frame = clips.frames.video[place], clips.frames.frame[place]
    found = Predictions(video, frame, label=rows[:, 1].astype(np.int64) + 1, score=rows[:, 2], box=rows[:, 3:])
    return average_precision(clips.truth, found)


def _name_classes(clips: ValidationClips, result: AveragePrecision) -> dict[str, float]:
    """Replace the class ids of a result by readable names."""
    return {_name(clips.classes[int(label) - 1]): value for label, value in result.per_class.items()}


def record(out: Path, epoch: int, mean: float, per_class: Mapping[str, float]) -> None:
    """Add a validation to ``validation.json``, replacing older ones of the same or later epochs.

    Args:
        out: Output folder.
        epoch: Number of epochs trained so far.
        mean: mAP50 in percent.
        per_class: Name of the class -> AP50, from 0 to 1.
    """
    kept = [one for one in read_record(out) if one["epoch"] < epoch]
    kept.append({"epoch": epoch, "mAP50": _finite(mean), "AP50": {name: 100 * ap for name, ap in per_class.items()}})
    with replacing(out / RECORD) as file:
        json.dump(kept, file, indent=2)


def read_record(out: Path) -> list[dict[str, Any]]:
    """Read what `record` wrote, oldest first; empty if there is no file."""
    path = out / RECORD
    found: list[dict[str, Any]] = json.loads(path.read_text("utf-8")) if path.exists() else []
    return found


def _finite(value: float) -> float | None:
    return value if np.isfinite(value) else None


def _name(wnid: str) -> str:
    return VID_WNIDS.get(wnid, wnid)


def _gather(rows: dict[int, FloatArray], trainer: Trainer) -> FloatArray:
    """Gather the detections of all devices, frame by frame."""
    every: list[Any] = [rows]
    if trainer.world_size > 1:
        every = [None] * trainer.world_size
        torch.distributed.all_gather_object(every, rows)
    together = {place: found for one in every for place, found in one.items()}
    return np.concatenate([np.zeros((0, 7)), *(together[place] for place in sorted(together))])


def _show(picture: NDArray[np.uint8], trainer: Trainer, out: Path) -> None:
    from PIL import Image

    path = out / "pictures" / f"epoch-{trainer.current_epoch + 1:03d}.jpg"
    with replacing(path, "wb") as file:
        Image.fromarray(picture).save(file, "JPEG", quality=90)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            logger.experiment.add_image("validation", picture, trainer.global_step, dataformats="HWC")
