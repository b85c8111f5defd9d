"""Small moving pictures: what the memory is for."""

import pytest
import torch
import toy
from oracles import intersection_over_union

from heatprop import HeadMaps, HeatmapPropagator


def watch(maps, **options):
    """The detections of stream 0 in every frame."""
    output = HeatmapPropagator(**options).forward_chunk(maps.heatmap, maps.offset, maps.size)
    return output.detections.unpad()[0]


def forgetful(maps):
    """The same without memory."""
    return watch(maps, alpha=0.0)


def test_a_dropped_frame_is_rescued():
    maps, truths = toy.moving_blob(dropped=(6,))
    assert len(forgetful(maps)[6]["scores"]) == 0
    rescued = watch(maps)[6]
    assert rescued["carried"].tolist() == [True]
    assert intersection_over_union(rescued["boxes"][0].tolist(), (truths[6] * 4).tolist()) > 0.5


def test_every_frame_of_a_flickering_object_is_covered():
    maps, truths = toy.moving_blob(frames=16, dropped=(3, 6, 7, 11))
    for found, truth in zip(watch(maps), truths * 4, strict=True):
        assert max(intersection_over_union(box, truth.tolist()) for box in found["boxes"].tolist()) > 0.4


def test_a_moving_object_keeps_one_id_through_a_dropped_frame():
    maps, _ = toy.moving_blob(dropped=(6,))
    assert {found["track_ids"][0].item() for found in watch(maps)} == {0}


def test_a_moving_object_ages_by_one_a_frame():
    maps, _ = toy.moving_blob(frames=10, dropped=(6,))
    assert [found["ages"][0].item() for found in watch(maps)] == list(range(1, 11))


def test_a_moving_object_is_one_box_in_every_frame():
    maps, _ = toy.moving_blob(dropped=(), speed=0.5)
    assert [len(found["scores"]) for found in watch(maps)] == [1] * 12


def test_an_object_faster_than_the_radius_gets_a_new_id():
    maps, _ = toy.moving_blob(frames=4, speed=4.0, dropped=())
    newest = [found["track_ids"][found["carried"].logical_not()].item() for found in watch(maps)]
    assert newest == [0, 1, 2, 3]


def test_scores_flicker_less_than_the_networks():
    maps, _ = toy.moving_blob(frames=16, speed=0.25, dropped=())
    dimmed = maps._replace(heatmap=maps.heatmap * torch.tensor([1.0, 0.3]).repeat(8)[None, :, None, None, None])
    with_memory = torch.stack([found["scores"][0] for found in watch(dimmed)])
    without = torch.stack([found["scores"][0] for found in forgetful(dimmed)])
    assert with_memory.diff().abs().mean() < without.diff().abs().mean() / 2


def test_a_vanished_object_fades_away():
    maps, _ = toy.moving_blob(frames=90, speed=0.0, dropped=range(5, 90))
    counts = [len(found["scores"]) for found in watch(maps)]
    assert counts[:20] == [1] * 20
    assert counts[-1] == 0


def test_a_reset_stream_forgets_while_its_neighbour_remembers():
    maps, _ = toy.moving_blob(dropped=(6,))
    pair = HeadMaps(*(value.repeat(2, *[1] * (value.dim() - 1)) for value in maps[:3]))
    reset = torch.zeros(2, 12, dtype=torch.bool)
    reset[0, 6] = True
    output = HeatmapPropagator().forward_chunk(pair.heatmap, pair.offset, pair.size, reset=reset)
    first, second = output.detections.unpad()
    assert [len(stream[6]["scores"]) for stream in (first, second)] == [0, 1]
    assert [stream[7]["ages"][0].item() for stream in (first, second)] == [1, 8]
    assert [stream[7]["track_ids"][0].item() for stream in (first, second)] == [0, 0]


def test_a_scene_cut_leaves_a_ghost_unless_it_resets():
    maps, _ = toy.moving_blob(frames=6, speed=0.0, dropped=(4, 5))
    other = toy.gaussian((1, 16, 24), [(0, 4.0, 18.0, 0.9)])
    heatmap = maps.heatmap.clone()
    heatmap[:, 4:] = other[:, None]
    cut = torch.arange(6)[None] == 4
    counts = []
    for reset in (None, cut):
        output = HeatmapPropagator().forward_chunk(heatmap, maps.offset, maps.size, reset=reset)
        counts.append([len(found["scores"]) for found in output.detections.unpad()[0]])
    assert counts == [[1, 1, 1, 1, 2, 2], [1, 1, 1, 1, 1, 1]]


@pytest.mark.parametrize("radius", [1, 2, 3])
def test_two_crossing_objects_of_other_classes_keep_their_ids(radius):
    frames = [toy.gaussian((2, 12, 24), [(0, 6.0, 4.0 + time, 0.9), (1, 6.0, 18.0 - time, 0.8)]) for time in range(15)]
    heatmap = torch.stack(frames, dim=1)
    size = toy.plane(heatmap[:, 0], 4.0, 4.0)[:, None].repeat(1, 15, 1, 1, 1)
    for time, found in enumerate(watch(HeadMaps(heatmap, None, size), radius=radius)):
        assert found["track_ids"].tolist() == [0, 1]
        assert found["labels"].tolist() == [0, 1]
        assert found["cells"].tolist() == [[4 + time, 6], [18 - time, 6]]
