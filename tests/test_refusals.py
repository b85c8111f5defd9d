"""Calls that random arguments broke: each is refused in heatprop's words, and the memory stays as it was."""

import pytest
import torch
import toy

from heatprop import (
    Detections,
    HeadMaps,
    HeatmapPropagator,
    VideoDetector,
    adapters,
    decode_boxes,
    find_peaks,
    nms,
    pairwise_iou,
    seq_nms_detections,
    top_k,
    two_pass,
    window_maximum,
)

MAPS = torch.rand(1, 2, 6, 5)
BOXES = torch.rand(1, 3, 4)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: find_peaks(MAPS.to_sparse()), TypeError, "heatmap must be a dense tensor"),
        (lambda: find_peaks(MAPS.long()), TypeError, "heatmap must hold floating point"),
        (lambda: window_maximum(MAPS, kernel=1.5), TypeError, "kernel must be a whole number"),
        (lambda: window_maximum(MAPS[0]), ValueError, "heatmap must have 4 dimensions"),
        (lambda: top_k(MAPS, 0), ValueError, "k must be at least 1"),
        (lambda: top_k(MAPS[:, :0], 3), ValueError, "peaks must not be empty"),
        (lambda: decode_boxes(torch.ones(2), torch.ones(2), torch.ones(3)), ValueError, "must share one shape"),
        (lambda: decode_boxes(torch.ones(2), torch.ones(2), "3"), TypeError, "size must be a torch.Tensor"),
        (lambda: pairwise_iou(BOXES, BOXES.to("meta")), ValueError, "boxes and others must be on one device"),
        (lambda: pairwise_iou(None), TypeError, "boxes must be a torch.Tensor, got NoneType"),
        (lambda: decode_boxes(*torch.ones(3, 2), stride=10**30), ValueError, r"stride must be below 2\*\*63"),
        (lambda: HeatmapPropagator(beta=2**70), ValueError, r"beta must be below 2\*\*63"),
        (lambda: pairwise_iou(BOXES[..., :3]), ValueError, r"boxes must have shape \(B, K, 4\)"),
        (
            lambda: nms(BOXES, MAPS[0, :1, 0, :3], MAPS[0, :1, 0, :3].long(), iou_threshold=2),
            ValueError,
            "between 0 and 1",
        ),
        (lambda: nms(BOXES, BOXES[..., 0], BOXES[..., 0]), TypeError, "labels must hold whole numbers"),
        (lambda: nms(BOXES, BOXES[..., 0], BOXES[..., 0].long(), BOXES[..., 0]), TypeError, "valid must be a bool"),
        (lambda: seq_nms_detections([None]), TypeError, "must be Detections, or a list of them"),
        (lambda: list(two_pass([MAPS], HeatmapPropagator())), TypeError, "maps must hold HeadMaps"),
        (
            lambda: list(two_pass({"heatmap": MAPS}, HeatmapPropagator())),
            TypeError,
            "maps must be a sequence of HeadMaps",
        ),
        (
            lambda: HeatmapPropagator()(MAPS, extras={"depth": MAPS.to(torch.float8_e5m2)}),
            TypeError,
            r"extras\['depth'\] must hold whole numbers, or floating",
        ),
        (lambda: adapters.centernet({"hm": MAPS.to_sparse(), "wh": MAPS}), TypeError, "'hm' must be a dense tensor"),
        (lambda: adapters.mmdet([[MAPS], [MAPS.to("meta")], [MAPS]]), ValueError, "must be on one device"),
    ],
)
def test_a_wrong_argument_is_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("streams", [torch.zeros(1, device="meta").long(), torch.tensor([0]).to_sparse(), 2**70, "a"])
@pytest.mark.parametrize("started", [True, False])
def test_streams_that_cannot_be_read_are_refused(streams, started):
    video = VideoDetector(lambda frames: HeadMaps(MAPS), adapter=lambda raw: raw)
    if started:
        video(torch.zeros(1, 3, 24, 20))
    before = video.state
    for module in (video.propagator, video):
        with pytest.raises(TypeError, match="streams must be an index"):
            module.reset(streams)
    assert before is None if not started else torch.equal(video.state.score, before.score)


def test_a_state_of_larger_maps_is_brought_into_the_map_and_one_without_scores_is_refused():
    large, small = HeatmapPropagator(), HeatmapPropagator()
    large(toy.spots((5, 64, 64), {(4, 60, 61): 0.9}))
    small.state = large.state
    found = small(torch.zeros(1, 2, 6, 5, dtype=torch.float64)).detections
    assert found.labels[0, 0].item() == 1
    assert found.cells[0, 0].tolist() == [4, 5]
    with pytest.raises(TypeError, match=r"state\.score must be a torch\.Tensor, got NoneType"):
        small.state = large.state._replace(score=None)
    with pytest.raises(ValueError, match="state must have values"):
        small.state = large.state.map(lambda field: field.to("meta"))


def test_a_state_whose_identities_repeat_or_come_again_is_refused():
    propagator = HeatmapPropagator(top_k=4)
    propagator(toy.spots((1, 9, 9), {(0, 2, 2): 0.9, (0, 6, 6): 0.8}))
    state = propagator.state
    with pytest.raises(ValueError, match=r"state\.track_id must differ"):
        propagator.state = state._replace(track_id=state.track_id.clamp(max=0))
    with pytest.raises(ValueError, match=r"state\.track_id must be at least 0 and below state\.next_id"):
        propagator.state = state._replace(next_id=state.next_id - 1)
    with pytest.raises(ValueError, match=r"state\.length must be below 2\*\*30 frames"):
        propagator.state = state._replace(length=torch.full_like(state.length, 2**31 - 1))
    propagator.state = state


def test_coasted_detections_come_by_falling_score_when_the_networks_score_is_carried():
    propagator = HeatmapPropagator(carry="network", top_k=4)
    propagator(toy.spots((1, 9, 9), {(0, 2, 2): 0.9, (0, 6, 6): 0.6}))
    propagator(toy.spots((1, 9, 9), {(0, 2, 2): 0.2, (0, 6, 6): 0.6}))  # the first one stays ahead by its past
    assert propagator.coast().scores[0, :2].tolist() == pytest.approx([0.98 * 0.6, 0.98 * 0.2])


def test_a_chunk_whose_extras_change_is_refused_and_changes_nothing():
    raw = {"extras": {"depth": MAPS}}
    video = VideoDetector(lambda frames: HeadMaps(MAPS, **raw), adapter=lambda raw: raw, every=2)
    video(torch.zeros(1, 3, 24, 20))
    before = video.state
    raw["extras"] = None
    with pytest.raises(ValueError, match="the detector's extras changed between frames"):
        video(torch.zeros(1, 2, 3, 24, 20))
    assert torch.equal(video.state.score, before.score)
    assert torch.equal(video.state.length, before.length)


def test_fields_of_detections_that_do_not_fit_are_refused():
    found = HeatmapPropagator(top_k=4).forward_chunk(torch.rand(1, 3, 1, 6, 5)).detections
    changes = {"scores": found.scores[:, :2], "boxes": found.boxes[..., :2], "valid": found.scores}
    for name, changed in (changes | {"labels": found.labels.bfloat16(), "ages": found.scores}).items():
        with pytest.raises((TypeError, ValueError), match=name):
            seq_nms_detections(found._replace(**{name: changed}))
    assert isinstance(seq_nms_detections(found), Detections)


def test_a_detector_on_meta_gives_no_warning_and_no_error():
    video = VideoDetector(lambda frames: HeadMaps(MAPS.to("meta")), adapter=lambda raw: raw)
    assert video(torch.zeros(1, 3, 24, 20)).scores.is_meta
