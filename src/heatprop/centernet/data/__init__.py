"""Training data from ImageNet VID and DET: sampling, augmentation, batches; extra ``train``."""

from heatprop.centernet.data.augmentation import Augmentation, change_colours
from heatprop.centernet.data.batches import Batch, Collate, Sample, collate
from heatprop.centernet.data.datasets import AnnotatedImages, ImageNetDET, ImageNetVID
from heatprop.centernet.data.reading import read_picture
from heatprop.centernet.data.sampling import sample_frames, sample_images

__all__ = [
    "AnnotatedImages",
    "Augmentation",
    "Batch",
    "Collate",
    "ImageNetDET",
    "ImageNetVID",
    "Sample",
    "change_colours",
    "collate",
    "read_picture",
    "sample_frames",
    "sample_images",
]
