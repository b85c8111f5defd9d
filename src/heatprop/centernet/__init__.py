"""The reference CenterNet: models, weights, targets and losses need torch alone; data and training their extras."""

from heatprop.centernet.checkpoints import CheckpointReport, load_checkpoint
from heatprop.centernet.deformable import DeformableConv2d, deformable_conv2d
from heatprop.centernet.losses import (
    CenterNetLoss,
    CenterNetLosses,
    Counts,
    PenaltyReducedFocalLoss,
    count_targets,
    masked_l1,
    penalty_reduced_focal_loss,
)
from heatprop.centernet.model import CenterNet
from heatprop.centernet.preprocessing import COCO, IMAGENET, PASCAL, ColorStatistics, normalize
from heatprop.centernet.targets import Targets, gaussian_radius, make_targets

__all__ = [
    "COCO",
    "IMAGENET",
    "PASCAL",
    "CenterNet",
    "CenterNetLoss",
    "CenterNetLosses",
    "CheckpointReport",
    "ColorStatistics",
    "Counts",
    "DeformableConv2d",
    "PenaltyReducedFocalLoss",
    "Targets",
    "count_targets",
    "deformable_conv2d",
    "gaussian_radius",
    "load_checkpoint",
    "make_targets",
    "masked_l1",
    "normalize",
    "penalty_reduced_focal_loss",
]
