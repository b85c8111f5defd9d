"""Deformable convolution against torchvision's compiled operator: values and gradients."""

import pytest
import torch
from torchvision.ops import deform_conv2d

from heatprop.centernet import CenterNet, DeformableConv2d, deformable_conv2d


def case(batch=2, channels=8, out=6, side=(7, 9), kernel=(3, 3), groups=1, offset_groups=1, spread=2.0, **geometry):
    """Random tensors in float64 that fit together; some taps lie outside the map."""
    stride, padding, dilation = (
        geometry.get(name, default) for name, default in (("stride", 1), ("padding", 0), ("dilation", 1))
    )
    size = [(s + 2 * padding - dilation * (k - 1) - 1) // stride + 1 for s, k in zip(side, kernel, strict=True)]
    taps = offset_groups * kernel[0] * kernel[1]
    tensors = {
        "features": torch.randn(batch, channels, *side),
        "offset": torch.randn(batch, 2 * taps, *size) * spread,
        "weight": torch.randn(out, channels // groups, *kernel),
        "bias": torch.randn(out),
        "mask": torch.rand(batch, taps, *size),
    }
    return {name: value.double() for name, value in tensors.items()}, geometry


CASES = [
    {"padding": 1},
    {"padding": 1, "spread": 10.0},
    {"padding": 1, "spread": 0.0},
    {"padding": 2, "dilation": 2},
    {"stride": 2, "padding": 1, "side": (8, 12)},
    {"kernel": (1, 1)},
    {"kernel": (5, 3), "padding": 2},
    {"padding": 1, "offset_groups": 4},
    {"padding": 1, "groups": 2},
    {"padding": 1, "groups": 2, "offset_groups": 4},
    {"padding": 1, "side": (1, 1)},
    {"padding": 1, "side": (1, 6)},
    {"padding": 1, "out": 32},
]


def both(tensors, geometry, *, version):
    features, offset, weight, bias, mask = tensors.values()
    mask = mask if version == "v2" else None
    ours = deformable_conv2d(features, offset, weight, bias, mask=mask, **geometry)
    return ours, deform_conv2d(features, offset, weight, bias, mask=mask, **geometry)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_it_equals_torchvision_in_float64(options, version):
    torch.testing.assert_close(*both(*case(**options), version=version), atol=1e-10, rtol=1e-10)


@pytest.mark.parametrize("options", CASES[:5], ids=str)
def test_it_equals_torchvision_in_float32(options):
    tensors, geometry = case(**options)
    tensors = {name: value.float() for name, value in tensors.items()}
    torch.testing.assert_close(*both(tensors, geometry, version="v2"), atol=5e-5, rtol=1e-4)


@pytest.mark.parametrize("options", [CASES[0], CASES[3], CASES[4], CASES[9]], ids=str)
def test_its_gradients_are_torchvisions(options):
    tensors, geometry = case(**options)
    gradients = []
    for pick in (0, 1):
        leaves = {name: value.clone().requires_grad_() for name, value in tensors.items()}
        result = both(leaves, geometry, version="v2")[pick]
        gradients.append(
            torch.autograd.grad(
                (result * torch.linspace(-1, 1, result.numel()).view_as(result)).sum(), [*leaves.values()]
            )
        )
    for ours, expected in zip(*gradients, strict=True):
        torch.testing.assert_close(ours, expected, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_two_operators_of_the_layer_agree(version):
    torch_layer = DeformableConv2d(8, 4, version=version)
    torch.nn.init.normal_(torch_layer.offset_conv.weight, std=0.2)
    compiled = DeformableConv2d(8, 4, version=version, operator="torchvision")
    compiled.load_state_dict(torch_layer.state_dict())
    features = torch.randn(2, 8, 12, 10)
    torch.testing.assert_close(torch_layer(features), compiled(features), atol=1e-5, rtol=1e-4)


def test_the_two_operators_of_the_model_agree():
    ours = CenterNet(3, backbone="resnet18").eval()
    for stage in ours.neck.stages:
        torch.nn.init.normal_(stage.conv.offset_conv.weight, std=0.02)
    compiled = CenterNet(3, backbone="resnet18", operator="torchvision").eval()
    compiled.load_state_dict(ours.state_dict())
    images = torch.randn(1, 3, 64, 64)
    with torch.inference_mode():
        for mine, expected in zip(ours(images)[:3], compiled(images)[:3], strict=True):
            torch.testing.assert_close(mine, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("operator", ["torch", "torchvision"])
def test_the_model_compiles_to_one_graph_with_either(operator, backend):
    model, images = CenterNet(5, backbone="resnet18", operator=operator).eval(), torch.randn(1, 3, 64, 64)
    compiled = torch.compile(model, backend=backend, fullgraph=True)
    with torch.no_grad():
        for ours, expected in zip(compiled(images)[:3], model(images)[:3], strict=True):
            torch.testing.assert_close(ours, expected)
    assert backend.graphs == 1
