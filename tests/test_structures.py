"""What travels: maps, tracklets, detections; and how padded detections come apart."""

import torch
import toy

from heatprop import (
    Detections,
    HeadMaps,
    HeatmapPropagator,
    PropagatorOutput,
    Tracklets,
)


def test_all_containers_are_named_tuples():
    propagator, _, output = toy.fed()
    assert isinstance(output, PropagatorOutput)
    assert isinstance(output.detections, Detections)
    assert isinstance(propagator.state, Tracklets)
    for kind in (PropagatorOutput, Detections, Tracklets, HeadMaps):
        assert issubclass(kind, tuple)
        assert hasattr(kind, "_fields")


def test_unpad_gives_one_dict_a_stream_without_padding():
    detections = toy.fed()[2].detections
    streams = detections.unpad()
    assert len(streams) == 2
    for stream, found in enumerate(streams):
        count = int(detections.valid[stream].sum())
        assert set(found) == set(Detections._fields) - {"valid"}
        for name, value in found.items():
            if name != "extras":
                assert torch.equal(value, getattr(detections, name)[stream, :count]), name
        assert torch.equal(found["extras"]["depth"], detections.extras["depth"][stream, :count])


def test_unpad_nests_streams_over_frames():
    maps = toy.crowd(0, frames=3)
    output = HeatmapPropagator().forward_chunk(maps.heatmap, maps.offset, maps.size, extras=maps.extras)
    nested, single = output.detections.unpad(), HeatmapPropagator()
    assert [len(frames) for frames in nested] == [3, 3]
    for time in range(3):
        for stream, found in enumerate(toy.feed(single, toy.frame(maps, time)).detections.unpad()):
            assert torch.equal(nested[stream][time]["boxes"], found["boxes"])
            assert torch.equal(nested[stream][time]["extras"]["depth"], found["extras"]["depth"])


def test_unpad_of_no_detection_is_empty_but_typed():
    [found] = HeatmapPropagator()(torch.zeros(1, 2, 4, 4)).detections.unpad()
    assert found["boxes"].shape == (0, 4)
    assert found["labels"].dtype == torch.int64


def test_stacked_maps_give_their_frames_back():
    maps = toy.crowd(0, frames=3)
    stacked = HeadMaps.stack([maps.frame(time) for time in range(3)])
    for name in ("heatmap", "offset", "size"):
        assert torch.equal(getattr(stacked, name), getattr(maps, name)), name
    assert stacked.extras.keys() == maps.extras.keys()
    assert all(torch.equal(stacked.extras[name], field) for name, field in maps.extras.items())
    points = HeadMaps.stack([HeadMaps(torch.zeros(2, 1, 4, 4))] * 3)
    assert points.heatmap.shape == (2, 3, 1, 4, 4)
    assert points[1:] == (None, None, None)
