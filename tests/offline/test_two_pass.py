"""Forward and backward propagation over a finished video, against plain loops and by what it promises."""

import gc
import tracemalloc
import weakref

import numpy as np
import pytest
import torch
import toy
import two_pass_oracle
from oracles import balanced_scores

from heatprop import HeadMaps, HeatmapPropagator, two_pass
from heatprop.offline.backward_motion import reverse_shift
from heatprop.offline.frame_store import FrameStore
from heatprop.offline.merged_identities import Identities
from heatprop.offline.merging import NOBODY, FrameObjects, merge_directions, pair_up
from heatprop.offline.two_pass import backward_pass

PAIRED = ("box", "score", "label", "network_score", "carried", "age")
FIELDS = ("boxes", "scores", "labels", "network_scores", "carried", "ages")


def frames_of(maps):
    return [toy.frame(maps, time) for time in range(maps.heatmap.shape[1])]


def unpadded(video, propagator=None, **options):
    return [frame.unpad()[0] for frame in two_pass(video, propagator or HeatmapPropagator(), **options)]


def one_object(scores, *, cell=(8, 8), side=16, size=4.0):
    """A video of one object that stays where it is."""
    heatmap = torch.zeros(len(scores), 1, side, side, dtype=torch.float64)
    heatmap[:, 0, cell[1], cell[0]] = torch.tensor(scores, dtype=torch.float64)
    return HeadMaps(heatmap, size=torch.full((len(scores), 2, side, side), size, dtype=torch.float64))


# --- the oracle -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(
    ("rules", "options"),
    [
        ({}, {}),
        ({"combine": "maximum", "match_iou": 0.3}, {"radius": 1, "alpha": 0.9, "beta": 5.0, "nms_threshold": 0.6}),
        ({"match_iou": 0.0}, {"radius": 3, "carry": "network", "score_threshold": 0.2}),
    ],
)
def test_it_finds_what_the_loop_oracle_finds(seed, rules, options):
    maps, cuts = toy.crowd(seed, batch=1, frames=7, shape=(2, 9, 9)), {4}
    found = unpadded(frames_of(maps), HeatmapPropagator(**options), cuts=cuts, **rules)
    wide = [(one.heatmap, one.offset, one.size, one.extras) for one in frames_of(maps)]
    expected = two_pass_oracle.two_pass(wide, cuts=cuts, **rules, **options)
    assert sum(entry["forward"] is not None and entry["backward"] is not None for one in expected for entry in one) > 9
    for frame, wanted in zip(found, expected, strict=True):
        for field, key in zip(FIELDS, PAIRED, strict=True):
            values = np.array([entry[key] for entry in wanted]).reshape(frame[field].shape)
            np.testing.assert_allclose(frame[field].numpy(), values, atol=1e-9)
        assert frame["cells"].tolist() == [list(entry["cell"]) for entry in wanted]
        depth = np.array([entry["extras"]["depth"] for entry in wanted])
        np.testing.assert_allclose(frame["extras"]["depth"].numpy().ravel(), depth.ravel(), atol=1e-12)


@pytest.mark.parametrize("seed", range(3))
def test_points_are_paired_by_their_cells_as_the_loop_oracle_does(seed):
    maps = toy.crowd(seed, batch=1, frames=5)._replace(size=None)
    found = unpadded(frames_of(maps), HeatmapPropagator(radius=1))
    wide = [(one.heatmap, one.offset, None, one.extras) for one in frames_of(maps)]
    expected = two_pass_oracle.two_pass(wide, points=True, radius=1)
    for frame, wanted in zip(found, expected, strict=True):
        np.testing.assert_allclose(frame["scores"].numpy(), [entry["score"] for entry in wanted], atol=1e-9)
        assert frame["cells"].tolist() == [list(entry["cell"]) for entry in wanted]


@pytest.mark.parametrize("seed", range(4))
def test_no_two_objects_of_a_frame_share_an_identity_and_forward_tracks_keep_theirs(seed):
    maps = toy.crowd(seed, batch=1, frames=8)
    wide = [(one.heatmap, one.offset, one.size, one.extras) for one in frames_of(maps)]
    expected = two_pass_oracle.two_pass(wide, nms_threshold=0.6)
    names = [one["track_ids"].tolist() for one in unpadded(frames_of(maps), HeatmapPropagator(nms_threshold=0.6))]
    for one in names:
        assert len(set(one)) == len(one)
    assert sorted({name for one in names for name in one}) == list(range(max(max(one) for one in names) + 1))
    lasting = 0
    for before, now, named_before, named_now in zip(expected, expected[1:], names, names[1:], strict=False):
        last = {entry["forward"]: name for entry, name in zip(before, named_before, strict=True)}
        for entry, name in zip(now, named_now, strict=True):
            if entry["forward"] is not None and entry["forward"] in last:
                assert name == last[entry["forward"]]
                lasting += 1
    assert lasting > 5


# --- what it promises -------------------------------------------------------------------------------------------------


def test_an_object_is_covered_before_its_first_detection():
    scores = [0.04, 0.04, 0.9, 0.9, 0.9]
    found = unpadded(one_object(scores))
    back = balanced_scores(scores[::-1])[::-1]
    np.testing.assert_allclose([frame["scores"].item() for frame in found[:2]], back[:2], atol=1e-9)
    assert [frame["carried"].item() for frame in found] == [True, True, False, False, False]
    assert [frame["ages"].item() for frame in found] == [5, 4, 3, 2, 3]


def test_a_gap_gets_the_mean_of_both_ends():
    scores = [0.9, 0.9, 0.04, 0.04, 0.7, 0.7]
    forward, back = balanced_scores(scores), balanced_scores(scores[::-1])[::-1]
    found = [frame["scores"].item() for frame in unpadded(one_object(scores))]
    np.testing.assert_allclose(found, np.mean([forward, back], axis=0), atol=1e-9)
    most = [frame["scores"].item() for frame in unpadded(one_object(scores), combine="maximum")]
    np.testing.assert_allclose(most, np.max([forward, back], axis=0), atol=1e-9)


def test_no_direction_looks_across_a_cut():
    scores = [0.9, 0.9, 0.04, 0.04, 0.9, 0.9]
    found = unpadded(one_object(scores), cuts=[2, 4])
    assert [frame["scores"].tolist() for frame in found] == [[0.9], [0.9], [], [], [0.9], [0.9]]
    assert [frame["track_ids"].tolist() for frame in found] == [[0], [0], [], [], [1], [1]]


def test_one_object_has_one_identity_on_both_sides_of_a_gap_that_only_the_other_direction_bridges():
    """The forward pass forgets within the gap, the backward pass, surer from behind, does not."""
    scores = [0.06, *[0.01] * 8, *[0.95] * 9]
    found = unpadded(one_object(scores))
    assert [frame["track_ids"].tolist() for frame in found] == [[0]] * len(scores)


def test_a_reversed_video_gives_the_reversed_result():
    maps = toy.crowd(5, batch=1, frames=6)
    there = unpadded(frames_of(maps), cuts=[2])
    back = unpadded(frames_of(maps)[::-1], cuts=[4])[::-1]
    for one, other in zip(there, back, strict=True):
        for field in ("scores", "ages", "carried", "labels"):
            torch.testing.assert_close(one[field], other[field])


def test_stacked_maps_are_a_video():
    maps = toy.crowd(1, batch=1, frames=5)
    stacked = HeadMaps(*(field[0] for field in maps[:3]), {"depth": maps.extras["depth"][0]})
    for one, other in zip(unpadded(frames_of(maps)), unpadded(stacked), strict=True):
        for field in ("boxes", "scores", "track_ids"):
            assert torch.equal(one[field], other[field])


def test_the_propagators_state_is_left_alone():
    propagator = HeatmapPropagator()
    propagator(torch.rand(2, 1, 8, 8))
    before = propagator.state
    list(two_pass(one_object([0.9, 0.9]), propagator))
    assert all(torch.equal(one, other) for one, other in zip(before, propagator.state, strict=True))


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_detections_have_the_form_of_the_propagators(dtype):
    maps = one_object([0.5, 0.5])
    maps = HeadMaps(maps.heatmap.to(dtype), size=maps.size.to(dtype), extras={"depth": maps.heatmap.to(dtype)})
    propagator = HeatmapPropagator(top_k=7)
    one = propagator(maps.heatmap[:1], size=maps.size[:1], extras={"depth": maps.heatmap[:1].to(dtype)}).detections
    merged = next(two_pass(maps, propagator))
    for name, field in one._asdict().items():
        if name != "extras":
            assert (field.shape, field.dtype) == (getattr(merged, name).shape, getattr(merged, name).dtype)
    assert (merged.track_ids[~merged.valid] == -1).all()
    assert merged.extras["depth"].shape == one.extras["depth"].shape


def test_top_k_holds_for_both_directions_together():
    heatmap = torch.zeros(2, 1, 16, 16)
    heatmap[0, 0, 2, 2] = heatmap[1, 0, 12, 12] = 0.9
    heatmap[:, 0, 7, 7] = 0.3
    sizes = torch.full((2, 2, 16, 16), 2.0)
    first, second = two_pass(HeadMaps(heatmap, size=sizes), HeatmapPropagator(top_k=1))
    assert first.valid.tolist() == second.valid.tolist() == [[True]]
    assert first.cells.tolist() == [[[2, 2]]]


def test_a_video_without_frames_gives_none():
    assert list(two_pass([], HeatmapPropagator())) == []


# --- a picture that moves ---------------------------------------------------------------------------------------------


def panning(scores, *, step=4):
    """An object that the camera's motion carries along by `step` cells a frame, further than any square reaches."""
    heatmap = torch.zeros(len(scores), 1, 8, 40)
    for time, score in enumerate(scores):
        heatmap[time, 0, 4, 2 + step * time] = score
    return HeadMaps(heatmap, size=torch.full((len(scores), 2, 8, 40), 6.0))


def translation(x, y):
    return torch.tensor([[x, y]], dtype=torch.float64)


def affine(x, y):
    return torch.tensor([[[1, 0, x], [0, 1, y]]], dtype=torch.float64)


@pytest.mark.parametrize("kind", [translation, affine])
def test_the_memory_moves_with_the_picture_in_both_directions(kind):
    scores = [0.02, 0.02, 0.9, 0.9, 0.02, 0.9, 0.9, 0.02]
    shifts = [kind(99, 99), *[kind(4, 0)] * 7]  # nobody asks where the first frame comes from
    found = unpadded(panning(scores), HeatmapPropagator(radius=1), shifts=shifts)
    still = unpadded(one_object(scores), HeatmapPropagator(radius=1))
    for time, (one, other) in enumerate(zip(found, still, strict=True)):
        assert one["cells"].tolist() == [[2 + 4 * time, 4]]
        assert one["track_ids"].tolist() == [0]
        torch.testing.assert_close(one["scores"], other["scores"].float())
    alone = unpadded(panning(scores), HeatmapPropagator(radius=1))
    assert [2, 4] not in alone[0]["cells"].tolist(), "there it is remembered where it was seen"
    assert len(alone[4]["scores"]) > 1


def test_no_motion_reaches_across_a_cut():
    scores = [0.02, 0.9, 0.9, 0.02]
    shifts = [translation(4, 0)] * 4
    found = unpadded(panning(scores), HeatmapPropagator(radius=1), shifts=shifts, cuts=[2])
    assert [frame["cells"].tolist() for frame in found] == [[[2, 4]], [[6, 4]], [[10, 4]], [[14, 4]]]
    assert [frame["track_ids"].tolist() for frame in found] == [[0], [0], [1], [1]]


def test_a_motion_back_undoes_the_motion():
    there = torch.tensor([[[1.1, -0.2, 3.0], [0.1, 0.9, -5.0]]], dtype=torch.float64)
    points = torch.rand(9, 2, dtype=torch.float64)

    def moved(shift):
        return lambda at: at @ shift[0, :, :2].T + shift[0, :, 2]

    torch.testing.assert_close(moved(reverse_shift(there))(moved(there)(points)), points)
    torch.testing.assert_close(reverse_shift(translation(3, -4)), translation(-3, 4))
    assert torch.equal(reverse_shift(affine(0, 0)), affine(0, 0))
    assert reverse_shift(torch.zeros(1, 2, 3)).isnan().all()
    assert reverse_shift(there.half()).dtype == torch.float16


def test_a_flow_cannot_be_read_in_both_directions():
    with pytest.raises(ValueError, match=r"shifts must be \(1, 2\) or \(1, 2, 3\).*got \(1, 2, 8, 40\)"):
        unpadded(panning([0.9, 0.9]), shifts=[torch.zeros(1, 2, 8, 40)] * 2)


def test_there_is_a_shift_for_each_frame():
    with pytest.raises(ValueError, match="shifts must hold one for each of the 2 frames, got 1"):
        two_pass(panning([0.9, 0.9]), HeatmapPropagator(), shifts=[translation(0, 0)])


# --- pairing and naming -----------------------------------------------------------------------------------------------


def test_the_closest_pair_goes_first_and_nobody_twice():
    rows, columns = pair_up(np.array([[0.6, 0.9], [0.5, 0.8], [0.4, 0.3]]), 0.35)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])


def objects(boxes, scores, **identities):
    count = len(scores)
    zeros = np.zeros(count, np.int64)
    sides = {side: np.array(identities.get(side, [NOBODY] * count)) for side in ("forward_ids", "backward_ids")}
    boxes = np.array(boxes, float).reshape(-1, 4)
    cells = np.stack([np.arange(count), zeros], axis=1)
    columns = (np.array(scores, float), zeros, zeros.astype(np.int32), np.array(scores, float), cells)
    return FrameObjects(boxes, *columns, **sides, extras={})


def test_boxes_that_overlap_too_little_stay_two_unless_nms_says_otherwise():
    here, there = objects([[0, 0, 10, 10]], [0.8]), objects([[5, 0, 15, 10]], [0.6])  # IoU 1/3
    assert merge_directions(here, there, nms_threshold=0.4).scores.tolist() == [0.8, 0.6]
    assert merge_directions(here, there, nms_threshold=0.3).scores.tolist() == [0.8]
    np.testing.assert_allclose(merge_directions(here, there, match_iou=0.3).scores, [0.7])


def test_crossing_tracks_do_not_get_one_name():
    names = Identities()
    one = objects([[0] * 4] * 2, [0.9, 0.8], forward_ids=[0, 1], backward_ids=[7, 8])
    assert names.name(one, np.array([0, 1]), np.array([7, 8])).tolist() == [0, 1]
    swapped = one._replace(backward_ids=np.array([8, 7]))
    assert names.name(swapped, np.array([0, 1]), np.array([7, 8])).tolist() == [0, 1]


def test_a_suppressed_track_comes_back_with_its_name():
    names = Identities()
    both = objects([[0] * 4] * 2, [0.9, 0.8], forward_ids=[0, 1])
    assert names.name(both, np.array([0, 1]), np.array([])).tolist() == [0, 1]
    assert names.name(both.select([0]), np.array([0, 1]), np.array([])).tolist() == [0]
    assert names.name(both, np.array([0, 1]), np.array([])).tolist() == [0, 1]
    assert names.name(both.select([0]), np.array([0]), np.array([])).tolist() == [0]
    assert names.name(both, np.array([0, 1]), np.array([])).tolist() == [0, 2], "it was gone"


# --- memory -----------------------------------------------------------------------------------------------------------


def test_frames_are_read_one_at_a_time_and_twice():
    class Disk:
        def __init__(self):
            self.read = []

        def __len__(self):
            return 4

        def __getitem__(self, number):
            self.read.append(number)
            return HeadMaps(torch.zeros(1, 1, 8, 8))

    video = Disk()
    list(two_pass(video, HeatmapPropagator()))
    assert video.read == [3, 2, 1, 0, 0, 1, 2, 3]


def test_a_frame_store_reads_any_frame_and_leaves_no_file(tmp_path, monkeypatch):
    monkeypatch.setattr("heatprop.offline.frame_store.IN_MEMORY", 10)
    random = np.random.default_rng(0)
    frames = [[random.random((number, 3)), np.array([number > 1]), np.array(number)] for number in range(5)]
    with FrameStore(tmp_path) as store:
        for arrays in frames:
            store.append(arrays)
        for number in (4, 0, 3, -1, 2):
            for one, other in zip(store[number], frames[number], strict=True):
                assert (one.dtype, one.shape) == (other.dtype, other.shape)
                assert (one == other).all()
        assert store.size > 0
        store.append([np.zeros(1)])
        assert len(store) == 6
        with pytest.raises(IndexError, match="there are 6 frames, got number 6"):
            store[6]
    assert list(tmp_path.iterdir()) == []


class Endless:
    """Frames that exist while they are looked at; counts how many do."""

    def __init__(self, count):
        self.count, self.alive, self.most = count, weakref.WeakSet(), 0

    def __len__(self):
        return self.count

    def __getitem__(self, number):
        heatmap = torch.zeros(1, 1, 32, 32)
        heatmap[..., ::4, ::4] = torch.rand(8, 8)
        self.alive.add(heatmap)
        self.most = max(self.most, len(self.alive))
        return HeadMaps(heatmap, size=torch.full((1, 2, 32, 32), 2.0))


def test_maps_of_two_frames_at_most_are_in_memory():
    video = Endless(12)
    assert len(list(two_pass(video, HeatmapPropagator()))) == 12
    assert 1 <= video.most <= 2


def test_memory_does_not_grow_with_the_video(monkeypatch):
    monkeypatch.setattr("heatprop.offline.frame_store.IN_MEMORY", 2**12)

    def peak(count):
        gc.collect()
        gc.freeze()  # what is there already is not searched again for every frame
        tracemalloc.start()
        try:
            for _ in two_pass(Endless(count), HeatmapPropagator(radius=1)):
                gc.collect()
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()
            gc.unfreeze()

    peak(3)
    on_disk = peak(60) - peak(10)
    assert on_disk < 50 * 2000, "the names take a kilobyte a frame"
    monkeypatch.setattr("heatprop.offline.frame_store.IN_MEMORY", 2**26)
    assert peak(60) - peak(10) > 50 * 2000, "the frames take two more"


# --- errors -----------------------------------------------------------------------------------------------------------


def test_a_generator_is_no_video():
    with pytest.raises(TypeError, match="must be a sequence of HeadMaps, which is read in both directions"):
        two_pass((one for one in []), HeatmapPropagator())


def test_what_is_no_propagator_is_refused():
    with pytest.raises(TypeError, match="propagator must be a HeatmapPropagator, got float"):
        two_pass([], 0.5)


@pytest.mark.parametrize(
    ("options", "message"),
    [({"combine": "sum"}, 'must be "mean" or "maximum"'), ({"match_iou": 1.5}, "match_iou must be")],
)
def test_options_are_checked_at_once(options, message):
    with pytest.raises(ValueError, match=message):
        two_pass([], HeatmapPropagator(), **options)


@pytest.mark.parametrize("shapes", [[(1, 1, 8, 8), (1, 1, 8, 9)], [(2, 1, 8, 8), (2, 1, 8, 8)]])
def test_frames_of_another_shape_are_refused(shapes):
    video = [HeadMaps(torch.zeros(shape)) for shape in shapes]
    with pytest.raises(ValueError, match=r"must all have one shape \(1, C, H, W\)"):
        list(two_pass(video, HeatmapPropagator()))


def test_the_backward_pass_counts_its_frames():
    with FrameStore() as store:
        assert list(backward_pass(frames_of(toy.crowd(0, batch=1, frames=3)), HeatmapPropagator(), store)) == [1, 2, 3]


def test_motion_from_the_network_moves_nothing_backward_in_time():
    """An object hidden in the middle: the backward pass finds it where it was, not a step further on."""
    frames = []
    for time in range(9):
        x = 3 + 2 * time
        heatmap = toy.spots((1, 9, 24), {} if time == 4 else {(0, 4, x): 0.9}, dtype=torch.float32)
        maps = HeadMaps(heatmap, toy.plane(heatmap, 0.5, 0.5), toy.plane(heatmap, 4.0, 4.0))
        frames.append(maps._replace(extras={"tracking": toy.plane(heatmap, -1.5, 0.5)}))
    propagator = HeatmapPropagator(motion="tracking")
    for time, found in enumerate(two_pass(frames, propagator)):
        [one] = found.unpad()
        assert one["cells"].tolist() == [[3 + 2 * time, 4]]
    assert propagator.motion == "tracking"
