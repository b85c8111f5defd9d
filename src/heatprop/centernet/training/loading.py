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
    """Share out the images of every step and the frames of every validation among the devices.

    Args:
        images: What is trained on.
        clips: Validation frames; ``None`` for none.
        config: With batch, seed and workers.
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
        if self.trainer is not None:  # Lightning says it later, when a resumed epoch's first images are being loaded
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
        """Load this device's share of the validation frames; none is asked for where there are none."""
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
