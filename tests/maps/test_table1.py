"""Table 1 on saved maps, held against detections by hand and a frame-by-frame reference."""

import math

import numpy as np
import pytest
import torch

from heatprop import HeatmapPropagator
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.maps.detecting import (
    HP,
    INTERPOLATION,
    PER_FRAME,
    Setting,
    clip_boxes,
    detect_in_maps,
    name_classes,
    seq_nms_predictions,
)
from heatprop.maps.saved import SavedMaps
from heatprop.maps.table1 import compare_methods, methods_like, table1

BOX = (24, 24, 40, 40)  # 4 x 4 cells around cell (8, 8), stride 4


def video(scores, name="v", names=("ball",), cells=None):
    """An object of 4 x 4 cells at a cell per frame, (8, 8) if not said, with one score per frame."""
    frames = len(scores)
    heatmap = np.zeros((frames, 1, 16, 16), np.float16)
    for frame, (score, (x, y)) in enumerate(zip(scores, cells or [(8, 8)] * frames, strict=True)):
        heatmap[frame, 0, y, x] = score
    size, offset = np.full((frames, 2, 16, 16), 4, np.float16), np.zeros((frames, 2, 16, 16), np.float16)
    truth = GroundTruth([name] * frames, range(frames), [0] * frames, [0] * frames, [BOX] * frames)
    return SavedMaps(name, heatmap, offset, size, 4.0, (64, 64), names, truth)


def scores_by_frame(predictions):
    return {frame: round(score, 3) for frame, score in zip(predictions.frame, predictions.score, strict=True)}


def test_per_frame_forgets_what_was_before():
    found = detect_in_maps(video([0.9, 0.1, 0.02]), PER_FRAME)
    assert scores_by_frame(found) == {0: 0.9, 1: 0.1}
    np.testing.assert_allclose(found.box, [BOX] * 2)


def test_interpolation_is_the_mean_of_two_network_scores():
    """Eq. 11: (0.9 + 0.1) / 2, then (0.1 + 0.1) / 2: the balanced 0.5 is not carried on."""
    found = detect_in_maps(video([0.9, 0.1, 0.1]), INTERPOLATION)
    assert scores_by_frame(found) == {0: 0.9, 1: 0.5, 2: 0.1}


def test_interpolation_reaches_no_cell_beside_the_last_one():
    """The object moves by a cell: where it was, (0.9 + 0) / 2 is left, and wins against the 0.2 where it is."""
    found = detect_in_maps(video([0.9, 0.2], cells=[(8, 8), (9, 8)]), INTERPOLATION)
    assert scores_by_frame(found) == {0: 0.9, 1: 0.45}
    np.testing.assert_allclose(found.box, [BOX] * 2)


def test_hp_brings_a_lost_object_back():
    """0 + 0.98 * (1 / (1 + 1/2)) * 0.9."""
    found = detect_in_maps(video([0.9, 0.0]), HP)
    assert scores_by_frame(found) == {0: 0.9, 1: round(0.98 * 0.9 / 1.5, 3)}


@pytest.mark.parametrize(
    "setting", [HP, PER_FRAME, INTERPOLATION, Setting(radius=1, alpha=0.8, beta=1.0, nms_threshold=0.5, top_k=7)]
)
def test_detections_equal_a_plain_loop_over_frames(setting):
    rng = np.random.default_rng(3)
    maps = video([0] * 6)
    maps = maps._replace(heatmap=rng.random((6, 1, 16, 16)).astype(np.float16))
    options = setting.as_keywords()
    expected, propagator = [], HeatmapPropagator(**options)
    for frame in range(6):
        if not setting.memory:
            propagator = HeatmapPropagator(**options)
        one = [torch.from_numpy(x[frame : frame + 1]).float() for x in (maps.heatmap, maps.offset, maps.size)]
        expected += propagator(*one).detections.unpad()
    found = detect_in_maps(maps, setting)
    np.testing.assert_array_equal(found.score, np.concatenate([one["scores"].numpy() for one in expected]))
    np.testing.assert_array_equal(found.box, np.concatenate([one["boxes"].numpy() for one in expected]))
    np.testing.assert_array_equal(found.frame, np.repeat(range(6), [len(one["scores"]) for one in expected]))


def test_table1_has_the_average_precision_of_each_method_with_and_without_seq_nms():
    """The object is lost in frame 1, and a phantom of 0.5 stands elsewhere in frame 2.

    Per frame: true 0.9, 0.9, 0.9, false 0.5 and one of 4 boxes missing: 3/4. HP keeps frame 1 at 0.588 and is
    perfect above the phantom.
    """
    maps = video([0.9, 0.0, 0.9, 0.9])
    maps.heatmap[2, 0, 2, 2] = 0.5
    rows = {row.method: row for row in table1([maps])}
    assert list(rows) == ["per frame", "interpolation", "HP"]
    assert rows["per frame"].alone.mean == pytest.approx(0.75)
    assert rows["interpolation"].alone.mean == pytest.approx(3 / 4 + 1 / 4 * 4 / 5)  # 0.45 comes after 0.5
    assert rows["HP"].alone.mean == pytest.approx(1)
    assert rows["interpolation"].with_seq_nms.mean == pytest.approx(1)  # the path's mean is above 0.5
    assert rows["HP"].alone.per_class.keys() == {"ball"}
    assert all(0 < row.milliseconds < row.milliseconds_with_seq_nms for row in rows.values())


def test_seq_nms_gives_a_track_its_mean_score_in_each_video_apart():
    videos, frames = ["b", "a", "b", "a"], [1, 0, 0, 1]
    found = Predictions(videos, frames, ["x"] * 4, [0.2, 0.5, 0.4, 0.9], [BOX] * 4)
    rescored = seq_nms_predictions(found)
    np.testing.assert_allclose(rescored.score, [0.3, 0.7, 0.3, 0.7])
    assert rescored.video.tolist() == videos


def test_seq_nms_removes_weaker_boxes_on_a_track_and_takes_none():
    found = Predictions(["a"] * 2, [0, 0], ["x"] * 2, [0.5, 0.9], [BOX] * 2)
    assert seq_nms_predictions(found).score.tolist() == [0.9]
    assert len(seq_nms_predictions(found.select(slice(0, 0))).score) == 0


def test_same_channel_of_two_videos_is_two_classes_where_names_differ():
    maps = [video([0.9], "a", ("dog",)), video([0.9], "b", ("car",)), video([0.9], "c", ())]
    comparison = compare_methods(maps)
    assert sorted(comparison.truth.label) == ["car", "class 0", "dog"]
    assert sorted(comparison.predictions["HP"].label) == ["car", "class 0", "dog"]


def test_boxes_are_clipped_to_the_network_input_and_an_object_outside_is_ignored():
    maps = video([0.9, 0.9])
    truth = maps.truth._replace(box=np.array([[-10.0, 50, 20, 90], [70, 0, 90, 20]]))
    clipped = clip_boxes(truth, maps)
    assert clipped.box.tolist() == [[0, 50, 20, 64], [64, 0, 64, 20]]
    assert clipped.ignore.tolist() == [False, True]


def test_displacement_of_a_comparison_is_in_the_cells_of_each_video():
    maps = video([0.9, 0.9])
    moving = maps.truth._replace(box=maps.truth.box + np.array([[0.0], [8.0]]))
    comparison = compare_methods([maps._replace(truth=moving), video([0.9, 0.9], "w")._replace(stride=8.0)])
    np.testing.assert_array_equal(comparison.displacement, [math.nan, 2, math.nan, 0])


def test_thresholds_hold_for_all_methods():
    methods = methods_like(Setting(radius=1, alpha=0.8, beta=1.0, nms_threshold=0.5, score_threshold=0.2, top_k=9))
    asked = {(one.nms_threshold, one.score_threshold, one.top_k) for one in methods.values()}
    assert asked == {(0.5, 0.2, 9)}


def test_no_clips_and_equal_names_are_refused():
    with pytest.raises(ValueError, match="clips must hold at least one video, got none"):
        table1([])
    with pytest.raises(ValueError, match="different names, got 'v' twice"):
        table1([video([0.9]), video([0.9])])


def test_names_of_classes_come_from_the_maps():
    maps = video([0.9])
    assert name_classes(maps.truth, maps).label.tolist() == ["ball"]
