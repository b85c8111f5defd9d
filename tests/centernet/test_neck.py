"""The necks: shapes, and the interpolation they start from."""

import pytest
import torch
from torch.nn.functional import interpolate

from heatprop.centernet.neck import AggregationNeck, DeconvolutionNeck


def test_the_deconvolutions_start_as_linear_interpolation():
    """Away from the border, where torch's interpolation repeats the edge and a transposed convolution adds zeros."""
    features = torch.randn(1, 128, 6, 7)
    ours = DeconvolutionNeck(512).stages[1].up(features)
    expected = interpolate(features, scale_factor=2, mode="bilinear", align_corners=False)
    torch.testing.assert_close(ours[..., 1:-1, 1:-1], expected[..., 1:-1, 1:-1], atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize(("place", "factor"), [(0, 2), (1, 4)])
def test_the_aggregations_interpolations_do_too(place, factor):
    up = AggregationNeck((64, 128, 256, 512)).last.up[place]
    features = torch.randn(1, 64, 5, 5)
    expected = interpolate(features, scale_factor=factor, mode="bilinear", align_corners=False)
    inside = slice(factor // 2, -factor // 2)
    torch.testing.assert_close(up(features)[..., inside, inside], expected[..., inside, inside], atol=1e-5, rtol=1e-5)


def test_the_aggregation_ends_at_the_finest_level_and_leaves_its_input():
    neck = AggregationNeck((4, 8, 16, 32), version="none").eval()
    levels = [torch.randn(1, 4 * 2**i, 32 // 2**i, 48 // 2**i) for i in range(4)]
    copies = [level.clone() for level in levels]
    assert neck(levels).shape == (1, 4, 32, 48)
    assert all(torch.equal(level, copy) for level, copy in zip(levels, copies, strict=True))
