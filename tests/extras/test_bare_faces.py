"""Masks cover what the memory keeps and what the detector alone sees: with `--blur` nothing that it sees is bare."""

import json
import re

import numpy as np
import oracles
import pytest
import torch
from films import decoded, make
from toy_detectors import CELL, film, lossless
from typer.testing import CliRunner

from heatprop import HeadMaps, HeatmapPropagator
from heatprop.cli import app
from heatprop.demo.clips import BIKES, load_clip
from heatprop.formats.json_lines import read_json_lines
from heatprop.running import Detector, FrameDetector, TwoPassDetector, load_detector
from heatprop.running.reading import own_boxes
from heatprop.video import VideoReader

SCORE, MASK_SCALE = 0.2, 1.3
MODES = {
    "paper": {},
    "steady": {"steady": True},
    "every 2": {"every": 2},
    "two passes": {"two_pass": True},
    "two passes, steady, maximum": {"two_pass": True, "steady": True, "combine": "maximum"},
}


def boxes_alone(maps, *, score=SCORE, nms_threshold=0.3, stride=4):
    """What the detector alone shows of maps (1, C, H, W), in loops: 3 x 3 peaks from the score on, NMS."""
    offset = torch.full_like(maps.size, 0.5) if maps.offset is None else maps.offset
    heatmap, offset, size = (field[0].double().numpy() for field in (maps.heatmap, offset, maps.size))

    def top(label, y, x):
        return heatmap[label, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2].max()

    readable = np.isfinite(offset).all(0) & np.isfinite(size).all(0) & (size >= 0).all(0)
    heatmap = np.where(np.isfinite(heatmap) & readable, heatmap, 0).clip(0, 1)
    cells = [(label, y, x) for label, y, x in np.argwhere(heatmap >= score) if heatmap[label, y, x] == top(label, y, x)]
    boxes = [oracles.decode_box(x, y, offset[:, y, x], size[:, y, x], stride) for _, y, x in cells]
    scores, labels = [heatmap[cell] for cell in cells], [cell[0] for cell in cells]
    kept = oracles.nms(boxes, scores, labels, nms_threshold)
    return [(box, one, label) for box, one, label, keep in zip(boxes, scores, labels, kept, strict=True) if keep]


def is_bare(box, masks, scale):
    """Whether a box reaches out of every mask."""
    for x1, y1, x2, y2 in masks:
        x, y, w, h = (x1 + x2) / 2, (y1 + y2) / 2, scale * (x2 - x1), scale * (y2 - y1)
        area = np.array([x - w / 2, y - h / 2, x + w / 2, y + h / 2])
        if (box[:2] >= area[:2] - 1e-3).all() and (box[2:] <= area[2:] + 1e-3).all():
            return False
    return True


# --- the detector's own boxes -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("nms_threshold", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_own_boxes_are_the_3_x_3_peaks_after_nms(seed, nms_threshold):
    generator = torch.Generator().manual_seed(seed)
    heatmap, offset, size = (torch.rand(1, channels, 13, 17, generator=generator) for channels in (2, 2, 2))
    heatmap = (20 * heatmap).round() / 20  # ties and plateaus
    heatmap[0, :, 3, 4], offset[0, 0, 5, 6], size[0, 1, 7, 8], size[0, 0, 9, 9] = torch.nan, torch.inf, torch.nan, -1
    maps = HeadMaps(heatmap, offset, 5 * size)
    own = own_boxes(maps, HeatmapPropagator(nms_threshold=nms_threshold).options, score=0.3)
    expected = boxes_alone(maps, score=np.float32(0.3), nms_threshold=nms_threshold)
    order = sorted(range(len(expected)), key=lambda place: -expected[place][1])  # stable: ties stay in flat order
    assert len(own.boxes) == len(expected) > 3
    np.testing.assert_allclose(own.boxes, [expected[place][0] for place in order], atol=1e-4)
    np.testing.assert_allclose(own.scores, [expected[place][1] for place in order], atol=1e-7)
    assert own.labels.tolist() == [expected[place][2] for place in order]


def test_there_are_more_own_boxes_than_the_memory_keeps():
    heatmap = torch.zeros(1, 1, 64, 64)
    heatmap[..., ::4, ::4] = 0.5
    maps = HeadMaps(heatmap, None, torch.ones(1, 2, 64, 64))
    assert len(own_boxes(maps, HeatmapPropagator().options, score=0.2).boxes) == 256
    heatmap[..., ::2, ::2] = 0.5
    assert len(own_boxes(maps, HeatmapPropagator().options, score=0.2).boxes) == 1000


# --- nothing is bare --------------------------------------------------------------------------------------------------


class Replayed:
    """A detector that remembers its maps by picture, so that every mode sees the same."""

    def __init__(self, network):
        self.network, self.maps = network, {}

    def __call__(self, pixels):
        key = pixels.numpy().tobytes()
        if key not in self.maps:
            self.maps[key] = self.network(pixels)
        return self.maps[key]


def crowd(pixels):
    """Small objects, as sure as they are bright."""
    heatmap = torch.nn.functional.avg_pool2d(pixels.mean(1, keepdim=True), CELL) / 255
    return HeadMaps(heatmap, None, torch.full((1, 2, *heatmap.shape[2:]), 2.0))


def crowded_film(frames=12, count=60, height=96, width=160, seed=0):
    """Objects that walk about in each other's way, each brighter and darker by chance."""
    random = np.random.default_rng(seed)
    cells = random.integers(1, (width // CELL - 1, height // CELL - 1), (count, 2))
    images = np.zeros((frames, height, width, 3), np.uint8)
    for image in images:
        cells = (cells + random.integers(-1, 2, cells.shape)).clip(1, (width // CELL - 2, height // CELL - 2))
        for x, y in CELL * cells:
            image[y : y + CELL, x : x + CELL] = random.integers(20, 250)
    return list(images)


@pytest.fixture(scope="module")
def scenes(tmp_path_factory):
    """Name -> (video file, detector)."""
    folder = tmp_path_factory.mktemp("scenes")
    street = load_clip(BIKES, first=104, count=24).images
    return {
        "crowd": (make(folder / "crowd.mkv", crowded_film(), prepare=lossless), Replayed(crowd)),
        "bikes": (make(folder / "bikes.mkv", list(street), prepare=lossless), Replayed(load_detector("faces"))),
    }


def results(scene, folder, *, steady=False, two_pass=False, every=1, combine="mean", mask_scale=MASK_SCALE):
    path, network = scene
    memory = HeatmapPropagator.steady() if steady else HeatmapPropagator()
    detector = FrameDetector(
        Detector("replayed", network, None, torch.device("cpu")),
        memory,
        score=SCORE,
        every=every,
        mask_scale=mask_scale,
    )
    with VideoReader(path) as frames:
        if two_pass:
            both = TwoPassDetector(detector, folder=folder, combine=combine)
            yield from both.results(frames, watch=lambda items, stage, total: iter(items))
        else:
            yield from detector.results(frames)


def maps_of(result, network):
    """The maps that the detector gave for a frame of whole cells, without its padding."""
    image = torch.from_numpy(result.frame.image).permute(2, 0, 1)[None].float()
    H, W = image.shape[2:]
    padded = torch.nn.functional.pad(image, (0, -W % 32, 0, -H % 32))
    return network(padded).map(lambda field: field[..., : H // 4, : W // 4])


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES)
@pytest.mark.parametrize("name", ["crowd", "bikes"])
def test_nothing_that_the_detector_sees_is_bare(scenes, tmp_path, name, mode):
    seen = bare = bare_before = 0
    threshold = 0.6 if mode.get("steady") else 0.3
    for result in results(scenes[name], tmp_path, **mode):
        if result.coasted:
            continue
        for box, *_ in boxes_alone(maps_of(result, scenes[name][1]), score=np.float32(SCORE), nms_threshold=threshold):
            seen += 1
            bare += is_bare(box, result.masks, MASK_SCALE)
            bare_before += is_bare(box, result.found.boxes, MASK_SCALE)
    assert seen > 15
    assert bare == 0
    if mode.get("every", 1) > 1:  # after skipped frames the detector's own boxes are among those found
        assert bare_before == 0
    elif name == "crowd" or not mode.get("two_pass"):  # on the street, two passes cover all by themselves
        assert bare_before > 0, "the memory alone leaves some bare: else this scene tests nothing"


@pytest.mark.parametrize("mask_scale", [0.5, 1.0, 3.0])
def test_only_what_reaches_out_of_the_memorys_areas_is_masked_besides(scenes, tmp_path, mask_scale):
    for result in results(scenes["crowd"], tmp_path, mask_scale=mask_scale):
        for box in result.masked_only.boxes:
            assert is_bare(box, result.found.boxes, max(mask_scale, 1.0) - 1e-3)


def test_masks_stay_where_they_are_until_the_detector_looks_again(scenes, tmp_path):
    looked = None
    for result in results(scenes["crowd"], tmp_path, every=3):
        looked = looked if result.coasted else result
        assert result.masked_only is looked.masked_only
        assert (result.unreadable, result.outside) == (False, False)


def test_without_masks_nothing_is_decoded_twice(scenes, tmp_path):
    assert all(not len(result.masked_only.boxes) for result in results(scenes["crowd"], tmp_path, mask_scale=None))


# --- files and table --------------------------------------------------------------------------------------------------


@pytest.fixture
def neighbours(tmp_path):
    """Two objects in the memory's window of 5 cells: it keeps the brighter one."""
    images = film([0.9] * 3, cell=(12, 8), height=64, width=96)
    for image in images:
        image[8 * CELL : 9 * CELL, 14 * CELL : 15 * CELL] = 150
    return make(tmp_path / "clip.mp4", images, prepare=lossless)


def run(source, *options, detector="small"):
    out = source.parent / "out"
    arguments = ["run", str(source), "--out", str(out), "--detector", f"toy_detectors:{detector}", *options]
    return CliRunner().invoke(app, arguments, env={"COLUMNS": "250"}), out


def column(table, title):
    """The last cell of a column, by where its title ends."""
    *_, row = (line for line in table.splitlines() if re.search(r"\.mp4 ", line))
    ends = [line.index(title) + len(title) for line in table.splitlines() if title in line]
    return int(row[: ends[0]].split()[-1]) if ends else None


@pytest.mark.parametrize("options", [(), ("--two-pass",)], ids=["one pass", "two passes"])
def test_files_and_counts_stay_the_memorys_and_what_only_the_mask_has_is_listed(neighbours, options):
    result, out = run(neighbours, "--blur", "--json", "--mot", *options)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (out / "clip.jsonl").read_text().splitlines()]
    detections = [line for line in lines if "box" in line]
    masks = [line for line in lines if "masked_only" in line]
    assert [line["frame"] for line in detections] == [line["frame"] for line in masks] == [0, 1, 2]
    x, y = 14.5 * CELL, 8.5 * CELL
    expected = {"box": [x - 4, y - 4, x + 4, y + 4], "score": round(150 / 255, 6), "label": 0}
    assert masks[1] == {"frame": 1, "time": 0.04, "masked_only": [expected]}
    assert len(read_json_lines(out / "clip.jsonl").frame) == len((out / "clip.txt").read_text().splitlines()) == 3
    assert (column(result.stdout, "detections"), column(result.stdout, "masked")) == (3, 3)


def test_what_only_the_mask_has_is_blurred_in_the_picture(neighbours):
    result, out = run(neighbours, "--blur", "--compare")
    assert result.exit_code == 0, result.output
    for _, image in decoded(out / "clip_blurred.mp4"):
        assert image[34, 57, 0] < 120, "the second object was 150 on black"
    for _, image in decoded(out / "clip_compare.mp4"):
        title = image.shape[0] - 64
        assert image[title + 34, 96 + 57, 0] < 120, "with memory, on the right"


def test_without_blur_there_is_no_list_and_no_column(neighbours):
    result, out = run(neighbours, "--json", "--annotate")
    assert "masked_only" not in (out / "clip.jsonl").read_text()
    assert "masked" not in result.stdout


def test_classes_that_are_not_asked_for_are_not_masked(neighbours):
    _, out = run(neighbours, "--blur", "--json", "--classes", "0", detector="two_small_classes")
    assert "masked_only" not in (out / "clip.jsonl").read_text()
    _, out = run(neighbours, "--blur", "--json", "--classes", "1", detector="two_small_classes")
    assert "masked_only" in (out / "clip.jsonl").read_text()


# --- values that nobody can use ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("options", [(), ("--two-pass",)], ids=["one pass", "two passes"])
@pytest.mark.parametrize(
    ("detector", "readable", "in_range"),
    [("spots", True, True), ("unreadable", False, True), ("unscaled", True, False)],
)
def test_the_table_counts_frames_with_values_that_nobody_can_use(tmp_path, detector, readable, in_range, options):
    """Of negative sizes in quiet cells nobody hears: networks give them everywhere."""
    source = make(tmp_path / "clip.mp4", film([0.9, 0.9, 0.3, 0.9]), prepare=lossless)
    result, _ = run(source, *options, detector=detector)
    assert result.exit_code == 0, result.output
    assert column(result.stdout, "readable") == (None if readable else 3)
    assert column(result.stdout, "0 to 1") == (None if in_range else 3)


def test_frames_of_nan_are_not_readable(tmp_path):
    source = make(tmp_path / "clip.mp4", film([0.9] * 4, order={2: 60}), prepare=lossless)
    result, _ = run(source, detector="spots")
    assert column(result.stdout, "readable") == 1
