"""`heatprop run --every N`: the detector looks at every N-th frame, and says so."""

import json
from fractions import Fraction

import numpy as np
import pytest
import torch
from films import make
from panorama import pose, view
from toy_detectors import CELL, film, lossless, spots
from typer.testing import CliRunner

from heatprop import HeatmapPropagator
from heatprop.cli import app
from heatprop.running import Detector, FrameDetector, Summary
from heatprop.running.clock import Clock
from heatprop.running.completing import complete
from heatprop.running.reading import OwnBoxes
from heatprop.video import Frame

pytestmark = pytest.mark.usefixtures("wide_terminal")

HEIGHT, WIDTH = 96, 160


def run(source, *arguments, detector="spots"):
    options = ["--json", "--no-annotate", "--detector", f"toy_detectors:{detector}"]
    return CliRunner().invoke(app, ["run", str(source), "--out", str(source.parent), *options, *map(str, arguments)])


def lines(source):
    return [json.loads(line) for line in source.with_suffix(".jsonl").read_text().splitlines()]


class Watched:
    """Remembers which pictures the detector was shown."""

    def __init__(self):
        self.calls = 0

    def __call__(self, frames):
        self.calls += 1
        return spots(frames)


def results(scores, *, cuts=(), every=1, sizes=None, **options):
    """What each frame gives, and after which of them the detector had been called how often."""
    watched, numbers = Watched(), iter(range(1000))
    images = film(scores, height=HEIGHT, width=WIDTH)
    for frame, height in (sizes or {}).items():
        images[frame] = images[frame][:height]
    detector = FrameDetector(
        Detector("toy", watched, None, torch.device("cpu")), HeatmapPropagator(), every=every, **options
    )
    found, looks = [], []
    frames = [Frame(index, index / 25, image) for index, image in enumerate(images)]
    for result in detector.results(frames, cuts=lambda image: next(numbers) in cuts):
        found.append(result)
        looks.append(watched.calls - sum(looks))
    return found, looks


@pytest.mark.parametrize(
    ("every", "cuts", "looks"),
    [
        (1, (), [1] * 8),
        (2, (), [1, 0] * 4),
        (3, (), [1, 0, 0, 1, 0, 0, 1, 0]),
        (4, (1, 7), [1, 1, 0, 0, 0, 1, 0, 1]),
        (3, (3, 5), [1, 0, 0, 1, 0, 1, 0, 0]),
    ],
)
def test_it_looks_at_every_nth_frame_and_at_scene_cuts(every, cuts, looks):
    found, looked = results([0.8] * 8, every=every, cuts=cuts)
    assert looked == looks
    assert [result.coasted for result in found] == [not look for look in looks]
    assert [result.cut for result in found] == [frame in cuts for frame in range(8)]
    assert [result.found.carried.item() for result in found] == [not look for look in looks]
    scenes = np.cumsum([frame in cuts for frame in range(8)])
    assert [result.found.ids.item() for result in found] == scenes.tolist()


def test_the_memory_keeps_the_age_of_what_it_carries_and_lets_its_score_fade_over_frames_that_nobody_looks_at():
    found, _ = results([0.8, 0.1, 0.1, 0.4, 0.1, 0.1], every=3)
    seen, again = 204 / 255, 102 / 255
    trust = 1 / (1 + 1 / 2)  # Eq. 5: one frame old, beta 2; alpha 0.98
    blended = again + 0.98 * trust * (0.98**2 * seen - again)
    scores = [result.found.scores.item() for result in found]
    faded = [1, 0.98, 0.98**2]
    np.testing.assert_allclose(scores, [score * part for score in (seen, blended) for part in faded], atol=1e-6)
    assert [result.found.ages.item() for result in found] == [1, 1, 1, 2, 2, 2]
    assert [result.found.network_scores.item() for result in found] == pytest.approx([seen, 0, 0, again, 0, 0])


def test_every_video_begins_with_a_look():
    watched = Watched()
    detector = FrameDetector(Detector("toy", watched, None, torch.device("cpu")), HeatmapPropagator(), every=5)
    for _ in range(3):
        list(detector.results(Frame(index, index / 25, image) for index, image in enumerate(film([0.8] * 2))))
    assert watched.calls == 3


def test_a_frame_of_another_size_is_looked_at():
    """With scene cuts off nobody else notices that the boxes would be wrong."""
    with pytest.raises(Exception, match="heatmap changed shape between frames"):
        results([0.8] * 3, every=3, sizes={1: HEIGHT - 32})


def test_carried_is_said_even_where_every_score_is_asked_for():
    found, _ = results([0.8] * 3, every=3, score=0.0)
    assert [result.found.carried.item() for result in found] == [False, True, True]


def test_without_memory_nothing_is_found_where_nobody_looks():
    found, _ = results([0.8] * 4, every=2, compare=True)
    assert [len(result.without.scores) for result in found] == [1, 0, 1, 0]
    assert not any(result.without.carried.any() for result in found)


def test_the_summary_counts_looks_and_closes_no_gap_in_frames_that_nobody_looked_at(tmp_path):
    for scores, every, gaps in (([0.8] * 6, 2, 0), ([0.8, 0.1, 0.8], 1, 1), ([0.8, 0.8, 0.1, 0.1, 0.8, 0.8], 2, 1)):
        summary = Summary(tmp_path)
        for result in results(scores, every=every)[0]:
            summary.add(result)
        assert summary.gaps_closed == gaps
        assert summary.coasted == sum(frame % every > 0 for frame in range(len(scores)))


# --- the command ------------------------------------------------------------------------------------------------------


def test_the_text_and_the_table_say_what_nobody_looked_at(tmp_path):
    source = make(tmp_path / "clip.mp4", film([0.8] * 7, height=HEIGHT, width=WIDTH), prepare=lossless)
    result = run(source, "--every", 3)
    assert result.exit_code == 0, result.output
    records = lines(source)
    assert [record["coasted"] for record in records] == [False, True, True, False, True, True, False]
    assert [record["carried"] for record in records] == [record["coasted"] for record in records]
    assert [record["age"] for record in records] == [1, 1, 1, 2, 2, 2, 3]
    assert {record["id"] for record in records} == {0}
    assert "looked at" in result.output
    (row,) = [line.split() for line in result.output.splitlines() if ".mp4 " in line]
    assert row[1:7] == ["7", "4", "7", "4", "0", "0"]
    assert "looked at" not in run(source).output


def test_a_scene_cut_in_the_video_is_looked_at(tmp_path):
    images = film([0.8] * 8, height=HEIGHT, width=WIDTH)
    for image in images[3:]:
        image[40:] = 30
        image[40:, ::7] = [90, 20, 160]
    source = make(tmp_path / "cut.mp4", images, prepare=lossless)
    assert run(source, "--every", 5, "--score", 0.5).exit_code == 0
    records = lines(source)
    looked = {record["frame"] for record in records if not record["coasted"]}
    assert looked == {0, 3}
    assert {record["id"] for record in records if record["frame"] >= 3} == {1}


def test_coasted_boxes_move_with_the_camera(tmp_path):
    """A red cell in a world that goes left by 8 pixels a frame; the detector sees frames 0 and 4."""
    images = []
    for time in range(6):
        image = view(pose(2 * CELL * time), size=(192, 96))
        image[:CELL, :CELL] = 0
        image[48:52, 176 - 8 * time : 180 - 8 * time] = [230, 0, 0]
        images.append(image)
    source = make(tmp_path / "pan.mp4", images, prepare=lossless)
    options = ["--every", 4, "--no-scene-cuts", "--radius", 1]
    assert run(source, *options, "--camera-motion", detector="red").exit_code == 0
    records = lines(source)
    centres = [(record["box"][0] + record["box"][2]) / 2 for record in records]
    np.testing.assert_allclose(centres, [178 - 8 * time for time in range(6)], atol=CELL)
    assert {record["id"] for record in records} == {0}
    assert run(source, *options, detector="red").exit_code == 0
    still = [(record["box"][0] + record["box"][2]) / 2 for record in lines(source)]
    assert still[3] == pytest.approx(still[0]), "without it they stay"


@pytest.mark.parametrize("other", ["--two-pass", "--save-maps"])
def test_what_needs_all_maps_does_not_go_with_it(tmp_path, other):
    source = make(tmp_path / "clip.mp4", film([0.8] * 3), prepare=lossless)
    result = run(source, "--every", 2, other)
    assert result.exit_code == 2
    assert f"{other} needs the detector's maps of all frames" in " ".join(result.output.replace("│", " ").split())
    assert run(source, "--every", 1, other).exit_code == 0


@pytest.mark.parametrize("number", ["0", "-1", "half"])
def test_every_must_be_a_count(tmp_path, number):
    source = make(tmp_path / "clip.mp4", film([0.8] * 3), prepare=lossless)
    assert run(source, "--every", number).exit_code == 2


def test_the_steady_preset_coasts_with_the_velocity(tmp_path):
    """Two cells a frame to the right, looked at in frames 0, 2, 4 ...: once it is measured, boxes go on moving."""
    images = [film([0.8], cell=(4 + 2 * time, 5), height=HEIGHT, width=WIDTH)[0] for time in range(8)]
    source = make(tmp_path / "move.mp4", images, prepare=lossless)
    assert run(source, "--every", 2, "--steady", "--radius", 4, "--no-scene-cuts").exit_code == 0
    places = {record["frame"]: record["box"][0] for record in lines(source) if record["coasted"]}
    expected = {time: CELL * (4.5 + 2 * time) - 12 for time in (3, 5, 7)}
    assert {time: places[time] for time in expected} == pytest.approx(expected, abs=CELL / 2)


def test_what_the_detector_sees_after_skipped_frames_is_shown_though_the_memory_doubts_it():
    """A weak object that comes back strong: the geometric average returns it below the score that is asked for."""
    images = film([0.15, 0.0, 0.9, 0.0], height=HEIGHT, width=WIDTH)
    frames = [Frame(index, index / 25, image) for index, image in enumerate(images)]
    for every, compare, shown in ((1, False, [0, 0, 0, 0]), (2, False, [0, 0, 1, 0]), (2, True, [0, 0, 1, 0])):
        watched = Detector("toy", Watched(), None, torch.device("cpu"))
        memory = HeatmapPropagator.steady(alpha=0.99, beta=100)
        detector = FrameDetector(watched, memory, score=0.5, every=every, compare=compare)
        found = [result.found for result in detector.results(frames)]
        assert [len(one.boxes) for one in found] == shown
        assert every == 1 or found[2].ids.tolist() == [-1], "what is found without memory makes nobody known"
    assert found[2].scores == found[2].network_scores == pytest.approx(0.9, abs=0.01)
    assert not found[2].carried.any()


def test_complete_adds_lifts_and_leaves():
    """Four boxes of the detector: drawn, hidden but known, hidden and unknown, nowhere."""
    corners = torch.tensor([[0, 0, 10, 10], [20, 0, 30, 10], [40, 0, 50, 10]], dtype=torch.float32)
    found = {
        "boxes": corners,
        "scores": torch.tensor([0.6, 0.1, 0.1]),
        "labels": torch.zeros(3, dtype=torch.int64),
        "ages": torch.tensor([4, 5, 6], dtype=torch.int32),
        "track_ids": torch.tensor([7, 8, 9]),
        "network_scores": torch.tensor([0.6, 0.3, 0.4]),
        "carried": torch.zeros(3, dtype=torch.bool),
        "cells": torch.zeros(3, 2, dtype=torch.int64),
    }
    boxes = np.array([[1, 0, 11, 10], [21, 0, 31, 10], [41, 0, 51, 10], [80, 0, 90, 10]], float)
    own = OwnBoxes(boxes, np.array([0.6, 0.3, 0.4, 0.5]), np.zeros(4, np.int64))
    shown = complete(found, own, score=0.2, known={7, 8})
    assert shown["track_ids"].tolist() == [7, -1, -1, 8]
    assert shown["scores"].tolist() == pytest.approx([0.6, 0.5, 0.4, 0.3])
    assert shown["boxes"][:, 0].tolist() == [0, 80, 41, 21]
    assert shown["ages"].tolist() == [4, 1, 6, 5]
    assert found["scores"].tolist() == pytest.approx([0.6, 0.1, 0.1]), "the memory's own are left alone"
    other = own._replace(labels=own.labels + 1)
    assert len(complete(found, other, score=0.2, known=set())["scores"]) == 7, "classes stay apart"


def test_a_run_goes_by_the_times_of_the_file():
    """Frames that the recorder dropped count: the memory waits as long as the clock says."""
    images, gone = film([0.8] + [0.0] * 8, height=HEIGHT, width=WIDTH), []
    for rate in (None, Fraction(25)):
        frames = [Frame(index, index * 0.12, image) for index, image in enumerate(images)]  # every third one is there
        watched = Detector("toy", Watched(), None, torch.device("cpu"))
        detector = FrameDetector(watched, HeatmapPropagator(max_unseen=6, alpha=1.0), score=0.05)
        found = [len(result.found.boxes) for result in detector.results(frames, rate=rate)]
        gone.append(found.index(0))
    assert gone == [7, 3]


@pytest.mark.parametrize(
    ("rate", "times", "expected"),
    [
        (Fraction(25), [0, 0.04, 0.08, 0.16], [None, None, None, 2]),
        (Fraction(30000, 1001), [0, 0.033, 0.067, 0.1], [None] * 4),  # a file that counts milliseconds
        (Fraction(10), [0, 0.15, 0.2, 0.1, 0.1, 0.2], [None, 1.5, 0.5, None, None, None]),
        (None, [0, 5, 9], [None] * 3),
    ],
)
def test_the_clock_counts_frames_and_rounds_what_files_round(rate, times, expected):
    clock = Clock(rate)
    assert [clock(time) for time in times] == expected
