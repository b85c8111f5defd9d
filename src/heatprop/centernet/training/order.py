"""The order of the training images: the same on any number of devices, and after a stop."""

from collections.abc import Iterator

import numpy as np
from torch.utils.data import Sampler

from heatprop.centernet.training.images import TrainingImages


class TrainingOrder(Sampler[int]):
    """Shuffle the images anew in each epoch, from the seed and the epoch alone.

    Step k of an epoch sees the same images on any number of devices: each takes every n-th image of the step. The
    images after the last whole step are left out; they are different ones in each epoch.

    Args:
        images: The data set, at least ``batch_size`` images; it is told the epoch, which decides the augmentation.
        batch_size: Images per step over all devices, a multiple of ``devices``.
        seed: Random seed, at least 0.
        device: Number of this device, from 0.
        devices: How many devices there are.

    Raises:
        ValueError: If there are too few images for a step, or the batch cannot be split evenly.
    """

    def __init__(
        self, images: TrainingImages, *, batch_size: int, seed: int, device: int = 0, devices: int = 1
    ) -> None:
        length = len(images)
        if length < batch_size:
            raise ValueError(
                f"batch_size must be at most the number of training images, {length}, got {batch_size}; "
                "make it smaller, or take more frames of each video"
            )
        if batch_size % devices:
            raise ValueError(f"batch_size must be a multiple of the number of devices, {devices}, got {batch_size}")
        self._images, self._length, self._batch_size, self._seed = images, length, batch_size, seed
        self._device, self._devices = device, devices
        self._epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch that comes next; Lightning calls this before it iterates.

        Args:
            epoch: Number of the epoch, from 0.
        """
        self._epoch = epoch
        self._images.set_epoch(epoch)

    def __len__(self) -> int:
        return self._length // self._batch_size * self._batch_size // self._devices

    def __iter__(self) -> Iterator[int]:
        rng = np.random.default_rng((self._seed, self._epoch))
        steps = self._length // self._batch_size
        order = rng.permutation(self._length)[: steps * self._batch_size].reshape(steps, self._batch_size)
        mine = order[:, self._device :: self._devices].reshape(-1)
        return iter(mine.tolist())
