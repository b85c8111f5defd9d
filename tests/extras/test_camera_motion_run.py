"""`heatprop run --camera-motion`: a red object stands still in a world that the camera pans over, 2 cells a frame."""

import json

import numpy as np
import pytest
from films import make
from panorama import pose, view
from toy_detectors import CELL, lossless
from typer.testing import CliRunner

from heatprop.cli import app
from heatprop.maps.saved import read_saved_maps

STEP = 2 * CELL
START = (44, 12)  # column and row of its cell in the first frame


def panorama(path, scores):
    """A film in which the world, and a cell of it that is as red as the score, goes left by 8 pixels a frame."""
    images = []
    for time, score in enumerate(scores):
        image = view(pose(STEP * time), size=(192, 96))
        image[:CELL, :CELL] = 0  # no orders to the detector
        x, y = CELL * START[0] - STEP * time, CELL * START[1]
        image[y : y + CELL, x : x + CELL] = np.array([255 * score, 0, 0])
        images.append(image)
    return make(path, images, prepare=lossless)


def run(source, *arguments):
    options = ["--json", "--no-annotate", "--no-scene-cuts", "--radius", "1", "--detector", "toy_detectors:red"]
    result = CliRunner().invoke(app, ["run", str(source), "--out", str(source.parent), *options, *arguments])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in source.with_suffix(".jsonl").read_text().splitlines()]


def test_the_memory_moves_with_the_camera(tmp_path):
    source = panorama(tmp_path / "pan.mp4", [0.9] * 5 + [0.0] * 3 + [0.9] * 3)
    moving = run(source, "--camera-motion")
    assert [record["frame"] for record in moving] == list(range(11))
    assert [record["carried"] for record in moving] == [time in (5, 6, 7) for time in range(11)]
    assert {record["id"] for record in moving} == {0}
    centres = [(record["box"][0] + record["box"][2]) / 2 for record in moving]
    np.testing.assert_allclose(centres, [CELL * (START[0] + 0.5) - STEP * time for time in range(11)], atol=CELL)
    still = [record for record in run(source) if not record["carried"]]
    assert len({record["id"] for record in still}) == len(still) == 8, "a new one each time"


def test_two_passes_move_with_the_camera_too(tmp_path):
    source = panorama(tmp_path / "pan.mp4", [0.0] * 4 + [0.9] * 6)
    records = run(source, "--camera-motion", "--two-pass")
    assert [record["frame"] for record in records] == list(range(10)), "from the beginning"
    assert {record["id"] for record in records} == {0}
    centres = [(record["box"][0] + record["box"][2]) / 2 for record in records]
    np.testing.assert_allclose(centres, [CELL * (START[0] + 0.5) - STEP * time for time in range(10)], atol=CELL)


@pytest.mark.parametrize("more", [[], ["--two-pass"]])
def test_a_still_camera_changes_nothing(tmp_path, more):
    source = tmp_path / "still.mp4"
    images = []
    for time in range(6):
        image = view(pose(), size=(192, 96), noise=3, seed=time)
        image[:CELL, :CELL] = 0
        image[40:44, 60:64] = [230, 0, 0]
        images.append(image)
    make(source, images, prepare=lossless)
    assert run(source, "--camera-motion", *more) == run(source, *more)


def test_maps_are_saved_where_the_moved_memory_reaches(tmp_path):
    source = panorama(tmp_path / "pan.mp4", [0.9] * 3 + [0.0] * 2)
    run(source, "--camera-motion", "--save-maps")
    size = read_saved_maps(source.with_suffix(".npz")).size
    for time in range(5):
        column, row = START[0] - 2 * time, START[1]
        assert size[time, 0, row, column] > 0
        assert size[time, 0, row, column - 12] == 0
