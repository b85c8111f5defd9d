"""The rules that the adapters bring for their extras: they fit the maps, and carried objects keep what they had."""

import pytest
import torch

from heatprop import HeatmapPropagator, VideoDetector, adapters
from heatprop.birds_eye import BirdsEyeGrid, GroupedPropagator, metric_boxes

EXTRAS = [adapters.CENTERFACE_EXTRAS, adapters.CENTERTRACK_EXTRAS, adapters.CENTERPOINT_EXTRAS]


def one_object(depths, *, score=3.0):
    """Heads (1, D, 8, 9) with a logit at row 3, column 4, below it -9."""
    heads = {name: torch.rand(1, depth, 8, 9) for name, depth in depths.items()}
    heads["hm"] = torch.full((1, 1, 8, 9), -9.0)
    heads["hm"][0, 0, 3, 4] = score
    return heads


TRACK = {"wh": 2, "reg": 2, "tracking": 2} | {name: depth for name, (_, depth) in adapters.CENTERTRACK_EXTRAS.items()}


@pytest.mark.parametrize("extras", EXTRAS, ids=["centerface", "centertrack", "centerpoint"])
def test_the_rules_are_rules(extras):
    assert HeatmapPropagator(remember=extras).remember == extras


def test_a_carried_object_keeps_the_heads_of_centertrack():
    """Its own boxes and depth, though the maps hold other numbers in the second frame."""
    torch.manual_seed(0)
    heads = [one_object(TRACK), one_object(TRACK, score=-9.0)]
    memory = HeatmapPropagator(remember=adapters.CENTERTRACK_EXTRAS)
    for raw in heads:
        maps = adapters.centertrack(raw)
        [found] = memory(*maps[:3], extras=maps.extras).detections.unpad()
    [[x, y]] = found["cells"].tolist()
    assert (x, y, found["carried"].tolist()) == (4, 3, [True])
    first, second = (adapters.centertrack(raw) for raw in heads)
    for name in adapters.CENTERTRACK_EXTRAS:
        expected = first.extras[name][0, :, 3, 4]
        if name in ("ltrb_amodal", "ltrb", "hps"):  # the box is carried to another place within the cell
            moved = (second.offset - first.offset)[0, :, 3, 4]
            expected = expected + moved.repeat(len(expected) // 2)
        torch.testing.assert_close(found["extras"][name][0], expected)
    assert found["extras"]["tracking"].tolist() == [[0, 0]]  # how it moved is not known


def test_the_faces_landmarks_stay_on_a_skipped_frame():
    def detector(frames):
        shape = frames.shape[:1]
        scores = torch.zeros(*shape, 1, 8, 9)
        scores[:, 0, 3, 4] = 0.9
        return [scores, torch.ones(*shape, 2, 8, 9), torch.zeros(*shape, 2, 8, 9), torch.rand(*shape, 10, 8, 9)]

    video = VideoDetector(
        detector,
        HeatmapPropagator.steady(remember=adapters.CENTERFACE_EXTRAS),
        adapter=adapters.centerface(landmarks=True),
        every=2,
    )
    looked, skipped = (video(torch.zeros(1, 3, 32, 36)).extras["landmarks"][0, 0] for _ in range(2))
    assert looked.any()
    torch.testing.assert_close(skipped, looked)


def test_a_carried_object_of_centerpoint_keeps_its_whole_box():
    torch.manual_seed(0)
    depths, grid = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}, BirdsEyeGrid()
    raw = one_object(depths)
    adapter = adapters.centerpoint(tasks=(1,), grid=grid)
    memory = GroupedPropagator([HeatmapPropagator(remember=adapters.CENTERPOINT_EXTRAS)], classes=(1,))
    seen = metric_boxes(memory(adapter([raw])).detections, grid)
    lost = {name: raw[name] if name in ("reg", "hm") else torch.rand_like(raw[name]) for name in raw}
    lost["hm"] = torch.full_like(raw["hm"], -9.0)
    found = memory(adapter([lost])).detections
    assert found.carried[0, 0]
    torch.testing.assert_close(metric_boxes(found, grid), seen)
    torch.testing.assert_close(metric_boxes(memory.coast(), grid), seen)
