"""The videos that settings are tried on, read only once if they fit into memory."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from heatprop.evaluation.column_checks import FloatArray
from heatprop.evaluation.motion import displacement
from heatprop.formats.bad_rows import Skipped
from heatprop.maps.saved import SavedMaps, read_saved_maps

KEPT_BYTES = 2 * 1024**3
"""Largest size of all maps kept in memory; larger ones are read again for each setting."""


class Clips:
    """The saved maps in a folder, which can be iterated over many times.

    Args:
        folder: Folder with an ``.npz`` per video, with ground truth.
        skipped: Collects malformed boxes and files; ``None`` stops at the first.

    Attributes:
        names: Names of the videos.
        fingerprint: Name of the video -> hash of its file.
        displacement: Displacement of all objects, in cells.

    Raises:
        ValueError: If there is no video, or one is malformed or has no ground truth.
    """

    def __init__(self, folder: Path, *, skipped: Skipped | None = None) -> None:
        self._paths, self._kept = list[Path](), list[SavedMaps]()
        self.fingerprint = dict[str, str]()
        moved, size = [], 0
        for path in sorted(folder.glob("*.npz")):
            try:
                maps = read_saved_maps(path, skipped=skipped)
                if maps.truth.ignore.all():
                    raise ValueError(f"{path} must have ground truth (gt_box) to tune on, got none")
            except ValueError as problem:
                if skipped is None:
                    raise
                skipped.add(str(problem))
                continue
            self._paths.append(path)
            self.fingerprint[maps.name] = _hash(path)
            moved.append(displacement(maps.truth, stride=maps.stride))
            size += maps.heatmap.nbytes + maps.offset.nbytes + maps.size.nbytes
            self._kept = [*self._kept, maps] if size <= KEPT_BYTES else []
        if not self._paths:
            raise ValueError(f"{folder} must hold saved maps with ground truth, an .npz per video, got none")
        self.names = list(self.fingerprint)
        self.displacement: FloatArray = np.concatenate(moved)

    def __iter__(self) -> Iterator[SavedMaps]:
        """Iterate over the videos in the order of their names."""
        if len(self._kept) == len(self._paths):
            yield from self._kept
        else:
            # malformed boxes were reported when the clips were opened
            yield from (read_saved_maps(path, skipped=Skipped()) for path in self._paths)


def _hash(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
