"""`heatprop train` as it is typed."""

import pytest

pytest.importorskip("lightning", reason="needs heatprop[train]")
pytest.importorskip("skimage", reason="needs heatprop[benchmark]")

from trainings import render
from typer.testing import CliRunner

from heatprop.centernet.training import TrainingInterrupted
from heatprop.cli.app import app

SMALL = ["--preset", "small", "--input-size", "32", "--epochs", "1", "--batch-size", "8", "--precision", "32"]


def run(*words):
    return CliRunner().invoke(app, ["train", *map(str, words)])


def test_it_trains_and_says_where_the_model_is_and_how_good(tmp_path):
    data = render(tmp_path / "data")
    result = run("--data", data, "--out", tmp_path / "out", *SMALL, "--validate-every", "1")
    assert result.exit_code == 0, result.output
    assert f"1 epochs; the model: {tmp_path / 'out' / 'model.pt'}" in result.output
    assert "mAP50 on the validation clips: " in result.output
    again = run("--data", data, "--out", tmp_path / "out", *SMALL)
    assert again.exit_code == 1
    assert "must be new, got a training" in again.output


def test_a_folder_that_is_no_data_set_ends_with_1(tmp_path):
    result = run("--data", tmp_path, "--out", tmp_path / "out", *SMALL)
    assert result.exit_code == 1
    assert "is this the root?" in result.output


@pytest.mark.parametrize("words", [["--help"], []])
def test_the_help_is_jsonargparses_own(words):
    result = run(*words)
    assert result.exit_code == 0
    assert "--learning-rate" in result.output


def test_ctrl_c_ends_with_130_and_its_text(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise TrainingInterrupted("stopped in epoch 2 of 9")

    monkeypatch.setattr("heatprop.centernet.training.train", stopped)
    result = run("--data", tmp_path, "--out", tmp_path)
    assert (result.exit_code, result.output.strip()) == (130, "stopped in epoch 2 of 9")
