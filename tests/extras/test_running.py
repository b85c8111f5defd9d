"""The parts of `heatprop run`: pictures for the detector, loading it, what is found, counted and recorded."""

import _thread
import json
import signal
import tracemalloc
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from oracles import balanced_scores
from toy_detectors import BOX, CELL, POISON, film

from heatprop import HeadMaps, HeatmapPropagator
from heatprop.cli.memory import make_memory
from heatprop.cli.run_options import Carry
from heatprop.maps.saved import EVIDENCE, FLOOR, LOWEST, read_saved_maps
from heatprop.running import (
    Detector,
    DetectorError,
    FrameDetector,
    MapWriter,
    RecordWriter,
    Summary,
    Wanted,
    distinct_stems,
    load_detector,
)
from heatprop.running.interrupts import Interrupts
from heatprop.running.picture import fit
from heatprop.video import Frame


def frames(images):
    return [Frame(index, index / 25, image) for index, image in enumerate(images)]


def results(images, detector="spots", *, cuts=None, memory=None, **options):
    loaded = load_detector(f"toy_detectors:{detector}")
    found = FrameDetector(loaded, memory or HeatmapPropagator(), **options)
    return list(found.results(frames(images), cuts=cuts))


def at(*indices):
    """Scene cuts at these frames."""
    numbers = iter(range(1000))
    return lambda image: next(numbers) in indices


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(48, 64), (32, 32), (33, 1), (144, 176)])
def test_a_frame_is_padded_to_multiples_of_32_at_the_bottom_and_on_the_right(height, width):
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    picture = fit(image)
    H, W = picture.pixels.shape[2:]
    assert (H % 32, W % 32) == (0, 0)
    assert height <= H < height + 32
    assert width <= W < width + 32
    assert (picture.pixels[0, :, :height, :width].permute(1, 2, 0).numpy() == image).all()
    assert picture.pixels.sum() == image.sum(dtype=np.int64)


@pytest.mark.parametrize(("longer_side", "height", "width"), [(64, 35, 64), (640, 351, 640), (175, 96, 175)])
def test_a_frame_is_scaled_to_its_longer_side(longer_side, height, width):
    picture = fit(np.full((96, 175, 3), 100, np.uint8), longer_side=longer_side)
    assert (picture.height, picture.width) == (height, width)
    assert (picture.pixels[0, :, :height, :width] == 100).all()
    corners = np.array([[0.0, 0.0, width, height]])
    np.testing.assert_allclose(picture.video_boxes(corners), [[0, 0, 175, 96]])


def test_an_extreme_frame_keeps_a_pixel():
    assert fit(np.zeros((2, 1000, 3), np.uint8), longer_side=64).height == 1


def test_nothing_is_found_in_the_padding():
    picture = fit(np.zeros((40, 50, 3), np.uint8))
    maps = HeadMaps(torch.rand(1, 3, 16, 16), torch.rand(1, 2, 16, 16), None, {"depth": torch.rand(1, 1, 16, 16)})
    cut = picture.cut(maps, stride=4)
    assert cut.heatmap.shape == (1, 3, 10, 13)
    assert cut.offset.shape == (1, 2, 10, 13)
    assert cut.size is None
    assert cut.extras["depth"].shape == (1, 1, 10, 13)
    torch.testing.assert_close(cut.heatmap, maps.heatmap[:, :, :10, :13])


# --- loading a detector -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["toy_detectors:spots", "toy_detectors:network", "toy_detectors:Network.forward"])
def test_functions_modules_and_methods_are_detectors(name):
    assert load_detector(name)(torch.zeros(1, 3, 32, 32)).heatmap.shape == (1, 1, 8, 8)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("toy_detectors", "must be 'faces', file.onnx, .* or file.py:callable, got 'toy_detectors'"),
        (":spots", "must be 'faces', file.onnx, .* or file.py:callable, got ':spots'"),
        ("no_such_module:spots", "there is no module 'no_such_module', neither installed nor in .*; run heatprop from"),
        ("os.no_such:spots", "there is no module 'os.no_such'"),
        ("toy_detectors:spot", "has no 'spot'; it has: .*spots"),
        ("toy_detectors:number", "is a int, which cannot be called"),
        ("toy_detectors:Network", "is a class; name an instance of it"),
    ],
)
def test_a_detector_that_is_none_is_told(name, message):
    with pytest.raises(DetectorError, match=message):
        load_detector(name)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("1 / 0", r"broken cannot be imported: ZeroDivisionError: division by zero \(.*broken.py, line 1\)"),
        ("import surely_not_there", "cannot be imported: ModuleNotFoundError: No module named 'surely_not_there'"),
    ],
)
def test_a_module_that_fails_on_import_is_told_with_its_line(tmp_path, monkeypatch, source, message):
    (tmp_path / "broken.py").write_text(source)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(DetectorError, match=message):
        load_detector("broken:detect")


@pytest.mark.parametrize("device", ["nowhere", "cpu:first", "cuda:99"])
def test_a_device_that_is_not_there_is_told(device):
    with pytest.raises(DetectorError, match=f"no device '{device}' here .*--device cpu"):
        load_detector("toy_detectors:spots", device=device)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("centernet", "toy_detectors:centernet returned list, not heatprop.HeadMaps.*--adapter .*centernet, centertr"),
        ("coarse", r"8 x 8 cells for a picture of 64 x 64 pixels.*pass --stride 8"),
        ("unbatched", r"heatmap must have shape \(1, C, H, W\) for one frame, got \(1, 16, 16\)"),
        ("no_tensor", "heatmap must be a tensor, got list"),
        ("mismatched", "toy_detectors:mismatched: size"),
    ],
)
def test_a_wrong_output_is_told_with_the_detectors_name(name, message):
    with pytest.raises(DetectorError, match=message):
        results(film([0.5]), name)


def test_a_raw_output_is_read_with_an_adapter():
    detector = FrameDetector(load_detector("toy_detectors:centernet", adapter="centernet"), HeatmapPropagator())
    (result,) = detector.results(frames(film([0.5])))
    np.testing.assert_allclose(result.found.scores, [0.5], atol=0.01)


def test_an_output_that_the_adapter_does_not_read_is_told():
    detector = load_detector("toy_detectors:centernet", adapter="mmdet")
    with pytest.raises(DetectorError, match=r"toy_detectors:centernet: adapters\.mmdet expects three lists"):
        detector(torch.zeros(1, 3, 32, 32))


def test_faces_on_a_device_that_is_not_there_are_told():
    with pytest.raises(DetectorError, match="device must be 'cpu', 'cuda' or 'cuda:<index>', got 'nowhere'"):
        load_detector("faces", device="nowhere")


def test_headmaps_need_no_adapter_even_if_one_is_named():
    detector = load_detector("toy_detectors:spots", adapter="mmdet")
    assert isinstance(detector(torch.zeros(1, 3, 32, 32)), HeadMaps)


def test_another_stride_is_possible():
    (result,) = results(film([0.5], cell=(6, 6)), "coarse", memory=HeatmapPropagator(stride=8))
    centre = np.array([(3 + 0.5) * 8] * 2)
    expected = [*(centre - BOX), *(centre + BOX)]  # twice as large as those of `spots`
    np.testing.assert_allclose(result.found.boxes, [expected])


# --- the memory -------------------------------------------------------------------------------------------------------

UNSET = {"radius": None, "alpha": None, "beta": None, "nms_threshold": None}


def asked_for(*, steady, **options):
    return make_memory(**{"steady": steady, "top_k": 100, "stride": 4, "carry": Carry.balanced} | UNSET | options)


def test_nothing_set_is_the_paper_or_the_preset():
    assert asked_for(steady=False).extra_repr() == HeatmapPropagator().extra_repr()
    assert asked_for(steady=True).extra_repr() == HeatmapPropagator.steady().extra_repr()


@pytest.mark.parametrize("steady", [False, True])
def test_what_is_set_holds_with_the_preset_too(steady):
    options = {"radius": 5, "alpha": 0.5, "beta": 0.0, "nms_threshold": 0.9}
    memory = asked_for(steady=steady, **options, top_k=7, stride=8, carry=Carry.network)
    for name, value in (options | {"top_k": 7, "stride": 8, "carry": "network"}).items():
        assert getattr(memory, name) == value
    assert (memory.average == "geometric") == steady


def test_a_zero_is_not_nothing():
    assert asked_for(steady=True, radius=0, alpha=0.0).alpha == 0


# --- what is found ----------------------------------------------------------------------------------------------------


def test_boxes_are_in_pixels_of_the_video():
    (result,) = results(film([0.6], cell=(6, 5)))
    x, y = (6.5 * CELL, 5.5 * CELL)
    np.testing.assert_allclose(result.found.boxes, [[x - 12, y - 8, x + 12, y + 8]])
    assert (result.cut, result.points, result.classes) == (False, False, 1)


def test_boxes_are_in_pixels_of_the_video_at_another_size_of_the_detectors_picture():
    image = np.kron(film([0.6], cell=(6, 5))[0], np.ones((4, 4, 1), np.uint8))  # a spot of 16 x 16 pixels
    (result,) = results([image], longer_side=64)
    x, y = 4 * 6.5 * CELL, 4 * 5.5 * CELL
    np.testing.assert_allclose(result.found.boxes, [[x - 48, y - 32, x + 48, y + 32]], atol=1e-4)


def test_scores_ages_ids_and_carried_of_one_object():
    scores = [0.8, 0.8, 0.1, 0.02, 0.8]
    found = [result.found for result in results(film(scores), score=0.2)]
    rounded = [round(255 * score) / 255 for score in scores]
    np.testing.assert_allclose([one.scores.item() for one in found], balanced_scores(rounded), atol=1e-6)
    np.testing.assert_allclose([one.network_scores.item() for one in found], rounded, atol=1e-6)
    assert [one.ages.item() for one in found] == [1, 2, 3, 4, 5]
    assert [one.ids.item() for one in found] == [0] * 5
    assert [one.carried.item() for one in found] == [False, False, True, True, False]


def test_the_score_hides_an_object_and_the_memory_keeps_it():
    found = [result.found for result in results(film([0.1, 0.1, 0.9]), score=0.2)]
    assert [len(one.scores) for one in found] == [0, 0, 1]
    assert found[2].ages.item() == 3, "known since the first frame"
    all_found = [result.found for result in results(film([0.1, 0.04, 0.9]), score=0.0)]
    assert [len(one.scores) for one in all_found] == [1, 1, 1]
    below_memory = [result.found for result in results(film([0.04, 0.04, 0.9]), score=0.0)]
    assert [len(one.scores) for one in below_memory] == [0, 0, 1], "the memory's own threshold is 0.05"
    assert below_memory[2].ages.item() == 1


def test_a_poisoned_frame_costs_one_frame():
    found = [result.found for result in results(film([0.8] * 5, order={2: POISON}))]
    assert [len(one.scores) for one in found] == [1] * 5
    assert [one.carried.item() for one in found] == [False, False, True, False, False]
    expected = balanced_scores([204 / 255, 204 / 255, 0.0, 204 / 255, 204 / 255])
    np.testing.assert_allclose([one.scores.item() for one in found], expected, atol=1e-6)


def test_a_scene_cut_forgets_and_goes_on_with_new_ids():
    found = [result.found for result in results(film([0.8, 0.8, 0.3, 0.3]), cuts=at(2))]
    np.testing.assert_allclose([one.scores.item() for one in found], [0.8, 0.8, 76 / 255, 76 / 255], atol=1e-6)
    assert [one.ages.item() for one in found] == [1, 2, 1, 2]
    assert [one.ids.item() for one in found] == [0, 0, 1, 1]


def test_each_video_starts_anew():
    detector = FrameDetector(load_detector("toy_detectors:spots"), HeatmapPropagator())
    for images in (film([0.8] * 3), film([0.8] * 3, height=96)):
        found = [result.found for result in detector.results(frames(images), cuts=at(1))]
        assert [one.ids.item() for one in found] == [0, 1, 1]


def test_without_memory_every_frame_stands_alone():
    scores = [0.8, 0.1, 0.3]
    without = [result.without for result in results(film(scores), compare=True)]
    assert [len(one.scores) for one in without] == [1, 0, 1]
    assert [one.ages.tolist() for one in without] == [[1], [], [1]]
    assert not any(one.carried.any() for one in without)


def test_nothing_is_detected_without_memory_unless_asked():
    assert [result.without for result in results(film([0.8, 0.1]))] == [None, None]


def test_without_memory_neighbours_are_told_apart_as_centernet_does():
    """Two peaks two cells apart: within the memory's window of 5 cells, outside of the window of 3."""
    image = film([0.8], cell=(4, 5))[0]
    image[20:24, 24:28] = 150
    (result,) = results([image], compare=True, memory=HeatmapPropagator(nms_threshold=1.0))
    assert (len(result.found.scores), len(result.without.scores)) == (1, 2)


# --- counting ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scores", "gaps"),
    [
        ([0.8, 0.8, 0.8], 0),
        ([0.8, 0.8, 0.1, 0.1, 0.8], 1),
        ([0.8, 0.1, 0.8, 0.1, 0.8], 2),
        ([0.8, 0.8, 0.1, 0.1], 0),
        ([0.9, *[0.0] * 12, 0.8], 0),
    ],
    ids=["no gap", "one gap", "two gaps", "an end is no gap", "a gap with holes is not closed"],
)
def test_closed_gaps_are_counted(scores, gaps):
    summary = Summary(Path("x"))
    for result in results(film(scores), memory=HeatmapPropagator(alpha=0.9)):
        summary.add(result)
    networks = [round(255 * score) / 255 for score in scores]
    shown = [
        network for score, network in zip(balanced_scores(networks, alpha=0.9), networks, strict=True) if score >= 0.2
    ]
    assert (summary.frames, summary.detections) == (len(scores), len(shown))
    assert summary.carried == sum(network < 0.2 for network in shown)
    assert summary.gaps_closed == gaps


def test_a_gap_does_not_reach_over_a_scene_cut():
    summary = Summary(Path("x"))
    for result in results(film([0.8, 0.8, 0.1, 0.8]), cuts=at(3)):
        summary.add(result)
    assert (summary.gaps_closed, summary.carried, summary.cuts) == (0, 1, 1)


def test_the_speed_of_nothing_is_0():
    assert Summary(Path("x")).frames_per_second == 0


# --- records ----------------------------------------------------------------------------------------------------------


def test_records_are_moved_into_place_when_they_are_whole(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with RecordWriter(path) as writer:
        for result in results(film([0.8, 0.0, 0.8], cell=(6, 5))):
            writer.write(result)
        assert path.read_text() == "old"
    assert writer.saved_to == path
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert [line["frame"] for line in lines] == [0, 1, 2]
    assert lines[0] == {
        "frame": 0,
        "time": 0.0,
        "box": [14.0, 14.0, 38.0, 30.0],
        "score": 0.8,
        "network_score": 0.8,
        "age": 1,
        "id": 0,
        "carried": False,
        "coasted": False,
        "label": 0,
    }
    assert [path.name for path in tmp_path.iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize(
    ("error", "left"), [(KeyboardInterrupt, ["a.jsonl", "a.partial.jsonl"]), (OSError, ["a.jsonl"])]
)
def test_an_older_file_stays_when_records_break_off(tmp_path, error, left):
    path = tmp_path / "a.jsonl"
    path.write_text("old")
    with suppress(error), RecordWriter(path) as writer:
        writer.write(results(film([0.8]))[0])
        raise error
    assert path.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == left


def test_nothing_is_left_if_ctrl_c_comes_before_the_first_frame(tmp_path):
    with suppress(KeyboardInterrupt), RecordWriter(tmp_path / "a.jsonl") as writer:
        raise KeyboardInterrupt
    assert writer.saved_to is None
    assert not list(tmp_path.iterdir())


# --- saved maps -------------------------------------------------------------------------------------------------------


def noisy(count, *, classes=2, height=12, width=16):
    """A detector of random maps, a tenth of whose scores are clear, and those maps."""
    generator = torch.Generator().manual_seed(0)
    made = [
        HeadMaps(
            torch.rand(1, classes, height, width, generator=generator) ** 8,
            torch.rand(1, 2, height, width, generator=generator),
            8 * torch.rand(1, 2, height, width, generator=generator),
        )
        for _ in range(count)
    ]
    left = iter(made)
    return (lambda pixels: next(left)), made


def save(path, network, count, **options):
    detector = FrameDetector(
        Detector("noisy", network, None, torch.device("cpu")), HeatmapPropagator(), keep_maps=True, **options
    )
    with MapWriter(path) as writer:
        for result in detector.results(frames([np.zeros((48, 64, 3), np.uint8)] * count)):
            writer.write(result)
    return read_saved_maps(path)


def half(values):
    return values.numpy().astype(np.float16)


def test_saved_maps_are_the_detectors_where_they_matter(tmp_path):
    network, made = noisy(7, height=16)
    saved = save(tmp_path / "a.npz", network, 7)
    assert (saved.name, saved.stride, saved.input_wh, saved.class_names) == ("a", 4, (64, 48), ())
    assert len(saved.truth.frame) == 0
    assert (saved.heatmap.shape, saved.size.shape) == ((7, 2, 12, 16), (7, 2, 12, 16)), "without padding"
    assert {values.dtype for values in saved[1:4]} == {np.dtype(np.float16)}
    for number, maps in enumerate(made):
        heatmap, offset, size = (half(one[0, :, :12]) for one in maps[:3])
        low = maps.heatmap[0, :, :12].numpy() < LOWEST
        assert low.any()
        np.testing.assert_array_equal(saved.heatmap[number], np.where(low, np.float16(FLOOR), heatmap))
        for y, x in np.argwhere((heatmap > 1.01 * EVIDENCE).any(axis=0)):
            near = (slice(None), slice(max(0, y - 2), y + 3), slice(max(0, x - 2), x + 3))
            np.testing.assert_array_equal(saved.offset[number][near], offset[near])
            np.testing.assert_array_equal(saved.size[number][near], size[near])


def test_offsets_and_sizes_are_kept_where_only_the_memory_has_an_object(tmp_path):
    scores = [0.9, 0.9, 0.0]
    with MapWriter(tmp_path / "a.npz") as writer:
        for result in results(film(scores, cell=(6, 5)), keep_maps=True):
            writer.write(result)
    saved = read_saved_maps(tmp_path / "a.npz")
    assert saved.heatmap[2].max() == np.float16(FLOOR)
    assert saved.size[2, :, 5, 6].tolist() == [BOX[0] / CELL, BOX[1] / CELL]
    assert saved.offset[2, :, 5, 6].tolist() == [0.5, 0.5], "the detector gives no offset: half a cell"
    assert not saved.size[2, :, :, 12:].any()


def test_a_poisoned_frame_is_saved_as_it_is(tmp_path):
    with MapWriter(tmp_path / "a.npz") as writer:
        for result in results(film([0.8] * 3, order={1: POISON}), keep_maps=True):
            writer.write(result)
    assert np.isnan(read_saved_maps(tmp_path / "a.npz").heatmap).all(axis=(1, 2, 3)).tolist() == [False, True, False]


def test_saved_maps_need_results_with_maps(tmp_path):
    with pytest.raises(ValueError, match="pass keep_maps=True to FrameDetector"), MapWriter(tmp_path / "a") as writer:
        writer.write(results(film([0.8]))[0])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(("error", "left"), [(KeyboardInterrupt, ["a.npz", "a.partial.npz"]), (OSError, ["a.npz"])])
def test_an_older_file_stays_when_maps_break_off(tmp_path, error, left):
    path = tmp_path / "a.npz"
    path.write_text("old")
    with suppress(error), MapWriter(path) as writer:
        for result in results(film([0.8] * 3), keep_maps=True):
            writer.write(result)
        assert [path.name for path in tmp_path.glob("*.npz")] == ["a.npz"], "nothing that a reader would take for maps"
        raise error
    assert path.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == left
    if error is KeyboardInterrupt:
        assert writer.saved_to == tmp_path / "a.partial.npz"
        assert len(read_saved_maps(writer.saved_to).heatmap) == 3


def test_maps_are_whole_when_ctrl_c_breaks_off_the_writing_of_a_frame(tmp_path, monkeypatch):
    first, second = results(film([0.8, 0.4]), keep_maps=True)
    with suppress(KeyboardInterrupt), MapWriter(tmp_path / "a.npz") as writer:
        writer.write(first)
        monkeypatch.setattr(writer._stores["size"], "append", interrupted)
        writer.write(second)
    saved = read_saved_maps(tmp_path / "a.partial.npz")
    assert saved.heatmap.shape == (1, 1, 12, 16)
    np.testing.assert_allclose(saved.heatmap.max(), 0.8, atol=1e-3)


def interrupted(*_):
    raise KeyboardInterrupt


def test_nothing_is_left_if_ctrl_c_comes_while_the_file_is_put_together(tmp_path, monkeypatch):
    (result,) = results(film([0.8]), keep_maps=True)
    monkeypatch.setattr(np.lib.format, "write_array_header_1_0", interrupted)
    with suppress(KeyboardInterrupt), MapWriter(tmp_path / "a.npz") as writer:
        writer.write(result)
    assert writer.saved_to is None
    assert not list(tmp_path.iterdir())


def test_maps_that_change_shape_are_told(tmp_path):
    one, other = (results(film([0.8], height=height), keep_maps=True)[0] for height in (48, 96))
    message = r"heatmap changed shape between frames, from \(1, 12, 16\) to \(1, 24, 16\)"
    with MapWriter(tmp_path / "a.npz") as writer:
        writer.write(one)
        with pytest.raises(ValueError, match=message):
            writer.write(other)
    assert len(read_saved_maps(tmp_path / "a.npz").heatmap) == 1


def test_no_frame_gives_no_maps(tmp_path):
    with MapWriter(tmp_path / "a.npz") as writer:
        pass
    assert writer.saved_to is None
    assert not list(tmp_path.iterdir())


def test_saving_maps_takes_the_memory_of_a_frame(tmp_path):
    """A frame of 64 classes is 2 MB in float16; ten more would show."""
    heatmap = torch.rand(1, 64, 128, 128) ** 20
    result = results(film([0.8]), keep_maps=True)[0]
    maps = HeadMaps(heatmap, None, torch.rand(1, 2, 128, 128))
    network = result.network._replace(maps=maps, reached=torch.zeros(1, 1, 128, 128, dtype=torch.bool))
    peaks = []
    for count in (2, 12):
        tracemalloc.start()
        with MapWriter(tmp_path / "a.npz") as writer:
            for _ in range(count):
                writer.write(result._replace(network=network))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 1e6


# --- names ------------------------------------------------------------------------------------------------------------


def test_names_of_outputs_differ_where_file_systems_do_not():
    paths = [Path(name) for name in ("a/x.mp4", "X.avi", "x-2.mp4", "x.mkv")]
    assert distinct_stems(paths) == ["x", "X-2", "x-2-2", "x-3"]


def test_every_kind_of_output_has_its_name():
    wanted = Wanted(annotated=True, blurred=True, compared=True, records=True, suffix=".mkv", maps=True)
    names = [path.name for path in wanted.paths(Path("out"), "x").values()]
    assert names == ["x_annotated.mkv", "x_blurred.mkv", "x_compare.mkv", "x.jsonl", "x.npz"]
    assert Wanted(annotated=False).paths(Path("out"), "x") == {}


# --- Ctrl-C -----------------------------------------------------------------------------------------------------------


def test_ctrl_c_waits_for_the_frame_to_be_finished():
    done = []

    def work():
        with Interrupts() as interrupts:
            for number in interrupts.between(range(5)):
                if number == 2:
                    signal.raise_signal(signal.SIGINT)
                done.append(number)

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == [0, 1, 2]
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_the_second_ctrl_c_does_not_wait():
    done = []

    def work():
        with Interrupts():
            signal.raise_signal(signal.SIGINT)
            done.append("the first is held back")
            signal.raise_signal(signal.SIGINT)
            done.append("never")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["the first is held back"]


def test_ctrl_c_with_another_meaning_keeps_it():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with Interrupts() as interrupts:
            signal.raise_signal(signal.SIGINT)
        assert not interrupts.number
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_leaves_signals_alone():
    lock = _thread.allocate_lock()
    lock.acquire()
    handlers = []

    def work():
        with Interrupts():
            handlers.append(signal.getsignal(signal.SIGINT))
        lock.release()

    _thread.start_new_thread(work, ())
    assert lock.acquire(timeout=5)
    assert handlers == [signal.default_int_handler]
