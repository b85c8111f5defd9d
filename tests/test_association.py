"""From candidates to detections: NMS, order, padding, and who keeps an identity."""

import math

import pytest
import torch
import toy

from heatprop import (
    HeatmapPropagator,
)


@pytest.mark.parametrize("top_k", [1, 100, 400])
def test_there_are_always_top_k_places(top_k):
    propagator, _, output = toy.fed(top_k=top_k)
    detections = output.detections
    assert detections.boxes.shape == (2, top_k, 4)
    assert detections.cells.shape == (2, top_k, 2)
    for name in ("scores", "labels", "valid", "ages", "track_ids", "network_scores", "carried"):
        assert getattr(detections, name).shape == (2, top_k), name
    assert detections.extras["depth"].shape == (2, top_k, 1)
    assert propagator.state.valid.shape == (2, top_k)


def test_the_padding_is_0_and_false_and_track_id_minus_1():
    detections = toy.fed()[2].detections
    padding = ~detections.valid
    assert padding.any()
    for name, value in {**detections._asdict(), **detections.extras}.items():
        if name not in ("extras", "valid", "track_ids"):
            assert not value[padding].any(), name
    assert (detections.track_ids[padding] == -1).all()
    assert (detections.track_ids[detections.valid] >= 0).all()


def test_suppressed_places_are_padding_behind_the_valid_ones():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 1): 0.9, (0, 4, 4): 0.8, (0, 4, 7): 0.7}, dtype=torch.float32)
    detections = HeatmapPropagator(radius=1, top_k=4)(heatmap, size=toy.plane(heatmap, 7.0, 7.0)).detections
    assert detections.valid.tolist() == [[True, True, False, False]]
    assert detections.cells.tolist() == [[[1, 4], [7, 4], [0, 0], [0, 0]]]


def test_without_size_nothing_is_suppressed():
    heatmap = toy.spots((1, 9, 9), {(0, 4, 3): 0.5, (0, 4, 4): 0.5, (0, 5, 4): 0.5}, dtype=torch.float32)
    propagator = HeatmapPropagator(nms_threshold=0.0)
    assert propagator(heatmap).detections.valid.sum() == 3


def test_rule_2_the_top_k_come_before_nms():
    frame = {(0, 4, 2): 0.9, (0, 4, 5): 0.8, (0, 4, 10): 0.7}  # the second overlaps the first: 5 of 11
    _, output = toy.run([frame], size=(8.0, 8.0), top_k=2, radius=1)
    assert list(toy.found(output)) == [(0, 4, 2)]


def test_rule_2_a_suppressed_detection_is_not_propagated():
    _, output = toy.run([{(0, 4, 2): 0.9, (0, 4, 6): 0.8}, {}], size=(12.0, 8.0), radius=1)
    assert output.heatmap[0, 0, 4].count_nonzero() == 3
    assert output.heatmap[0, 0, 4, 6] == 0


def test_rule_2_classes_do_not_suppress_each_other():
    _, output = toy.run([{(0, 4, 5): 0.9, (1, 4, 5): 0.8}])
    assert list(toy.found(output)) == [(0, 4, 5), (1, 4, 5)]


def test_rule_2_the_default_nms_threshold_is_0_3():
    near, far = {(0, 4, 2): 0.9, (0, 4, 5): 0.8}, {(0, 4, 2): 0.9, (0, 4, 6): 0.8}
    assert len(toy.found(toy.run([near], size=(7.0, 5.0))[1])) == 1  # 4 of 10
    assert len(toy.found(toy.run([far], size=(7.0, 5.0))[1])) == 2  # 3 of 11


def test_rule_3_equal_scores_come_in_the_order_label_then_y_then_x():
    cells = [(1, 2, 8), (0, 6, 2), (0, 2, 8), (1, 2, 2), (0, 2, 2)]
    _, output = toy.run([dict.fromkeys(cells, 0.5) | {(1, 6, 8): 0.6}])
    assert list(toy.found(output)) == [(1, 6, 8), (0, 2, 2), (0, 2, 8), (0, 6, 2), (1, 2, 2), (1, 2, 8)]


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("broken", ["offset", "size"])
def test_rule_9_a_detection_without_a_finite_box_is_dropped(broken, value):
    heatmap = toy.spots(toy.SHAPE, {(0, 4, 5): 0.8, (0, 4, 9): 0.7})
    maps = {"offset": toy.plane(heatmap, 0.0, 0.0), "size": toy.plane(heatmap, 2.0, 2.0)}
    maps[broken][0, 1, 4, 5] = value
    propagator = HeatmapPropagator()
    assert list(toy.found(propagator(heatmap, **maps))) == [(0, 4, 9)]
    following = propagator(torch.zeros_like(heatmap), **{name: torch.zeros_like(value) for name, value in maps.items()})
    assert list(toy.found(following)) == [(0, 4, 9)]


def test_rule_9_a_dropped_box_suppresses_nobody():
    heatmap = toy.spots(toy.SHAPE, {(0, 4, 4): 0.8, (0, 4, 6): 0.7})
    size = toy.plane(heatmap, 8.0, 8.0)
    size[0, 0, 4, 4] = math.inf
    output = HeatmapPropagator(radius=1)(heatmap, toy.plane(heatmap, 0.0, 0.0), size)
    assert list(toy.found(output)) == [(0, 4, 6)]


def test_ids_count_from_0_in_the_returned_order():
    _, output = toy.run([{(0, 4, 9): 0.6, (0, 4, 1): 0.9, (1, 4, 5): 0.7}])
    assert output.detections.track_ids[0, :4].tolist() == [0, 1, 2, -1]


def test_a_detection_inherits_the_id_of_the_square_it_lies_in():
    _, output = toy.run([{(0, 4, 2): 0.9, (0, 4, 8): 0.6}, {(0, 3, 3): 0.7, (0, 5, 9): 0.95}])
    assert dict(zip(toy.found(output), output.detections.track_ids[0].tolist(), strict=False)) == {
        (0, 5, 9): 1,
        (0, 3, 3): 0,
    }


def test_of_two_detections_in_one_square_the_higher_score_keeps_the_id():
    frames = [{(0, 4, 5): 0.8}, {(0, 4, 4): 0.3, (0, 4, 6): 0.6}]
    _, output = toy.run(frames, peak_kernel=3, size=(1.0, 1.0))
    identities = dict(zip(toy.found(output), output.detections.track_ids[0].tolist(), strict=False))
    assert identities == {(0, 4, 6): 0, (0, 4, 4): 1}


def test_of_two_equal_detections_in_one_square_the_earlier_keeps_the_id():
    frames = [{(0, 4, 5): 0.8}, {(0, 4, 4): 0.6, (0, 4, 6): 0.6}]
    _, output = toy.run(frames, peak_kernel=3, size=(1.0, 1.0))
    assert list(toy.found(output)) == [(0, 4, 4), (0, 4, 6)]
    assert output.detections.track_ids[0, :2].tolist() == [0, 1]


def test_the_loser_of_an_id_keeps_its_age():
    """Rule 7 counts from the square, whoever got the id."""
    frames = [{(0, 4, 5): 0.8}, {(0, 4, 4): 0.3, (0, 4, 6): 0.6}]
    _, output = toy.run(frames, peak_kernel=3, size=(1.0, 1.0))
    assert output.detections.ages[0, :2].tolist() == [2, 2]


def test_an_id_that_was_given_up_is_never_given_again():
    maps, propagator = toy.crowd(12, frames=8, density=0.3), HeatmapPropagator(radius=1)
    previous, first_free = [set(), set()], [0, 0]
    for time in range(8):
        for stream, detections in enumerate(toy.feed(propagator, toy.frame(maps, time)).detections.unpad()):
            identities = detections["track_ids"].tolist()
            assert len(set(identities)) == len(identities)
            fresh = [identity for identity in identities if identity not in previous[stream]]
            assert fresh == list(range(first_free[stream], first_free[stream] + len(fresh)))
            previous[stream], first_free[stream] = set(identities), first_free[stream] + len(fresh)
        assert propagator.state.next_id.tolist() == first_free


@pytest.mark.parametrize("limit", [0, 1, 4])
def test_a_ghost_lives_exactly_as_long_as_max_unseen(limit):
    propagator, found = toy.still([{(0, 4, 6): 0.9}] * 3 + [{}] * 8, max_unseen=limit)
    assert [len(frame["scores"]) for frame in found] == [1] * (3 + limit) + [0] * (8 - limit)
    assert not propagator.state.valid.any()
