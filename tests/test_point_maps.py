"""`adapters.points` against plain loops: pooling, scaling, merging, devices, and refusals."""

import logging
import math
import pickle

import numpy as np
import pytest
import torch
from devices import devices, on

from heatprop import HeatmapPropagator, adapters


def pooled(heatmap, pool):
    """The highest of each block and where its pixel's middle lies, in blocks."""
    C, H, W = heatmap.shape
    rows, columns = -(-H // pool), -(-W // pool)
    scores, offset = np.zeros((C, rows, columns)), np.zeros((2, rows, columns))
    for row in range(rows):
        for column in range(columns):
            best = -math.inf
            for y in range(row * pool, min(H, (row + 1) * pool)):
                for x in range(column * pool, min(W, (column + 1) * pool)):
                    if heatmap[:, y, x].max() > best:
                        best = heatmap[:, y, x].max()
                        offset[:, row, column] = (x + 0.5) / pool - column, (y + 0.5) / pool - row
            scores[:, row, column] = [
                one[row * pool : (row + 1) * pool, column * pool : (column + 1) * pool].max() for one in heatmap
            ]
    return scores, offset


def merged(heatmap, offset, radius):
    """Greedy: from the highest peak down, each drops the peaks within the radius; nothing else stays."""
    found = np.zeros_like(heatmap)
    C, H, W = heatmap.shape
    for label in range(C):
        peaks = [
            (-heatmap[label, y, x], y * W + x, x + offset[0, y, x], y + offset[1, y, x])
            for y in range(H)
            for x in range(W)
            if 0 < heatmap[label, y, x] >= heatmap[label, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max()
        ]
        kept = []
        for _, cell, x, y in sorted(peaks):
            if all((x - a) ** 2 + (y - b) ** 2 > radius**2 for _, a, b in kept):
                kept.append((cell, x, y))
        for cell, _, _ in kept:
            found[label].flat[cell] = heatmap[label].flat[cell]
    return found


@pytest.mark.parametrize("pool", [1, 2, 4])
@pytest.mark.parametrize("shape", [(8, 12), (9, 7)])
def test_pooling_matches_the_loop_oracle(pool, shape):
    heatmap = torch.rand(2, 3, *shape, dtype=torch.float64)
    maps = adapters.points(pool=pool)(heatmap)
    assert maps.size is None
    for stream in range(2):
        scores, offset = pooled(heatmap[stream].numpy(), pool)
        np.testing.assert_array_equal(maps.heatmap[stream], scores)
        if pool == 1:
            assert maps.offset is None
        else:
            np.testing.assert_allclose(maps.offset[stream], offset)


def test_the_first_of_equal_pixels_gives_the_offset():
    heatmap = torch.zeros(1, 1, 4, 4)
    heatmap[0, 0, 1, 2] = heatmap[0, 0, 2, 1] = 0.5
    assert adapters.points(pool=4)(heatmap).offset.flatten().tolist() == [0.625, 0.375]


@pytest.mark.parametrize("pool", [1, 2])
@pytest.mark.parametrize("radius", [0, 1, 1.5, 3.2])
def test_merging_matches_the_loop_oracle(pool, radius):
    heatmap = torch.rand(2, 2, 16, 14, dtype=torch.float64)
    maps = adapters.points(pool=pool)(heatmap)
    offset = torch.full((2, 2, 16, 14), 0.5) if maps.offset is None else maps.offset
    found = adapters.points(pool=pool, merge_radius=radius)(heatmap).heatmap
    expected = [merged(one, at, radius / pool) for one, at in zip(maps.heatmap.numpy(), offset.numpy(), strict=True)]
    np.testing.assert_array_equal(found, np.stack(expected))


def test_two_peaks_of_one_ball_become_one_detection():
    heatmap = torch.zeros(1, 1, 32, 32)
    heatmap[0, 0, 10, 10], heatmap[0, 0, 10, 13], heatmap[0, 0, 25, 25] = 0.9, 0.8, 0.7
    counts = []
    for radius in (None, 4):
        maps = adapters.points(merge_radius=radius)(heatmap)
        counts.append(int(HeatmapPropagator(radius=1, stride=1)(*maps[:3]).detections.valid.sum()))
    assert counts == [3, 2]


def test_the_slope_of_a_wide_bump_is_no_second_point():
    y, x = torch.meshgrid(torch.arange(40.0), torch.arange(40.0), indexing="ij")
    bump = torch.exp(-((x - 20) ** 2 + (y - 20) ** 2) / 100)
    assert (adapters.points(merge_radius=3)(bump[None, None]).heatmap > 0).sum() == 1


def test_maps_above_1_are_divided_and_what_is_left_above_is_said_once(caplog):
    heatmap = torch.full((1, 1, 4, 4), 3.1)
    adapter = adapters.points()
    with caplog.at_level(logging.WARNING, "heatprop"):
        adapter(heatmap)
        adapter(heatmap)
    assert [record.message for record in caplog.records] == [
        "the map of points reaches 3.1 above 1, which counts as 1: pass adapters.points(scale=3.1)"
    ]
    caplog.clear()
    assert adapters.points(scale=3.1)(heatmap).heatmap.amax() == pytest.approx(1)
    adapters.points(scale=4)(heatmap.numpy())
    assert not caplog.records


def test_an_adapter_pickles_and_leaves_its_input_alone():
    heatmap = torch.rand(1, 1, 8, 8)
    before = heatmap.clone()
    adapter = adapters.points(scale=2, pool=2, merge_radius=3)
    assert torch.equal(pickle.loads(pickle.dumps(adapter))([heatmap]).heatmap, adapter(heatmap).heatmap)
    assert torch.equal(heatmap, before)
    assert "pool=2" in repr(adapter)


@devices
def test_it_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        maps = adapters.points(scale=2, pool=4, merge_radius=6)(torch.empty(2, 3, 33, 30, device=device))
        assert maps.heatmap.shape == (2, 3, 9, 8)
        assert maps.offset.device.type == maps.heatmap.device.type == device


def test_it_compiles_to_one_graph():
    heatmap = torch.rand(1, 2, 16, 16)
    adapter = adapters.points(scale=2, pool=2, merge_radius=3)
    expected = adapter(heatmap)
    found = torch.compile(adapter.__call__, backend="eager", fullgraph=True)(heatmap)
    torch.testing.assert_close(found.heatmap, expected.heatmap)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"scale": 0}, ValueError, "scale must be finite and above 0, got 0"),
        ({"scale": "3"}, TypeError, "scale must be a number"),
        ({"pool": 0}, ValueError, "pool must be at least 1, got 0"),
        ({"pool": 1.5}, TypeError, "pool must be a whole number"),
        ({"merge_radius": -1}, ValueError, "merge_radius must be at least 0, got -1"),
        ({"merge_radius": 1000}, ValueError, "merge_radius must be at most 100 cells of 1 pixels, got 1000"),
    ],
)
def test_options_out_of_their_range_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        adapters.points(**options)


@pytest.mark.parametrize(
    ("raw", "error"),
    [({"a": 1}, TypeError), (torch.zeros(4, 4), ValueError), (torch.zeros(1, 0, 4, 4), ValueError), ("map", TypeError)],
)
def test_outputs_that_are_no_map_are_refused(raw, error):
    with pytest.raises(error, match=r"adapters.points expects one map .B, C, H, W., got"):
        adapters.points()(raw)
