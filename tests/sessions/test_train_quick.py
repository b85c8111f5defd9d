"""A training that is worth its name, in two minutes on two cores: `nox -s train_quick`, apart from the other tests."""

import csv

import numpy as np
import pytest
import torch

from heatprop import HeatmapPropagator
from heatprop.centernet import CenterNet, normalize
from heatprop.centernet.training import TrainingConfig, load_model, train
from heatprop.centernet.training.clips import ValidationClips
from heatprop.centernet.training.validation import measure
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_lists import list_frames
from heatprop.synthetic import SceneOptions, make_benchmark

CLASSES = ("n02924116", "n02391049")  # bus and zebra
SCENE = SceneOptions(
    size=(96, 96), frames=4, classes=CLASSES, objects=(1, 2), length=(0.35, 0.6), occluders=0, defocus=0, camera=0
)
CONFIG = TrainingConfig.small(
    input_size=96, epochs=8, warmup_steps=15, validate_every=8, validation_frames=None, zoom="none"
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    folder = tmp_path_factory.mktemp("data")
    for _ in make_benchmark(folder, train=60, val=20, scene=SCENE):
        pass
    return folder


@pytest.fixture(scope="module")
def clips(data):
    return ValidationClips(data, CLASSES, CONFIG)


@pytest.fixture(scope="module")
def trained(data, tmp_path_factory):
    return train(CONFIG, data=data, out=tmp_path_factory.mktemp("out"))


def precision_of(model, clips, score_threshold):
    """mAP50 of a network, frame by frame, in percent."""
    rows = []
    for sample in (clips.images[place] for place in range(len(clips.images))):
        with torch.inference_mode():
            maps = model.eval()(normalize(sample["image"])[None])
        (found,) = HeatmapPropagator(radius=0, score_threshold=score_threshold)(*maps[:3]).detections.unpad()
        boxes = sample["where"].boxes(found["boxes"])
        rows += [
            (sample["index"], label, score, *box)
            for label, score, box in zip(found["labels"], found["scores"], boxes.tolist(), strict=True)
        ]
    return 100 * measure(clips, np.array(rows, np.float64).reshape(-1, 7)).mean


def precision_of_random_boxes(data, clips):
    """mAP50 of a detector that sees nothing: 100 training boxes anywhere, with any class and score, in percent."""
    rng = np.random.default_rng(0)
    boxes = read_vid(data, list_frames(data, "train"), classes=CLASSES).box
    sizes = boxes[:, 2:] - boxes[:, :2]
    rows = []
    for place in range(len(clips.images)):
        width, height = sizes[rng.integers(len(sizes), size=100)].T
        left, top = rng.uniform(0, 96 - width), rng.uniform(0, 96 - height)
        columns = (np.full(100, place), rng.integers(2, size=100), rng.random(100))
        rows.append(np.stack([*columns, left, top, left + width, top + height], axis=1))
    return 100 * measure(clips, np.concatenate(rows)).mean


def test_training_lowers_the_loss(trained):
    with open(trained.checkpoint.parent / "logs" / "run-1" / "metrics.csv") as file:
        losses = [float(row["train/loss"]) for row in csv.DictReader(file) if row["train/loss"]]
    assert len(losses) == CONFIG.epochs
    assert losses[-1] < 0.5 * losses[0], losses


def test_the_detector_beats_chance_by_far(trained, data, clips):
    """Chance is an untrained network, and a detector that draws boxes of the right sizes at random."""
    torch.manual_seed(0)
    untrained = precision_of(CenterNet(2, backbone="resnet18"), clips, score_threshold=0.0)
    random = precision_of_random_boxes(data, clips)
    print(f"mAP50: trained {trained.average_precision:.1f}, untrained {untrained:.1f}, random boxes {random:.1f} %")
    print(f"{trained.seconds:.0f} s, {trained}")
    assert trained.average_precision > 30
    assert trained.average_precision > 5 * max(untrained, random)


def test_the_saved_model_has_the_precision_that_validation_reports(trained, clips):
    model = load_model(trained.checkpoint).model
    again = precision_of(model, clips, score_threshold=CONFIG.score_threshold)
    assert again == pytest.approx(trained.average_precision, abs=2.0)  # validation may have computed with 16 bits
