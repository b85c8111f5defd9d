"""CenterNet with its loss, optimiser and schedule, as Lightning trains it."""

from functools import partial
from typing import Any

import torch
from lightning.pytorch import LightningModule
from lightning.pytorch.utilities.types import OptimizerLRSchedulerConfig
from torch import Tensor, nn
from torch.optim import SGD, Adam, AdamW, Optimizer
from torch.optim.lr_scheduler import LambdaLR

from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.data import Batch
from heatprop.centernet.losses import CenterNetLoss, Counts, count_targets
from heatprop.centernet.model import CenterNet
from heatprop.centernet.preprocessing import normalize
from heatprop.centernet.targets import Targets, make_targets
from heatprop.centernet.training.schedule import learning_rate_factor
from heatprop.propagator import HeatmapPropagator


class CenterNetTraining(LightningModule):
    """CenterNet in training.

    The losses are divided by the number of centres in the whole batch, over all devices, so the gradients equal those
    of a single device.

    Args:
        model: The network to train.
        config: Training options.
        steps_per_epoch: Steps per epoch, which the schedule needs.
    """

    def __init__(self, model: CenterNet, config: TrainingConfig, *, steps_per_epoch: int) -> None:
        super().__init__()
        for weight in model.parameters():  # Module.to(memory_format=) has no type before torch 2.14
            if weight.dim() == 4:
                weight.data = weight.data.contiguous(memory_format=_memory_format(config))
        self.model = model
        self.config = config
        self.steps_per_epoch = steps_per_epoch
        self.loss = CenterNetLoss(size_weight=config.size_weight, offset_weight=config.offset_weight)

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Compute the loss of this device's share of a batch.

        Args:
            batch: This device's share of the batch.
            batch_idx: Number of the step in the epoch.

        Returns:
            The loss; its mean over the devices is the loss of the whole batch.
        """
        maps = self.model(self.images(batch["image"]))
        targets = make_targets(
            batch["boxes"],
            batch["labels"],
            batch["valid"],
            num_classes=self.model.num_classes,
            shape=(maps.heatmap.shape[2], maps.heatmap.shape[3]),
            stride=self.model.stride,
            radius_rule=self.config.radius_rule,
        )
        losses = self.loss(maps, targets, counts=self._mean_counts(targets))
        share = partial(self.log, on_step=False, on_epoch=True, sync_dist=True, batch_size=len(batch["image"]))
        self.log("step/loss", losses.total.detach(), prog_bar=True)
        self.log("step/learning_rate", self._learning_rate())
        share("train/skipped", float(len(batch["skipped"])), reduce_fx="sum")
        for name, part in losses._asdict().items():
            share("train/loss" if name == "total" else f"train/{name}", part.detach())
        total: Tensor = losses.total
        return total

    def validation_step(self, batch: Batch, batch_idx: int) -> dict[str, list[dict[str, Any]]]:
        """Detect objects frame by frame, without memory, as the paper's baseline does.

        Args:
            batch: A batch of frames.
            batch_idx: Number of the batch.

        Returns:
            Under ``"found"``, for each frame, ``boxes`` in pixels of the network input, ``scores``, and ``labels``
            from 0, all on the CPU.
        """
        maps = self.model(self.images(batch["image"]))
        found = _detector(self.model.stride, self.config.score_threshold)(*(map.float() for map in maps[:3]))
        return {"found": found.detections.map(lambda field: field.cpu()).unpad()}

    def images(self, images: Tensor) -> Tensor:
        """Normalise images and put them into the network's memory format.

        Args:
            images: Shape ``(B, 3, H, W)``, ``uint8`` or already normalised.

        Returns:
            Images of the same shape, floating.
        """
        images = normalize(images) if images.dtype == torch.uint8 else images
        return images.contiguous(memory_format=_memory_format(self.config))

    def configure_optimizers(self) -> OptimizerLRSchedulerConfig:
        """Make the optimiser, with the learning rate of each step.

        Returns:
            Optimiser and schedule, in the form that Lightning expects.
        """
        config = self.config
        optimizer: Optimizer
        if config.optimizer == "sgd":
            optimizer = SGD(
                self.parameters(),
                lr=config.learning_rate,
                momentum=config.momentum,
                weight_decay=config.weight_decay,
            )
        else:
            kind = Adam if config.optimizer == "adam" else AdamW
            optimizer = kind(self.parameters(), lr=config.learning_rate, weight_decay=config.weight_decay)
        factor = partial(learning_rate_factor, steps_per_epoch=self.steps_per_epoch, config=config)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": LambdaLR(optimizer, factor), "interval": "step"}}

    def on_train_epoch_start(self) -> None:
        """Freeze batch normalisation if asked to, because Lightning has just put all modules in training mode."""
        if self.config.freeze_batch_norm:
            for module in self.model.modules():
                if isinstance(module, nn.modules.batchnorm._BatchNorm):
                    module.eval()

    def _mean_counts(self, targets: Targets) -> Counts | None:
        """Average the numbers of centres and objects over the devices, as the gradients are averaged too."""
        if self.trainer.world_size == 1:
            return None
        mean = self.trainer.strategy.reduce(torch.stack(count_targets(targets)), reduce_op="mean")
        return Counts(*mean.unbind())

    def _learning_rate(self) -> float:
        optimizer = self.optimizers()
        return float(optimizer.param_groups[0]["lr"])  # type: ignore[union-attr] # there is one optimiser, no list


def _memory_format(config: TrainingConfig) -> torch.memory_format:
    return torch.channels_last if config.channels_last else torch.contiguous_format


def _detector(stride: int, score_threshold: float) -> HeatmapPropagator:
    """3 x 3 peaks and NMS; a new one has no memory."""
    return HeatmapPropagator(radius=0, stride=stride, score_threshold=score_threshold)
