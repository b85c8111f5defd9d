"""The reference CenterNet: models, weights, targets and losses need torch alone; data and training their extras."""

from heatprop.centernet.deformable import DeformableConv2d, deformable_conv2d
from heatprop.centernet.model import CenterNet
from heatprop.centernet.preprocessing import normalize

__all__ = ["CenterNet", "DeformableConv2d", "deformable_conv2d", "normalize"]
