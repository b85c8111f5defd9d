"""CenterNet as a whole: shapes, modes, dtypes, compile, export, and what it refuses."""

import sys

import pytest
import torch

from heatprop import HeadMaps, HeatmapPropagator
from heatprop.centernet import CenterNet


@pytest.fixture(scope="module")
def model():
    return moving(CenterNet(5, backbone="resnet18")).eval()


def moving(model):
    """Give the deformable convolutions moves and the norms statistics, which are all zero and one at first."""
    with torch.no_grad():
        for name, value in model.state_dict().items():
            if "offset_conv.weight" in name:
                value.normal_(0, 0.02)
            elif "offset_conv.bias" in name:
                value.normal_(0, 0.5)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.1)
    return model


@pytest.mark.parametrize("shape", [(1, 128, 128), (2, 64, 96)])
def test_the_maps_are_a_quarter_of_the_image(model, shape):
    batch, height, width = shape
    with torch.inference_mode():
        maps = model(torch.randn(batch, 3, height, width))
    assert isinstance(maps, HeadMaps)
    assert maps.heatmap.shape == (batch, 5, height // 4, width // 4)
    assert maps.offset.shape == maps.size.shape == (batch, 2, height // 4, width // 4)
    assert maps.extras is None


def test_training_mode_adds_the_logits():
    maps = CenterNet(5, backbone="resnet18").train()(torch.randn(2, 3, 64, 64))
    assert set(maps.extras) == {"logits"}
    torch.testing.assert_close(maps.heatmap, 1 / (1 + torch.exp(-maps.extras["logits"])))


def test_the_first_scores_are_about_a_tenth(model):
    """CenterNet's bias of -2.19 is the logarithm of 0.1 / 0.9; a random head adds a little."""
    with torch.inference_mode():
        heatmap = model(torch.randn(1, 3, 64, 64)).heatmap
    assert 0.03 < heatmap.mean() < 0.3


def test_an_image_gives_the_same_maps_alone_and_in_a_batch(model):
    images = torch.randn(3, 3, 64, 64)
    with torch.inference_mode():
        together, alone = model(images), model(images[1:2])
    for ours, expected in zip(together[:3], alone[:3], strict=True):
        torch.testing.assert_close(ours[1:2], expected, atol=1e-5, rtol=1e-5)


def test_the_propagator_takes_the_maps(model):
    with torch.inference_mode():
        maps = model(torch.randn(1, 3, 64, 64))
        output = HeatmapPropagator()(*maps[:3])
    assert output.heatmap.shape == maps.heatmap.shape


@pytest.mark.parametrize(
    ("backbone", "parameters"),
    [("resnet18", 14_434_099), ("resnet101", 49_673_189)],
)
def test_the_number_of_parameters_is_the_originals(backbone, parameters):
    """PROTOCOL.md: 49.7 M for ResNet-101; both counted on CenterNet's own modules with 30 and 80 classes."""
    with torch.device("meta"):
        model = CenterNet(30 if backbone == "resnet18" else 80, backbone=backbone)
    assert sum(parameter.numel() for parameter in model.parameters()) == parameters


@pytest.mark.parametrize("depth", [18, 34, 152])
def test_every_resnet_ends_at_stride_32(depth):
    with torch.device("meta"):
        maps = CenterNet(3, backbone=f"resnet{depth}", deformable="none")(torch.empty(1, 3, 512, 512))
    assert maps.heatmap.shape == (1, 3, 128, 128)


@pytest.mark.parametrize("deformable", ["v1", "none"])
def test_the_other_convolutions_give_maps_of_the_same_shape(deformable):
    model = CenterNet(5, backbone="resnet18", deformable=deformable).eval()
    with torch.inference_mode():
        assert model(torch.randn(1, 3, 64, 64)).heatmap.shape == (1, 5, 16, 16)


def test_every_parameter_gets_a_gradient():
    model = CenterNet(5, backbone="resnet18").train()
    maps = model(torch.randn(2, 3, 64, 64))
    (maps.extras["logits"].square().mean() + maps.offset.square().mean() + maps.size.square().mean()).backward()
    without = [name for name, parameter in model.named_parameters() if not parameter.grad.abs().sum() > 0]
    assert without == []


def test_bfloat16_autocast_stays_near_float32_and_returns_float32(model):
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        expected = model(images)
        with torch.autocast("cpu", dtype=torch.bfloat16):
            maps = model(images)
    for ours, wanted in zip(maps[:3], expected[:3], strict=True):
        assert ours.dtype == torch.float32
        assert (ours - wanted).abs().max() < 0.05 * wanted.abs().max()


def test_float64_stays_float64(model):
    wide = CenterNet(5, backbone="resnet18").double().eval()
    wide.load_state_dict(model.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        maps, expected = wide(images.double()), model(images)
    assert maps.heatmap.dtype == torch.float64
    torch.testing.assert_close(maps.heatmap.float(), expected.heatmap, atol=1e-5, rtol=1e-5)


def test_it_exports_for_any_batch(model):
    """Compiled to one graph it is in tests/peers, with both operators."""
    batch, images = torch.export.Dim("batch", min=1, max=64), torch.randn(2, 3, 64, 64)
    exported = torch.export.export(model, (images,), dynamic_shapes=({0: batch},)).module()
    images = torch.randn(5, 3, 64, 64)
    with torch.no_grad():
        for ours, expected in zip(exported(images)[:3], model(images)[:3], strict=True):
            torch.testing.assert_close(ours, expected)


@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        (torch.zeros(1, 3, 64, 64, dtype=torch.uint8), TypeError, "floating tensor, got torch.uint8; normalize"),
        (torch.zeros(3, 64, 64), ValueError, r"shape \(B, 3, H, W\), got \(3, 64, 64\)"),
        (torch.zeros(1, 1, 64, 64), ValueError, r"shape \(B, 3, H, W\)"),
        (torch.zeros(1, 3, 64, 100), ValueError, "multiples of 32.*pad or letterbox"),
        (torch.zeros(0, 3, 64, 64), ValueError, "multiples of 32"),
    ],
)
def test_images_of_another_kind_are_refused(model, images, error, message):
    with pytest.raises(error, match=message):
        model(images)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"num_classes": 0}, ValueError, "num_classes must be at least 1, got 0"),
        ({"num_classes": 2.5}, TypeError, "num_classes must be a whole number"),
        ({"head_channels": 0}, ValueError, "head_channels must be at least 1"),
        ({"backbone": "resnet19"}, ValueError, 'backbone must be "resnet18", .*"timm:NAME", got \'resnet19\''),
        ({"deformable": "v3"}, ValueError, 'deformable must be one of "v2", "v1", "none", got \'v3\''),
        ({"operator": "mmcv"}, ValueError, 'operator must be one of "torch", "torchvision"'),
    ],
)
def test_options_of_another_kind_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        CenterNet(**({"num_classes": 2, "backbone": "resnet18"} | options))


def test_a_missing_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    monkeypatch.setitem(sys.modules, "torchvision.ops", None)
    with pytest.raises(ModuleNotFoundError, match=r"'dla34' needs timm: pip install \"heatprop\[timm\]\""):
        CenterNet(2, backbone="dla34")
    with pytest.raises(ModuleNotFoundError, match="pip install torchvision"):
        CenterNet(2, backbone="resnet18", operator="torchvision")
