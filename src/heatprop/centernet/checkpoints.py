"""Load weights: CenterNet's own, CenterTrack's, an ImageNet backbone's, or ours."""

from collections.abc import Mapping
from os import PathLike, fspath
from typing import Literal, NamedTuple

from torch import Tensor

from heatprop.centernet.checkpoint_files import read_weights
from heatprop.centernet.checkpoint_names import recognize, take_box, translate, unexpected
from heatprop.centernet.checkpoint_networks import describe_foreign
from heatprop.centernet.model import CenterNet

_FIRST_CONVOLUTIONS = ("backbone.conv1.weight", "backbone.body.base_layer.0.weight")
_OTHER_NETWORK = "make the model with the backbone and the convolutions (deformable) of the file"
_SHOWN = 4  # names in an error


class CheckpointReport(NamedTuple):
    """What happened to the weights in a file; ``str`` gives a summary.

    Attributes:
        path: The file.
        source: ``"CenterNet"``, ``"CenterTrack"``, ``"backbone"`` (torchvision's, timm's or DLA's own) or
            ``"heatprop"``.
        matched: The model's names that were loaded.
        renamed: Loaded weights whose name differs in the file, ``{name in the file: name in the model}``.
        left_out: Names in the file that the model has no use for.
        missing: The model's names that the file lacks; they keep their values.
        flipped: Whether the input channels of the first convolution were changed from BGR to RGB.
    """

    path: str
    source: str
    matched: tuple[str, ...]
    renamed: Mapping[str, str]
    left_out: tuple[str, ...]
    missing: tuple[str, ...]
    flipped: bool

    def __str__(self) -> str:
        """Summarise the report in a few lines."""
        lines = [
            f"{self.path}: weights of {self.source}",
            f"matched: {len(self.matched)}, of which renamed: {len(self.renamed)}",
            f"left out: {len(self.left_out)}{_listed(self.left_out, ' ({})')}",
            f"missing: {len(self.missing)}{_listed(self.missing, ' ({})')}",
        ]
        return "\n".join([*lines, "first convolution changed from BGR to RGB"] if self.flipped else lines)


def load_checkpoint(
    model: CenterNet,
    path: str | PathLike[str],
    *,
    heads: bool = True,
    averaged: bool = True,
    box: Literal["wh", "ltrb", "ltrb_amodal"] = "wh",
) -> CheckpointReport:
    """Load weights from a file into a model, whoever saved them; nothing is compiled, and no code in the file runs.

    It takes the original CenterNet's ``resdcn_*`` and ``dla_34``, the detection part of CenterTrack's networks,
    ImageNet weights of torchvision, timm or DLA's authors for the backbone, and this project's own: a plain
    ``state_dict``, one under ``"state_dict"``, or a Lightning checkpoint. Everything is checked before the model
    changes.

    The original networks take BGR images, ours take RGB: the input channels of their first convolution are reversed,
    so :func:`heatprop.centernet.normalize` works for all of them.

    Args:
        model: A model with the backbone, classes and head channels of the file (CenterNet's DLA-34 has
            ``head_channels=256``).
        path: The file.
        heads: ``False`` leaves the model's heads as they are, to train on other classes.
        averaged: Take the averaged weights if the file has averaged and raw ones.
        box: The head that gives the box. CenterTrack reports ``"ltrb_amodal"`` if the network has that head, whose
            boxes reach beyond the picture; the heads of offset and size are then computed from it, exactly.

    Returns:
        What was matched, renamed, left out and missing. The neck and heads are missing if the file holds a backbone,
        the heads are with ``heads=False``, and so are batch counters that old files lack.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not a file of plain weights, or they do not fit the model: the names and shapes are given.

    Examples:
        >>> import tempfile, torch
        >>> from pathlib import Path
        >>> from heatprop.centernet import CenterNet, load_checkpoint
        >>> trained, model = (CenterNet(2, backbone="resnet18") for _ in range(2))
        >>> with tempfile.TemporaryDirectory() as folder:
        ...     torch.save({"state_dict": trained.state_dict()}, Path(folder) / "last.pt")
        ...     report = load_checkpoint(model, Path(folder) / "last.pt")
        >>> report.source, len(report.left_out), len(report.missing)
        ('heatprop', 0, 0)
    """
    if box not in ("wh", "ltrb", "ltrb_amodal"):
        raise ValueError(f'box must be "wh", "ltrb" or "ltrb_amodal", got {box!r}')
    return fill_model(model, read_weights(path, averaged=averaged), path, heads=heads, box=box)


def fill_model(
    model: CenterNet,
    weights: Mapping[str, Tensor],
    path: str | PathLike[str],
    *,
    heads: bool = True,
    box: str = "wh",
) -> CheckpointReport:
    """Do what `load_checkpoint` does, with weights that have already been read.

    Args:
        model: The model, see `load_checkpoint`.
        weights: Tensors by their names in the file.
        path: The file, for the report and errors.
        heads: Whether to load the heads, see `load_checkpoint`.
        box: The head that gives the box, see `load_checkpoint`.

    Returns:
        What was matched, renamed, left out and missing, see `load_checkpoint`.

    Raises:
        ValueError: If the weights do not fit the model: the names and shapes are given.
    """
    current, source = model.state_dict(), recognize(weights)
    try:
        weights = weights if box == "wh" else take_box(weights, box)
    except ValueError as error:
        raise ValueError(f"{fspath(path)} does not fit: {error}") from error
    if foreign := describe_foreign(weights, source, heads=heads):
        raise ValueError(f"{fspath(path)} does not fit any model: {foreign}")
    names = translate(weights, source, current)
    if not heads:
        names = {name: ours for name, ours in names.items() if not ours.startswith("heads.")}
    loaded = {ours: weights[name] for name, ours in names.items()}
    report = CheckpointReport(
        path=fspath(path),
        source=source,
        matched=tuple(ours for ours in current if ours in loaded),
        renamed={name: ours for name, ours in names.items() if name != ours},
        left_out=tuple(name for name in weights if name not in names),
        missing=tuple(ours for ours in current if ours not in loaded),
        flipped=source in ("CenterNet", "CenterTrack"),
    )
    _check_fit(report, names, weights, current, heads=heads)
    if report.flipped:
        for first in _FIRST_CONVOLUTIONS:
            if first in loaded:
                loaded[first] = loaded[first].flip(1)
    model.load_state_dict(loaded, strict=False)
    return report


def _check_fit(
    report: CheckpointReport,
    names: Mapping[str, str],
    weights: Mapping[str, Tensor],
    current: Mapping[str, Tensor],
    *,
    heads: bool,
) -> None:
    """Require every weight that the source should contain, in the model's shape."""
    faults: list[str] = []
    hints: dict[str, None] = {}
    for name, ours in names.items():
        came, wanted = tuple(weights[name].shape), tuple(current[ours].shape)
        if came != wanted:
            called = ours if name == ours else f"{ours} ({name} in the file)"
            faults.append(f"{called} has shape {came} in the file and {wanted} in the model")
            hints[_hint(ours, came, wanted)] = None
    surplus = [] if not names else unexpected(report.left_out, names)
    if not heads:
        surplus = [name for name in surplus if not name.startswith(("hm.", "reg.", "wh.", "heads."))]
    required = "backbone." if report.source == "backbone" else ""
    lacking = [
        name
        for name in report.missing
        if name.startswith(required)
        and not name.endswith("num_batches_tracked")
        and (heads or not name.startswith("heads."))
    ]
    if surplus:
        faults.append(f"the model has no place for {len(surplus)} of the file's weights{_listed(surplus, ': {}')}")
    if lacking and all(name.startswith("heads.") for name in lacking):
        hints["leave the heads out with heads=False"] = None
    if lacking:
        faults.append(f"the file lacks {len(lacking)} of the model's weights{_listed(lacking, ': {}')}")
    if faults:
        more = f"; and {len(faults) - _SHOWN} more" if len(faults) > _SHOWN else ""
        advice = "; ".join(hints or {_OTHER_NETWORK: None})
        raise ValueError(f"{report.path} does not fit the model: {'; '.join(faults[:_SHOWN])}{more}. {advice}")


def _hint(ours: str, came: tuple[int, ...], wanted: tuple[int, ...]) -> str:
    """Say what to do about a weight that does not fit."""
    leave_out = "leave the heads out with heads=False"
    if ours.startswith("heads.heatmap.2.") and came and came[:1] != wanted[:1]:
        return f"make the model with num_classes={came[0]}, or {leave_out}"
    if ours.startswith("heads."):
        inner = slice(0, 1) if ".0." in ours else slice(1, 2)  # the channels between the convolutions
        if came[inner] and came[inner] != wanted[inner]:
            return f"make the model with head_channels={came[inner][0]}, or {leave_out}"
        return leave_out
    if ".offset_conv." in ours and came and came[:1] != wanted[:1]:
        return f'make the model with deformable="{"v2" if came[0] == 27 else "v1"}"'
    return _OTHER_NETWORK


def _listed(names: tuple[str, ...] | list[str], template: str) -> str:
    """List the first names and count the rest; empty if there are no names."""
    if not names:
        return ""
    more = f", ... {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return template.format(", ".join(names[:_SHOWN]) + more)
