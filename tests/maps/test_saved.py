"""Saved maps of a detector: one .npz per video."""

import numpy as np
import pytest

from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.bad_rows import Skipped
from heatprop.maps.saved import SavedMaps, iterate_saved_maps, read_saved_maps, write_saved_maps


def arrays(frames=5, channels=1):
    """As the clips have them: no gt_label, one class name without dimension."""
    rng = np.random.default_rng(0)
    return {
        "heatmap": rng.random((frames, channels, 12, 16)).astype(np.float16),
        "offset": rng.random((frames, 2, 12, 16)).astype(np.float16),
        "size": rng.random((frames, 2, 12, 16)).astype(np.float16),
        "stride": np.int32(4),
        "input_wh": np.array([64, 48], np.int32),
        "gt_frame": np.array([0, 1, 1], np.int32),
        "gt_track": np.array([7, 7, 8], np.int32),
        "gt_box": np.arange(12, dtype=np.float32).reshape(3, 4),
        "ignore_frame": np.array([2], np.int32),
        "ignore_box": np.array([[0, 0, 9, 9]], np.float32),
        "class_name": np.array("person"),
    }


def put(folder, name="walk", **changes):
    path = folder / f"{name}.npz"
    kept = {key: value for key, value in (arrays() | changes).items() if value is not None}
    np.savez_compressed(path, **kept)
    return path


def test_maps_and_boxes_are_read(tmp_path):
    maps = read_saved_maps(put(tmp_path))
    np.testing.assert_array_equal(maps.heatmap, arrays()["heatmap"])
    assert (maps.name, maps.stride, maps.input_wh, maps.class_names) == ("walk", 4, (64, 48), ("person",))
    assert maps.truth.video.tolist() == ["walk"] * 4
    assert maps.truth.frame.tolist() == [0, 1, 1, 2]
    assert maps.truth.track.tolist() == [7, 7, 8, -1]
    assert maps.truth.label.tolist() == [0, 0, 0, 0]
    assert maps.truth.ignore.tolist() == [False, False, False, True]


def test_channels_of_boxes_and_several_class_names_are_read(tmp_path):
    heatmap = arrays(channels=3)["heatmap"]
    changes = {"gt_label": np.array([0, 2, 1]), "class_name": np.array(["a", "b", "c"]), "ignore_box": None}
    maps = read_saved_maps(put(tmp_path, heatmap=heatmap, ignore_frame=None, **changes))
    assert maps.truth.label.tolist() == [0, 2, 1]
    assert maps.class_names == ("a", "b", "c")


def test_a_folder_is_read_video_by_video(tmp_path):
    put(tmp_path, "b")
    put(tmp_path, "a")
    (tmp_path / "README.md").write_text("no maps")
    assert [maps.name for maps in iterate_saved_maps(tmp_path)] == ["a", "b"]


def test_a_folder_without_maps_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"must hold saved maps, an \.npz per video, got none"):
        list(iterate_saved_maps(tmp_path))


@pytest.mark.parametrize("channels", [1, 3])
def test_maps_written_are_read_back(tmp_path, channels):
    names = ("a", "b", "c")[:channels]
    label = np.array([0, channels - 1, 0])
    changes = {"heatmap": arrays(channels=channels)["heatmap"], "class_name": np.array(names), "gt_label": label}
    before = read_saved_maps(put(tmp_path, **changes))
    write_saved_maps(tmp_path / "new" / "walk.npz", before, compact=False)
    after = read_saved_maps(tmp_path / "new" / "walk.npz")
    for one, other in zip(after[:-1], before[:-1], strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(after.truth, before.truth, strict=True):
        np.testing.assert_array_equal(one, other)


def test_compact_files_floor_noise_and_keep_sizes_near_evidence(tmp_path):
    heatmap = np.full((1, 2, 12, 16), 0.002)
    heatmap[0, 1, 5, 0], heatmap[0, 0, 11, 15] = 0.5, 0.02
    size = np.ones((1, 2, 12, 16))
    truth = GroundTruth([], [], [], [], [])
    write_saved_maps(tmp_path / "a.npz", SavedMaps("a", heatmap, size, size, 4, (64, 48), (), truth))
    maps = read_saved_maps(tmp_path / "a.npz")
    assert maps.heatmap.dtype == maps.size.dtype == np.float16
    assert np.unique(maps.heatmap).tolist() == np.array([0.001, 0.02, 0.5], np.float16).tolist()
    expected = np.zeros((12, 16))
    expected[3:8, :3] = 1
    for kept in (maps.size, maps.offset):
        np.testing.assert_array_equal(kept[0, 0], expected)
    assert maps.class_names == ()


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"gt_box": None}, r"must hold heatmap, .*, got no gt_box"),
        ({"heatmap": np.zeros((5, 12, 16))}, r"heatmap must have shape \(T, C, H, W\), got \(5, 12, 16\)"),
        ({"size": np.zeros((5, 2, 12, 15))}, r"size must have shape \(5, 2, 12, 16\), got \(5, 2, 12, 15\)"),
        ({"gt_track": np.zeros(2)}, r"gt_track must have shape \(3,\), got \(2,\)"),
        ({"input_wh": np.zeros(3)}, r"input_wh must have shape \(2,\), got \(3,\)"),
        ({"class_name": np.array([{}], dtype=object)}, "must be an .npz archive of plain arrays"),
    ],
)
def test_a_malformed_file_is_named_and_can_be_skipped(tmp_path, changes, fault):
    put(tmp_path, "b", **changes)
    put(tmp_path, "c")
    with pytest.raises(ValueError, match=rf"b\.npz:? {fault}"):
        list(iterate_saved_maps(tmp_path))
    skipped = Skipped()
    assert [maps.name for maps in iterate_saved_maps(tmp_path, skipped=skipped)] == ["c"]
    assert skipped.count == 1


def test_a_file_that_is_no_archive_is_named(tmp_path):
    np.save(tmp_path / "one.npy", np.zeros(3))
    for content in (b"", b"PK\x03\x04 broken", b"text", (tmp_path / "one.npy").read_bytes()):
        (tmp_path / "b.npz").write_bytes(content)
        with pytest.raises(ValueError, match=r"b\.npz must be an \.npz archive of plain arrays"):
            read_saved_maps(tmp_path / "b.npz")


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"gt_frame": np.array([0, 5, 1])}, r"gt_box\[1\]: a box must be finite, in frame 0 to 4, .*got frame 5"),
        ({"gt_label": np.array([0, 1, 0])}, r"gt_box\[1\]: .* channel 0 to 0, got frame 1, channel 1"),
        ({"gt_box": np.full((3, 4), [[0], [np.nan], [0]])}, r"gt_box\[1\]: a box must be finite"),
    ],
)
def test_a_malformed_box_is_named_and_can_be_skipped(tmp_path, changes, fault):
    path = put(tmp_path, **changes)
    with pytest.raises(ValueError, match=rf"walk\.npz, {fault}"):
        read_saved_maps(path)
    skipped = Skipped()
    assert read_saved_maps(path, skipped=skipped).truth.frame.tolist() == [0, 1, 2]
    assert skipped.count == 1


def test_maps_that_do_not_fit_or_named_tracks_are_not_written(tmp_path):
    maps = read_saved_maps(put(tmp_path))
    with pytest.raises(ValueError, match=r"offset must have shape \(5, 2, 12, 16\), got \(4, 2, 12, 16\)"):
        write_saved_maps(tmp_path / "n.npz", maps._replace(offset=maps.offset[:4]), compact=False)
    named = GroundTruth(["a"], [0], ["bob"], [0], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="got text; number them first"):
        write_saved_maps(tmp_path / "n.npz", maps._replace(truth=named))
    assert not (tmp_path / "n.npz").exists()
