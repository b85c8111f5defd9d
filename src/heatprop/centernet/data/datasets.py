"""ImageNet VID and DET, or data laid out like them, as data sets of torch."""

from collections.abc import Sequence
from os import PathLike
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import Dataset

from heatprop.centernet.data.augmentation import Augmentation, change_colours, draw_colours
from heatprop.centernet.data.batches import Sample
from heatprop.centernet.data.reading import read_picture
from heatprop.centernet.data.sampling import sample_frames, sample_images
from heatprop.centernet.letterbox import fit, warp
from heatprop.checks import check_count
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.imagenet_classes import VID_WNIDS, class_ids
from heatprop.formats.imagenet_lists import FrameList, list_frames, list_images
from heatprop.formats.imagenet_xml import AnnotatedObject, read_annotation, read_annotations

PATIENCE = 100
"""This many bad pictures in a row are no accident."""


class AnnotatedImages(Dataset[Sample]):
    """Pictures with their annotations; `ImageNetVID` and `ImageNetDET` choose which.

    A box moves with its picture. Its corners are pixels, the last one included: x is mirrored to W - 1 - x, scaled and
    moved as the pixels are, then clipped to [0, size]. A box that then has no width or height is dropped: it has left
    the picture, or was one pixel wide in the annotation. A sliver at the border stays. All this follows the original,
    except for its mirroring, which is a pixel off; its clipping to the last cell is in
    `heatprop.centernet.make_targets`.

    Args:
        root: The ``ILSVRC2015`` folder.
        kind: ``"VID"`` or ``"DET"``.
        names: Files below ``Data/VID`` or ``Data/DET``, without the file extension.
        size: Side of the square that the network takes, in pixels, at least 1.
        augmentation: How pictures may change; ``None`` only puts each frame in its letterbox.
        classes: Values of ``<name>`` to read, in the order of the labels from 0; other objects are left out.
        seed: Random seed of the augmentation, at least 0.
        skip_bad: Replace a picture that is missing or cannot be read by the next good one, and note it in ``skipped``
            of the sample. Otherwise such a picture is an error.

    Raises:
        TypeError: If a number has the wrong type.
        ValueError: If there are no names, no folder of pictures, or a number is out of range.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        kind: Literal["VID", "DET"],
        names: Sequence[str],
        *,
        size: int = 512,
        augmentation: Augmentation | None = None,
        classes: Sequence[str] = tuple(VID_WNIDS),
        seed: int = 0,
        skip_bad: bool = False,
    ) -> None:
        check_count("size", size, low=1)
        check_count("seed", seed, low=0)
        self.root, self.kind, self.names = Path(root), kind, list(names)
        if not (self.root / "Data" / kind).is_dir():
            raise ValueError(f"{self.root / 'Data' / kind} must be a folder of pictures, got none; is this the root?")
        if not self.names:
            raise ValueError("names must hold at least one picture, got none")
        self.size, self.augmentation, self.seed, self.skip_bad = size, augmentation, seed, skip_bad
        self.labels = {name: number - 1 for name, number in class_ids(classes).items()}
        self._epoch = torch.full((), -1)
        self._epoch.share_memory_()  # type: ignore[no-untyped-call]  # torch does not type it; workers see it change

    def set_epoch(self, epoch: int) -> None:
        """Make the augmentation depend on seed, epoch and index alone, for any number of workers and processes.

        Without this call, the augmentation draws from torch's global generator, as usual in torch.

        Args:
            epoch: Number of the epoch, from 0. Set it before you iterate over the ``DataLoader``.

        Raises:
            TypeError: If it is not a whole number.
            ValueError: If it is below 0.
        """
        check_count("epoch", epoch, low=0)
        self._epoch.fill_(epoch)

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, index: int) -> Sample:
        """Read, place and augment one picture.

        Args:
            index: Index of the picture; with ``skip_bad``, the next ones are tried in order if it is bad.

        Returns:
            The sample.

        Raises:
            IndexError: If there is no such picture.
            FileNotFoundError: If the picture or its annotation is missing.
            ValueError: If either is malformed, or, with ``skip_bad``, if 100 pictures in a row are bad.
        """
        if not -len(self) <= index < len(self):
            raise IndexError(f"index must be below {len(self)}, got {index}")
        skipped: list[str] = []
        for step in range(min(PATIENCE, len(self))):
            place = (index + step) % len(self)
            try:
                return self._load(place, skipped)
            except (ValueError, OSError) as problem:
                if not self.skip_bad:
                    raise
                skipped.append(str(problem))
        raise ValueError(f"{len(skipped)} pictures in a row cannot be read, the first: {skipped[0]}")

    def _load(self, index: int, skipped: list[str]) -> Sample:
        name = f"{self.kind}/{self.names[index]}"
        objects = read_annotation(self.root / "Annotations" / f"{name}.xml").objects
        frame = read_picture(self.root / "Data" / f"{name}.JPEG")
        H, W = frame.shape[1:]
        augmentation, rng = self.augmentation, self._chance(index)
        mirrored, where = (
            (False, fit(W, H, self.size)) if augmentation is None else augmentation.draw_place(W, H, self.size, rng)
        )
        frame = frame.flip(2) if mirrored else frame
        image = warp(frame[None], where, self.size)[0]  # (3, S, S)
        if augmentation is not None and augmentation.colours:
            image = change_colours(image, draw_colours(rng))
        boxes, labels = self._boxes(objects, W if mirrored else None)
        boxes = where.letterboxed(boxes).clamp(0, self.size)
        left = (boxes[:, 2:] > boxes[:, :2]).all(dim=1)
        return {
            "image": image,
            "boxes": boxes[left].float(),
            "labels": labels[left],
            "index": index,
            "name": name,
            "where": where,
            "skipped": skipped,
        }

    def _boxes(self, objects: list[AnnotatedObject], mirror: int | None) -> tuple[Tensor, Tensor]:
        """Boxes ``(n, 4)`` in pixels of the frame, mirrored at its width, and labels ``(n,)``."""
        known = [one for one in objects if one.name in self.labels]
        boxes = torch.tensor([one.box for one in known], dtype=torch.float64).reshape(-1, 4)
        if mirror is not None:
            x1, y1, x2, y2 = boxes.unbind(1)
            boxes = torch.stack([mirror - 1 - x2, y1, mirror - 1 - x1, y2], dim=1)
        return boxes, torch.tensor([self.labels[one.name] for one in known], dtype=torch.int64)

    def _chance(self, index: int) -> np.random.Generator:
        epoch = int(self._epoch)
        if epoch < 0:
            return np.random.default_rng(int(torch.randint(2**62, ())))
        return np.random.default_rng((self.seed, epoch, index))


class ImageNetVID(AnnotatedImages):
    """Frames of ImageNet VID.

    Args:
        root: The ``ILSVRC2015`` folder: ``Data/VID`` and ``Annotations/VID`` are read.
        split: Folder below these; not used if ``frames`` are given.
        frames: Frames to choose from, such as those that `read_frame_list` reads from ``VID_train_15frames.txt``.
            ``None`` takes the whole split, found by walking through more than a million files.
        per_video: How many frames of each video to take, see `sample_frames`; ``None`` takes all.
        sample_seed: Random seed for random frames; ``None`` takes evenly spread ones.
        size: Side of the square that the network takes, in pixels.
        augmentation: How pictures may change; ``None`` only puts each frame in its letterbox.
        classes: Values of ``<name>`` to read, in the order of the labels from 0; other objects are left out.
        seed: Random seed of the augmentation.
        skip_bad: See `AnnotatedImages`.

    Attributes:
        frames: The chosen frames; a sample's ``index`` is its row in them.

    Raises:
        TypeError: If a number has the wrong type.
        ValueError: If there are no frames, or a number is out of range.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        split: str = "train",
        *,
        frames: FrameList | None = None,
        per_video: int | None = 10,
        sample_seed: int | None = None,
        size: int = 512,
        augmentation: Augmentation | None = None,
        classes: Sequence[str] = tuple(VID_WNIDS),
        seed: int = 0,
        skip_bad: bool = False,
    ) -> None:
        frames = list_frames(root, split) if frames is None else frames
        self.frames = frames if per_video is None else sample_frames(frames, per_video, seed=sample_seed)
        super().__init__(
            root,
            "VID",
            list(self.frames.paths()),
            size=size,
            augmentation=augmentation,
            classes=classes,
            seed=seed,
            skip_bad=skip_bad,
        )


class ImageNetDET(AnnotatedImages):
    """Images of ImageNet DET that show the classes.

    Args:
        root: The ``ILSVRC2015`` folder: ``Data/DET`` and ``Annotations/DET`` are read.
        split: Folder below these; not used if ``names`` are given.
        names: Images to choose from, such as those that `read_image_list` reads from ``DET_train_30classes.txt``.
            ``None`` takes the whole split.
        per_class: Largest number of images of each class, see `sample_images`, which needs their annotations.
            ``None`` takes all images, even those that show none of the classes.
        sample_seed: Random seed of the choice.
        size: Side of the square that the network takes, in pixels.
        augmentation: How pictures may change; ``None`` only puts each image in its letterbox.
        classes: Values of ``<name>`` to read, in the order of the labels from 0; other objects are left out.
        seed: Random seed of the augmentation.
        skip_bad: See `AnnotatedImages`.

    Attributes:
        unread: The annotations that could not be read when images were chosen, with ``skip_bad``.

    Raises:
        TypeError: If a number has the wrong type.
        ValueError: If an annotation is missing or malformed, no image shows a class, or a number is out of range.
    """

    def __init__(
        self,
        root: str | PathLike[str],
        split: str = "train",
        *,
        names: Sequence[str] | None = None,
        per_class: int | None = 2000,
        sample_seed: int = 0,
        size: int = 512,
        augmentation: Augmentation | None = None,
        classes: Sequence[str] = tuple(VID_WNIDS),
        seed: int = 0,
        skip_bad: bool = False,
    ) -> None:
        names = list_images(root, split) if names is None else names
        self.unread = Skipped()
        if per_class is not None:
            ids, folder = class_ids(classes), Path(root) / "Annotations" / "DET"
            read = read_annotations(folder, names, skipped=self.unread if skip_bad else None)
            shown = {
                name: [ids[one.name] for one in annotation.objects if one.name in ids] for name, annotation in read
            }
            names = sample_images(shown, per_class, seed=sample_seed)
            if not names:
                raise ValueError(
                    f"{folder}: an image must show one of the classes, none does; pass the names as classes"
                )
        super().__init__(
            root,
            "DET",
            names,
            size=size,
            augmentation=augmentation,
            classes=classes,
            seed=seed,
            skip_bad=skip_bad,
        )
