"""What the network cannot say of a cell, the memory says: no finite score hides a box that cannot be read."""

import math

import pytest
import torch
import toy
from torch.testing import assert_close

from heatprop import HeadMaps, HeatmapPropagator, two_pass

SHAPE = (1, 1, 12, 16)
CELL = (0, 0, 5, 7)


BROKEN = [
    (head, channel, value)
    for head in ("offset", "size")
    for channel in (0, 1)
    for value in (math.nan, math.inf, -math.inf, 3e38, -3e38)
] + [("size", 0, -1.0), ("size", 1, -0.25)]


def broken_frame(head, channel, value, *, score=0.9):
    heatmap, offset, size = toy.one_spot(score)
    {"offset": offset, "size": size}[head][0, channel, 5, 7] = value
    return heatmap, offset, size


@pytest.mark.parametrize(
    ("head", "channel", "value", "options"),
    [(*broken, "paper") for broken in BROKEN]
    + [(*broken, one) for broken in BROKEN[::4] for one in ("network", "steady")],
)
def test_a_cell_whose_box_cannot_be_read_is_bridged_by_the_memory(head, channel, value, options):
    carry = {"carry": "network"} if options == "network" else {}
    make = HeatmapPropagator.steady if options == "steady" else lambda: HeatmapPropagator(**carry)
    broken, blank = make(), make()
    for propagator in (broken, blank):
        for _ in range(3):
            propagator(*toy.one_spot(0.9))
    found = broken(*broken_frame(head, channel, value)).detections
    expected = blank(*(torch.zeros_like(field) for field in toy.one_spot())).detections
    assert found.carried[0, 0]
    assert found.network_scores[0, 0] == 0
    assert_close(found, expected, rtol=0, atol=0)
    assert_close(broken.state, blank.state, rtol=0, atol=0)


@pytest.mark.parametrize(("head", "channel", "value"), BROKEN)
def test_the_returned_heatmap_is_0_where_the_box_cannot_be_read(head, channel, value):
    heatmap, offset, size = broken_frame(head, channel, value)
    heatmap[0, 0, 1, 1] = 0.3
    returned = HeatmapPropagator()(heatmap, offset, size).heatmap
    expected = torch.zeros(SHAPE)
    expected[0, 0, 1, 1] = 0.3
    assert torch.equal(returned, expected)


def test_the_dense_size_is_the_pasts_where_the_box_cannot_be_read():
    propagator = HeatmapPropagator()
    propagator(*toy.one_spot(0.9))
    heatmap, offset, size = broken_frame("offset", 0, math.nan)
    size[0, :, 5, 7] = 9.0
    assert propagator(heatmap, offset, size).size_map()[0, 0, :, 5, 7].tolist() == [4.0, 4.0]


def test_two_passes_bridge_it_too():
    frames = [HeadMaps(*toy.one_spot(0.9)), HeadMaps(*broken_frame("size", 0, math.inf)), HeadMaps(*toy.one_spot(0.9))]
    found = [one.unpad()[0] for one in two_pass(frames, HeatmapPropagator())]
    assert [len(one["boxes"]) for one in found] == [1, 1, 1]
    assert found[1]["carried"].tolist() == [True]


def test_float16_sizes_that_overflow_are_bridged():
    propagator = HeatmapPropagator()
    propagator(*(field.half() for field in toy.one_spot(0.9)))
    heatmap, offset, size = (field.half() for field in toy.one_spot(0.9))
    size[0, :, 5, 7] = torch.tensor(12.0).exp().half()  # 162,755 does not fit
    assert size[0, 0, 5, 7].isinf()
    assert propagator(heatmap, offset, size).detections.carried[0, 0]


@pytest.mark.parametrize(("score", "counts"), [(1e30, 1.0), (9.69, 1.0), (-0.5, 0.0), (-1e30, 0.0)])
def test_scores_outside_0_to_1_are_clamped(score, counts):
    output = HeatmapPropagator(score_threshold=0.0)(*toy.one_spot(score))
    assert output.heatmap[CELL] == counts
    assert output.detections.scores.max() == counts
    assert output.detections.network_scores.max() == counts


def test_scores_in_range_keep_their_bits():
    heatmap = torch.rand(SHAPE)
    heatmap[0, 0, 0, :4] = torch.tensor([0.0, 1.0, 1e-45, 1 - 2**-24])
    returned = HeatmapPropagator()(heatmap, torch.rand(1, 2, 12, 16), torch.rand(1, 2, 12, 16)).heatmap
    assert torch.equal(returned, heatmap)
