"""What is trained on: the paper's sample of ImageNet VID and DET, or of a benchmark in their layout."""

import json
from pathlib import Path

from torch.utils.data import ConcatDataset

from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.data import AnnotatedImages, Augmentation, ImageNetDET, ImageNetVID, Sample
from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.formats.imagenet_lists import read_frame_list, read_image_list

FRAMES = "VID_train_15frames.txt"
IMAGES = "DET_train_30classes.txt"


class TrainingImages(ConcatDataset[Sample]):
    """Data sets one after the other, whose augmentation is a function of the epoch.

    Args:
        parts: They, at least one.
    """

    def __init__(self, parts: list[AnnotatedImages]) -> None:
        super().__init__(parts)
        self._parts = parts

    def set_epoch(self, epoch: int) -> None:
        """Tell all parts which epoch comes.

        Args:
            epoch: From 0.
        """
        for part in self._parts:
            part.set_epoch(epoch)


def training_images(root: Path, classes: tuple[str, ...], config: TrainingConfig) -> TrainingImages:
    """Find what to train on.

    Frames are chosen from ``ImageSets/VID_train_15frames.txt``, where it is there and holds enough of each video,
    else from all; images of DET from ``ImageSets/DET_train_30classes.txt``, else from all. DET is left out where there
    is no ``Data/DET/train``.

    Args:
        root: The ``ILSVRC2015`` folder.
        classes: WordNet ids, in the order of the labels from 0.
        config: With the sampling, the augmentation, the input size and the seed.

    Returns:
        The images.

    Raises:
        ValueError: If there are no pictures, or a list or an annotation is malformed.
    """
    augmentation = Augmentation(flip=config.flip, zoom=config.zoom, colours=config.colours)
    listed, few = root / "ImageSets" / FRAMES, config.frames_per_video is not None and config.frames_per_video <= 15
    parts: list[AnnotatedImages] = [
        ImageNetVID(
            root,
            frames=read_frame_list(listed) if few and listed.exists() else None,
            per_video=config.frames_per_video,
            size=config.input_size,
            augmentation=augmentation,
            classes=classes,
            seed=config.seed,
            skip_bad=config.skip_bad,
        )
    ]
    if config.images_per_class and (root / "Data" / "DET" / "train").is_dir():
        listed = root / "ImageSets" / IMAGES
        parts.append(
            ImageNetDET(
                root,
                names=read_image_list(listed) if listed.exists() else None,
                per_class=config.images_per_class,
                size=config.input_size,
                augmentation=augmentation,
                classes=classes,
                seed=config.seed,
                skip_bad=config.skip_bad,
            )
        )
    return TrainingImages(parts)


def find_classes(root: Path) -> tuple[str, ...]:
    """List the classes of a data set.

    Args:
        root: The ``ILSVRC2015`` folder, or what ``heatprop make-benchmark`` wrote.

    Returns:
        WordNet ids in the order of the classes: the benchmark's own, else the 30 of ImageNet VID.
    """
    stamp = root / "benchmark.json"
    if not stamp.exists():
        return tuple(VID_WNIDS)
    return tuple(json.loads(stamp.read_text("utf-8"))["scene"]["classes"])
