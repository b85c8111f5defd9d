"""Training: it goes on to the bit, validates what it should, shares the work out without changing it."""

import csv
import json
import shutil
import signal

import numpy as np
import pytest
import torch

pytest.importorskip("lightning", reason="needs heatprop[train]")
pytest.importorskip("skimage", reason="needs heatprop[benchmark]")

from trainings import CLASSES, render, tiny, weights  # after the extras are known to be there

from heatprop import HeadMaps
from heatprop.centernet import CenterNet, load_checkpoint, make_targets
from heatprop.centernet.training import (
    TrainingInterrupted,
    load_model,
    session,
    train,
)
from heatprop.centernet.training import module as training_module
from heatprop.centernet.training.clips import ValidationClips
from heatprop.centernet.training.images import find_classes, training_images
from heatprop.formats.imagenet_classes import VID_WNIDS


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    return render(tmp_path_factory.mktemp("data"))


@pytest.fixture(scope="module")
def straight(data, tmp_path_factory):
    """Four epochs without a stop, with averaged weights."""
    out = tmp_path_factory.mktemp("straight")
    train(tiny(ema=0.5), data=data, out=out)
    return out


# --- going on ---------------------------------------------------------------------------------------------------------


def assert_equal_to_the_bit(one, other):
    one, other = weights(one / "last.ckpt"), weights(other / "last.ckpt")
    assert one.keys() == other.keys()
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_two_epochs_and_two_more_equal_four_to_the_bit(straight, data, tmp_path):
    first = train(tiny(ema=0.5), data=data, out=tmp_path, stop_after=2)
    assert first.epochs == 2
    again = train(tiny(ema=0.5, workers=1), data=data, out=tmp_path, resume=True)  # a process that reads ahead
    assert again.epochs == 4
    assert_equal_to_the_bit(straight, tmp_path)
    assert len({name.split(".")[0] for name in weights(tmp_path / "last.ckpt")}) > 2, "averages and optimiser are there"


def test_a_training_interrupted_within_an_epoch_says_how_to_go_on_and_ends_the_same(
    straight, data, tmp_path, monkeypatch
):
    step = training_module.CenterNetTraining.training_step

    def interrupted(self, batch, batch_idx):
        if (self.trainer.current_epoch, batch_idx) == (2, 1):
            raise KeyboardInterrupt
        return step(self, batch, batch_idx)

    monkeypatch.setattr(training_module.CenterNetTraining, "training_step", interrupted)
    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(TrainingInterrupted) as stop:
        train(tiny(ema=0.5), data=data, out=tmp_path)
    assert signal.getsignal(signal.SIGINT) is before, "Lightning ignores Ctrl-C from then on"
    text = str(stop.value)
    assert "in epoch 3 of 4, at step 2 of 2" in text
    assert f"{tmp_path / 'last.ckpt'} holds 2 epochs" in text
    assert f"heatprop train --out {tmp_path} --resume" in text
    monkeypatch.undo()
    train(tiny(ema=0.5), data=data, out=tmp_path, resume=True)
    assert_equal_to_the_bit(straight, tmp_path)


def test_a_finished_training_is_not_overwritten_nor_resumed_otherwise(straight, data):
    with pytest.raises(ValueError, match="already holds a training run; resume it with --resume"):
        train(tiny(ema=0.5), data=data, out=straight)
    with pytest.raises(ValueError, match=r"must be resumed with its own options, got learning_rate 0\.01 -> 0\.1"):
        train(tiny(ema=0.5, learning_rate=0.1), data=data, out=straight, resume=True)


def test_the_seed_decides_the_first_weights_and_leaves_the_callers_chance_alone():
    torch.manual_seed(0)
    first, again, other = (session._model(2, tiny(seed=seed), first=True).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["backbone.conv1.weight"], other["backbone.conv1.weight"])
    after = torch.rand(3)
    torch.manual_seed(0)
    assert torch.equal(after, torch.rand(3))


# --- what it leaves ---------------------------------------------------------------------------------------------------


def test_losses_and_learning_rates_are_logged(straight):
    with open(straight / "logs" / "run-1" / "metrics.csv") as file:
        rows = list(csv.DictReader(file))
    epochs = [row for row in rows if row["train/loss"]]
    assert [int(row["epoch"]) for row in epochs] == [0, 1, 2, 3]
    for row in epochs:
        parts = [float(row[f"train/{name}"]) for name in ("heatmap", "size", "offset")]
        assert float(row["train/loss"]) == pytest.approx(np.dot(parts, [1, 0.1, 1]), rel=1e-5)
    rates = [float(row["step/learning_rate"]) for row in rows if row["step/learning_rate"]]
    assert rates == pytest.approx([0.01] * 3 + [0.001])
    assert list((straight / "logs" / "run-1").glob("events.out.tfevents.*"))


def test_the_model_is_the_averaged_one_and_loads_everywhere(straight):
    checkpoint = weights(straight / "last.ckpt")
    averaged = {name[6:]: value for name, value in checkpoint.items() if name.startswith("model.")}
    model, classes, size = load_model(straight / "model.pt")
    assert (classes, size, model.training) == (CLASSES, 64, False)
    assert all(torch.equal(value, averaged[name]) for name, value in model.state_dict().items())
    raw = checkpoint["current_model_state.model.backbone.conv1.weight"]
    assert not torch.equal(raw, averaged["backbone.conv1.weight"])
    plain = CenterNet(2, backbone="resnet18")
    assert not load_checkpoint(plain, straight / "model.pt").missing
    assert torch.equal(plain.backbone.conv1.weight, averaged["backbone.conv1.weight"])


def test_another_file_is_no_trained_model(tmp_path):
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.pt")
    with pytest.raises(ValueError, match=r"other\.pt must be a model that heatprop train wrote"):
        load_model(tmp_path / "other.pt")


def test_training_starts_from_given_weights(straight, data, tmp_path):
    config = tiny(weights=str(straight / "model.pt"), epochs=1, learning_rate=1e-12, freeze_batch_norm=True)
    result = train(config, data=data, out=tmp_path)
    started, ended = load_model(straight / "model.pt").model, load_model(result.checkpoint).model
    for name, value in started.state_dict().items():
        torch.testing.assert_close(ended.state_dict()[name], value, msg=name)


def test_frozen_batch_norm_keeps_its_statistics(data, tmp_path):
    result = train(tiny(epochs=1, freeze_batch_norm=True), data=data, out=tmp_path)
    statistics = load_model(result.checkpoint).model.backbone.bn1
    assert torch.equal(statistics.running_mean, torch.zeros(64))
    assert torch.equal(statistics.running_var, torch.ones(64))


@pytest.mark.parametrize("precision", ["bf16", "auto"])
def test_mixed_precision_trains(precision, data, tmp_path):
    result = train(tiny(epochs=1, precision=precision, optimizer="adamw"), data=data, out=tmp_path)
    assert np.isfinite(list(result.losses.values())).all()
    assert load_model(result.checkpoint).model.backbone.conv1.weight.dtype == torch.float32


# --- the data ---------------------------------------------------------------------------------------------------------


def test_a_benchmark_names_its_classes_and_imagenet_has_30(data, tmp_path):
    assert find_classes(data) == CLASSES
    assert find_classes(tmp_path) == tuple(VID_WNIDS)


def test_det_is_trained_on_where_it_is(data, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(data, root)
    for kind, ending in (("Data", "JPEG"), ("Annotations", "xml")):
        (root / kind / "DET" / "train").mkdir(parents=True)
        frame = next((root / kind / "VID" / "train").rglob(f"000000.{ending}"))
        shutil.copy(frame, root / kind / "DET" / "train" / f"one.{ending}")
    lengths = [len(training_images(root, CLASSES, tiny(images_per_class=count))) for count in (0, 2000)]
    assert lengths == [8, 9]


def test_a_bad_picture_is_named_or_skipped_and_counted(data, tmp_path):
    root = tmp_path / "root"
    shutil.copytree(data, root)
    bad = sorted((root / "Data" / "VID" / "train").rglob("*.JPEG"))[0]
    bad.write_bytes(bad.read_bytes()[:100])
    with pytest.raises(ValueError, match=r"000000\.JPEG must be a whole picture"):
        train(tiny(epochs=1), data=root, out=tmp_path / "stopped")
    train(tiny(epochs=1, skip_bad=True), data=root, out=tmp_path / "skipped")
    with open(tmp_path / "skipped" / "logs" / "run-1" / "metrics.csv") as file:
        assert [float(row["train/skipped"]) for row in csv.DictReader(file) if row["train/skipped"]] == [1]


def test_stopping_before_the_first_epoch_is_refused(data, tmp_path):
    with pytest.raises(ValueError, match="stop_after must be at least 1, got 0"):
        train(tiny(), data=data, out=tmp_path, stop_after=0)


def test_too_few_images_say_what_to_do(data, tmp_path):
    with pytest.raises(ValueError, match="batch_size must be at most the number of training images, 8, got 32"):
        train(tiny(batch_size=32), data=data, out=tmp_path)


# --- validation -------------------------------------------------------------------------------------------------------


class Perfect(CenterNet):
    """A network that knows the answers: it draws the maps of the boxes that are in the frames it is shown."""

    answers: list  # of boxes (n, 4) in network pixels and labels (n,), frame by frame

    def forward(self, images):
        if self.training:
            return super().forward(images)
        shape = (images.shape[2] // 4, images.shape[3] // 4)
        maps = []
        for boxes, labels in (self.answers.pop(0) for _ in images):
            valid = torch.ones(1, len(boxes), dtype=torch.bool)
            targets = make_targets(boxes[None], labels[None], valid, num_classes=2, shape=shape)
            offset, size = torch.zeros(1, 2, *shape), torch.zeros(1, 2, *shape)
            for field, values in ((offset, targets.offset), (size, targets.size)):
                field.flatten(2)[:, :, targets.index[0]] = values.transpose(1, 2)
            maps.append((targets.heatmap, offset, size))
        return HeadMaps(*(torch.cat(field) for field in zip(*maps, strict=True)))


def test_a_perfect_network_validates_at_100_percent(data, tmp_path, monkeypatch):
    """From the letterbox back to the frame, class by class, by the rule of ImageNet VID: nothing may be off."""
    config = tiny(epochs=2, validate_every=2, validation_frames=None, pictures=2)
    clips = ValidationClips(data, CLASSES, config)
    frames = [clips.images[place] for place in range(len(clips.images))]
    answers = [(frame["boxes"], frame["labels"]) for frame in frames]
    assert sum(len(boxes) for boxes, _ in answers) == len(clips.truth.box) > 3
    monkeypatch.setattr(Perfect, "answers", answers, raising=False)
    monkeypatch.setattr(session, "CenterNet", Perfect)
    result = train(config, data=data, out=tmp_path)
    assert result.average_precision == pytest.approx(100)
    assert set(result.per_class) <= {"bus", "car"}
    record = json.loads((tmp_path / "validation.json").read_text())
    assert [(one["epoch"], one["mAP50"]) for one in record] == [(2, pytest.approx(100))]
    assert [path.name for path in (tmp_path / "pictures").iterdir()] == ["epoch-002.jpg"]
    assert result.best == tmp_path / "best.pt"


def test_a_shifted_answer_is_worth_nothing(data, tmp_path, monkeypatch):
    """The test above could fail: 20 px to the right nothing matches any more."""
    config = tiny(epochs=1, validate_every=1, validation_frames=None, pictures=0)
    clips = ValidationClips(data, CLASSES, config)
    frames = [clips.images[place] for place in range(len(clips.images))]
    monkeypatch.setattr(
        Perfect, "answers", [(frame["boxes"] + 20, 1 - frame["labels"]) for frame in frames], raising=False
    )
    monkeypatch.setattr(session, "CenterNet", Perfect)
    assert train(config, data=data, out=tmp_path).average_precision < 50
