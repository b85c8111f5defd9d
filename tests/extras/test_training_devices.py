"""Two processes train as one would on the same batches."""

import csv

import numpy as np
import pytest
import torch

pytest.importorskip("lightning", reason="needs heatprop[train]")
pytest.importorskip("skimage", reason="needs heatprop[benchmark]")

from trainings import CLASSES, render, tiny  # after the extras are known to be there

from heatprop.centernet.training import load_model, train
from heatprop.centernet.training.images import training_images
from heatprop.centernet.training.order import TrainingOrder

RATE = 0.5
ONE_STEP = {
    "batch_size": 8,
    "epochs": 1,
    "learning_rate": RATE,
    "momentum": 0.0,
    "clip_norm": None,
    "freeze_batch_norm": True,
    "validate_every": 1,
    "validation_frames": 3,  # an odd number, which two devices cannot share out evenly
    "score_threshold": 0.0,
    "seed": 6,
}


def losses(out):
    with open(out / "logs" / "run-1" / "metrics.csv") as file:
        (row,) = [row for row in csv.DictReader(file) if row["train/loss"]]
    return [float(row[f"train/{name}"]) for name in ("loss", "heatmap", "size", "offset")]


def test_two_processes_have_the_loss_and_the_gradients_of_one(tmp_path):
    """Batch normalisation is frozen, as each process would take statistics of its own share."""
    data = render(tmp_path / "data")
    images = training_images(data, CLASSES, tiny(**ONE_STEP))
    images.set_epoch(0)
    order = [TrainingOrder(images, batch_size=8, seed=6, device=device, devices=2) for device in (0, 1)]
    objects = [sum(len(images[index]["boxes"]) for index in share) for share in order]
    assert objects[0] != objects[1], "with equal counts each process could divide by its own"

    start = train(tiny(**ONE_STEP | {"learning_rate": 1e-30}), data=data, out=tmp_path / "start")
    one = train(tiny(**ONE_STEP), data=data, out=tmp_path / "one")
    two = train(tiny(**ONE_STEP, devices=2), data=data, out=tmp_path / "two")

    np.testing.assert_allclose(losses(tmp_path / "two"), losses(tmp_path / "one"), rtol=1e-5)
    before, after_one, after_two = (load_model(run.checkpoint).model for run in (start, one, two))
    names = [name for name, _ in before.named_parameters()]
    gradients = [
        {name: (before.get_parameter(name) - after.get_parameter(name)) / RATE for name in names}
        for after in (after_one, after_two)
    ]
    assert max(gradient.abs().max() for gradient in gradients[0].values()) > 0.1, "there are gradients to compare"
    for name in names:
        torch.testing.assert_close(gradients[1][name], gradients[0][name], rtol=1e-4, atol=1e-5, msg=name)
    assert two.average_precision == pytest.approx(one.average_precision, abs=1e-9)
    assert two.per_class.keys() == one.per_class.keys()
    assert (two.epochs, two.losses.keys()) == (1, one.losses.keys())
