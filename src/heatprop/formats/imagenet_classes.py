"""The 30 classes of ImageNet VID, in the order of their ids."""

from collections.abc import Sequence

VID_WNIDS = {
    "n02691156": "airplane",
    "n02419796": "antelope",
    "n02131653": "bear",
    "n02834778": "bicycle",
    "n01503061": "bird",
    "n02924116": "bus",
    "n02958343": "car",
    "n02402425": "cattle",
    "n02084071": "dog",
    "n02121808": "domestic_cat",
    "n02503517": "elephant",
    "n02118333": "fox",
    "n02510455": "giant_panda",
    "n02342885": "hamster",
    "n02374451": "horse",
    "n02129165": "lion",
    "n01674464": "lizard",
    "n02484322": "monkey",
    "n03790512": "motorcycle",
    "n02324045": "rabbit",
    "n02509815": "red_panda",
    "n02411705": "sheep",
    "n01726692": "snake",
    "n02355227": "squirrel",
    "n02129604": "tiger",
    "n04468005": "train",
    "n01662784": "turtle",
    "n04530566": "watercraft",
    "n02062744": "whale",
    "n02391049": "zebra",
}
"""WordNet id, as in the annotations -> name; the class ids are 1 to 30 in this order."""

VID_CLASSES = tuple(VID_WNIDS.values())
"""Names of classes 1 to 30."""


def class_ids(names: Sequence[str] = tuple(VID_WNIDS)) -> dict[str, int]:
    """Number classes from 1, as the devkit's detection file does.

    Args:
        names: Values of ``<name>`` in the annotations, in the order of the ids.

    Returns:
        Name -> id.

    Raises:
        ValueError: If a name comes twice.

    Examples:
        >>> class_ids()["n02084071"], VID_CLASSES[9 - 1]
        (9, 'dog')
    """
    ids = {name: number for number, name in enumerate(names, start=1)}
    if len(ids) != len(names):
        twice = next(name for name in names if list(names).count(name) > 1)
        raise ValueError(f"names must differ, got {twice!r} twice")
    return ids
