"""DLA-34 and other backbones by timm, and the checkpoints that fit them."""

import pytest
import timm
import torch
from original_networks import DlaSeg, centernet_input, randomized
from safetensors.torch import save_file

from heatprop.centernet import CenterNet, load_checkpoint, normalize

UNUSED = {
    f"base.level{level}.project.{part}"
    for level in (3, 4)
    for part in (*("0.weight", "1.weight", "1.bias", "1.running_mean", "1.running_var", "1.num_batches_tracked"),)
}  # the 12 names that PROTOCOL.md counts
FC = {"base.fc.weight", "base.fc.bias"}


@pytest.fixture
def frames():
    return torch.randint(0, 256, (1, 3, 64, 96), dtype=torch.uint8)


def assert_same_maps(model, original, frames):
    with torch.inference_mode():
        expected, maps = original(centernet_input(frames)), model(normalize(frames))
    assert expected["hm"].std() > 0.01
    for ours, wanted in (
        (maps.heatmap, expected["hm"].sigmoid()),
        (maps.offset, expected["reg"]),
        (maps.size, expected["wh"]),
    ):
        torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)


@pytest.fixture
def dla():
    return CenterNet(80, backbone="dla34", head_channels=256).eval()


def test_the_original_dla_34_gives_the_same_maps(tmp_path, frames, dla):
    original = randomized(DlaSeg(80))
    torch.save({"epoch": 230, "state_dict": original.state_dict()}, tmp_path / "ctdet_coco_dla_2x.pth")
    report = load_checkpoint(dla, tmp_path / "ctdet_coco_dla_2x.pth")
    assert (report.source, report.missing, report.flipped) == ("CenterNet", (), True)
    assert set(report.left_out) == UNUSED | FC
    assert_same_maps(dla, original, frames)


def test_centertracks_detection_part_gives_the_same_maps(tmp_path, frames, dla):
    original = randomized(DlaSeg(80, tracking=True))
    state = {f"module.{name}": value for name, value in original.state_dict().items()}
    torch.save({"epoch": 70, "state_dict": state}, tmp_path / "coco_tracking.pth")
    report = load_checkpoint(dla, tmp_path / "coco_tracking.pth")
    assert (report.source, report.missing) == ("CenterTrack", ())
    others = set(report.left_out) - UNUSED - FC
    assert {name.split(".")[0] for name in others} == {"base", "tracking", "ltrb_amodal"}
    assert {name.split(".")[1] for name in others if name.startswith("base.")} == {"pre_img_layer", "pre_hm_layer"}
    assert_same_maps(dla, original, frames)


def test_centertracks_generic_network_has_other_prefixes(tmp_path, frames, dla):
    """`generic_network.py` calls the parts `backbone` and `neck`."""
    original = randomized(DlaSeg(80, tracking=True))
    swaps = (("base.", "backbone."), ("dla_up.", "neck.dla_up."), ("ida_up.", "neck.ida_up."))
    state = {}
    for name, value in original.state_dict().items():
        new = next((there + name.removeprefix(here) for here, there in swaps if name.startswith(here)), name)
        state[new] = value
    torch.save({"state_dict": state}, tmp_path / "generic.pth")
    assert load_checkpoint(dla, tmp_path / "generic.pth").missing == ()
    assert_same_maps(dla, original, frames)


def test_dla_34_has_the_originals_parameters_but_the_unused(dla):
    original = DlaSeg(80)
    unused = sum(value.numel() for name, value in original.named_parameters() if name in UNUSED | FC)
    ours = sum(parameter.numel() for parameter in dla.parameters())
    assert ours == sum(parameter.numel() for parameter in original.parameters()) - unused
    assert 19.5e6 < ours < 20.5e6


def test_timms_dla_34_weights_fill_the_backbone(tmp_path, dla):
    peer = timm.create_model("dla34", pretrained=False).eval()
    torch.save(peer.state_dict(), tmp_path / "dla34.pth")
    report = load_checkpoint(dla, tmp_path / "dla34.pth")
    assert (report.source, report.left_out, report.flipped) == ("backbone", ("fc.weight", "fc.bias"), False)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        torch.testing.assert_close(dla.backbone(images)[-1], peer.forward_features(images))


NETWORKS = ("resnet18", "convnext_atto", "efficientnet_b0", "mobilenetv3_small_100", "regnetx_002", "densenet121")


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_of_timm_takes_its_imagenet_weights(tmp_path, name):
    peer = timm.create_model(name, pretrained=False).eval()
    save_file(peer.state_dict(), tmp_path / "model.safetensors")
    model = CenterNet(4, backbone=f"timm:{name}").eval()
    report = load_checkpoint(model, tmp_path / "model.safetensors")
    assert all(not missing.startswith("backbone.") for missing in report.missing)
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        assert model(images).heatmap.shape == (1, 4, 16, 16)
        features = timm.create_model(name, pretrained=False, features_only=True).eval()
        load = {key.replace(".", "_"): value for key, value in peer.state_dict().items()}
        features.load_state_dict({key: load[key.replace(".", "_")] for key in features.state_dict()})
        torch.testing.assert_close(model.backbone(images)[0], features(images)[-1])


def test_channels_last_networks_are_turned():
    model = CenterNet(4, backbone="timm:swin_s3_tiny_224").eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 224, 224)).heatmap.shape == (1, 4, 56, 56)


def test_other_networks_are_refused():
    with pytest.raises(ValueError, match="timm has no network 'resnet0'"):
        CenterNet(2, backbone="timm:resnet0")
    with pytest.raises(ValueError, match=r"maps of strides \[32\] from vit_tiny.*strides \[16\]; take another"):
        CenterNet(2, backbone="timm:vit_tiny_patch16_224")


def test_the_number_of_head_channels_is_named(tmp_path):
    torch.save(DlaSeg(80).state_dict(), tmp_path / "dla.pth")
    with pytest.raises(
        ValueError, match=r"hm\.0\.weight in the file.*\(256, 64, 3, 3\).*\(64, 64, 3, 3\).*head_channels=256"
    ):
        load_checkpoint(CenterNet(80, backbone="dla34"), tmp_path / "dla.pth")


def test_a_broken_file_of_safetensors_is_named(tmp_path, dla):
    (tmp_path / "half.safetensors").write_bytes(b"\x10\x00")
    with pytest.raises(ValueError, match=r"half\.safetensors is not a complete safetensors file"):
        load_checkpoint(dla, tmp_path / "half.safetensors")
