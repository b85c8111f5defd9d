"""Batches for every device."""

import torch
from lightning.pytorch import LightningDataModule
from torch.utils.data import DataLoader

from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.data import Collate, Sample
from heatprop.centernet.training.clips import Share, ValidationClips
from heatprop.centernet.training.images import TrainingImages
from heatprop.centernet.training.order import TrainingOrder


class Loading(LightningDataModule):
    """Split the images of every step and the frames of every validation among the devices.

    Args:
        images: Training images.
        clips: Validation frames; ``None`` if there are none.
        config: Training options: batch size, seed, workers and accelerator.
    """

    def __init__(self, images: TrainingImages, clips: ValidationClips | None, config: TrainingConfig) -> None:
        super().__init__()
        self._images, self._clips, self._config = images, clips, config
        self._collate = Collate()

    def train_dataloader(self) -> DataLoader[Sample]:
        """Load this device's share of every step."""
        config, (device, devices) = self._config, self._device()
        order = TrainingOrder(
            self._images, batch_size=config.batch_size, seed=config.seed, device=device, devices=devices
        )
        if self.trainer is not None:  # Lightning sets the epoch too late: a resumed one has begun to load by then
            passed = self.trainer.fit_loop.epoch_progress.current
            order.set_epoch(passed.processed)  # type: ignore[attr-defined] # its class there has it
        return DataLoader(
            self._images,
            batch_size=config.batch_size // devices,
            sampler=order,
            num_workers=config.workers,
            collate_fn=self._collate,
            drop_last=True,
            persistent_workers=config.workers > 0,
            pin_memory=config.accelerator != "cpu" and torch.cuda.is_available(),
        )

    def val_dataloader(self) -> DataLoader[Sample] | list[DataLoader[Sample]]:
        """Load this device's share of the validation frames; return an empty list if there are none."""
        if self._clips is None:
            return []
        config, (device, devices) = self._config, self._device()
        return DataLoader(
            self._clips.images,
            batch_size=max(1, config.batch_size // devices),
            sampler=Share(len(self._clips.images), device=device, devices=devices),
            num_workers=config.workers,
            collate_fn=self._collate,
        )

    def _device(self) -> tuple[int, int]:
        if self.trainer is None:
            return 0, 1
        return self.trainer.global_rank, self.trainer.world_size
