"""Store the detector's maps of a video on disk until both directions of time have read them."""

from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from heatprop.maps.saved import near_evidence
from heatprop.maps.sparse import LOWEST
from heatprop.offline.frame_store import FrameStore
from heatprop.running.picture import Picture
from heatprop.running.reading import OwnBoxes, Reading
from heatprop.structures import HeadMaps

_NONE = np.zeros((0, 0), np.float16)


class StoredMaps(Sequence[HeadMaps]):
    """Maps of a video, with one frame at a time in memory.

    They are kept in half precision. Scores below 0.003 become 0. Offsets and sizes are kept within 2 cells of a score
    above 0.02; elsewhere they become half a cell and 0, so that a memory that reaches further keeps its size.

    This is not the sparse format of `heatprop.maps.sparse`. The bound of that format on what a memory can hold is valid
    forward in time only, up to a radius of 5 and an alpha of 0.98, and it is packed when the last frame is known. Here
    the memory also runs backward, has any radius and alpha, and hours of video are read in any order.

    Args:
        store: Where the maps are stored.
    """

    def __init__(self, store: FrameStore) -> None:
        self._store = store

    def __len__(self) -> int:
        return len(self._store)

    def __getitem__(self, number: Any) -> Any:
        return self.frame(number)[1]

    def append(self, picture: Picture, maps: HeadMaps, reading: Reading) -> None:
        """Store the maps of a frame, ``(1, C, H, W)`` and ``(1, 2, H, W)``; extras are dropped."""
        heatmap = maps.heatmap.float().cpu().numpy()
        place = np.flatnonzero(near_evidence(heatmap))
        geometry = np.array([picture.height, picture.width, *picture.scale])
        self._store.append(
            [
                np.where(heatmap < LOWEST, 0, heatmap).astype(np.float16),
                place.astype(np.uint32),
                _at(maps.offset, place),
                _at(maps.size, place),
                geometry,
                *reading.own,
                np.array([reading.unreadable, reading.outside]),
            ]
        )

    def frame(self, number: int) -> tuple[Picture, HeadMaps, Reading]:
        """Read what the detector saw of a frame, from 0, without the pixels, and its maps, on the CPU."""
        heatmap, place, offset, size, geometry, boxes, scores, labels, flags = self._store[number]
        height, width, across, down = geometry.tolist()
        picture = Picture(torch.empty(0), round(height), round(width), (across, down))
        shape = heatmap.shape[2:]
        maps = HeadMaps(
            torch.from_numpy(heatmap.astype(np.float32)),
            _dense(offset, place, shape, elsewhere=0.5),
            _dense(size, place, shape, elsewhere=0.0),
        )
        return picture, maps, Reading(OwnBoxes(boxes, scores, labels), *flags.tolist())


class StoredShifts(Sequence[Tensor]):
    """Motions of the picture, in 48 bytes per frame, each of shape ``(1, 2, 3)``."""

    def __init__(self) -> None:
        self._numbers = array("d")

    def __len__(self) -> int:
        return len(self._numbers) // 6

    def __getitem__(self, number: Any) -> Any:
        return torch.tensor(self._numbers[6 * number : 6 * number + 6], dtype=torch.float64).view(1, 2, 3)

    def append(self, shift: Tensor) -> None:
        """Store the motion to the next frame."""
        self._numbers.extend(shift.flatten().tolist())


def _at(field: Tensor | None, place: NDArray[Any]) -> NDArray[np.float16]:
    if field is None:
        return _NONE
    values: NDArray[np.float16] = field[0].flatten(1).float().cpu().numpy()[:, place].astype(np.float16)
    return values  # (2, n)


def _dense(values: NDArray[Any], place: NDArray[Any], shape: tuple[int, ...], *, elsewhere: float) -> Tensor | None:
    if values.shape[0] == 0:  # there was no such map
        return None
    dense = np.full((2, shape[0] * shape[1]), elsewhere, np.float32)
    dense[:, place] = values
    return torch.from_numpy(dense).view(1, 2, *shape)
