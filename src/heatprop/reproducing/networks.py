"""The detector of a checkpoint: what it was trained for, and the network on its device."""

import pickle
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from torch import Tensor

from heatprop.centernet import CenterNet, load_checkpoint, normalize
from heatprop.formats.imagenet_classes import VID_WNIDS
from heatprop.reproducing.detecting import Network
from heatprop.running.detectors import find_device
from heatprop.structures import HeadMaps

PAPER_SIZE, PAPER_BACKBONE = 512, "resnet101"


class Weights(NamedTuple):
    """A checkpoint and the CenterNet that it fits.

    Attributes:
        path: The file.
        classes: WordNet ids, in the order of the heatmap's channels.
        size: Side of the network's input, in pixels.
        backbone: Name of the backbone, as in `heatprop.centernet.CenterNet`.
        head_channels: Channels inside the heads.
        deformable: Version of the neck's deformable convolutions.
    """

    path: Path
    classes: tuple[str, ...]
    size: int
    backbone: str
    head_channels: int
    deformable: Literal["v2", "v1", "none"]


def describe_weights(
    path: Path,
    *,
    classes: str | None = None,
    size: int | None = None,
    backbone: str | None = None,
    head_channels: int | None = None,
) -> Weights:
    """Find out what a checkpoint needs: from the file if ``heatprop train`` wrote it, else from arguments or the paper.

    Args:
        path: The file.
        classes: Names or WordNet ids, separated by commas; by default those of the file, or ImageNet VID's 30.
        size: Side of the network's input, in pixels; by default that of the training, or 512.
        backbone: Name of the backbone; by default that of the file, or ``"resnet101"``.
        head_channels: Channels inside the heads; by default those of the file, or 64 (256 with DLA-34).

    Returns:
        The description; whether the weights fit it only shows when they are loaded.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a class is not known, or an argument contradicts the file.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path} must be a checkpoint, got no such file")
    own = _read_description(path)
    said = {"backbone": backbone, "head_channels": head_channels}
    for name, value in said.items():
        if value is not None and own.get(name, value) != value:
            raise ValueError(f"{name} must match the checkpoint, which has {own[name]}, got {value}; leave it out")
    names = tuple(own.get("classes", VID_WNIDS)) if classes is None else _parse_classes(classes)
    if len(own.get("classes", names)) != len(names):
        raise ValueError(f"{path} has {len(own['classes'])} classes, got {len(names)} from --classes")
    backbone = backbone or own.get("backbone", PAPER_BACKBONE)
    channels = head_channels or own.get("head_channels", 256 if backbone == "dla34" else 64)
    side = size or own.get("input_size", PAPER_SIZE)
    return Weights(path, names, side, str(backbone), channels, own.get("deformable", "v2"))


def load_network(weights: Weights, device: str) -> Network:
    """Build the network, load its weights and put it on its device.

    Args:
        weights: The description, from `describe_weights`.
        device: ``"cpu"``, ``"cuda"``, ``"cuda:1"``.

    Returns:
        The network, ready to run.

    Raises:
        ValueError: If the weights do not fit, or are those of a backbone alone.
        heatprop.running.DetectorError: If there is no such device.
    """
    place = find_device(device)
    model = CenterNet(
        len(weights.classes),
        backbone=weights.backbone,
        head_channels=weights.head_channels,
        deformable=weights.deformable,
    )
    try:
        report = load_checkpoint(model, weights.path)
    except ValueError as problem:
        made = f"{len(weights.classes)} classes, {weights.backbone}, {weights.head_channels} head channels"
        raise ValueError(f"{problem} (here: {made}; see --classes, --backbone, --head-channels)") from None
    if report.source == "backbone":
        raise ValueError(f"{weights.path} must be a detector's weights, got those of a backbone; train it first")
    return Network(partial(_detect, model.eval().to(place)), place)


def _parse_classes(text: str) -> tuple[str, ...]:
    """Parse a list of classes.

    Args:
        text: Names of ImageNet VID's classes or any WordNet ids, separated by commas.

    Returns:
        WordNet ids.

    Raises:
        ValueError: If an entry is neither, or a class comes twice.

    Examples:
        >>> _parse_classes("dog, n02958343")
        ('n02084071', 'n02958343')
    """
    ids = {name: wnid for wnid, name in VID_WNIDS.items()}
    names = [name.strip() for name in text.split(",")]
    if unknown := [name for name in names if name not in ids and not (name[:1] == "n" and name[1:].isdecimal())]:
        raise ValueError(f"classes must be among {', '.join(ids)} or WordNet ids, got {', '.join(unknown)}")
    found = tuple(ids.get(name, name) for name in names)
    if len(set(found)) < len(found):
        raise ValueError(f"classes must differ, got {text}")
    return found


def _detect(model: CenterNet, squares: Tensor) -> HeadMaps:
    maps: HeadMaps = model(normalize(squares))
    return maps


def _read_description(path: Path) -> Mapping[str, Any]:
    """Read what ``heatprop train`` wrote next to the weights; empty if another program wrote the file."""
    try:
        content = torch.load(path, weights_only=True, map_location="cpu", mmap=True)
    except (pickle.UnpicklingError, EOFError, RuntimeError, KeyError, ValueError):
        return {}  # an old format, or damaged: load_checkpoint says which
    ours = isinstance(content, Mapping) and str(content.get("format", "")).startswith("heatprop.")
    return content if ours else {}
