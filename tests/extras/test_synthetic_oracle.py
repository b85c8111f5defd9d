"""The oracle detector: its maps decode to the boxes, and its faults are those that were asked for."""

import numpy as np
import pytest
import torch

pytest.importorskip("skimage", reason="needs heatprop[benchmark]")
pytest.importorskip("PIL", reason="needs heatprop[benchmark]")

from heatprop import HeatmapPropagator  # after the packages of the extra are known to be there
from heatprop.evaluation import GroundTruth, Predictions, average_precision
from heatprop.maps.saved import read_saved_maps, write_saved_maps
from heatprop.synthetic import (
    CLASSES,
    OracleDetector,
    SceneOptions,
    class_names,
    make_benchmark,
    make_scene,
    scene_truth,
    write_oracle_maps,
)
from heatprop.synthetic.oracle_maps import blob_radius

SIZE, NAMES = (128, 96), ("bird", "bus", "car")


def tracks(frames=20, objects=4, step=2.0):
    """Boxes of 28 x 20 px on a grid, wide apart, that drift to the right."""
    frame, track = (grid.ravel() for grid in np.meshgrid(np.arange(frames), np.arange(objects), indexing="ij"))
    corner = np.stack([5.3 + 60 * (track % 2) + step * frame % 24, 4.6 + 50 * (track // 2)], axis=1)
    box = np.concatenate([corner, corner + np.array([28, 20])], axis=1)
    return GroundTruth(["drive"] * len(frame), frame, track, track % 3, box)


def detect(truth, frames=20, seed=0, **faults):
    return OracleDetector(**faults).detect(truth, frames=frames, size=SIZE, class_names=NAMES, seed=seed)


def decode(maps):
    """Every frame afresh: the per-frame baseline."""
    fields = (torch.from_numpy(field.astype(np.float32)) for field in maps[1:4])
    return HeatmapPropagator(radius=0)(*fields).detections.unpad()


def test_maps_decode_to_the_boxes():
    truth = tracks()
    for frame, found in enumerate(decode(detect(truth).maps)):
        rows = np.flatnonzero(truth.frame == frame)
        order = np.lexsort((truth.box[rows, 0], truth.label[rows]))
        mine = np.lexsort((found["boxes"][:, 0].numpy(), found["labels"].numpy()))
        np.testing.assert_allclose(found["boxes"].numpy()[mine], truth.box[rows][order], atol=0.05)
        np.testing.assert_array_equal(found["labels"].numpy()[mine], truth.label[rows][order])
        np.testing.assert_allclose(found["scores"].numpy(), 0.8, atol=1e-3)


def test_maps_of_a_scene_decode_to_its_boxes():
    scene = make_scene(SceneOptions(size=SIZE, frames=10, objects=(1, 1), length=(0.4, 0.4)), (4,))
    truth = scene_truth(scene, "drive")
    seen = OracleDetector().detect(truth, frames=10, size=SIZE, class_names=class_names(scene))
    found = Predictions.of_video("drive", decode(seen.maps))
    assert average_precision(truth, found).mean == 1
    assert np.abs(found.box - truth.box).max() < 0.1


def test_drops_are_where_they_are_said_to_be():
    truth = tracks()
    seen = detect(truth, drop_rate=0.3, dropped_score=0.12)
    assert 0.15 < seen.dropped.mean() < 0.45
    center = (truth.box[:, :2] + truth.box[:, 2:]) / 8
    x, y = center.astype(int).T
    heights = seen.maps.heatmap[truth.frame, truth.label, y, x]
    np.testing.assert_allclose(heights, np.where(seen.dropped, 0.12, 0.8), atol=1e-3)
    np.testing.assert_array_equal(seen.score, np.where(seen.dropped, 0.12, 0.8))


def test_a_higher_drop_rate_drops_the_same_and_more():
    truth = tracks()
    few, many = (detect(truth, drop_rate=rate).dropped for rate in (0.2, 0.6))
    assert (many[few]).all()
    assert many.sum() > few.sum() > 0


def test_runs_of_misses_last_as_long_as_they_are_said_to():
    truth = tracks(frames=20, objects=1)
    dropped = detect(truth, run_rate=0.05, run_length=5, seed=3).dropped
    edges = np.flatnonzero(np.diff(np.concatenate([[0], dropped.astype(int), [0]])))
    lengths = edges[1::2] - edges[::2]
    assert len(lengths) > 0
    assert (lengths[edges[1::2] < 20] >= 5).all()


def test_blur_drops_what_moves_and_nothing_that_stands():
    assert not detect(tracks(step=0.0), blur_drop=0.3).dropped.any()
    assert detect(tracks(step=6.0), blur_drop=0.3).dropped.mean() > 0.2


def test_bias_moves_every_box_by_so_much():
    truth = tracks(frames=1)
    plain, moved = (decode(detect(truth, frames=1, position_bias=bias).maps)[0] for bias in ((0, 0), (0.5, -0.25)))
    by = [boxes[np.lexsort(boxes[:, :2].T)] for boxes in (found["boxes"].numpy() for found in (plain, moved))]
    np.testing.assert_allclose(by[1] - by[0], np.tile([2.0, -1.0], (4, 2)), atol=0.05)


def test_parasites_are_low_peaks_beside_the_objects():
    truth = tracks(frames=1)
    found = decode(detect(truth, frames=1, parasite_rate=1.0, parasite_distance=1.0, parasite_score=0.2).maps)[0]
    low = found["boxes"][found["scores"] < 0.3]
    assert 1 <= len(low) <= 4
    assert len(found["boxes"]) - len(low) == 4
    centers = [(boxes[:, :2] + boxes[:, 2:]) / 2 for boxes in (low, torch.from_numpy(truth.box).float())]
    apart = (centers[0][:, None] - centers[1]).abs() / torch.tensor([28.0, 20.0])
    assert (apart.square().sum(-1).sqrt().min(1).values < 1.25).all()


def test_clutter_comes_as_often_as_it_is_asked_for():
    truth = tracks(frames=20)
    more = sum(len(found["boxes"]) for found in decode(detect(truth, clutter=3.0).maps))
    assert 20 < more - len(truth.box) <= 100


def test_maps_are_saved_and_read_again(tmp_path):
    seen = detect(tracks(), drop_rate=0.3, clutter=1.0)
    write_saved_maps(tmp_path / "drive.npz", seen.maps)
    read = read_saved_maps(tmp_path / "drive.npz")
    assert (read.name, read.stride, read.input_wh, read.class_names) == ("drive", 4, SIZE, NAMES)
    np.testing.assert_allclose(read.truth.box, seen.maps.truth.box, atol=1e-4)
    np.testing.assert_array_equal(read.truth.label, seen.maps.truth.label)
    for now, before in zip(decode(read), decode(seen.maps), strict=True):
        np.testing.assert_allclose(now["boxes"].numpy(), before["boxes"].numpy(), atol=1e-3)


def test_maps_of_a_benchmark_on_disk_hold_its_annotations(tmp_path):
    options = SceneOptions(size=(96, 64), frames=4, objects=(2, 2))
    list(make_benchmark(tmp_path, train=0, val=2, scene=options))
    paths = list(write_oracle_maps(tmp_path, tmp_path / "maps", OracleDetector()))
    assert [path.name for path in paths] == ["ILSVRC2015_val_00000000.npz", "ILSVRC2015_val_00000001.npz"]
    for number, path in enumerate(paths):
        maps = read_saved_maps(path)
        truth = scene_truth(make_scene(options, (0, 1, number), split="val"))
        assert maps.heatmap.shape == (4, len(CLASSES), 16, 24)
        assert maps.class_names == tuple(CLASSES.values())
        np.testing.assert_array_equal(maps.truth.box, truth.box)
        np.testing.assert_array_equal(maps.truth.label, truth.label)
    with pytest.raises(ValueError, match="classes must hold every class of ILSVRC2015_val_00000000, got none for n0"):
        list(write_oracle_maps(tmp_path, tmp_path / "maps", OracleDetector(), classes=("n02084071",)))


def test_propagation_rescues_what_is_dropped():
    truth = tracks(frames=40, step=0.5)
    seen = detect(truth, frames=40, drop_rate=0.3, clutter=1.0, score_noise=0.05)
    fields = [torch.from_numpy(field.astype(np.float32))[None] for field in seen.maps[1:4]]
    carried = Predictions.of_video("drive", HeatmapPropagator().forward_chunk(*fields).detections.unpad()[0])
    plain = Predictions.of_video("drive", decode(seen.maps))
    assert average_precision(truth, carried).mean > average_precision(truth, plain).mean + 0.05


def test_equal_seeds_give_equal_maps():
    one, same, other = (
        detect(tracks(), drop_rate=0.2, clutter=1.0, score_noise=0.1, seed=seed).maps.heatmap for seed in (0, 0, 1)
    )
    np.testing.assert_array_equal(one, same)
    assert (one != other).any()


@pytest.mark.parametrize("size", [(10.0, 10.0), (3.5, 20.0), (1.0, 1.0), (40.0, 30.0)])
def test_the_radius_is_centernets_smallest_root(size):
    w, h = np.ceil(size)
    m = 0.7
    roots = []
    for a, b, c in (
        (1, h + w, w * h * (1 - m) / (1 + m)),
        (4, 2 * (h + w), (1 - m) * w * h),
        (4 * m, -2 * m * (h + w), (m - 1) * w * h),
    ):
        roots.append((b + np.sqrt(b**2 - 4 * a * c)) / 2)
    assert blob_radius(np.array(size)) == max(0, int(min(roots)))


@pytest.mark.parametrize(
    ("faults", "message"),
    [
        ({"drop_rate": 1.5}, "drop_rate must be 0 to 1, got 1.5"),
        ({"stride": 0}, "stride must be 1 to inf, got 0"),
        ({"clutter_score": (0.1, 2)}, "clutter_score must be 0 to 1"),
        ({"size_noise": -1}, "size_noise must be 0 to inf, got -1"),
    ],
)
def test_a_fault_out_of_its_range_is_refused(faults, message):
    with pytest.raises(ValueError, match=message):
        OracleDetector(**faults)


def test_boxes_of_two_videos_or_beyond_the_frames_are_refused():
    truth = tracks(frames=3)
    with pytest.raises(ValueError, match=r"truth\.frame must be 0 to 1, got 0 to 2"):
        detect(truth, frames=2)
    with pytest.raises(ValueError, match=r"truth\.label must be 0 to 0"):
        OracleDetector().detect(truth, frames=3, size=SIZE, class_names=("bird",))
    mixed = truth._replace(video=np.array(["a"] * 6 + ["b"] * 6))
    with pytest.raises(ValueError, match="one video, got"):
        detect(mixed, frames=3)
