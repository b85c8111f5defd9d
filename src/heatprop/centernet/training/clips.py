"""Validation clips: their frames, the pictures that the network sees, and the ground truth."""

from collections.abc import Iterator
from pathlib import Path

from torch.utils.data import Sampler

from heatprop.centernet.configuration import TrainingConfig
from heatprop.centernet.data import ImageNetVID
from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_lists import FrameList, list_frames, read_frame_list


class ValidationClips:
    """Frames of the validation clips of ImageNet VID, or of a benchmark in its layout.

    Args:
        root: The ``ILSVRC2015`` folder.
        classes: WordNet ids, in the order of the classes.
        config: Training options: input size, frames per clip, and whether to skip bad pictures.

    Attributes:
        images: The letterboxed frames; a sample's ``index`` is its row in ``frames``.
        frames: The list of these frames.
        truth: Their annotated boxes; ``video`` and ``frame`` match ``frames``, and ``label`` is the class id from 1.
        classes: WordNet ids, as given.

    Raises:
        ValueError: If there are no frames, or an annotation is missing or malformed.
    """

    def __init__(self, root: Path, classes: tuple[str, ...], config: TrainingConfig) -> None:
        self.images = ImageNetVID(
            root,
            frames=_list(root),
            per_video=config.validation_frames,
            size=config.input_size,
            classes=classes,
            skip_bad=config.skip_bad,
        )
        self.frames: FrameList = self.images.frames
        self.truth: GroundTruth = read_vid(root, self.frames, classes=classes)
        self.classes = classes


class Share(Sampler[int]):
    """Every n-th frame for each of n devices; all devices get the same number, so a few frames may come twice.

    Args:
        length: Number of frames.
        device: Number of this device, from 0.
        devices: How many devices there are.

    Examples:
        >>> [list(Share(5, device=device, devices=2)) for device in (0, 1)]
        [[0, 2, 4], [1, 3, 0]]
    """

    def __init__(self, length: int, *, device: int, devices: int) -> None:
        self._length, self._device, self._devices = length, device, devices

    def __len__(self) -> int:
        return -(-self._length // self._devices)

    def __iter__(self) -> Iterator[int]:
        return iter([(self._device + step * self._devices) % self._length for step in range(len(self))])


def _list(root: Path) -> FrameList:
    """Read the list of FGFA or the devkit if there is one, else list the folders by name, in the same order."""
    for path in (root / "ImageSets" / "VID_val_frames.txt", root / "ImageSets" / "VID" / "val.txt"):
        if path.exists():
            return read_frame_list(path)
    return list_frames(root, "val")
