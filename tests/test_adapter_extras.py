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


def test_centertracks_tracking_moves_the_object_on():
    """``cells + tracking`` is the centre in the frame before: 7.25 then, 10.25 now, 3 cells a frame."""
    raw = {"hm": torch.full((1, 1, 8, 24), -9.0), "wh": torch.full((1, 2, 8, 24), 4.0)}
    raw |= {name: torch.zeros(1, 2, 8, 24) for name in ("reg", "tracking")}
    raw["hm"][0, 0, 3, 10] = 3.0
    raw["reg"][0, :, 3, 10] = torch.tensor([0.25, 0.5])
    raw["tracking"][0, :, 3, 10] = torch.tensor([7.25 - 10, 3.5 - 3])
    memory, maps = HeatmapPropagator(motion="tracking"), adapters.centertrack(raw)
    memory(*maps[:3], extras=maps.extras)
    assert memory.state.velocity[0, 0].tolist() == [3, 0]
    assert memory.coast(2).cells[0, 0].tolist() == [16, 3]


def test_centerpoints_velocity_becomes_cells_between_two_frames():
    """4 m/s along x and -2 m/s along y, for half a second, on cells of 0.8 m: 2.5 and -1.25 cells."""
    raw = one_object({"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2})
    raw["vel"][0, 0], raw["vel"][0, 1] = 4.0, -2.0
    [maps] = adapters.centerpoint(tasks=(1,), seconds=0.5)([raw])
    memory = HeatmapPropagator(motion="tracking")
    memory(*maps[:3], extras=maps.extras)
    torch.testing.assert_close(memory.state.velocity[0, 0], torch.tensor([2.5, -1.25]))
    assert "tracking" not in adapters.centerpoint(tasks=(1,))([raw])[0].extras


def test_centerpoints_time_between_frames_is_checked():
    raw = one_object({"reg": 2, "height": 1, "dim": 3, "rot": 2})
    with pytest.raises(ValueError, match="needs 'vel' for seconds=, got none"):
        adapters.centerpoint(tasks=(1,), seconds=0.5)([raw])
    for seconds, error in ((-1, ValueError), (float("nan"), ValueError), ("1", TypeError)):
        with pytest.raises(error, match="seconds must be"):
            adapters.centerpoint(tasks=(1,), seconds=seconds)
