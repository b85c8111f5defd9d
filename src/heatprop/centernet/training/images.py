"""Training images: the paper's sample of ImageNet VID and DET, or of a benchmark in the same layout."""

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
    """Several data sets joined into one; their augmentation depends on the epoch.

    Args:
        parts: The data sets, at least one.
    """

    def __init__(self, parts: list[AnnotatedImages]) -> None:
        super().__init__(parts)
        self._parts = parts

    def set_epoch(self, epoch: int) -> None:
        """Tell all data sets which epoch comes next.

        Args:
            epoch: Number of the epoch, from 0.
        """
        for part in self._parts:
            part.set_epoch(epoch)


def training_images(root: Path, classes: tuple[str, ...], config: TrainingConfig) -> TrainingImages:
    """Collect the training images.

    Frames are chosen from ``ImageSets/VID_train_15frames.txt`` if it exists and lists enough of each video, otherwise
    from all frames. Images of DET are chosen from ``ImageSets/DET_train_30classes.txt`` if it exists, otherwise from
    all images. DET is left out if there is no ``Data/DET/train``.

    Args:
        root: The ``ILSVRC2015`` folder.
        classes: WordNet ids, in the order of the labels from 0.
        config: Training options: sampling, augmentation, input size, seed, and whether to skip bad pictures.

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
        root: The ``ILSVRC2015`` folder, or the folder of a benchmark from ``heatprop make-benchmark``.

    Returns:
        WordNet ids in the order of the classes: those of the benchmark, or the 30 of ImageNet VID.
    """
    stamp = root / "benchmark.json"
    if not stamp.exists():
        return tuple(VID_WNIDS)
    return tuple(json.loads(stamp.read_text("utf-8"))["scene"]["classes"])
