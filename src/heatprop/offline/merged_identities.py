"""Offline: one identity for what two directions of time call each by their own."""

import numpy as np
from numpy.typing import NDArray

from heatprop.offline.merging import NOBODY, FrameObjects


class Identities:
    """Name the objects of a video frame by frame, so that forward and backward tracks of one object share a name.

    An object keeps the name of its forward track; if that is new, it takes that of its backward track; if that is new
    too, it gets the next number. A name goes to one object of a frame only. A track of either direction has no holes
    (the propagator remembers one frame), so two tracks of different names have been seen side by side, or one of them
    has not been named yet: names need never be changed afterwards, and only the last frame's are remembered.
    """

    def __init__(self) -> None:
        self._forward: dict[int, int] = {}
        self._backward: dict[int, int] = {}
        self._next = 0

    def forget(self) -> None:
        """Start a new scene: its objects get names that no earlier one had."""
        self._forward, self._backward = {}, {}

    def name(
        self, objects: FrameObjects, forward_ids: NDArray[np.int64], backward_ids: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Name the objects of the next frame.

        Args:
            objects: What is left of both directions, by falling score: of two that claim one name the first gets it.
            forward_ids: All tracks of the forward pass in this frame, those that were suppressed too.
            backward_ids: All tracks of the backward pass.

        Returns:
            Names, shape ``(n,)``, from 0.
        """
        names = np.full(len(objects.scores), NOBODY)
        taken: set[int] = set()
        sides = (objects.forward_ids.tolist(), self._forward), (objects.backward_ids.tolist(), self._backward)
        for tracks, known in sides:
            for place, track in enumerate(tracks):
                name = known.get(track)
                if name is not None and names[place] == NOBODY and name not in taken:
                    names[place] = name
                    taken.add(name)
        fresh = names == NOBODY
        names[fresh] = self._next + np.arange(fresh.sum())
        self._next += int(fresh.sum())
        for (tracks, known), present in zip(sides, (forward_ids, backward_ids), strict=True):
            known.update({track: name for track, name in zip(tracks, names.tolist(), strict=True) if track != NOBODY})
            for track in known.keys() - set(present.tolist()):
                del known[track]
        return names
