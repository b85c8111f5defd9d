"""The reference CenterNet: models, weights, targets and losses need torch alone; data and training their extras."""

from heatprop.centernet.losses import (
    CenterNetLoss,
    CenterNetLosses,
    Counts,
    PenaltyReducedFocalLoss,
    count_targets,
    masked_l1,
    penalty_reduced_focal_loss,
)
from heatprop.centernet.targets import Targets, gaussian_radius, make_targets

__all__ = [
    "CenterNetLoss",
    "CenterNetLosses",
    "Counts",
    "PenaltyReducedFocalLoss",
    "Targets",
    "count_targets",
    "gaussian_radius",
    "make_targets",
    "masked_l1",
    "penalty_reduced_focal_loss",
]
