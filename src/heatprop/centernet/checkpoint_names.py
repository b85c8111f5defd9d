"""Translate the names of weights in files of CenterNet, CenterTrack and the backbones into names in our model."""

import re
from collections.abc import Collection, Iterable, Mapping

from torch import Tensor

HEADS = {"hm": "heatmap", "reg": "offset", "wh": "size"}
_HEAD = re.compile(rf"({'|'.join(HEADS)})\.(.+)")
_DECONVOLUTION = re.compile(r"deconv_layers\.(\d+)\.(.+)")
_DOUBLING = {0: "conv", 1: "conv_norm", 3: "up", 4: "up_norm"}  # 2 and 5 are ReLUs
_MERGE = re.compile(r"(?:neck\.)?(?:dla_up\.ida_(\d+)|ida_up)\.(proj|up|node)_(\d+)\.(.+)")
_PARTS = {"proj": "project", "up": "up", "node": "node"}
_BODY = re.compile(r"(?:base|backbone)\.(.+)")
_TRACKING = ("tracking.", "base.pre_img_layer.", "base.pre_hm_layer.")
# In a file but used by no forward pass that ends in our heads. The projections are DLA's own dead weights.
_UNUSED = re.compile(r"(?:base\.|backbone\.)?(?:level[34]\.project\.|pre_img_layer\.|pre_hm_layer\.|fc\.)")


def recognize(names: Collection[str]) -> str:
    """Tell whose weights these are: ``"heatprop"``, ``"CenterTrack"``, ``"CenterNet"`` or ``"backbone"``."""
    if any(name.startswith("heads.heatmap.") for name in names):
        return "heatprop"
    if any(name.startswith("hm.") for name in names):
        return "CenterTrack" if any(name.startswith(_TRACKING) for name in names) else "CenterNet"
    return "backbone"


def translate(names: Iterable[str], source: str, ours: Iterable[str]) -> dict[str, str]:
    """Map names in a file to names in the model, for those that the model has.

    Args:
        names: Names in the file, without the prefixes of wrappers.
        source: Whose weights these are, as `recognize` returns it.
        ours: All names of the model.

    Returns:
        ``{name in the file: name in the model}``.
    """
    ours = list(ours)
    if source == "heatprop":
        candidates = {name: name for name in names}
    else:
        bodies = {_canonical(name): name for name in ours if name.startswith("backbone.")}
        candidates = {name: _translate_one(name, bodies) for name in names}
    known = set(ours)
    return {name: ours_name for name, ours_name in candidates.items() if ours_name in known}


def take_box(weights: Mapping[str, Tensor], box: str) -> dict[str, Tensor]:
    """Compute the heads of offset and size from a box head: its last convolution's rows give both.

    Args:
        weights: Tensors by their names in the file.
        box: Head of the signed distances (left, top, right, bottom) from the cell, in cells.

    Returns:
        The weights, with ``reg`` and ``wh`` computed from the box head.

    Raises:
        ValueError: If there is no such head of two convolutions and four channels.
    """
    rows = weights.get(f"{box}.2.weight")
    if rows is None or rows.dim() != 4 or rows.shape[0] != 4 or f"{box}.4.weight" in weights:
        raise ValueError(f'box="{box}" needs a head {box} of two convolutions and four channels in the file')
    taken = {name: value for name, value in weights.items() if name.split(".")[0] not in ("reg", "wh", box)}
    for part in ("0.weight", "0.bias"):
        taken |= {f"{head}.{part}": weights[f"{box}.{part}"] for head in ("reg", "wh") if f"{box}.{part}" in weights}
    for part in ("2.weight", "2.bias"):
        if f"{box}.{part}" in weights:
            low, high = weights[f"{box}.{part}"].chunk(2)
            taken |= {f"reg.{part}": (low + high) / 2, f"wh.{part}": high - low}
    return taken


def unexpected(left_out: Iterable[str], translated: Mapping[str, str]) -> list[str]:
    """List names that the model lacks inside parts that it has: the file is from a deeper or another network."""
    parts = {name.split(".")[0] if not _BODY.match(name) else name.split(".")[1] for name in translated}
    inside = []
    for name in left_out:
        body = _BODY.match(name)
        part = (body[1] if body else name).split(".")[0]
        if part in parts and not _UNUSED.match(name):
            inside.append(name)
    return inside


def _translate_one(name: str, bodies: Mapping[str, str]) -> str:
    if head := _HEAD.fullmatch(name):
        return f"heads.{HEADS[head[1]]}.{head[2]}"
    if deconvolution := _DECONVOLUTION.fullmatch(name):
        stage, place = divmod(int(deconvolution[1]), 6)
        return f"neck.stages.{stage}.{_DOUBLING.get(place)}.{_inside_node(deconvolution[2])}"
    if merge := _MERGE.fullmatch(name):
        step = "last" if merge[1] is None else f"steps.{merge[1]}"
        return f"neck.{step}.{_PARTS[merge[2]]}.{int(merge[3]) - 1}.{_inside_node(merge[4])}"
    body = _BODY.fullmatch(name)
    return bodies.get(_canonical(body[1] if body else name), "")


def _inside_node(name: str) -> str:
    return name.replace("conv_offset_mask.", "offset_conv.").replace("actf.0.", "norm.")


def _canonical(name: str) -> str:
    """A backbone's name without our prefixes; timm writes ``stages_0`` for ``stages.0`` when it returns features."""
    return name.removeprefix("backbone.").removeprefix("body.").replace(".", "_")
