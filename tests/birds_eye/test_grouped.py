"""One memory for each group of classes: identities, order, what is suppressed, and errors that change nothing."""

import copy
import pickle

import pytest
import torch
from devices import can_fake_cuda
from torch._subclasses import FakeTensorMode

from heatprop import HeadMaps, HeatmapPropagator, adapters
from heatprop.birds_eye import (
    BirdsEyeGrid,
    CircleSuppression,
    GroupedPropagator,
    RotatedSuppression,
    ego_shift,
    metric_boxes,
)

CLASSES = (1, 2)
GRID = BirdsEyeGrid()


def frame(cars=(), others=(), *, batch=1):
    """Objects (class, y, x, score) of both groups, 3 x 3 cells large; the first group has an extra of its own."""
    groups = []
    for objects, classes in ((cars, 1), (others, 2)):
        heatmap = torch.zeros(batch, classes, 24, 24)
        for label, y, x, score in objects:
            heatmap[:, label, y, x] = score
        ones = torch.ones(batch, 1, 24, 24)
        extras = {"height": ones * classes, "dim": ones.expand(-1, 3, -1, -1), "rot": ones.expand(-1, 2, -1, -1)}
        maps = HeadMaps(heatmap, torch.zeros(batch, 2, 24, 24), torch.full((batch, 2, 24, 24), 3.0), extras)
        groups.append(maps if classes == 2 else maps._replace(extras=extras | {"own": ones}))
    return groups


def make(*, suppressions=None, **options):
    return GroupedPropagator(
        [HeatmapPropagator(**({"top_k": 6} | options)) for _ in CLASSES], classes=CLASSES, suppressions=suppressions
    )


def test_each_group_is_its_own_propagator():
    grouped, apart = make(), [HeatmapPropagator(top_k=6) for _ in CLASSES]
    for score in (0.9, 0.02, 0.6):
        groups = frame([(0, 5, 5, score)], [(0, 9, 9, 0.8), (1, 18, 3, score)])
        output = grouped(groups)
        for ours, propagator, maps in zip(output.groups, apart, groups, strict=True):
            expected = propagator(maps.heatmap, maps.offset, maps.size, extras=maps.extras)
            assert torch.equal(ours.heatmap, expected.heatmap)
            assert torch.equal(ours.detections.track_ids, expected.detections.track_ids)


def test_detections_come_together_by_falling_score_with_labels_over_all_groups():
    found = make()(frame([(0, 5, 5, 0.5), (0, 20, 20, 0.9)], [(1, 9, 9, 0.7), (0, 15, 3, 0.6)])).detections
    assert found.scores[0, :4].tolist() == pytest.approx([0.9, 0.7, 0.6, 0.5])
    assert found.labels[0, :5].tolist() == [0, 2, 1, 0, 0]
    assert found.valid[0].tolist() == [True] * 4 + [False] * 8
    assert found.extras["height"][0, :4, 0].tolist() == [1, 2, 2, 1]
    assert found.extras.keys() == {"height", "dim", "rot"}, "what only one group has stays in that group"
    assert found.track_ids[0, 4:].tolist() == [-1] * 8


def test_identities_never_collide_and_stay():
    grouped = make()
    first = grouped(frame([(0, 5, 5, 0.9)], [(0, 5, 5, 0.8), (1, 18, 3, 0.7)])).detections
    ids = dict(zip(first.labels[0, :3].tolist(), first.track_ids[0, :3].tolist(), strict=True))
    assert len(set(ids.values())) == 3
    second = grouped(frame([(0, 6, 5, 0.6)], [(0, 5, 6, 0.8), (1, 18, 4, 0.7)])).detections
    assert dict(zip(second.labels[0, :3].tolist(), second.track_ids[0, :3].tolist(), strict=True)) == ids


def test_what_is_suppressed_across_classes_is_not_remembered():
    near = CircleSuppression(GRID, squared_distance=4.0)
    grouped = make(suppressions=[near, near])
    found = grouped(frame([(0, 5, 5, 0.9)], [(0, 9, 9, 0.8), (1, 9, 11, 0.7)])).detections  # 1.6 m apart
    assert found.labels[0][found.valid[0]].tolist() == [0, 1]
    assert [int(state.valid.sum()) for state in grouped.state] == [1, 1]
    lost = grouped(frame()).detections
    assert lost.labels[0][lost.valid[0]].tolist() == [0, 1]
    assert lost.carried[0, :2].all()


def test_the_limit_keeps_the_best():
    grouped = make(suppressions=[CircleSuppression(GRID, 0.0, limit=1)] * 2)
    found = grouped(frame([(0, 5, 5, 0.5), (0, 20, 20, 0.9)])).detections
    assert found.scores[0][found.valid[0]].tolist() == pytest.approx([0.9])


def test_the_ground_moves_against_the_car():
    """Driving 1.6 m ahead, two cells, an object comes nearer by two; lost there, it is carried there."""
    grouped = make(radius=0)
    motion = torch.eye(4)[None].clone()
    motion[0, 0, 3] = -1.6
    grouped(frame([(0, 5, 12, 0.9)]))
    found = grouped(frame(), shift=ego_shift(motion, GRID)).detections
    assert found.cells[0, 0].tolist() == [10, 5]
    coasted = grouped.coast(shift=ego_shift(motion, GRID))
    assert coasted.cells[0, 0].tolist() == [8, 5]


def test_one_stream_is_reset_and_the_other_goes_on():
    grouped = make()
    grouped(frame([(0, 5, 5, 0.9)], batch=2))
    found = grouped(frame([(0, 5, 5, 0.9)], batch=2), reset=torch.tensor([True, False])).detections
    assert found.ages[:, 0].tolist() == [1, 2]
    grouped.reset()
    assert grouped.state == (None, None)


def test_the_memory_is_copied_and_pickled_with_the_module_and_set():
    grouped = make()
    grouped(frame([(0, 5, 5, 0.9)], [(0, 9, 9, 0.8)]))
    others = [copy.deepcopy(grouped), pickle.loads(pickle.dumps(grouped)), make()]
    others[2].state = grouped.state
    expected = grouped(frame()).detections
    for one in others:
        assert torch.equal(one(frame()).detections.scores, expected.scores)


def test_a_refused_frame_leaves_all_groups_where_they_were():
    grouped = make()
    grouped(frame([(0, 5, 5, 0.9)], [(0, 9, 9, 0.8)]))
    before = [tuple(field.clone() for field in state) for state in grouped.state]

    def fails(detections):
        raise RuntimeError("out of memory")

    grouped.suppressions = (lambda detections: detections.valid, fails)
    with pytest.raises(RuntimeError, match="out of memory"):
        grouped(frame([(0, 20, 20, 0.9)]))
    for state, kept in zip(grouped.state, before, strict=True):
        assert all(torch.equal(ours, theirs) for ours, theirs in zip(state, kept, strict=True))


def test_groups_that_do_not_fit_are_refused():
    grouped, groups = make(), frame()
    with pytest.raises(ValueError, match="groups must hold 2 sets of maps, got 1"):
        grouped(groups[:1])
    with pytest.raises(ValueError, match=r"groups must have \(1, 2\) classes, got \(2, 1\)"):
        grouped(groups[::-1])
    smaller = HeadMaps(torch.zeros(1, 2, 8, 8))
    with pytest.raises(ValueError, match=r"one batch and grid \(B, H, W\), got \[\(1, 8, 8\), \(1, 24, 24\)\]"):
        grouped([groups[0], smaller])
    with pytest.raises(ValueError, match="reset must have shape"):
        grouped(groups, reset=torch.tensor([True, False]))
    with pytest.raises(ValueError, match="state must have 2 entries, one for each group, got 1"):
        grouped.state = [None]


def test_propagators_that_do_not_fit_are_refused():
    one = HeatmapPropagator(top_k=6)
    with pytest.raises(ValueError, match="a propagator of its own, got one twice"):
        GroupedPropagator([one, one], classes=CLASSES)
    with pytest.raises(ValueError, match=r"equal top_k and stride, got \[\(6, 4\), \(7, 4\)\]"):
        GroupedPropagator([one, HeatmapPropagator(top_k=7)], classes=CLASSES)
    with pytest.raises(ValueError, match="one entry for each group, got 1, 2 and none"):
        GroupedPropagator([one], classes=CLASSES)
    with pytest.raises(TypeError, match="propagators must be HeatmapPropagators, got Linear"):
        GroupedPropagator([torch.nn.Linear(1, 1)], classes=(1,))


def test_it_runs_on_meta_tensors_without_waiting():
    near = CircleSuppression(GRID, squared_distance=4.0)
    grouped = make(suppressions=[near, near])
    groups = [maps.map(lambda field: field.to("meta")) for maps in frame()]
    assert grouped(groups).detections.boxes.shape == (1, 12, 4)
    assert grouped(groups).detections.boxes.device.type == "meta"


@pytest.mark.skipif(not can_fake_cuda(), reason="this CPU build of torch cannot slice fake CUDA tensors")
def test_it_takes_the_steps_that_a_gpu_takes():
    """Fake tensors refuse whatever would wait for the device; the adapter and both suppressions are on the way."""
    with FakeTensorMode():
        channels = {"reg": 2, "height": 1, "dim": 3, "rot": 2, "vel": 2}
        heads = [
            {name: torch.zeros(1, depth, 24, 24, device="cuda") for name, depth in ({"hm": n} | channels).items()}
            for n in CLASSES
        ]
        groups = adapters.centerpoint(tasks=CLASSES, grid=GRID, limits=(-50, -50, -5, 50, 50, 5))(heads)
        grouped = make(suppressions=[CircleSuppression(GRID, 4.0), RotatedSuppression(GRID)])
        grouped(groups)
        motion = torch.zeros(1, 4, 4, device="cuda")
        found = grouped(groups, shift=ego_shift(motion, GRID)).detections
        assert metric_boxes(found, GRID).device.type == "cuda"


def test_time_passes_in_all_groups():
    maps = [HeadMaps(torch.rand(2, classes, 16, 16) ** 6) for classes in (1, 2)]
    one, other = (GroupedPropagator([HeatmapPropagator(top_k=5) for _ in range(2)], classes=(1, 2)) for _ in range(2))
    for _ in range(2):
        found = one(maps, dt=torch.tensor([1.0, 3.0]))
        apart = [
            alone(group.heatmap, dt=torch.tensor([1.0, 3.0])) for alone, group in zip(other._all(), maps, strict=True)
        ]
    for ours, theirs in zip(found.groups, apart, strict=True):
        assert torch.equal(ours.detections.scores, theirs.detections.scores)
    assert one.coast(dt=2).scores.max() == pytest.approx(found.detections.scores.max() * 0.98**2)
    before = one.state
    with pytest.raises(ValueError, match="dt must be above 0"):
        one(maps, dt=0)
    assert all(now.valid is then.valid for now, then in zip(one.state, before, strict=True))
