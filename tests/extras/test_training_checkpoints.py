"""What a training left, damaged: `load_model` and `--resume` say it in a sentence and overwrite nothing."""

import shutil

import pytest
import torch

pytest.importorskip("lightning", reason="needs heatprop[train]")
pytest.importorskip("skimage", reason="needs heatprop[benchmark]")

from trainings import render, tiny
from typer.testing import CliRunner

from heatprop.centernet.training import load_model, train
from heatprop.cli.app import app


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The data set and the folder of a training stopped after its first epoch."""
    data, out = render(tmp_path_factory.mktemp("data")), tmp_path_factory.mktemp("out")
    train(tiny(epochs=2), data=data, out=out, stop_after=1)
    return data, out


@pytest.fixture
def out(trained, tmp_path):
    return shutil.copytree(trained[1], tmp_path / "out", ignore=shutil.ignore_patterns("logs"))


def changed(path, change):
    """The same file with its content changed in place."""
    content = torch.load(path, weights_only=True)
    change(content)
    torch.save(content, path)


class Evil:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (str(self.path), "w")


def refused(data, out, message):
    kept = (out / "last.ckpt").read_bytes()
    with pytest.raises(ValueError, match=rf"training cannot resume from .*last\.ckpt.*{message}"):
        train(tiny(epochs=2), data=data, out=out, resume=True)
    assert (out / "last.ckpt").read_bytes() == kept


@pytest.mark.parametrize("damage", [lambda whole: b"", lambda whole: whole[:1000], lambda whole: b"hello"])
def test_half_a_checkpoint_is_not_gone_on_from(trained, out, damage):
    (out / "last.ckpt").write_bytes(damage((out / "last.ckpt").read_bytes()))
    refused(trained[0], out, "start again in another --out, or restore a copy.*not a checkpoint of plain weights")


def test_code_in_a_checkpoint_does_not_run(trained, out, tmp_path):
    torch.save({"epoch": Evil(tmp_path / "owned")}, out / "last.ckpt")
    refused(trained[0], out, "could run code")
    assert not (tmp_path / "owned").exists()


def test_another_file_is_not_gone_on_from(trained, out):
    shutil.copy(out / "model.pt", out / "last.ckpt")
    refused(trained[0], out, "it lacks epoch, global_step, optimizer_states, lr_schedulers, loops, callbacks; start")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda content: content["state_dict"].pop("model.heads.size.2.bias"), "heads.size.2.bias"),
        (lambda content: content["loops"].clear(), "KeyError: 'fit_loop'"),
        (lambda content: content["optimizer_states"].__setitem__(0, {"state": 3}), "KeyError"),
        (lambda content: content.__setitem__("pytorch-lightning_version", "noise"), "noise"),
    ],
    ids=["weights", "loops", "optimiser", "version"],
)
def test_a_checkpoint_of_something_else_is_a_sentence(trained, out, change, message):
    changed(out / "last.ckpt", change)
    refused(trained[0], out, message)


def test_the_command_says_it_without_a_traceback(trained, out):
    (out / "last.ckpt").write_bytes(b"PK\x03\x04 half a file")
    words = ["train", "--data", str(trained[0]), "--out", str(out), "--resume"]
    result = CliRunner().invoke(app, words)
    assert result.exit_code == 1
    assert "heatprop train: training cannot resume from" in result.output
    assert isinstance(result.exception, SystemExit)


@pytest.mark.parametrize("text", ["a: [", "- 1", "\x00"])
def test_damaged_options_are_named(trained, out, text):
    (out / "config.yaml").write_text(text)
    with pytest.raises(ValueError, match=r"config\.yaml must hold the options of a training run, got"):
        train(tiny(epochs=2), data=trained[0], out=out, resume=True)


def test_an_untouched_copy_goes_on(trained, out):
    assert train(tiny(epochs=2), data=trained[0], out=out, resume=True).epochs == 2


# --- load_model -------------------------------------------------------------------------------------------------------


def test_half_a_model_is_named(out):
    (out / "model.pt").write_bytes((out / "model.pt").read_bytes()[:5000])
    with pytest.raises(ValueError, match=r"model\.pt is not a checkpoint of plain weights"):
        load_model(out / "model.pt")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"head_channels": 10**9},
            r"must hold heads\.heatmap\.2\.weight of shape \(2, 1000000000, 1, 1\), got \(2, 64",
        ),
        ({"classes": ["a"] * 3}, r"of shape \(3, 64, 1, 1\), got \(2, 64, 1, 1\)"),
        ({"classes": [1, 2]}, r"names under classes, got \[1, 2\]"),
        ({"classes": None}, "must hold classes as list, got None"),
        ({"backbone": "resnet999"}, "describes a model that cannot be made: backbone must be"),
        ({"backbone": "resnet34"}, "does not fit the model: the file lacks"),
        ({"deformable": "v3"}, "describes a model that cannot be made: deformable must be one of"),
        ({"input_size": "512"}, "must hold input_size as int, got '512'"),
        ({"state_dict": [1]}, "must hold tensors by name under state_dict, got list"),
        ({"format": "other"}, "must be a model that heatprop train wrote"),
    ],
)
def test_a_model_that_is_none_is_named(out, change, message):
    changed(out / "model.pt", lambda content: content.update(change))
    with pytest.raises(
        ValueError, match=rf"model\.pt {message}" if not message.startswith(("of", "names")) else message
    ):
        load_model(out / "model.pt")


def test_a_whole_model_loads(out):
    assert load_model(out / "model.pt").input_size == 64
