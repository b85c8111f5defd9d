"""Files of networks that are not built here: refused with what they hold and advice that can be followed."""

import functools
import re

import pytest
import torch

from heatprop.centernet import CenterNet, load_checkpoint

CLASSES = 7
PLACES = {"conv": 0, "conv_norm": 1, "up": 3, "up_norm": 4}
HEADS = {"heatmap": "hm", "offset": "reg", "size": "wh"}


@pytest.fixture(scope="module")
def model():
    return CenterNet(CLASSES, backbone="resnet18")


def resdcn_18():
    return dict(resdcn_18_items())


@functools.cache
def resdcn_18_items():
    """Names of `resnet_dcn.py`, turned back from ours by the table of its layers; random weights."""
    state = {}
    for name, value in CenterNet(CLASSES, backbone="resnet18").state_dict().items():
        part, rest = name.split(".", 1)
        if part == "neck":
            _, stage, layer, rest = rest.split(".", 3)
            rest = f"deconv_layers.{6 * int(stage) + PLACES[layer]}.{rest.replace('offset_conv', 'conv_offset_mask')}"
        if part == "heads":
            head, rest = rest.split(".", 1)
            rest = f"{HEADS[head]}.{rest}"
        state[rest] = torch.rand_like(value) if value.is_floating_point() else value
    return state.items()


def heads(inner=64, *, names=("hm", "wh", "reg")):
    channels = {"hm": CLASSES, "wh": 2, "reg": 2}
    found = {}
    for name in names:
        found |= {f"{name}.0.weight": torch.zeros(inner, 64, 3, 3), f"{name}.0.bias": torch.zeros(inner)}
        found |= {f"{name}.2.weight": torch.zeros(channels[name], inner, 1, 1)}
        found |= {f"{name}.2.bias": torch.zeros(channels[name])}
    return found


def res_18():
    """`msra_resnet.py`: three transposed convolutions of 256 channels, each with norm and ReLU."""
    state = {name: value for name, value in resdcn_18().items() if not name.startswith("deconv_layers.")}
    for place, incoming in ((0, 512), (3, 256), (6, 256)):
        state[f"deconv_layers.{place}.weight"] = torch.zeros(incoming, 256, 4, 4)
        state[f"deconv_layers.{place + 1}.weight"] = torch.zeros(256)
    return state


def hourglass():
    """`large_hourglass.py`: stacks under ``kps``, a head per stack."""
    state = {"pre.0.conv.weight": torch.zeros(128, 3, 7, 7), "kps.0.up1.0.conv1.weight": torch.zeros(256, 256, 3, 3)}
    for stack in (0, 1):
        state |= {f"hm.{stack}.0.conv.weight": torch.zeros(256, 256, 3, 3)}
        state |= {f"hm.{stack}.1.weight": torch.zeros(CLASSES, 256, 1, 1), f"hm.{stack}.1.bias": torch.zeros(CLASSES)}
    return state


def dlav0_34():
    """`dlav0.py`: nodes are plain sequences, and there is no ``ida_up``."""
    return heads(256) | {
        "base.base_layer.0.weight": torch.zeros(16, 3, 7, 7),
        "dla_up.ida_0.proj_1.0.weight": torch.zeros(256, 512, 1, 1),
        "dla_up.ida_0.node_1.0.weight": torch.zeros(256, 512, 3, 3),
    }


def centertrack_dla_conv():
    """CenterTrack's `dla.py` with ``--dla_node conv``."""
    return heads(256) | {
        "tracking.0.weight": torch.zeros(256, 64, 3, 3),
        "base.base_layer.0.weight": torch.zeros(16, 3, 7, 7),
        "dla_up.ida_0.proj_1.conv.0.weight": torch.zeros(256, 512, 1, 1),
        "ida_up.node_1.conv.0.weight": torch.zeros(64, 64, 1, 1),
    }


def wide_neck():
    state = resdcn_18()
    state["deconv_layers.6.weight"] = torch.zeros(256, 256, 3, 3)
    return state | {"tracking.0.weight": torch.zeros(256, 256, 3, 3)}


def without(prefix):
    return {name: value for name, value in resdcn_18().items() if not name.startswith(prefix)}


def refused(tmp_path, model, state, **options):
    """The text; a refusal leaves the model as it was."""
    torch.save({"epoch": 140, "state_dict": state}, tmp_path / "weights.pth")
    before = {name: value.clone() for name, value in model.state_dict().items()}
    with pytest.raises(ValueError, match=r"weights\.pth does not fit") as caught:
        load_checkpoint(model, tmp_path / "weights.pth", **options)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    return str(caught.value)


def test_the_names_here_are_those_that_load(tmp_path, model):
    torch.save({"state_dict": resdcn_18()}, tmp_path / "weights.pth")
    assert load_checkpoint(model, tmp_path / "weights.pth").left_out == ()


@pytest.mark.parametrize(
    ("make", "network", "take"),
    [
        (hourglass, r"the stacked hourglass \(hourglass\)", "resdcn_18, resdcn_101, dla_34"),
        (res_18, r"a ResNet without deformable convolutions \(res_18, res_101\)", "resdcn_18"),
        (dlav0_34, r"DLA with ordinary convolutions \(dlav0_34\)", "resdcn_18"),
        (centertrack_dla_conv, r"DLA with other nodes \(dla_34 with --dla_node conv or gcn\)", "dla_34"),
        (wide_neck, r"a ResNet with 256 channels in all of its neck \(resdcn_18 with --head_conv 256\)", "dla_34"),
    ],
)
@pytest.mark.parametrize("with_heads", [True, False])
def test_other_networks_are_named_with_advice_that_can_be_followed(tmp_path, model, make, network, take, with_heads):
    text = refused(tmp_path, model, make(), heads=with_heads)
    assert re.search(f"it holds {network}, which is not built here", text)
    assert re.search(rf"Take the weights of one that is \({take}", text)
    assert re.search(r"in its own code and read its output with heatprop\.adapters\.center(net|track)$", text)
    assert "make the model with" not in text


def test_sizes_per_class_are_named_and_the_rest_loads_without_heads(tmp_path, model):
    state = resdcn_18()
    state |= {"wh.2.weight": torch.zeros(2 * CLASSES, 64, 1, 1), "wh.2.bias": torch.zeros(2 * CLASSES)}
    text = refused(tmp_path, model, state)
    assert "it has a size for each of its 7 classes (--cat_spec_wh), ours has one per cell" in text
    assert "heads=False" in text
    load_checkpoint(model, tmp_path / "weights.pth", heads=False)
    assert torch.equal(model.state_dict()["neck.stages.2.up.weight"], state["deconv_layers.15.weight"])


def test_heads_of_one_convolution_are_named(tmp_path, model):
    state = without(("hm.", "wh.", "reg.")) | {
        "hm.weight": torch.zeros(7, 64, 1, 1),
        "wh.weight": torch.zeros(2, 64, 1, 1),
    }
    assert "its heads are single convolutions (--head_conv 0), ours have two; leave" in refused(tmp_path, model, state)
    load_checkpoint(model, tmp_path / "weights.pth", heads=False)


def test_a_file_without_offset_can_be_loaded_without_heads(tmp_path, model):
    """Trained with ``--not_reg_offset``."""
    text = refused(tmp_path, model, without("reg."))
    assert "lacks 4 of the model's weights: heads.offset.0.weight" in text
    assert text.endswith(". leave the heads out with heads=False")
    load_checkpoint(model, tmp_path / "weights.pth", heads=False)


@pytest.mark.parametrize("shape", [(), (2, 9), (9,)])
def test_heads_of_odd_shapes_end_in_the_same_error(tmp_path, model, shape):
    for name in ("wh.2.bias", "hm.2.bias", "wh.0.weight", "deconv_layers.0.conv_offset_mask.bias"):
        text = refused(tmp_path, model, resdcn_18() | {name: torch.zeros(shape)})
        assert f"({name} in the file) has shape {shape} in the file and" in text


# --- CenterTrack's box ------------------------------------------------------------------------------------------------


def with_sides(box="ltrb_amodal"):
    return resdcn_18() | {
        "tracking.0.weight": torch.zeros(64, 64, 3, 3),
        f"{box}.0.weight": torch.randn(64, 64, 3, 3) / 20,
        f"{box}.0.bias": torch.randn(64),
        f"{box}.2.weight": torch.randn(4, 64, 1, 1),
        f"{box}.2.bias": torch.randn(4),
    }


@pytest.mark.parametrize("box", ["ltrb", "ltrb_amodal"])
def test_offset_and_size_can_give_the_box_that_centertrack_reports(tmp_path, model, box):
    """Against the head itself on the neck's map: cell + (left, top, right, bottom)."""
    state = with_sides(box)
    torch.save({"state_dict": state}, tmp_path / "weights.pth")
    report = load_checkpoint(model, tmp_path / "weights.pth", box=box)
    assert report.source == "CenterTrack"
    assert report.left_out == ("tracking.0.weight",)
    features = torch.randn(1, 64, 8, 12)
    hidden = torch.conv2d(features, state[f"{box}.0.weight"], state[f"{box}.0.bias"], padding=1).relu()
    sides = torch.conv2d(hidden, state[f"{box}.2.weight"], state[f"{box}.2.bias"])
    with torch.inference_mode():
        _, offset, size = model.heads(features)
    torch.testing.assert_close(torch.cat([offset - size / 2, offset + size / 2], dim=1), sides, atol=1e-4, rtol=1e-4)


def test_a_box_that_the_file_has_not_is_refused(tmp_path, model):
    text = refused(tmp_path, model, resdcn_18(), box="ltrb_amodal")
    assert 'box="ltrb_amodal" needs a head ltrb_amodal of two convolutions and four channels in the file' in text
    with pytest.raises(ValueError, match=r'box must be "wh", "ltrb" or "ltrb_amodal", got \'amodal\''):
        load_checkpoint(model, tmp_path / "weights.pth", box="amodal")
