"""Run an oracle detector over a benchmark on disk: saved maps for `heatprop eval maps` and `heatprop tune`."""

from collections.abc import Iterator, Sequence
from os import PathLike
from pathlib import Path

from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.formats.imagenet_lists import list_frames
from heatprop.formats.imagenet_xml import AnnotatedObject, read_annotation
from heatprop.maps.saved import write_saved_maps
from heatprop.synthetic.oracle import OracleDetector
from heatprop.synthetic.sprites import CLASSES


def write_oracle_maps(
    root: str | PathLike[str],
    out: str | PathLike[str],
    detector: OracleDetector,
    *,
    split: str = "val",
    classes: Sequence[str] = tuple(CLASSES),
    seed: int = 0,
) -> Iterator[Path]:
    """Draw the maps of every video of a split from its annotations alone, one each time the iterator is advanced.

    Args:
        root: Folder of a benchmark from `make_benchmark`, or of real data in the same layout.
        out: Folder for the maps: ``ILSVRC2015_val_00000000.npz`` and so on; each is replaced once it is complete.
        detector: The detector that draws the maps, with its faults.
        split: Folder below ``Annotations/VID``.
        classes: WordNet ids, in the order of the channels.
        seed: Random seed of the faults; every video has its own faults.

    Yields:
        Each file, once it is written.

    Raises:
        ValueError: If there is no video, or an annotation is malformed or of none of these classes.
    """
    listed = list_frames(root, split)
    for place, video in enumerate(listed.videos):
        numbers = listed.frame[listed.video == place].tolist()
        folder = Path(root) / "Annotations" / "VID" / video
        annotations = {number: read_annotation(folder / f"{number:06d}.xml") for number in numbers}
        first = annotations[numbers[0]]
        rows = [(number, one) for number in numbers for one in annotations[number].objects]
        seen = detector.detect(
            _truth(folder.name, rows, classes),
            frames=max(numbers) + 1,
            size=(first.width, first.height),
            class_names=tuple(VID_WNIDS.get(wnid, wnid) for wnid in classes),
            seed=seed + place,
        )
        path = Path(out) / f"{folder.name}.npz"
        write_saved_maps(path, seen.maps)
        yield path


def _truth(video: str, rows: list[tuple[int, AnnotatedObject]], classes: Sequence[str]) -> GroundTruth:
    channels = {wnid: channel for channel, wnid in enumerate(classes)}
    if unknown := {one.name for _, one in rows} - set(channels):
        raise ValueError(f"classes must hold every class of {video}, got none for {', '.join(sorted(unknown))}")
    return GroundTruth(
        [video] * len(rows),
        [number for number, _ in rows],
        [one.track for _, one in rows],
        [channels[one.name] for _, one in rows],
        [one.box for _, one in rows],
    )
