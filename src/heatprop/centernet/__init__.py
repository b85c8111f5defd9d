"""The reference CenterNet: models, weights, targets and losses need torch alone; data and training their extras."""

from heatprop.centernet.checkpoints import CheckpointReport, load_checkpoint
from heatprop.centernet.deformable import DeformableConv2d, deformable_conv2d
from heatprop.centernet.model import CenterNet
from heatprop.centernet.preprocessing import normalize

__all__ = ["CenterNet", "CheckpointReport", "DeformableConv2d", "deformable_conv2d", "load_checkpoint", "normalize"]
