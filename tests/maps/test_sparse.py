"""Sparse saved maps: what is kept, what is read back, and that nothing a memory finds depends on what was dropped."""

import numpy as np
import pytest

from heatprop.evaluation.columns import GroundTruth
from heatprop.maps.detecting import (
    INTERPOLATION,
    PER_FRAME,
    detect_in_maps,
    detect_with_each,
    timed_detections,
)
from heatprop.maps.saved import SavedMaps, read_archive, read_saved_maps, write_saved_maps
from heatprop.maps.sparse import MapPacker, SparseFrames, read_sparse_arrays, sparse_arrays
from heatprop.tuning.space import first_settings

NOBODY = GroundTruth([], [], [], [], [])


def blobs(frames=12, classes=3, side=32, objects=4, seed=0):
    """Gaussians that wander, and go out for some frames, over noise below the floor; offsets and sizes everywhere."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:side, :side]
    heatmap = rng.uniform(0, 0.0029, (frames, classes, side, side))
    for number in range(objects):
        place, step = rng.uniform(8, side - 8, 2), rng.uniform(-1.5, 1.5, 2)
        seen = rng.random(frames) < 0.6
        for frame in range(frames):
            score = rng.uniform(0.3, 0.9) if seen[frame] else rng.choice([0.0, 0.004, 0.03])
            distance = (x - place[0] - frame * step[0]) ** 2 + (y - place[1] - frame * step[1]) ** 2
            here = heatmap[frame, number % classes]
            np.maximum(here, score * np.exp(-distance / 4), out=here)
    offset = rng.random((frames, 2, side, side))
    size = rng.uniform(3, 9, (frames, 2, side, side))
    return heatmap.astype(np.float16), offset.astype(np.float16), size.astype(np.float16)


def pack(heatmap, offset, size):
    packer = MapPacker(heatmap.shape[1:])
    for frame in zip(heatmap, offset, size, strict=True):
        packer.add(*frame)
    return packer.pack()


def saved(maps):
    return SavedMaps("v", *maps, 4.0, (128, 128), ("a", "b", "c"), NOBODY)


# --- what is kept -----------------------------------------------------------------------------------------------------


def test_every_run_of_the_paper_finds_the_same_in_sparse_maps_as_in_whole_ones():
    """Up to radius 5 and alpha 0.98: what alpha 1 holds for ever is not bounded."""
    heatmap, offset, size = blobs()
    floored = np.where(heatmap < np.float16(0.003), np.float16(0.001), heatmap)
    settings = {f"{n}": one for n, one in enumerate([*first_settings(), PER_FRAME, INTERPOLATION]) if one.alpha < 1}
    sparse = detect_with_each(saved(pack(heatmap, offset, size)), settings)
    whole = detect_with_each(saved((floored, offset, size)), settings)
    assert len(whole["0"].predictions.score) > 40
    for name in settings:
        np.testing.assert_array_equal(sparse[name].predictions.score, whole[name].predictions.score)
        np.testing.assert_array_equal(sparse[name].predictions.box, whole[name].predictions.box)


def test_offset_and_size_are_kept_where_the_bound_by_hand_says():
    """Loops over cells: a carried score moves within 5 cells to what stands out, and falls by 0.98 a frame."""
    heatmap, offset, size = (one.astype(np.float64) for one in blobs(frames=5, side=24, seed=4))
    maps = pack(heatmap, offset, size)
    bound = np.zeros((24, 24))
    for frame in range(5):
        before = bound.copy()
        for y in range(24):
            for x in range(24):
                best = heatmap[frame, :, y, x].max()
                near = before[max(0, y - 5) : y + 6, max(0, x - 5) : x + 6].max() if best >= 0.003 else before[y, x]
                bound[y, x] = max(best, 0.02 * best + 0.98 * near)
        kept = bound >= 0.045
        np.testing.assert_array_equal(maps.size[frame : frame + 1][0, 0] != 0, kept)
        np.testing.assert_array_equal(maps.offset[frame : frame + 1][0][:, kept], offset[frame][:, kept])
        stands_out = heatmap[frame] >= 0.003
        np.testing.assert_array_equal(
            maps.heatmap[frame : frame + 1][0], np.where(stands_out, heatmap[frame], 0.001).astype(np.float16)
        )
        assert 0 < kept.sum() < kept.size


def test_what_is_not_finite_and_frames_of_which_nothing_is_known_are_empty():
    heatmap, offset, size = (one[0] for one in blobs(frames=1))
    packer = MapPacker(heatmap.shape)
    packer.add(np.full_like(heatmap, np.nan), offset, size)
    packer.add_nothing()
    maps = packer.pack()
    assert (maps.heatmap[:] == np.float16(0.001)).all()
    assert not maps.size[:].any()


def test_a_frame_of_another_shape_and_no_frame_are_refused():
    packer = MapPacker((3, 16, 16))
    with pytest.raises(ValueError, match=r"size must have shape \(2, 16, 16\), got \(2, 16, 15\)"):
        packer.add(np.zeros((3, 16, 16)), np.zeros((2, 16, 16)), np.zeros((2, 16, 15)))
    with pytest.raises(ValueError, match="at least one frame"):
        packer.pack()


# --- files ------------------------------------------------------------------------------------------------------------


def test_sparse_maps_are_written_and_read_back(tmp_path):
    before = saved(pack(*blobs()))
    truth = GroundTruth(["v"], [3], [7], [2], [[1.0, 2, 3, 4]])
    write_saved_maps(tmp_path / "v.npz", before._replace(truth=truth), notes={"number": np.arange(12)})
    after = read_saved_maps(tmp_path / "v.npz")
    assert isinstance(after.heatmap, SparseFrames)
    for one, other in zip(before[1:4], after[1:4], strict=True):
        assert one.shape == other.shape
        np.testing.assert_array_equal(one[:], other[:])
    assert (after.truth.label.tolist(), after.class_names, after.stride) == ([2], ("a", "b", "c"), 4)
    assert read_archive(tmp_path / "v.npz", ["number"])["number"].tolist() == list(range(12))


def test_sparse_maps_can_be_written_dense(tmp_path):
    maps = saved(pack(*blobs(frames=2)))
    write_saved_maps(tmp_path / "v.npz", maps._replace(heatmap=np.asarray(maps.heatmap)), compact=False)
    np.testing.assert_array_equal(read_saved_maps(tmp_path / "v.npz").heatmap, maps.heatmap[:])


def test_sparse_maps_are_read_lazily_and_are_small():
    maps = saved(pack(*blobs(frames=40, classes=30, side=64)))
    assert sum(one.nbytes for one in maps[1:4]) < 0.1 * np.asarray(maps.heatmap).nbytes
    assert maps.heatmap[3:5].shape == (2, 30, 64, 64)


def test_several_settings_at_once_find_what_each_finds_alone():
    maps = saved(pack(*blobs()))
    for setting in (PER_FRAME, INTERPOLATION):
        alone = detect_in_maps(maps, setting)
        found = timed_detections(maps, setting)
        assert found.seconds > 0
        np.testing.assert_array_equal(alone.box, found.predictions.box)


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"score_step": None}, "sparse maps must have .*, got no score_step"),
        ({"score": np.zeros(3, np.float16)}, r"score_count must be of 12 frames and add up .* 3 values"),
        ({"box_count": np.zeros(12, np.int32)}, r"box_count must be of 12 frames and add up"),
        ({"map_shape": np.array([12, 1, 2, 2])}, r"score_step must lead to cells below 4, got \d+"),
    ],
)
def test_arrays_that_do_not_fit_are_refused(tmp_path, changes, fault):
    arrays = {**sparse_arrays(*pack(*blobs())), **changes}
    kept = {key: value for key, value in arrays.items() if value is not None}
    with pytest.raises(ValueError, match=fault):
        read_sparse_arrays(kept)
    described = {"stride": 4.0, "input_wh": [128, 128], "gt_frame": [], "gt_track": [], "gt_box": np.zeros((0, 4))}
    np.savez(tmp_path / "v.npz", **kept, **described)
    with pytest.raises(ValueError, match=rf"v\.npz: {fault}"):
        read_saved_maps(tmp_path / "v.npz")


def test_a_file_that_was_cut_off_or_lacks_an_array_is_named(tmp_path):
    path = tmp_path / "v.npz"
    write_saved_maps(path, saved(pack(*blobs())))
    with pytest.raises(ValueError, match=r"v\.npz must be an \.npz archive of plain arrays, got no number"):
        read_archive(path, ["score", "number"])
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(ValueError, match=r"v\.npz must be an \.npz archive of plain arrays"):
        read_saved_maps(path)
