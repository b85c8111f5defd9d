"""From peaks to candidates: what is read at a peak, what it inherits, and which peaks are objects at all."""

import math

import pytest
import torch
import toy
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
)


def test_without_offset_the_centre_is_in_the_middle_of_the_cell():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator()(heatmap, size=toy.plane(heatmap, 2.0, 1.0)).detections.boxes
    assert boxes[0, 0].tolist() == [18.0, 12.0, 26.0, 16.0]


def test_without_size_there_are_points_with_boxes_of_zero_size():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.25, 0.75)).detections.boxes
    assert boxes[0, 0].tolist() == [21.0, 15.0, 21.0, 15.0]


def test_points_are_remembered_like_boxes():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    propagator(heatmap)
    detections = propagator(torch.zeros_like(heatmap)).detections
    assert detections.cells[0, 0].tolist() == [5, 3]
    assert detections.carried[0, 0]


def test_the_stride_scales_boxes_to_pixels():
    heatmap = toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    boxes = HeatmapPropagator(stride=8)(heatmap, size=toy.plane(heatmap, 2.0, 1.0)).detections.boxes
    assert boxes[0, 0].tolist() == [36.0, 24.0, 52.0, 32.0]


def test_extras_are_read_at_the_peaks():
    heatmap = toy.spots((2, 9, 9), {(0, 3, 5): 0.5, (1, 6, 1): 0.7}, dtype=torch.float32)
    extras = {"landmarks": torch.rand(1, 10, 9, 9), "depth": torch.rand(1, 1, 9, 9)}
    found = HeatmapPropagator()(heatmap, extras=extras).detections.extras
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "landmarks": (1, 100, 10),
        "depth": (1, 100, 1),
    }
    for name, value in extras.items():
        assert torch.equal(found[name][0, 0], value[0, :, 6, 1])
        assert torch.equal(found[name][0, 1], value[0, :, 3, 5])


def test_extras_of_a_carried_object_are_0():
    propagator, heatmap = HeatmapPropagator(), toy.spots((1, 9, 9), {(0, 3, 5): 0.5}, dtype=torch.float32)
    propagator(heatmap, extras={"depth": torch.zeros(1, 1, 9, 9)})
    found = propagator(torch.zeros_like(heatmap), extras={"depth": torch.full((1, 1, 9, 9), 7.0)}).detections
    assert found.carried[0, 0]
    assert found.extras["depth"][0, 0].item() == 0.0


def test_without_extras_the_dict_is_empty():
    assert HeatmapPropagator()(torch.rand(1, 1, 4, 4)).detections.extras == {}


def test_extras_of_flags_stay_flags():
    flags = torch.rand(1, 1, 8, 8) > 0.5
    output = HeatmapPropagator()(torch.rand(1, 1, 8, 8), extras={"flag": flags})
    assert output.detections.extras["flag"].dtype == torch.bool


def test_the_network_score_is_the_networks_own_at_the_peak():
    propagator, maps, _ = toy.fed()
    detections = toy.feed(propagator, maps).detections
    found = 0
    for stream, unpadded in enumerate(detections.unpad()):
        for label, (x, y), score in zip(
            unpadded["labels"].tolist(), unpadded["cells"].tolist(), unpadded["network_scores"].tolist(), strict=True
        ):
            assert score == maps.heatmap[stream, label, y, x].item()
            found += 1
    assert found > 5


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_score_is_that_of_the_balanced_heatmap_at_the_peak(dtype):
    propagator, maps, _ = toy.fed(dtype=dtype)
    output = toy.feed(propagator, maps)
    detections, stream = output.detections, torch.arange(2)[:, None]
    x, y = detections.cells.unbind(-1)
    at_peaks = output.heatmap[stream, detections.labels, y, x]
    assert torch.equal(at_peaks[detections.valid], detections.scores[detections.valid])


def test_carried_is_a_network_score_below_the_threshold():
    propagator, maps, _ = toy.fed(score_threshold=0.2)
    detections = toy.feed(propagator, maps).detections
    carried = detections.valid & (detections.network_scores < 0.2)
    assert torch.equal(detections.carried, carried)
    assert carried.any()
    assert (detections.valid & ~carried).any()


def test_a_network_score_at_the_threshold_is_not_carried():
    propagator, heatmap = HeatmapPropagator(score_threshold=0.25), toy.spots((1, 5, 5), {(0, 2, 2): 0.5})
    propagator(heatmap)
    assert not propagator(heatmap / 2).detections.carried.any()
    assert propagator(heatmap / 2 - 1e-6).detections.carried[0, 0]


def test_rule_2_a_peak_below_the_threshold_is_not_propagated():
    _, output = toy.run([{(0, 4, 5): 0.04}, {}])
    assert output.heatmap.count_nonzero() == 0


def test_rule_2_a_score_at_the_threshold_is_detected():
    _, output = toy.run([{(0, 4, 5): 0.25, (0, 4, 9): 0.249}], score_threshold=0.25)
    assert toy.found(output) == {(0, 4, 5): 0.25}


def test_rule_2_the_default_threshold_is_0_05():
    _, output = toy.run([{(0, 4, 5): 0.05, (0, 4, 9): 0.0499}])
    assert toy.found(output) == {(0, 4, 5): 0.05}


def test_rule_2_the_top_k_runs_over_all_classes():
    _, output = toy.run([{(0, 4, 2): 0.9, (0, 4, 8): 0.6, (1, 4, 2): 0.8, (1, 4, 8): 0.7}], top_k=3)
    assert list(toy.found(output)) == [(0, 4, 2), (1, 4, 2), (1, 4, 8)]


def test_rule_5_the_networks_size_holds_outside_the_squares():
    propagator, frames = (
        HeatmapPropagator(radius=1),
        [{(0, 4, 2): 0.8}, {(0, 4, 2): 0.8, (0, 4, 5): 0.3, (1, 4, 2): 0.4}],
    )
    for frame, width in zip(frames, (4.0, 1.0), strict=True):
        heatmap = toy.spots(toy.SHAPE, frame)
        output = propagator(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, width, 1.0))
    [stream] = output.detections.unpad()
    widths = dict(zip(toy.found(output), ((stream["boxes"][:, 2] - stream["boxes"][:, 0]) / 4).tolist(), strict=True))
    assert widths[0, 4, 5] == 1.0
    assert widths[1, 4, 2] == 1.0
    assert 1.0 < widths[0, 4, 2] < 4.0


def test_rule_7_the_length_grows_in_a_square_and_starts_at_1_elsewhere():
    frames = [{(0, 4, 2): 0.8}, {(0, 4, 3): 0.8}, {(0, 4, 5): 0.8, (0, 4, 9): 0.7, (1, 4, 5): 0.6}]
    _, output = toy.run(frames)
    assert output.detections.ages[0, :3].tolist() == [3, 1, 1]
    assert list(toy.found(output)) == [(0, 4, 5), (0, 4, 9), (1, 4, 5)]


def test_rule_7_a_step_beyond_the_radius_starts_anew():
    assert toy.run([{(0, 4, 2): 0.8}, {(0, 4, 4): 0.9}], radius=2)[1].detections.ages[0, 0] == 2
    _, output = toy.run([{(0, 4, 2): 0.8}, {(0, 4, 5): 0.9}], radius=2)
    ages = dict(zip(toy.found(output), output.detections.ages[0].tolist(), strict=False))
    assert ages == {(0, 4, 5): 1, (0, 4, 2): 2}


def test_rule_7_the_first_frame_is_the_networks_own():
    maps = toy.frame(toy.crowd(9, dtype=torch.float32), 0)
    output = toy.feed(HeatmapPropagator(), maps)
    assert torch.equal(output.heatmap, maps.heatmap)
    assert torch.equal(output.detections.ages, output.detections.valid.int())


def test_rule_9_a_broken_cell_counts_as_offset_0_and_size_0():
    propagator, first = HeatmapPropagator(), toy.spots(toy.SHAPE, {(0, 4, 5): 0.8})
    propagator(first, toy.plane(first, 0.25, 0.25), toy.plane(first, 4.0, 2.0))
    broken = toy.spots(toy.SHAPE, {(0, 4, 5): math.nan})
    output = propagator(broken, toy.plane(broken, 0.75, 0.75), toy.plane(broken, 9.0, math.nan))
    assert_close(output.detections.boxes[0, 0].tolist(), [12.0, 12.0, 28.0, 20.0])


def test_rule_9_a_cell_broken_in_one_class_is_whole_in_another():
    heatmap = toy.spots(toy.SHAPE, {(0, 4, 5): math.nan, (1, 4, 5): 0.6})
    output = HeatmapPropagator()(heatmap, toy.plane(heatmap, 0.5, 0.25), toy.plane(heatmap, 4.0, 2.0))
    assert list(toy.found(output)) == [(1, 4, 5)]
    assert output.detections.boxes[0, 0].tolist() == [14.0, 13.0, 30.0, 21.0]


@pytest.mark.parametrize(("once", "columns", "ages"), [(True, [4, 8], [2, 1]), (False, [4, 8, 6], [2, 2, 2])])
def test_of_two_peaks_in_a_square_one_is_the_heir(once, columns, ages):
    """Without the option both are, and so is the cell between them that the object has left."""
    frames = [{(0, 4, 6): 0.9}, {(0, 4, 4): 0.8, (0, 4, 8): 0.7}]
    _, [_, found] = toy.still(frames, claim_once=once, peak_kernel=3)
    assert found["cells"][:, 0].tolist() == columns
    assert (found["ages"].tolist(), found["track_ids"].tolist()) == (ages, list(range(len(ages))))
    assert (found["scores"][1].item() == 0.7) is once


def test_claim_once_drops_what_the_network_alone_would_not_find():
    frames = [{(0, 4, 6): 0.9}, {(0, 4, 4): 0.8, (0, 4, 8): 0.04}]
    assert [len(toy.still(frames, claim_once=once, peak_kernel=3)[1][1]["scores"]) for once in (False, True)] == [3, 1]


def test_evidence_shrinks_the_length_of_what_is_not_seen():
    _, found = toy.still([{(0, 4, 6): 0.9}] * 4 + [{}] * 3 + [{(0, 4, 6): 0.9}], evidence=True)
    assert [frame["ages"].item() for frame in found] == [1, 2, 3, 4, 3, 2, 1, 2]


def test_extras_of_a_carried_detection_are_0():
    propagator, extras = HeatmapPropagator(), {"depth": torch.full((1, 1, 12, 16), 7.0)}
    seen = propagator(*toy.one_spot(0.9), extras=extras).detections
    lost = propagator(*toy.one_spot(0.01), extras=extras).detections
    assert seen.extras["depth"][0, 0].item() == 7
    assert lost.carried[0, 0]
    assert lost.extras["depth"][0, 0].item() == 0
