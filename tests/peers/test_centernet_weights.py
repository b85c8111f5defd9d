"""Original ResNet checkpoints: our activations against the original network written down again."""

import pytest
import torch
import torchvision
from original_networks import ResDcn, centernet_input, randomized

from heatprop.centernet import CenterNet, load_checkpoint, normalize


@pytest.fixture
def frames():
    return torch.randint(0, 256, (2, 3, 96, 128), dtype=torch.uint8)


@pytest.mark.parametrize(("depth", "classes", "prefix"), [(18, 80, ""), (18, 80, "module."), (101, 30, "")])
def test_the_original_resdcn_gives_the_same_maps(tmp_path, frames, depth, classes, prefix):
    original = randomized(ResDcn(depth, classes))
    state = {prefix + name: value for name, value in original.state_dict().items()}
    torch.save({"epoch": 140, "state_dict": state, "optimizer": {}}, tmp_path / "model.pth")
    model = CenterNet(classes, backbone=f"resnet{depth}").eval()
    report = load_checkpoint(model, tmp_path / "model.pth")
    assert (report.source, report.left_out, report.missing, report.flipped) == ("CenterNet", (), (), True)
    with torch.inference_mode():
        expected, maps = original(centernet_input(frames)), model(normalize(frames))
    assert expected["hm"].std() > 0.01
    for ours, wanted in (
        (maps.heatmap, expected["hm"].sigmoid()),
        (maps.offset, expected["reg"]),
        (maps.size, expected["wh"]),
    ):
        torch.testing.assert_close(ours, wanted, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("depth", [18, 50])
def test_torchvisions_imagenet_weights_fill_the_backbone(tmp_path, depth):
    peer = randomized(getattr(torchvision.models, f"resnet{depth}")(weights=None))
    torch.save(peer.state_dict(), tmp_path / "resnet.pth")
    model = CenterNet(5, backbone=f"resnet{depth}").eval()
    head = model.heads.heatmap[2].weight.clone()
    report = load_checkpoint(model, tmp_path / "resnet.pth")
    assert (report.source, report.left_out, report.flipped) == ("backbone", ("fc.weight", "fc.bias"), False)
    assert all(name.startswith(("neck.", "heads.")) for name in report.missing)
    assert torch.equal(model.heads.heatmap[2].weight, head)
    images = torch.randn(2, 3, 64, 96)
    with torch.inference_mode():
        expected = peer.maxpool(peer.relu(peer.bn1(peer.conv1(images))))
        expected = peer.layer4(peer.layer3(peer.layer2(peer.layer1(expected))))
        torch.testing.assert_close(model.backbone(images)[0], expected, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_the_backbones_names_and_shapes_are_torchvisions(depth):
    with torch.device("meta"):
        ours = CenterNet(2, backbone=f"resnet{depth}").backbone.state_dict()
        peer = getattr(torchvision.models, f"resnet{depth}")(weights=None).state_dict()
    expected = {name: value.shape for name, value in peer.items() if not name.startswith("fc.")}
    assert {name: value.shape for name, value in ours.items()} == expected


def test_a_deeper_network_is_refused_though_the_names_of_a_smaller_are_in_it(tmp_path):
    torch.save(torchvision.models.resnet34(weights=None).state_dict(), tmp_path / "resnet34.pth")
    with pytest.raises(ValueError, match=r"no place for 96 of the file's weights: layer1\.2\.conv1\.weight"):
        load_checkpoint(CenterNet(5, backbone="resnet18"), tmp_path / "resnet34.pth")
