"""Seq-NMS against plain loops, and the faults of other implementations, each as a test."""

import numpy as np
import pytest
import seq_nms_oracle
import torch
import toy
from hypothesis import given, settings
from hypothesis import strategies as st

from heatprop.offline.seq_nms import Tubelets, rescore_boxes, seq_nms
from heatprop.offline.seq_nms_detections import seq_nms_detections
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections


def smooth_video(rng, *, frames, boxes, classes):
    """Boxes anywhere in a small picture with scores of many digits: no ties."""
    video = []
    for _ in range(frames):
        count = rng.integers(0, boxes + 1)
        corner = rng.random((count, 2)) * 30
        box = np.concatenate([corner, corner + rng.random((count, 2)) * 20], axis=1)
        video.append((box, rng.random(count), rng.integers(0, classes, count)))
    return [list(column) for column in zip(*video, strict=True)]


def coarse_video(rng, *, frames, boxes, classes):
    """Boxes and scores on a coarse grid: equal IoUs, equal sums, score 0, boxes without area or inside out."""
    video = []
    for _ in range(frames):
        count = rng.integers(0, boxes + 1)
        corner = rng.integers(0, 6, (count, 2)) * 4.0
        box = np.concatenate([corner, corner + rng.integers(-1, 5, (count, 2)) * 4.0], axis=1)
        video.append((box, rng.integers(0, 5, count) / 4, rng.integers(0, classes, count)))
    return [list(column) for column in zip(*video, strict=True)]


def negative_video(rng, **shape):
    """Logits: some are below 0."""
    boxes, scores, labels = coarse_video(rng, **shape)
    return boxes, [score - 0.5 for score in scores], labels


def frame(*rows):
    """One frame as (boxes, scores, labels) of rows (x1, y1, x2, y2, score[, label])."""
    table = np.array([(*row, 0)[:6] for row in rows], dtype=float).reshape(-1, 6)
    return table[:, :4], table[:, 4], table[:, 5].astype(np.int64)


def columns(*frames):
    return [list(column) for column in zip(*frames, strict=True)]


def expect(boxes, scores, labels, **options):
    """What the oracle keeps: per frame the boxes, scores, labels; per box (class, choice)."""
    listed = ([one.tolist() for one in column] for column in (boxes, scores, labels))
    kept = seq_nms_oracle.seq_nms(*listed, **options)
    places = [sorted(place for index, place in kept if index == number) for number in range(len(boxes))]
    picked = [[column[number][place] for number, place in enumerate(places)] for column in (boxes, labels)]
    values = [[kept[number, place] for place in row] for number, row in enumerate(places)]
    new_scores = [[score for score, _ in row] for row in values]
    return picked[0], new_scores, picked[1], [[identity for _, identity in row] for row in values]


def assert_equals_the_oracle(video, **options):
    found = seq_nms(*video, **options)
    boxes, scores, labels, identities = expect(*video, **options)
    for number in range(len(boxes)):
        np.testing.assert_array_equal(found.boxes[number], boxes[number])
        assert found.scores[number].tolist() == scores[number]  # to the last bit
        np.testing.assert_array_equal(found.labels[number], labels[number])
    pairs = {
        (a, b)
        for ids, names in zip(found.tubelet_ids, identities, strict=True)
        for a, b in zip(ids, names, strict=True)
    }
    assert len(pairs) == len({a for a, _ in pairs}) == len({b for _, b in pairs}), "ids name the oracle's paths"
    assert {int(a) for a, _ in pairs} == set(range(len(pairs)))


# --- oracle -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [smooth_video, coarse_video, negative_video])
@pytest.mark.parametrize("rescore", ["average", "maximum"])
def test_random_videos_equal_the_loop_oracle(make, rescore):
    rng = np.random.default_rng(7)
    for _ in range(100):
        shape = {"frames": rng.integers(1, 8), "boxes": rng.integers(1, 9), "classes": rng.integers(1, 4)}
        assert_equals_the_oracle(make(rng, **shape), rescore=rescore)


@pytest.mark.parametrize("thresholds", [(0.3, 0.3), (0.7, 0.2), (0.2, 0.9), (1.0, 1.0), (2.0, 0.3), (0.5, 2.0)])
def test_other_thresholds_equal_the_loop_oracle(thresholds):
    rng = np.random.default_rng(8)
    for make in (smooth_video, coarse_video) * 15:
        video = make(rng, frames=5, boxes=6, classes=2)
        assert_equals_the_oracle(video, link_iou=thresholds[0], nms_iou=thresholds[1])


def test_a_crowd_that_is_one_component_equals_the_loop_oracle():
    rng = np.random.default_rng(9)
    for _ in range(4):
        corner = rng.random((12, 20, 2)) * 12
        boxes = list(np.concatenate([corner, corner + 20], axis=2))
        assert_equals_the_oracle((boxes, list(rng.random((12, 20))), [np.zeros(20, np.int64)] * 12), nms_iou=0.8)


def test_more_pairs_than_one_chunk_holds_equal_the_loop_oracle(monkeypatch):
    monkeypatch.setattr("heatprop.offline.tubelet_links.CHUNK", 5)
    rng = np.random.default_rng(10)
    for _ in range(40):
        assert_equals_the_oracle(smooth_video(rng, frames=5, boxes=6, classes=2))


# --- the rule ---------------------------------------------------------------------------------------------------------


def test_a_path_gets_the_average_of_its_scores():
    video = columns(frame((0, 0, 10, 10, 0.9)), frame((1, 0, 11, 10, 0.3)), frame((2, 0, 12, 10, 0.6)))
    found = seq_nms(*video)
    np.testing.assert_allclose(np.concatenate(found.scores), [0.6, 0.6, 0.6])
    np.testing.assert_allclose(np.concatenate(seq_nms(*video, rescore="maximum").scores), [0.9, 0.9, 0.9])


def test_the_sum_decides_and_not_the_average():
    """Three weak boxes in a row beat one strong box that overlaps the middle one."""
    weak, strong = (0, 0, 10, 10, 0.4), (3, 3, 13, 13, 0.9)
    found = seq_nms(*columns(frame(weak), frame(strong, weak), frame(weak)))
    assert [len(one) for one in found.scores] == [1, 1, 1]
    np.testing.assert_allclose(np.concatenate(found.scores), 0.4)


def test_boxes_link_and_exclude_at_exactly_the_thresholds():
    """IoU of 10 x 10 with 10 x 5 inside it is exactly 1/2."""
    video = columns(frame((0, 0, 10, 10, 0.9)), frame((0, 0, 10, 5, 0.5)))
    assert np.unique(np.concatenate(seq_nms(*video, link_iou=0.5).tubelet_ids)).tolist() == [0]
    assert np.unique(np.concatenate(seq_nms(*video, link_iou=0.5000001).tubelet_ids)).tolist() == [0, 1]
    pair = columns(frame((0, 0, 10, 10, 0.9), (0, 0, 10, 5, 0.5)))
    assert len(seq_nms(*pair, nms_iou=0.5).scores[0]) == 1
    assert len(seq_nms(*pair, nms_iou=0.5000001).scores[0]) == 2


def test_only_adjacent_frames_link():
    found = seq_nms(*columns(frame((0, 0, 9, 9, 0.8)), frame(), frame((0, 0, 9, 9, 0.2))))
    assert np.concatenate(found.scores).tolist() == [0.8, 0.2]
    assert np.concatenate(found.tubelet_ids).tolist() == [0, 1]


def test_classes_neither_link_nor_exclude_each_other():
    found = seq_nms(*columns(frame((0, 0, 9, 9, 0.8, 1), (0, 0, 9, 9, 0.7, 2)), frame((0, 0, 9, 9, 0.2, 2))))
    np.testing.assert_allclose(np.concatenate(found.scores), [0.8, 0.45, 0.45])
    assert [one.tolist() for one in found.tubelet_ids] == [[1, 0], [0]]


def test_ids_count_from_the_largest_score_sum():
    rng = np.random.default_rng(11)
    found = seq_nms(*smooth_video(rng, frames=20, boxes=10, classes=3))
    sums = np.bincount(np.concatenate(found.tubelet_ids), weights=np.concatenate(found.scores))
    assert (np.diff(sums) <= 1e-12).all()


def test_linking_nothing_is_nms_in_each_frame():
    rng = np.random.default_rng(12)
    video = smooth_video(rng, frames=30, boxes=10, classes=1)
    found = seq_nms(*video, link_iou=2)
    for number, (boxes, scores, _) in enumerate(zip(*video, strict=True)):
        alive, kept = list(np.argsort(-scores)), []
        while alive:
            kept.append(alive.pop(0))
            alive = [i for i in alive if seq_nms_oracle.intersection_over_union(boxes[kept[-1]], boxes[i]) < 0.3]
        np.testing.assert_array_equal(found.scores[number], scores[sorted(kept)])


# --- ties -------------------------------------------------------------------------------------------------------------


def test_of_equal_sums_the_path_that_ends_first_is_chosen():
    """Both boxes of frame 0 and 1 are worth 0.5 and do not link; numbers go by frame, then place."""
    found = seq_nms(*columns(frame((50, 0, 60, 10, 0.5), (0, 0, 10, 10, 0.5)), frame((20, 20, 30, 30, 0.5))))
    assert [one.tolist() for one in found.tubelet_ids] == [[0, 1], [2]]


def test_a_box_follows_the_first_of_equal_predecessors():
    first, second, after = (0, 0, 10, 10, 0.5), (0, 4, 10, 14, 0.5), (0, 2, 10, 12, 0.5)
    found = seq_nms(*columns(frame(first, second), frame(after)), nms_iou=0.9)
    assert [one.tolist() for one in found.tubelet_ids] == [[0, 1], [0]]


def test_boxes_of_score_zero_begin_and_end_no_longer_path():
    box = (0, 0, 10, 10)
    found = seq_nms(*columns(*(frame((*box, score)) for score in (0.0, 0.8, 0.0, 0.6, 0.0))))
    np.testing.assert_allclose(np.concatenate(found.scores), [0, 1.4 / 3, 1.4 / 3, 1.4 / 3, 0])


def test_scores_too_small_to_change_a_sum_still_equal_the_oracle():
    box = (0, 0, 10, 10)
    scores = (1e-30, 0.5, 1e-20, 1e-17, 1e-16, 0.25, 1e-300)
    assert_equals_the_oracle(columns(*(frame((*box, score)) for score in scores)))


# --- faults of other implementations ----------------------------------------------------------------------------------


def test_an_isolated_strong_box_does_not_end_the_search():
    """Others stop at the first best path of length 1 and leave the track of 0.1 and 0.3 unrescored."""
    track = [(0, 0, 10, 10, 0.1), (1, 0, 11, 10, 0.3)]
    found = seq_nms(*columns(frame((80, 80, 90, 90, 0.99), track[0]), frame(track[1])))
    assert found.scores[0].tolist() == [0.99, 0.2]
    assert found.scores[1].tolist() == [0.2]


def test_suppressed_boxes_are_gone():
    """Others mark them and return them with their old score, or let a later path use them."""
    best, under = (0, 0, 10, 10, 0.9), (2, 0, 12, 10, 0.5)
    found = seq_nms(*columns(frame(best, under), frame(best, under)))
    assert [len(one) for one in found.boxes] == [1, 1]
    assert [one.tolist() for one in found.scores] == [[0.9], [0.9]]


@pytest.mark.parametrize(
    "box", [(5, 5, 5, 5), (5, 5, 5, 9), (9, 5, 5, 9), (np.nan, 0, 9, 9), (0, 0, np.inf, 9), (-np.inf, 0, np.inf, 9)]
)
def test_a_degenerate_box_is_a_tubelet_of_its_own(box):
    found = seq_nms(*columns(frame((*box, 0.9), (*box, 0.8)), frame((*box, 0.7))))
    assert [one.tolist() for one in found.scores] == [[0.9, 0.8], [0.7]]
    assert [one.tolist() for one in found.tubelet_ids] == [[0, 1], [2]]


# --- forms ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_come_back_in_their_dtypes(dtype):
    box, score, label = frame((0, 0, 10, 10, 0.5))
    found = seq_nms([box.astype(dtype)], [score.astype(dtype)], [label.astype(np.int32)])
    assert isinstance(found, Tubelets)
    assert [column[0].dtype for column in found] == [dtype, dtype, np.int32, np.int64]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_tensors_come_back_as_tensors_of_their_dtypes(dtype):
    box, score, label = (torch.from_numpy(column) for column in frame((0, 0, 10, 10, 0.5)))
    found = seq_nms([box.to(dtype).requires_grad_()], [score.to(dtype)], [label])
    assert [column[0].dtype for column in found] == [dtype, dtype, torch.int64, torch.int64]
    assert not found.boxes[0].requires_grad


def test_tensors_give_what_arrays_give():
    video = smooth_video(np.random.default_rng(13), frames=10, boxes=8, classes=2)
    arrays = seq_nms(*video)
    tensors = seq_nms(*([torch.from_numpy(one) for one in column] for column in video))
    for one, other in zip(arrays, tensors, strict=True):
        for array, tensor in zip(one, other, strict=True):
            np.testing.assert_array_equal(array, tensor.numpy())


def test_videos_without_frames_and_frames_without_boxes_pass():
    assert seq_nms([], [], []) == ([], [], [], [])
    empty = np.zeros((0, 4)), np.zeros(0), np.zeros(0, np.int64)
    found = seq_nms(*columns(empty, empty))
    assert [one.shape for one in found.boxes] == [(0, 4)] * 2
    assert [one.dtype for one in found.tubelet_ids] == [np.int64] * 2


def test_an_empty_list_made_an_array_is_a_frame_without_boxes():
    found = seq_nms(*columns(frame((0, 0, 9, 9, 0.8)), (np.array([]), np.array([]), np.array([]))))
    assert found.boxes[1].shape == (0, 4)
    assert found.labels[0].dtype == np.int64


def test_the_arguments_are_left_as_they_were():
    video = coarse_video(np.random.default_rng(14), frames=6, boxes=8, classes=2)
    before = [[one.copy() for one in column] for column in video]
    seq_nms(*video)
    for column, copies in zip(video, before, strict=True):
        for one, copy in zip(column, copies, strict=True):
            np.testing.assert_array_equal(one, copy)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_scores_stay_between_the_lowest_and_the_highest(seed):
    video = coarse_video(np.random.default_rng(seed), frames=6, boxes=8, classes=2)
    scores, found = np.concatenate([[0], *video[1]]), np.concatenate([[0], *seq_nms(*video).scores])
    assert found.min() >= scores.min()
    assert found.max() <= scores.max()


# --- detections -------------------------------------------------------------------------------------------------------


@pytest.fixture
def detections():
    rng = torch.Generator().manual_seed(0)
    heatmap, size, depth = (torch.rand(2, 6, channels, 16, 16, generator=rng) for channels in (2, 2, 1))
    propagator = HeatmapPropagator(top_k=30, nms_threshold=0.9)  # leaves Seq-NMS something to remove
    return propagator.forward_chunk(heatmap, size=4 + 8 * size, extras={"depth": depth}).detections


def test_detections_equal_seq_nms_on_each_stream(detections):
    result = seq_nms_detections(detections)
    for before, after in zip(detections.unpad(), result.unpad(), strict=True):
        expected = seq_nms(*([one[name] for one in before] for name in ("boxes", "scores", "labels")))
        for boxes, scores, ids, one in zip(*(expected[i] for i in (0, 1, 3)), after, strict=True):
            order = scores.argsort(descending=True, stable=True)
            torch.testing.assert_close(one["boxes"], boxes[order], rtol=0, atol=0)
            torch.testing.assert_close(one["scores"], scores[order], rtol=0, atol=0)
            assert one["track_ids"].tolist() == ids[order].tolist()


@pytest.mark.parametrize(("width", "kept"), [(13.0, 1), (12.999, 2)])
def test_detections_are_removed_from_an_iou_of_0_3_on_by_default(width, kept):
    """Two boxes 7 cells apart: 6 cells of 20 in common is 0.3, 5.999 of 19.999 less."""
    heatmap = toy.spots((1, 5, 40), {(0, 2, 10): 0.9, (0, 2, 17): 0.8})
    propagator = HeatmapPropagator(nms_threshold=1.0)
    detections = propagator(heatmap, toy.plane(heatmap, 0.0, 0.0), toy.plane(heatmap, width, 1.0)).detections
    assert detections.valid.sum() == 2
    [found] = seq_nms_detections([detections])
    assert found.valid.sum() == kept


def test_detections_keep_shapes_dtypes_and_the_order_of_the_design(detections):
    result = seq_nms_detections(detections)
    for name in set(Detections._fields) - {"extras"}:
        assert getattr(result, name).shape == getattr(detections, name).shape
        assert getattr(result, name).dtype == getattr(detections, name).dtype
    scores, valid = result.scores, result.valid
    assert (scores[..., :-1] >= scores[..., 1:]).all()
    assert (valid[..., :-1] >= valid[..., 1:]).all(), "the valid ones first"
    assert valid.sum() < detections.valid.sum()
    assert (result.track_ids[~valid] == -1).all()
    assert not result.boxes[~valid].any()
    assert not result.extras["depth"][~valid].any()


def test_fields_travel_with_their_boxes(detections):
    result = seq_nms_detections(detections)
    before = {
        tuple(box): depth
        for box, depth in zip(detections.boxes[0, 3].tolist(), detections.extras["depth"][0, 3], strict=True)
    }
    valid = result.valid[0, 3]
    for box, depth in zip(result.boxes[0, 3][valid].tolist(), result.extras["depth"][0, 3][valid], strict=True):
        assert before[tuple(box)] == depth


def test_a_list_of_frames_gives_a_list_of_frames(detections):
    frames = [
        Detections(*(field[:, t] for field in detections[:-1]), extras={"depth": detections.extras["depth"][:, t]})
        for t in range(6)
    ]
    found, expected = seq_nms_detections(frames), seq_nms_detections(detections)
    assert len(found) == 6
    for t, one in enumerate(found):
        torch.testing.assert_close(one.scores, expected.scores[:, t])
        torch.testing.assert_close(one.extras["depth"], expected.extras["depth"][:, t])
    assert seq_nms_detections([]) == []


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"link_iou": 0}, ValueError, "link_iou must be above 0"),
        ({"nms_iou": -0.1}, ValueError, "nms_iou must be at least 0, got -0.1"),
        ({"nms_iou": float("nan")}, ValueError, "nms_iou must be at least 0, got nan"),
        ({"link_iou": "0.5"}, TypeError, "link_iou must be a number, got '0.5'"),
        ({"rescore": "mean"}, ValueError, "rescore must be 'average' or 'maximum', got 'mean'"),
    ],
)
def test_options_out_of_range_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        seq_nms(*columns(frame((0, 0, 9, 9, 0.5))), **options)


def test_lists_of_different_lengths_are_refused():
    box, score, label = frame((0, 0, 9, 9, 0.5))
    with pytest.raises(ValueError, match="same frames, got 2, 1 and 1 frames"):
        seq_nms([box, box], [score], [label])


def test_the_frame_with_wrong_shapes_is_named():
    good, (box, score, label) = frame((0, 0, 9, 9, 0.5)), frame((0, 0, 9, 9, 0.5))
    with pytest.raises(ValueError, match=r"\(n, 4\), \(n,\) and \(n,\), got \(1, 4\), \(1, 1\) and \(1,\) in frame 1"):
        seq_nms(*columns(good, (box, score[:, None], label)))
    with pytest.raises(TypeError, match="boxes must hold numpy arrays or torch tensors, got list in frame 1"):
        seq_nms(*columns(good, (box.tolist(), score, label)))


def test_a_score_that_is_not_finite_is_refused_with_its_frame():
    with pytest.raises(ValueError, match="scores must be finite, got nan in frame 1"):
        seq_nms(*columns(frame((0, 0, 9, 9, 0.5)), frame((0, 0, 9, 9, 0.5), (0, 0, 9, 9, np.nan))))


def test_scores_that_are_no_floats_are_refused():
    box, _, label = frame((0, 0, 9, 9, 0.5))
    with pytest.raises(TypeError, match="scores must be floating point numbers, got int64 in frame 0"):
        seq_nms([box], [np.array([1])], [label])


def test_detections_without_time_and_frames_of_different_shapes_are_refused(detections):
    one = Detections(*(field[:, 0] for field in detections[:-1]), extras={})
    with pytest.raises(ValueError, match=r"must have time, valid \(B, T, K\), got \(2, 30\)"):
        seq_nms_detections(one)
    fewer = Detections(*(field[:, :5] for field in one[:-1]), extras={})
    with pytest.raises(ValueError, match=r"got \(2, 30\) and, in frame 1, \(2, 5\)"):
        seq_nms_detections([one, fewer])


def test_columns_of_a_video_are_rescored_directly():
    box, score, label = frame((0, 0, 9, 9, 0.9), (0, 0, 9, 9, 0.5), (0, 0, 9, 9, 0.3))
    scores, ids = rescore_boxes(box, score, label, np.array([4, 4, 5]))
    np.testing.assert_allclose(scores, [0.6, 0, 0.6])
    assert ids.tolist() == [0, -1, 0]
