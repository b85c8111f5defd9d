"""`heatprop suggest-radius` on maps whose motion is known."""

import numpy as np
import pytest

pytest.importorskip("typer", reason="needs the extra cli")
from typer.testing import CliRunner

from heatprop.cli import app
from heatprop.evaluation import GroundTruth
from heatprop.maps.saved import SavedMaps, write_saved_maps


def write(path, step, *, frames=15, annotated=True, score=0.9):
    """A ball that goes right by so many cells a frame."""
    heatmap = np.full((frames, 1, 16, 128), 0.001)
    heatmap[np.arange(frames), 0, 8, 4 + step * np.arange(frames)] = score
    left = 4.0 * (4 + step * np.arange(frames)) - 6
    boxes = np.column_stack([left, np.full(frames, 26.0), left + 16, np.full(frames, 42.0)])
    number = np.arange(frames)
    truth = GroundTruth([path.stem] * frames, number, 0 * number, 0 * number, boxes)
    size, offset = (np.full((frames, 2, 16, 128), value) for value in (4.0, 0.5))
    truth = truth if annotated else truth.select(slice(0))
    write_saved_maps(path, SavedMaps(path.stem, heatmap, offset, size, 4.0, (512, 64), ("ball",), truth))


def run(*arguments):
    return CliRunner().invoke(app, ["suggest-radius", *map(str, arguments)])


def cells(output):
    """Row name -> its cells."""
    lines = [[cell.strip() for cell in line.strip("│┃ ").split("│")] for line in output.splitlines() if "│" in line]
    return {line[0]: line[1:] for line in lines}


def test_each_video_has_a_row_and_all_together_have_one(tmp_path):
    write(tmp_path / "slow.npz", 1)
    write(tmp_path / "fast.npz", 4, annotated=False)
    result = run(tmp_path)
    assert result.exit_code == 0, result.output
    rows = cells(result.output)
    assert rows["slow"] == ["14", "100.0", *["0.0"] * 6, "1", "1"]
    assert rows["fast"] == ["14", *["100.0"] * 4, *["0.0"] * 3, "4", "-"]
    assert rows["all"] == ["28", "100.0", *["50.0"] * 3, *["0.0"] * 3, "4", "1"]
    assert "--radius 4" in result.output
    assert "few pairs" in result.output
    assert "--radius 1" in run(tmp_path, "--uncovered", 0.5).output


def test_a_suggestion_at_the_edge_asks_for_a_wider_look(tmp_path):
    write(tmp_path / "fast.npz", 4)
    output = " ".join(run(tmp_path, "--radius", 4).output.split())
    assert "followed only that far: look again with --radius 8" in output


def test_where_nothing_is_seen_it_says_so(tmp_path):
    write(tmp_path / "weak.npz", 1, score=0.2)
    result = run(tmp_path)
    assert result.exit_code == 0
    assert "No object was seen in two frames one after the other: try a lower --score" in result.output
    assert "--radius 1" in run(tmp_path, "--score", 0.1).output


def test_a_folder_without_maps_is_refused(tmp_path):
    result = run(tmp_path)
    assert result.exit_code == 1
    assert "heatprop suggest-radius:" in result.output
    assert "must hold saved maps" in result.output


def test_bad_files_are_skipped_where_asked(tmp_path):
    write(tmp_path / "good.npz", 1)
    np.savez(tmp_path / "bad.npz", heatmap=np.zeros(3))
    assert run(tmp_path).exit_code == 1
    result = run(tmp_path, "--skip-bad")
    assert result.exit_code == 0
    assert "good" in cells(result.output)
