"""Recognise networks of the original repositories that are not built here, by their weights' names and shapes."""

import re
from collections.abc import Mapping

from torch import Tensor

_DLA_V0 = re.compile(r"dla_up\.ida_\d+\.(?:proj|node)_\d+\.\d+\.")
_DLA_PLAIN = re.compile(r"(?:dla_up\.ida_\d+|ida_up)\.(?:proj|node)_\d+\.(?:conv\.0|gcl|gcr)\.")
_ELSEWHERE = (
    "Take the weights of one that is ({}), or run that network in its own code and read its output with "
    "heatprop.adapters.{}"
)
_WITHOUT_HEADS = (
    "leave the heads out with heads=False, or run that network in its own code and read its output with "
    "heatprop.adapters"
)


def describe_foreign(weights: Mapping[str, Tensor], source: str, *, heads: bool) -> str | None:
    """Say why no model of ours takes these weights, and what to do.

    Args:
        weights: Tensors by their names in the file.
        source: ``"CenterNet"`` or ``"CenterTrack"``; any other source gives ``None``.
        heads: Whether the heads are wanted.

    Returns:
        A sentence with advice; ``None`` if a model may take them.
    """
    if source not in ("CenterNet", "CenterTrack"):
        return None
    network = _find_network(weights)
    if network is not None:
        take = "resdcn_18, resdcn_101, dla_34" if source == "CenterNet" else "dla_34"
        return f"it holds {network}, which is not built here. {_ELSEWHERE.format(take, source.lower())}"
    fault = _find_head(weights) if heads else None
    return None if fault is None else f"{fault}; {_WITHOUT_HEADS}"


def _find_network(weights: Mapping[str, Tensor]) -> str | None:
    """Name the network that we have no place for."""
    if any(name.startswith("kps.") for name in weights):
        return "the stacked hourglass (hourglass)"
    if "deconv_layers.0.weight" in weights and not any(name.startswith("deconv_layers.9.") for name in weights):
        return "a ResNet without deformable convolutions (res_18, res_101)"
    second = weights.get("deconv_layers.6.weight")
    if second is not None and second.shape[:1] == (256,):
        return "a ResNet with 256 channels in all of its neck (resdcn_18 with --head_conv 256)"
    if any(_DLA_V0.match(name) for name in weights):
        return "DLA with ordinary convolutions (dlav0_34)"
    if any(_DLA_PLAIN.search(name) for name in weights):
        return "DLA with other nodes (dla_34 with --dla_node conv or gcn)"
    return None


def _find_head(weights: Mapping[str, Tensor]) -> str | None:
    """Name the head that we have no place for."""
    if "hm.weight" in weights:
        return "its heads are single convolutions (--head_conv 0), ours have two"
    deeper = [name for name in weights if re.fullmatch(r"(?:hm|wh|reg)\.[4-9]\.weight", name)]
    if deeper:
        return f"its heads have more than two convolutions ({', '.join(deeper[:3])}), ours have two"
    size, heatmap = weights.get("wh.2.weight"), weights.get("hm.2.weight")
    if size is not None and heatmap is not None and size.shape[0] == 2 * heatmap.shape[0] != 2:
        return f"it has a size for each of its {heatmap.shape[0]} classes (--cat_spec_wh), ours has one per cell"
    return None
