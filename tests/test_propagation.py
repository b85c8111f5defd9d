"""The running step against the dense equations and the loop oracle, and each rule of DESIGN.md section 3 by hand."""

import math

import comparing
import numpy as np
import oracles
import pytest
import torch
import toy
from oracles import OraclePropagator, Tracklet
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
    balance,
    balance_size,
    extend_length,
    extend_score,
    extend_size,
    temporal_average,
)

# --- whole sequences against the oracle -------------------------------------------------------------------------------


@pytest.mark.parametrize("carry", ["balanced", "network"])
@pytest.mark.parametrize("radius", range(7))
def test_a_sequence_equals_the_oracle_at_every_radius(radius, carry):
    comparing.assert_sequence_equals(toy.crowd(radius, shape=(2, 8, 14)), radius=radius, carry=carry)


@pytest.mark.parametrize("beta", [0.0, 0.5, 10.0, math.inf])
@pytest.mark.parametrize("alpha", [0.0, 0.5, 0.9, 1.0])
def test_a_sequence_equals_the_oracle_at_every_alpha_and_beta(alpha, beta):
    comparing.assert_sequence_equals(toy.crowd(20, frames=5, shape=(2, 8, 9)), alpha=alpha, beta=beta)


@pytest.mark.parametrize("carry", ["balanced", "network"])
@pytest.mark.parametrize("levels", [2, 8])
@pytest.mark.parametrize("radius", [0, 1, 2, 3])
def test_a_sequence_full_of_ties_equals_the_oracle(radius, levels, carry):
    maps = toy.crowd(30 + radius, frames=4, shape=(2, 6, 7), density=0.4, levels=levels, largest=2.0)
    comparing.assert_sequence_equals(maps, radius=radius, carry=carry, top_k=84)


@pytest.mark.parametrize("top_k", [1, 2, 5, 13])
def test_a_sequence_with_more_peaks_than_places_equals_the_oracle(top_k):
    comparing.assert_sequence_equals(toy.crowd(41, density=1.0), top_k=top_k, radius=1)


@pytest.mark.parametrize("threshold", [0.0, 0.2, 1.0])
def test_a_sequence_equals_the_oracle_at_every_score_threshold(threshold):
    comparing.assert_sequence_equals(toy.crowd(50), score_threshold=threshold)


@pytest.mark.parametrize("threshold", [0.0, 0.6, 1.0])
def test_a_sequence_of_large_boxes_equals_the_oracle_at_every_nms_threshold(threshold):
    comparing.assert_sequence_equals(toy.crowd(60, shape=(2, 9, 9), largest=12.0), nms_threshold=threshold, radius=1)


@pytest.mark.parametrize("kernel", [1, 3, 5, 9])
def test_a_sequence_equals_the_oracle_at_every_peak_kernel(kernel):
    maps = toy.crowd(70, frames=4, shape=(2, 6, 7))
    comparing.assert_sequence_equals(maps, peak_kernel=kernel, top_k=84)


@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 7), (3, 6, 1), (1, 2, 3), (5, 4, 4)])
def test_a_sequence_of_maps_smaller_than_the_window_equals_the_oracle(shape):
    comparing.assert_sequence_equals(toy.crowd(80, shape=shape, density=0.6), radius=3)


def test_a_sequence_of_points_equals_the_oracle():
    comparing.assert_sequence_equals(toy.crowd(90)._replace(size=None))


def test_a_sequence_without_offset_equals_the_oracle():
    comparing.assert_sequence_equals(toy.crowd(91)._replace(offset=None))


def test_a_sequence_with_another_stride_equals_the_oracle():
    comparing.assert_sequence_equals(toy.crowd(92), stride=8)


def test_a_sequence_with_resets_equals_the_oracle():
    reset = torch.tensor([[0, 0, 1, 0, 1, 0], [1, 1, 0, 0, 0, 0], [0, 0, 0, 0, 0, 1]]).bool()
    comparing.assert_sequence_equals(toy.crowd(93, batch=3), reset=reset)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_sequence_with_broken_cells_equals_the_oracle(value):
    maps = toy.crowd(94)
    broken = torch.rand(maps.heatmap.shape) < 0.2
    boxless = torch.rand(maps.size.shape) < 0.05
    maps = maps._replace(heatmap=maps.heatmap.masked_fill(broken, value), size=maps.size.masked_fill(boxless, value))
    maps = maps._replace(offset=maps.offset.masked_fill(torch.rand(maps.offset.shape) < 0.05, value))
    comparing.assert_sequence_equals(maps)


def test_a_sequence_in_float32_equals_the_oracle():
    comparing.assert_sequence_equals(toy.crowd(95, dtype=torch.float32), tolerance=1e-5)


def test_the_sequences_rescue_suppress_and_age():
    """The comparisons above would say little about maps on which nothing happens."""
    oracle, maps = OraclePropagator(), toy.crowd(0)
    found = []
    for time in range(6):
        heatmap, offset, size, _ = toy.frame(maps, time)
        found += [d for frame in oracle.forward(heatmap, offset, size) for d in frame["detections"]]
    assert sum(detection["carried"] for detection in found) > 5
    assert sum(detection["age"] > 3 for detection in found) > 5
    assert sum(detection["age"] == 1 for detection in found) > 5


# --- the sparse step against the dense equations ----------------------------------------------------------------------


@pytest.mark.parametrize("beta", [0.0, 2.0, math.inf])
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_the_step_equals_the_dense_equations(radius, beta):
    propagator, maps = HeatmapPropagator(radius=radius, beta=beta, alpha=0.9), toy.crowd(5, density=0.3)
    state = None
    for time in range(6):
        heatmap, offset, size, _ = toy.frame(maps, time)
        before, shape = state, heatmap.shape[1:]
        state, output = propagator.step(state, heatmap, offset, size)
        if before is None:
            continue
        prior_score = extend_score(before, shape, radius=radius)
        average = temporal_average(heatmap, prior_score, extend_length(before, shape, radius=radius), beta=beta)
        assert_close(output.heatmap, balance(heatmap, average, alpha=0.9), rtol=0, atol=1e-13)
        sizes = balance_size(heatmap, size, prior_score, extend_size(before, shape, radius=radius))
        assert_close(output.size_map(), sizes, rtol=1e-12, atol=1e-12)
        assert torch.equal(output.heatmap[prior_score == 0], heatmap[prior_score == 0])


# --- the rules, one by one --------------------------------------------------------------------------------------------

toy.SHAPE = (2, 9, 11)


def test_rule_1_the_balanced_score_is_carried():
    _, output = toy.run([{(0, 4, 5): 0.8}, {(0, 4, 5): 0.2}, {}], alpha=0.5, beta=math.inf)
    assert output.heatmap[0, 0, 4, 5].item() == pytest.approx(0.25)  # half of 0.5, not of 0.2


def test_rule_1_the_networks_score_is_carried_on_request():
    _, output = toy.run([{(0, 4, 5): 0.8}, {(0, 4, 5): 0.2}, {}], alpha=0.5, beta=math.inf, carry="network")
    assert output.heatmap[0, 0, 4, 5].item() == pytest.approx(0.1)


def test_rule_3_the_higher_carried_score_wins_an_overlap():
    _, output = toy.run([{(0, 4, 4): 0.6, (0, 4, 7): 0.9}, {}], alpha=1.0, beta=math.inf, radius=2, peak_kernel=3)
    assert output.heatmap[0, 0, 4].tolist() == [0, 0, 0.6, 0.6, 0.6, 0.9, 0.9, 0.9, 0.9, 0.9, 0]


def test_rule_3_the_earlier_of_equal_scores_wins_an_overlap():
    _, output = toy.run([{(0, 4, 4): 0.6, (0, 4, 7): 0.6}, {(0, 4, 5): 0.9}], peak_kernel=3, radius=2)
    [stream] = output.detections.unpad()
    assert (stream["cells"][0].tolist(), stream["track_ids"][0].item()) == ([5, 4], 0)


def test_rule_3_the_earlier_of_equal_carried_scores_is_the_higher_balanced_one():
    """With carry="network" the carried scores tie although the returned order is that of the balanced ones."""
    frames = [{(0, 4, 7): 0.8}, {(0, 4, 4): 0.5, (0, 4, 7): 0.5}, {(0, 4, 6): 0.9}]
    _, output = toy.run(frames, carry="network", radius=2, peak_kernel=3)
    [stream] = output.detections.unpad()
    assert (stream["track_ids"][0].item(), stream["ages"][0].item()) == (0, 3)


def test_rule_3_squares_are_clipped_at_the_border():
    _, output = toy.run([{(1, 0, 10): 0.8}, {}], alpha=1.0, beta=math.inf)
    expected = torch.zeros(1, *toy.SHAPE, dtype=torch.float64)
    expected[0, 1, :3, 8:] = 0.8
    assert_close(output.heatmap, expected, rtol=0, atol=0)


def test_rule_3_a_carried_score_of_0_casts_no_square():
    """Where the network sees nothing, carry="network" carries 0: the object is forgotten one frame later."""
    propagator, output = toy.run([{(0, 4, 5): 0.8}, {}], carry="network")
    assert list(toy.found(output)) == [(0, 4, 5)]
    assert propagator.state.score[0, 0] == 0
    heatmap = toy.spots(toy.SHAPE, {(0, 4, 6): 0.6})
    output = propagator(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, 5.0, 5.0))
    assert torch.equal(output.heatmap, heatmap)
    [stream] = output.detections.unpad()
    assert (stream["ages"].tolist(), stream["track_ids"].tolist()) == ([1], [1])


def test_rule_4_cells_without_a_square_keep_their_bits():
    maps = toy.crowd(7, batch=1, frames=2, dtype=torch.float32)
    propagator = HeatmapPropagator(radius=1)
    toy.feed(propagator, toy.frame(maps, 0))
    squares = extend_score(propagator.state, maps.heatmap.shape[2:], radius=1) > 0
    output = toy.feed(propagator, toy.frame(maps, 1))
    assert torch.equal(output.heatmap[~squares], maps.heatmap[:, 1][~squares])
    assert not torch.equal(output.heatmap[squares], maps.heatmap[:, 1][squares])


def test_rule_4_is_exact_at_beta_infinity():
    _, output = toy.run([{(0, 4, 5): 0.8}, {(0, 4, 5): 0.3}], alpha=1.0, beta=math.inf)
    assert output.heatmap[0, 0, 4, 5].item() == 0.3 + (0.8 - 0.3)


@pytest.mark.parametrize("options", [{"beta": 0.0}, {"alpha": 0.0}])
def test_rule_4_beta_0_and_alpha_0_leave_the_heatmap_alone(options):
    maps = toy.crowd(8, dtype=torch.float32)
    propagator = HeatmapPropagator(**options)
    for time in range(6):
        frame = toy.frame(maps, time)
        assert torch.equal(toy.feed(propagator, frame).heatmap, frame.heatmap)


def test_rule_5_the_balanced_size_is_propagated():
    propagator = HeatmapPropagator(alpha=0.5, beta=math.inf)
    for score, width in [(0.8, 4.0), (0.8, 8.0), (0.8, 12.0)]:
        heatmap = toy.spots(toy.SHAPE, {(0, 4, 5): score})
        output = propagator(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, width, 2.0))
    x1, _, x2, _ = output.detections.boxes[0, 0].tolist()
    assert (x2 - x1) / 4 == pytest.approx((12 + (8 + 4) / 2) / 2)


def test_rule_5_a_carried_box_keeps_its_size():
    propagator = HeatmapPropagator()
    first, blank = toy.spots(toy.SHAPE, {(0, 4, 5): 0.8}), toy.spots(toy.SHAPE, {})
    propagator(first, toy.plane(first, 0.0, 0.0), toy.plane(first, 4.0, 2.0))
    output = propagator(blank, toy.plane(blank, 0.0, 0.0), toy.plane(blank, 9.0, 9.0))
    assert_close(output.detections.boxes[0, 0].tolist(), [12.0, 12.0, 28.0, 20.0])


def test_rule_6_the_peak_window_is_2p_plus_1_wide():
    frame = {(0, 4, 1): 0.9, (0, 4, 4): 0.5, (0, 4, 8): 0.7}
    assert list(toy.found(toy.run([frame], radius=2)[1])) == [(0, 4, 1), (0, 4, 8), (0, 4, 4)]
    assert list(toy.found(toy.run([frame], radius=3)[1])) == [(0, 4, 1), (0, 4, 8)]
    assert list(toy.found(toy.run([frame], radius=4)[1])) == [(0, 4, 1), (0, 4, 8)]
    assert list(toy.found(toy.run([frame], radius=6)[1])) == [(0, 4, 1), (0, 4, 8)]


@pytest.mark.parametrize("radius", [0, 1])
def test_rule_6_the_peak_window_is_at_least_3_wide(radius):
    _, output = toy.run([{(0, 4, 4): 0.9, (0, 5, 5): 0.5, (0, 4, 6): 0.4}], radius=radius, size=(1.0, 1.0))
    assert list(toy.found(output)) == [(0, 4, 4)]


def test_rule_6_peak_kernel_overrides_the_window():
    frame = {(0, 4, 4): 0.9, (0, 4, 6): 0.5}
    assert len(toy.found(toy.run([frame], peak_kernel=3)[1])) == 2
    assert len(toy.found(toy.run([frame], peak_kernel=5)[1])) == 1
    assert len(toy.found(toy.run([frame], radius=0, peak_kernel=5)[1])) == 1


@pytest.mark.parametrize("kernel", [None, 3])
@pytest.mark.parametrize("radius", [0, 1, 2, 5])
def test_rule_6_on_a_flat_frame_an_object_stays_where_it_was(radius, kernel):
    _, output = toy.run([{(0, 4, 5): 0.8}, {}], radius=radius, peak_kernel=kernel)
    assert list(toy.found(output)) == [(0, 4, 5)]


def test_rule_6_every_square_has_its_own_plateau():
    """Two squares that overlap in a column: each keeps its own cell."""
    _, output = toy.run([{(0, 4, 3): 0.6, (0, 4, 7): 0.9}, {}], radius=2, peak_kernel=3, size=(1.0, 1.0))
    assert list(toy.found(output)) == [(0, 4, 7), (0, 4, 3)]


def test_rule_6_a_plateau_is_dropped_at_the_value_of_the_winners_own_cell_alone():
    """A cell of a square that stands above the tracklet's own cell is a peak: the object moved there."""
    _, output = toy.run([{(0, 4, 5): 0.8}, {(0, 4, 6): 0.3}])
    assert list(toy.found(output)) == [(0, 4, 6)]


def test_rule_6_equal_cells_of_a_square_above_its_own_cell_are_all_peaks():
    _, output = toy.run([{(0, 4, 5): 0.8}, {(0, 4, 6): 0.3, (0, 4, 4): 0.3}], size=(1.0, 1.0), radius=1)
    assert list(toy.found(output)) == [(0, 4, 4), (0, 4, 6)]


def test_rule_6_outside_the_squares_equal_cells_are_all_peaks():
    _, output = toy.run([{(0, 4, 5): 0.5, (0, 4, 6): 0.5, (0, 5, 5): 0.5}], size=(0.5, 0.5))
    assert list(toy.found(output)) == [(0, 4, 5), (0, 4, 6), (0, 5, 5)]


def test_rule_6_compares_with_the_winners_own_cell_even_where_another_square_won_it():
    """Cell 7 is the weak tracklet's own, but the strong one's square holds it: column 9 differs from it and stays."""
    _, output = toy.run([{(0, 4, 5): 0.9, (0, 4, 7): 0.5}, {}], radius=2, peak_kernel=3, size=(0.5, 0.5))
    assert list(toy.found(output)) == [(0, 4, 5), *((0, y, 9) for y in range(2, 7))]


def test_rule_8_radius_zero_is_the_papers_interpolation_baseline():
    first, second = {(0, 4, 5): 0.8}, {(0, 4, 5): 0.3, (0, 4, 6): 0.2, (1, 1, 1): 0.6}
    _, output = toy.run([first, second], radius=0, alpha=0.5, beta=math.inf)
    expected = 0.5 * (toy.spots(toy.SHAPE, first) + toy.spots(toy.SHAPE, second))
    expected[0, 0, 4, 6], expected[0, 1, 1, 1] = 0.2, 0.6
    assert_close(output.heatmap, expected)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rule_9_a_broken_cell_without_a_square_is_returned_as_0(value):
    _, output = toy.run([toy.spots(toy.SHAPE, {(0, 4, 5): value, (0, 4, 9): 0.6})])
    assert torch.equal(output.heatmap, toy.spots(toy.SHAPE, {(0, 4, 9): 0.6}))
    assert list(toy.found(output)) == [(0, 4, 9)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_rule_9_the_memory_bridges_a_broken_cell(value):
    _, output = toy.run([{(0, 4, 5): 0.8}, toy.spots(toy.SHAPE, {(0, 4, 5): value})])
    _, blank = toy.run([{(0, 4, 5): 0.8}, {}])
    assert torch.equal(output.heatmap, blank.heatmap)
    assert output.detections.network_scores[0, 0] == 0
    assert output.detections.carried[0, 0]


def test_rule_9_nothing_broken_enters_the_state():
    maps = toy.crowd(11)
    broken = torch.rand(maps.heatmap.shape) < 0.3
    heatmap = maps.heatmap.masked_fill(broken, math.nan)
    size = maps.size.masked_fill(torch.rand(maps.size.shape) < 0.3, math.inf)
    offset = maps.offset.masked_fill(torch.rand(maps.offset.shape) < 0.3, math.nan)
    propagator = HeatmapPropagator()
    for time in range(6):
        output = propagator(heatmap[:, time], offset[:, time], size[:, time])
        for tensor in (*propagator.state, output.heatmap, output.detections.boxes, output.detections.scores):
            assert torch.isfinite(tensor.double()).all()


def test_rule_10_eq11_holds_at_the_cells_of_the_frame_before():
    frames = [{(0, 4, 5): 0.8, (1, 1, 1): 0.4}, {(0, 4, 5): 0.2, (1, 1, 1): 0.6}, {(0, 4, 5): 0.6, (1, 1, 1): 0.1}]
    _, output = toy.run(frames, radius=0, alpha=0.5, beta=math.inf, carry="network")
    assert_close(output.heatmap, 0.5 * (toy.spots(toy.SHAPE, frames[1]) + toy.spots(toy.SHAPE, frames[2])))


# --- ids --------------------------------------------------------------------------------------------------------------


def test_a_hand_made_state_is_propagated_as_the_oracle_does():
    tracklets = [Tracklet(0, 5, 4, 0.7, 3, (2.0, 4.0), 0), Tracklet(1, 9, 8, 0.5, 9, (1.0, 1.0), 1)]
    heatmap = torch.rand(1, *toy.SHAPE, dtype=torch.float64) * 0.2
    size, offset = torch.rand(2, 1, 2, *toy.SHAPE[1:], dtype=torch.float64)
    oracle = OraclePropagator()
    oracle.tracklets, oracle.next_id = [tracklets], [2]
    _, output = HeatmapPropagator().step(toy.tracklets([tracklets], places=100), heatmap, offset, size)
    comparing.assert_frame_equals(output, oracle.forward(heatmap, offset, size))


def test_the_oracles_peaks_need_no_plateau_rule_without_squares():
    heatmap = np.round(np.random.rand(*toy.SHAPE) * 4) / 4
    peaks = oracles.find_peaks(heatmap, 5)
    assert oracles.drop_plateaus(peaks, heatmap, np.full(toy.SHAPE, -1), []) == peaks
