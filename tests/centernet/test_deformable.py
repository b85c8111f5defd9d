"""Deformable convolution against its definition as loops; gradients, dtypes, shapes that do not fit."""

import math

import numpy as np
import pytest
import torch

from heatprop.centernet import DeformableConv2d, deformable_conv2d


def sample(plane, y, x):
    """Linear between the four cells around (y, x), zero outside the map."""
    top, left = math.floor(y), math.floor(x)
    total = 0.0
    for row in (top, top + 1):
        for column in (left, left + 1):
            if 0 <= row < plane.shape[0] and 0 <= column < plane.shape[1]:
                total += (1 - abs(y - row)) * (1 - abs(x - column)) * plane[row, column]
    return total


def by_loops(features, offset, weight, bias, mask, *, stride, padding, dilation):
    """The sum over taps and channels, for one group, tensors as numpy arrays."""
    batch, channels = features.shape[:2]
    out, _, kernel_h, kernel_w = weight.shape
    result = np.zeros((batch, out, *offset.shape[2:]))
    for b, e, i, j in np.ndindex(*result.shape):
        total = bias[e]
        for tap, (ky, kx) in enumerate(np.ndindex(kernel_h, kernel_w)):
            y = i * stride - padding + ky * dilation + offset[b, 2 * tap, i, j]
            x = j * stride - padding + kx * dilation + offset[b, 2 * tap + 1, i, j]
            for channel in range(channels):
                value = sample(features[b, channel], y, x)
                total += weight[e, channel, ky, kx] * mask[b, tap, i, j] * value
        result[b, e, i, j] = total
    return result


@pytest.mark.parametrize(
    "geometry",
    [
        {"stride": 1, "padding": 1, "dilation": 1},
        {"stride": 2, "padding": 1, "dilation": 1},
        {"stride": 1, "padding": 2, "dilation": 2},
    ],
    ids=str,
)
def test_it_is_the_sum_over_moved_taps(geometry):
    features, weight, bias = torch.randn(2, 3, 5, 6).double(), torch.randn(2, 3, 3, 3).double(), torch.randn(2).double()
    size = torch.conv2d(features, weight, None, **geometry).shape[2:]
    offset, mask = 2 * torch.randn(2, 18, *size).double(), torch.rand(2, 9, *size).double()
    ours = deformable_conv2d(features, offset, weight, bias, mask=mask, **geometry)
    expected = by_loops(*(each.numpy() for each in (features, offset, weight, bias, mask)), **geometry)
    np.testing.assert_allclose(ours.numpy(), expected, atol=1e-10)


def test_whole_moves_shift_the_map():
    """All taps one cell down and two right: what an ordinary convolution gives on the shifted map."""
    features, weight = torch.randn(1, 2, 8, 8), torch.randn(3, 2, 1, 1)
    offset = torch.tensor([1.0, 2.0])[None, :, None, None].expand(1, 2, 8, 8)
    shifted = torch.zeros_like(features)
    shifted[:, :, :-1, :-2] = features[:, :, 1:, 2:]
    ours = deformable_conv2d(features, offset, weight)
    torch.testing.assert_close(ours, torch.conv2d(shifted, weight), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_gradcheck(version):
    """In float64, at places between the cells: at a cell the slope to the left is not the one to the right."""
    features, weight, bias = torch.randn(1, 2, 4, 5), torch.randn(2, 2, 3, 3), torch.randn(2)
    offset, mask = torch.rand(1, 18, 4, 5) * 0.8 + 0.1, torch.rand(1, 9, 4, 5)
    inputs = [each.double().requires_grad_() for each in (features, offset, weight, bias, mask)]

    def convolve(features, offset, weight, bias, mask):
        return deformable_conv2d(features, offset, weight, bias, mask=mask if version == "v2" else None, padding=1)

    used = inputs if version == "v2" else inputs[:4]
    assert torch.autograd.gradcheck(lambda *each: convolve(*each, *inputs[len(each) :]), used, fast_mode=True)


def test_the_layer_begins_as_half_a_convolution():
    """Nothing moves, and the mask of version 2 is sigmoid(0)."""
    layer, features = DeformableConv2d(4, 3), torch.randn(2, 4, 6, 7)
    expected = torch.conv2d(features, layer.weight, padding=1) / 2 + layer.bias[:, None, None]
    torch.testing.assert_close(layer(features), expected, atol=1e-5, rtol=1e-5)


def test_the_layer_shows_its_options():
    assert repr(DeformableConv2d(4, 3, version="v1")).startswith("DeformableConv2d(\n  4, 3, version='v1', operator=")


def test_positions_stay_exact_in_bfloat16():
    """At cell 200 bfloat16 has steps of 1: positions in it would lose the half cell."""
    features = torch.arange(256.0).expand(1, 1, 1, 256).contiguous()
    offset = torch.tensor([0.0, 0.5])[None, :, None, None].expand(1, 2, 1, 256)
    ours = deformable_conv2d(features.bfloat16(), offset.bfloat16(), torch.ones(1, 1, 1, 1).bfloat16())
    assert ours.dtype == torch.bfloat16
    assert torch.equal(ours[0, 0, 0, 100:128].float(), torch.arange(100.5, 128.5).bfloat16().float())


def test_autocast_stays_near_float32():
    layer, features = DeformableConv2d(16, 8), torch.randn(1, 16, 12, 12)
    torch.nn.init.normal_(layer.offset_conv.weight, std=0.1)
    expected = layer(features)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ours = layer(features)
    assert ours.dtype == torch.bfloat16
    assert (ours - expected).abs().mean() < 0.03 * expected.abs().mean() + 0.01


def test_gradients_pass_through_the_layer_in_bfloat16_autocast():
    layer = DeformableConv2d(4, 4)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        result = layer(torch.randn(1, 4, 8, 8))
    result.float().square().sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in layer.parameters())
    assert layer.offset_conv.weight.grad.abs().sum() > 0


def test_it_runs_on_meta_tensors():
    features, offset, weight = (
        torch.empty(*shape, device="meta") for shape in ((1, 4, 6, 6), (1, 18, 6, 6), (2, 4, 3, 3))
    )
    assert deformable_conv2d(features, offset, weight, padding=1).shape == (1, 2, 6, 6)


def test_it_compiles_to_one_graph():
    layer, features = DeformableConv2d(4, 3), torch.randn(1, 4, 8, 8)
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    torch.testing.assert_close(compiled(features), layer(features))


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        ({"features": (4, 6, 6)}, r"features must have shape \(B, D, H, W\)"),
        ({"weight": (2, 3, 3, 3)}, "does not divide the 4 channels"),
        (
            {"offset": (1, 9, 6, 6)},
            r"offset must have shape \(1, 2 \* G \* 9, 6, 6\) with G a divisor of 4, got \(1, 9",
        ),
        ({"offset": (1, 18, 5, 6)}, "offset must have shape"),
        ({"offset": (1, 54, 6, 6)}, "offset must have shape"),
        ({"mask": (1, 18, 6, 6)}, r"mask must have shape \(1, 9, 6, 6\), got \(1, 18, 6, 6\)"),
    ],
)
def test_shapes_that_do_not_fit_are_refused(shapes, message):
    fitting = {"features": (1, 4, 6, 6), "offset": (1, 18, 6, 6), "weight": (2, 4, 3, 3), "mask": (1, 9, 6, 6)}
    features, offset, weight, mask = (torch.zeros(shape) for shape in (fitting | shapes).values())
    with pytest.raises(ValueError, match=message):
        deformable_conv2d(features, offset, weight, mask=mask, padding=1)
