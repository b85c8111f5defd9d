"""`heatprop run --two-pass` on tiny films: what is covered, what is left on the disk, what goes wrong."""

import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from files import lines, names
from films import cut, decoded, make
from oracles import balanced_scores
from toy_detectors import BOX, CELL, CTRL_C, FAIL, POISON, film, lossless
from typer.testing import CliRunner

import heatprop
from heatprop import HeadMaps, HeatmapPropagator
from heatprop.cli import app
from heatprop.maps.saved import LOWEST, read_saved_maps
from heatprop.offline.frame_store import FrameStore
from heatprop.running import FrameDetector, TwoPassDetector, Wanted, load_detector, run_video
from heatprop.running.picture import fit
from heatprop.running.reading import OwnBoxes, Reading
from heatprop.running.stored_maps import StoredMaps

pytestmark = pytest.mark.usefixtures("wide_terminal")

WIDTH, HEIGHT = 96, 64
CELL_XY = (12, 8)
CENTRE = np.array([(CELL_XY[0] + 0.5) * CELL, (CELL_XY[1] + 0.5) * CELL])
LATE = (0.1,) * 10 + (0.9,) * 8
"""Seen by the detector from frame 10 on; below that the score is under the one that is asked for (0.2)."""


def run(*arguments, detector="spots"):
    return CliRunner().invoke(
        app, ["run", *map(str, arguments), "--two-pass", "--detector", f"toy_detectors:{detector}", "--no-scene-cuts"]
    )


def video(path, scores=LATE, *, order=None):
    images = film(scores, cell=CELL_XY, height=HEIGHT, width=WIDTH, order=order)
    return make(path, images, prepare=lossless)


def test_an_object_is_blurred_before_the_detector_first_sees_it(tmp_path):
    """One pass leaves it bare in frame 9, two do not."""
    scores = (*(0.02,) * 10, *(0.9,) * 8)
    striped = film(scores, cell=CELL_XY, height=HEIGHT, width=WIDTH)
    x, y = np.round(CENTRE - np.array(BOX) / 2).astype(int)
    for image in striped:  # a fine pattern inside the box, which the detector does not see: 0.06 on average
        image[y + 1 : y + 3, x + 1 : x + 20 : 2] = 60
    source = make(tmp_path / "clip.mp4", striped, prepare=lossless)
    for folder, more in (("one", []), ("two", ["--two-pass"])):
        arguments = ["run", source, "--out", tmp_path / folder, "--blur", *more, "--no-scene-cuts"]
        result = CliRunner().invoke(app, [*map(str, arguments), "--detector", "toy_detectors:spots"])
        assert result.exit_code == 0, result.output
    detail = {}
    for folder in ("one", "two"):
        images = [image for _, image in decoded(tmp_path / folder / "clip_blurred.mp4")]
        assert len(images) == len(scores)
        detail[folder] = [np.abs(np.diff(image[y + 1, x + 1 : x + 20, 0].astype(float))).mean() for image in images]
    assert min(detail["one"][8:10]) > 30, "bare"
    assert max(detail["two"][8:]) < 10
    assert max(detail["one"][10:]) < 10


def test_json_holds_what_the_equations_give_in_both_directions(tmp_path):
    result = run(video(tmp_path / "clip.mp4"), "--out", tmp_path / "out", "--json", "--no-annotate")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == ["clip.jsonl"], "and no temporary file"
    forward, backward = balanced_scores(LATE), balanced_scores(LATE[::-1])[::-1]
    expected = np.mean([forward, backward], axis=0)
    records = lines(tmp_path / "out" / "clip.jsonl")
    shown = [frame for frame, score in enumerate(expected) if score >= 0.2]
    assert shown[0] < 9, "before its first detection"
    assert [record["frame"] for record in records] == shown
    np.testing.assert_allclose([record["score"] for record in records], expected[shown], atol=0.01)
    assert {record["id"] for record in records} == {0}
    assert [record["carried"] for record in records] == [frame < 10 for frame in shown]


def test_the_maximum_of_both_directions_can_be_asked_for(tmp_path):
    source = video(tmp_path / "clip.mp4")
    assert run(source, "--out", tmp_path, "--json", "--no-annotate", "--combine", "maximum").exit_code == 0
    expected = np.max([balanced_scores(LATE), balanced_scores(LATE[::-1])[::-1]], axis=0)
    records = lines(tmp_path / "clip.jsonl")
    np.testing.assert_allclose([one["score"] for one in records], expected[expected >= 0.2], atol=0.01)


def test_the_summary_counts_what_is_written(tmp_path):
    result = run(video(tmp_path / "clip.mp4", (0.9, 0.9, 0.1, 0.9)), "--out", tmp_path / "out")
    (row,) = [line.split() for line in result.stdout.splitlines() if "clip.mp4" in line]
    assert row[1:6] == ["4", "4", "1", "1", "0"], "frames, detections, carried, gaps, cuts"


def test_two_videos_are_kept_apart(tmp_path):
    first, second = video(tmp_path / "a.mp4"), video(tmp_path / "b.mp4", (0.9,) * 3)
    assert run(first, second, "--out", tmp_path / "out", "--json", "--no-annotate").exit_code == 0
    assert [record["frame"] for record in lines(tmp_path / "out" / "b.jsonl")] == [0, 1, 2]
    assert {record["id"] for record in lines(tmp_path / "out" / "b.jsonl")} == {0}


def test_a_frame_of_nan_is_bridged(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9,) * 5, order={2: POISON})
    assert run(source, "--out", tmp_path / "out", "--json", "--no-annotate").exit_code == 0
    assert [record["frame"] for record in lines(tmp_path / "out" / "clip.jsonl")] == [0, 1, 2, 3, 4]


def test_scene_cuts_hold_in_both_directions(tmp_path):
    """The object is in the second scene only; nothing of it may reach into the first."""
    source = video(tmp_path / "clip.mp4", (0.1, 0.1, 0.1, 0.9, 0.9))
    detector = FrameDetector(load_detector("toy_detectors:spots"), HeatmapPropagator())
    numbers = iter(range(5))
    wanted = Wanted(annotated=False, records=True)
    for stem, cuts in (("cut", lambda image: next(numbers) == 3), ("whole", None)):
        two = TwoPassDetector(detector, folder=tmp_path)
        summary = run_video(source, two, wanted=wanted, folder=tmp_path, stem=stem, cuts=cuts)
        assert (summary.problem, summary.cuts) == ("", int(stem == "cut"))
    assert [record["frame"] for record in lines(tmp_path / "cut.jsonl")] == [3, 4]
    assert len(lines(tmp_path / "whole.jsonl")) > 2


def test_without_memory_is_compared_and_maps_are_saved(tmp_path):
    source = video(tmp_path / "clip.mp4")
    assert run(source, "--out", tmp_path / "out", "--compare", "--save-maps", "--no-annotate").exit_code == 0
    assert names(tmp_path / "out") == ["clip.npz", "clip_compare.mp4"]
    maps = read_saved_maps(tmp_path / "out" / "clip.npz")
    np.testing.assert_allclose(maps.heatmap[:, 0, CELL_XY[1], CELL_XY[0]].astype(float), LATE, atol=0.01)


# --- progress and what goes wrong -------------------------------------------------------------------------------------


def test_each_stage_tells_how_far_it_is(tmp_path):
    told = []
    run_video(
        video(tmp_path / "clip.mp4", (0.9,) * 3),
        TwoPassDetector(FrameDetector(load_detector("toy_detectors:spots"), HeatmapPropagator()), folder=tmp_path),
        wanted=Wanted(),
        folder=tmp_path,
        stem="out",
        on_frame=lambda done, total, stage="": told.append((stage, done, total)),
    )
    stages = [(stage, done, 3) for stage in ("detecting", "looking back", "") for done in (1, 2, 3)]
    assert told == stages


def test_a_detector_that_fails_is_told_with_its_frame_and_nothing_is_left(tmp_path):
    result = run(video(tmp_path / "clip.mp4", order={3: FAIL}), "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "clip.mp4, frame 3: toy_detectors:spots failed: ArithmeticError" in result.stderr
    assert names(tmp_path / "out") == []


def test_wrong_maps_are_told_with_their_frame(tmp_path):
    result = run(video(tmp_path / "clip.mp4"), "--out", tmp_path / "out", detector="mismatched")
    assert "clip.mp4, frame 0: toy_detectors:mismatched: size" in result.stderr


def test_points_cannot_be_blurred_but_drawn(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9,) * 3)
    assert "leave out --blur" in run(source, "--out", tmp_path / "a", "--blur", detector="points").stderr
    assert run(source, "--out", tmp_path / "b", "--json", detector="points").exit_code == 0
    assert len(lines(tmp_path / "b" / "clip.jsonl")) == 3


def test_of_a_damaged_video_everything_that_decodes_is_kept(tmp_path):
    source = cut(video(tmp_path / "clip.mkv", (0.9,) * 60), 0.7)
    result = run(source, "--out", tmp_path / "out", "--json")
    assert result.exit_code == 1
    assert "is damaged or cut off" in result.stderr
    kept = len(lines(tmp_path / "out" / "clip.jsonl"))
    assert 5 < kept < 60
    assert len(decoded(tmp_path / "out" / "clip_annotated.mp4")) == kept


def test_ctrl_c_while_detecting_leaves_nothing(tmp_path):
    result = run(video(tmp_path / "clip.mp4", order={3: CTRL_C}), "--out", tmp_path / "out", "--blur", "--json")
    assert result.exit_code == 130
    assert "nothing is kept of it" in result.stderr
    assert names(tmp_path / "out") == []


def test_ctrl_c_while_writing_keeps_what_is_there(tmp_path):
    source = video(tmp_path / "clip.mp4", (0.9,) * 6)
    detector = TwoPassDetector(
        FrameDetector(load_detector("toy_detectors:spots"), HeatmapPropagator()), folder=tmp_path
    )

    def press(done, total, stage=""):
        if (stage, done) == ("", 4):
            signal.raise_signal(signal.SIGINT)

    wanted = Wanted(records=True)
    summary = run_video(source, detector, wanted=wanted, folder=tmp_path, stem="out", on_frame=press)
    assert summary.interrupted
    assert sorted(path.name for path in summary.files) == ["out.partial.jsonl", "out_annotated.partial.mp4"]
    assert names(tmp_path) == ["clip.mp4", "out.partial.jsonl", "out_annotated.partial.mp4"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="the open files of a process are listed by Linux only")
def test_a_killed_run_leaves_no_temporary_file(tmp_path):
    """Not even SIGKILL, which nothing can clean up after: the file has no name."""
    source = video(tmp_path / "clip.mp4", (0.9,) * 2)
    out = tmp_path / "out"
    out.mkdir()
    code = f"""
import time, numpy
from heatprop.offline.frame_store import FrameStore
store = FrameStore({str(out)!r}, in_memory=10)
store.append([numpy.random.default_rng(0).random(1000)])
print("ready", flush=True)
time.sleep(60)
"""
    environment = {"PYTHONPATH": str(Path(heatprop.__file__).parents[1])}
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout.readline() == b"ready\n"
        open_files = [link.resolve() for link in Path(f"/proc/{process.pid}/fd").iterdir()]
        assert any(str(out) in str(path) for path in open_files), "it is on the disk, in this folder"
        process.kill()
    assert names(out) == []
    assert source.exists()


# --- the stored maps --------------------------------------------------------------------------------------------------


def test_stored_maps_keep_what_the_memory_reads():
    random = np.random.default_rng(0)
    heatmap = torch.from_numpy(random.random((1, 2, 12, 16)) * 0.001).float()
    heatmap[0, 1, 5, 6] = 0.7
    heatmap[0, 0, 9, 9] = 0.004
    offset, size = torch.rand(2, 1, 2, 12, 16) * 9
    with FrameStore() as store:
        maps = StoredMaps(store)
        own = OwnBoxes(np.array([[1.0, 2, 3, 1 / 3]]), np.array([0.7]), np.array([1]))
        reading = Reading(own, unreadable=False, outside=True)
        maps.append(fit(np.zeros((50, 70, 3), np.uint8), longer_side=64), HeadMaps(heatmap, offset, size), reading)
        picture, kept, read = maps.frame(0)
    assert [field.tolist() for field in read.own] == [field.tolist() for field in own]
    assert read[1:] == (False, True)
    expected = torch.where(heatmap < LOWEST, 0, heatmap)
    torch.testing.assert_close(kept.heatmap, expected, atol=1e-3, rtol=1e-3)
    assert (kept.heatmap > 0).sum() == 2
    near = torch.zeros(12, 16, dtype=torch.bool)
    near[3:8, 4:9] = True
    torch.testing.assert_close(kept.offset[..., near], offset[..., near], atol=1e-2, rtol=1e-3)
    torch.testing.assert_close(kept.size[..., near], size[..., near], atol=1e-2, rtol=1e-3)
    assert (kept.offset[..., ~near] == 0.5).all()
    assert (kept.size[..., ~near] == 0).all()
    assert (picture.width, picture.height) == (64, 46)
    np.testing.assert_allclose(picture.scale, (64 / 70, 46 / 50))


def test_stored_points_have_no_size():
    with FrameStore() as store:
        maps = StoredMaps(store)
        maps.append(fit(np.zeros((8, 8, 3), np.uint8)), HeadMaps(torch.rand(1, 1, 2, 2)), Reading())
        assert (maps[0].offset, maps[0].size, len(maps)) == (None, None, 1)


def test_half_precision_changes_the_result_little(tmp_path):
    """The same film through the memory as it is, and through what was stored of its maps."""
    scores = tuple(np.random.default_rng(3).uniform(0.01, 0.9, 12))
    source = video(tmp_path / "clip.mp4", scores)
    run(source, "--out", tmp_path / "out", "--json", "--no-annotate", "--score", "0.05")
    records = lines(tmp_path / "out" / "clip.jsonl")
    expected = np.mean([balanced_scores(scores), balanced_scores(scores[::-1])[::-1]], axis=0)
    both = [min(pair) for pair in zip(balanced_scores(scores), balanced_scores(scores[::-1])[::-1], strict=True)]
    sure = [frame for frame in range(12) if both[frame] > 0.06]
    found = {record["frame"]: record["score"] for record in records}
    np.testing.assert_allclose([found[frame] for frame in sure], expected[sure], atol=0.01)
