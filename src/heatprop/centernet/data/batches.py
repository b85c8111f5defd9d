"""What a data set returns for a picture, and how pictures are joined into a batch."""

import warnings
from collections.abc import Sequence
from typing import TypedDict

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from heatprop.centernet.letterbox import Letterbox
from heatprop.checks import check_count


class Sample(TypedDict):
    """One picture, ready for a network.

    Attributes:
        image: RGB, shape ``(3, S, S)``, 0 to 255: ``uint8``, or ``float32`` if colours were changed. Pass the batch
            to `heatprop.centernet.normalize` on the device, because bytes travel four times as fast.
        boxes: ``(x1, y1, x2, y2)``, shape ``(n, 4)``, ``float32``, in pixels of the square, 0 to S.
        labels: Class index from 0, shape ``(n,)``, ``int64``.
        index: Index of the picture in its data set.
        name: Its file below ``Data``, without the file extension.
        where: Maps boxes back to the frame, unless the frame was mirrored.
        skipped: What was wrong with each unreadable picture that this one replaces.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    index: int
    name: str
    where: Letterbox
    skipped: list[str]


class Batch(TypedDict):
    """B pictures with N objects each, padded to the largest number of objects in a picture.

    Attributes:
        image: RGB, shape ``(B, 3, S, S)``, 0 to 255.
        boxes: ``(x1, y1, x2, y2)``, shape ``(B, N, 4)``, ``float32``, in pixels of the square; 0 in padding.
        labels: Class index from 0, shape ``(B, N)``, ``int64``; 0 in padding.
        valid: Which places hold an object, shape ``(B, N)``, ``bool``.
        index: Indices of the pictures in their data set, shape ``(B,)``, ``int64``.
        name: Files of the pictures below ``Data``, without the file extension.
        where: Map boxes back to the frames.
        skipped: What was wrong with each picture that could not be read; its length is the count.
    """

    image: Tensor
    boxes: Tensor
    labels: Tensor
    valid: Tensor
    index: Tensor
    name: list[str]
    where: list[Letterbox]
    skipped: list[str]


class Collate:
    """Join samples into a batch; pass it to a ``DataLoader`` as ``collate_fn``.

    A picture keeps its first ``max_objects`` objects, in the order of its annotation, as in the original. If objects
    are cut, a warning says so, once for all worker processes.

    Args:
        max_objects: How many objects a picture may keep, at least 1.

    Raises:
        TypeError: If ``max_objects`` is not a whole number.
        ValueError: If it is below 1.
    """

    def __init__(self, max_objects: int = 128) -> None:
        check_count("max_objects", max_objects, low=1)
        self.max_objects = max_objects
        self._said = torch.zeros((), dtype=torch.bool)
        self._said.share_memory_()  # type: ignore[no-untyped-call]  # torch does not type it; one flag for all workers

    def __call__(self, samples: Sequence[Sample]) -> Batch:
        """Pad and stack.

        Args:
            samples: At least one sample, all with the same S.

        Returns:
            The batch.

        Raises:
            ValueError: If there are no samples.
        """
        if not samples:
            raise ValueError("samples must hold at least one sample, got none")
        counts = torch.tensor([len(sample["labels"]) for sample in samples])
        most = int(counts.max())
        if most > self.max_objects and not self._said:
            self._said.fill_(True)
            warnings.warn(
                f"{samples[int(counts.argmax())]['name']} has {most} objects, the first {self.max_objects} are kept; "
                "Collate(max_objects=...) changes that. This warning is shown once.",
                stacklevel=2,
            )
        N = min(most, self.max_objects)
        return {
            "image": torch.stack([sample["image"] for sample in samples]),
            "boxes": pad_sequence([sample["boxes"][:N] for sample in samples], batch_first=True),
            "labels": pad_sequence([sample["labels"][:N] for sample in samples], batch_first=True),
            "valid": torch.arange(N) < counts[:, None],
            "index": torch.tensor([sample["index"] for sample in samples]),
            "name": [sample["name"] for sample in samples],
            "where": [sample["where"] for sample in samples],
            "skipped": [problem for sample in samples for problem in sample["skipped"]],
        }


collate = Collate()
"""`Collate` with the original's 128 objects."""
