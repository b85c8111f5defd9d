"""`heatprop train` as it is typed."""

from pathlib import Path

import pytest
import yaml

pytest.importorskip("lightning", reason="needs heatprop[train]")
pytest.importorskip("skimage", reason="needs heatprop[benchmark]")

from trainings import render
from typer.testing import CliRunner

from heatprop.centernet.configuration import to_plain
from heatprop.centernet.training import TrainingConfig, TrainingInterrupted
from heatprop.cli.app import app
from heatprop.cli.train import option_texts

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
    assert "already holds a training run" in again.output


def test_a_folder_that_is_no_data_set_ends_with_1(tmp_path):
    result = run("--data", tmp_path, "--out", tmp_path / "out", *SMALL)
    assert result.exit_code == 1
    assert "is this the root?" in result.output


def settled(*words, monkeypatch):
    """What a command line asks the training for, without training."""
    calls = []

    def trained(config, **options):
        calls.append((config, options))
        return "trained"

    monkeypatch.setattr("heatprop.centernet.training.train", trained)
    result = run(*words)
    assert result.exit_code == 0, result.output
    return calls[0]


def test_the_command_line_beats_the_file_and_the_file_the_preset(tmp_path, monkeypatch):
    file = tmp_path / "mine.yaml"
    file.write_text("batch_size: 8\nlearning_rate: 1e-3\nmilestones: [2, 4]\nprecision: 32\n")
    words = f"--preset original-adam --config {file} --batch-size 6 --data a --out {tmp_path}"
    config, options = settled(*words.split(), monkeypatch=monkeypatch)
    assert (config.batch_size, config.learning_rate, config.milestones) == (6, 1e-3, (2, 4))
    assert (config.optimizer, config.epochs, config.precision) == ("adam", 140, "32")
    paths = {"data": Path("a"), "out": tmp_path}
    assert options == paths | {"resume": False, "stop_after": None, "progress": True}


def test_of_two_files_the_later_counts_more(tmp_path, monkeypatch):
    for name, text in (("a.yaml", "epochs: 3\nseed: 5\ndata: there\n"), ("b.yaml", "epochs: 4\n")):
        (tmp_path / name).write_text(text)
    words = ("--config", tmp_path / "a.yaml", "--config", tmp_path / "b.yaml", "--out", tmp_path)
    config, options = settled(*words, monkeypatch=monkeypatch)
    assert (config.epochs, config.seed, options["data"]) == (4, 5, Path("there"))


def test_without_options_it_is_the_papers_training(monkeypatch):
    assert settled("--data", "a", "--out", "b", monkeypatch=monkeypatch)[0] == TrainingConfig()


def test_switches_lists_and_null_are_typed_as_everywhere(monkeypatch):
    words = "--data a --out b --skip-bad --no-load-heads --milestones 2,40 --validation-frames null --classes n1,n2"
    config, _ = settled(*words.split(), "--clip-norm", "3", "--zoom", "none", monkeypatch=monkeypatch)
    expected = {"skip_bad": True, "load_heads": False, "milestones": (2, 40), "validation_frames": None}
    assert config == TrainingConfig(**expected, classes=("n1", "n2"), clip_norm=3.0, zoom="none")


def test_resuming_takes_data_and_options_from_the_folder(tmp_path, monkeypatch):
    config = TrainingConfig(epochs=9, clip_norm=3.0)
    (tmp_path / "config.yaml").write_text(yaml.safe_dump({"data": "there", **to_plain(config)}))
    found, options = settled("--out", tmp_path, "--resume", "--workers", "5", monkeypatch=monkeypatch)
    assert (options["data"], options["resume"]) == (Path("there"), True)
    assert found == TrainingConfig(epochs=9, clip_norm=3.0, workers=5)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("", "--data and --out must be given"),
        ("--out b", "--data must be given"),
        ("--data a --out b --input-size 100", "input_size must be a multiple of 32, got 100"),
        ("--data a --out b --optimizer lion", "--optimizer"),
        ("--data a --out b --epochs many", "--epochs"),
        ("--data a --out b --clip-norm many", "clip_norm must be a number or null, got 'many'"),
        ("--data a --out b --milestones 2,b", "milestones must be whole numbers with commas between them, got '2,b'"),
        ("--data a --out b --epoch 3", "--epoch"),
        ("--data a --out b --preset mine", "--preset"),
        ("--data a --out b --config nowhere.yaml", "nowhere.yaml"),
        ("--data a --out b --weights b/model.pt", "weights must not lie in --out, where they would be replaced"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_why(words, message):
    result = run(*words.split())
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("- 3", "must hold options by name, like 'epochs: 20', got list"),
        ("momentums: 3", "unknown options momentums"),
        ("a: [", "must be YAML"),
        ("epochs: 2.5", "epochs must be a whole number"),
    ],
)
def test_a_file_that_holds_no_options_is_named(tmp_path, text, message):
    (tmp_path / "mine.yaml").write_text(text)
    result = run("--data", "a", "--out", "b", "--config", tmp_path / "mine.yaml")
    assert result.exit_code == 2
    assert message in " ".join(result.output.replace("│", " ").split())


def test_the_help_describes_every_option_in_its_section():
    output = CliRunner().invoke(app, ["train", "--help"], env={"COLUMNS": "250"}).output
    for name in TrainingConfig.__dataclass_fields__:
        (line,) = [line for line in output.splitlines() if f" --{name.replace('_', '-')} " in line]
        assert option_texts()[name].split(",")[0] in line
    for title in ("Network", "Data", "Optimisation", "Precision and stability", "Machine", "Validation and the rest"):
        assert f"─ {title} ─" in output


def test_ctrl_c_ends_with_130_and_its_text(tmp_path, monkeypatch):
    def stopped(*_, **__):
        raise TrainingInterrupted("stopped in epoch 2 of 9")

    monkeypatch.setattr("heatprop.centernet.training.train", stopped)
    result = run("--data", tmp_path, "--out", tmp_path)
    assert (result.exit_code, result.output.strip()) == (130, "stopped in epoch 2 of 9")
