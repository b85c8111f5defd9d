"""What a training is told: the paper's defaults, the schedule, the order of the images."""

import math
from dataclasses import FrozenInstanceError

import pytest
import torch
import yaml

pytest.importorskip("lightning", reason="needs heatprop[train]")


from heatprop.centernet.configuration import PRESETS, differences, from_plain, to_plain
from heatprop.centernet.training import TrainingConfig  # after the extra is known to be there
from heatprop.centernet.training.clips import Share
from heatprop.centernet.training.order import TrainingOrder
from heatprop.centernet.training.schedule import learning_rate_factor


class Images:
    """As many images as there are to order; they remember the epoch they are told."""

    def __init__(self, length):
        self.length, self.epoch = length, None

    def __len__(self):
        return self.length

    def set_epoch(self, epoch):
        self.epoch = epoch


# --- the dataclass ----------------------------------------------------------------------------------------------------


def test_the_defaults_are_the_papers():
    config = TrainingConfig()
    assert (config.optimizer, config.learning_rate, config.batch_size) == ("sgd", 1e-4, 32)
    assert (config.epochs, config.milestones, config.decay) == (50 + 30, (50,), 0.1)
    assert (config.backbone, config.input_size, config.flip, config.zoom) == ("resnet101", 512, 0.5, "original")
    assert (config.frames_per_video, config.images_per_class) == (10, 2000)
    assert (config.size_weight, config.offset_weight) == (0.1, 1.0)


def test_the_preset_is_the_original_centernets_schedule():
    config = TrainingConfig.original_adam()
    assert (config.optimizer, config.learning_rate, config.batch_size) == ("adam", 1.25e-4, 32)
    assert (config.epochs, config.milestones, config.decay) == (140, (90, 120), 0.1)
    assert TrainingConfig.original_adam(batch_size=8).batch_size == 8


def test_a_config_cannot_be_changed():
    with pytest.raises(FrozenInstanceError):
        TrainingConfig().epochs = 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"epochs": 0}, "epochs must be at least 1, got 0"),
        ({"learning_rate": 0}, "learning_rate must be above 0, got 0"),
        ({"learning_rate": math.nan}, "learning_rate must be at least 0, got nan"),
        ({"input_size": 500}, "input_size must be a multiple of 32, got 500"),
        ({"milestones": (9, 3)}, "milestones must be epochs of at least 1 in rising order"),
        ({"optimizer": "lion"}, "optimizer must be one of sgd, adam, adamw, got 'lion'"),
        ({"ema": 1.5}, "ema must be between 0 and 1, got 1.5"),
        ({"batch_size": 9, "devices": 2}, "batch_size must be a multiple of devices"),
        ({"classes": ()}, "classes must hold at least one name, each once"),
        ({"classes": ("n02958343", "n02958343")}, "classes must hold at least one name, each once"),
    ],
)
def test_what_cannot_be_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        TrainingConfig(**options)


def test_a_count_that_is_no_whole_number_is_refused():
    with pytest.raises(TypeError, match="epochs must be a whole number"):
        TrainingConfig(epochs=2.5)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_config_survives_yaml(preset):
    config = PRESETS[preset]()
    assert from_plain(yaml.safe_load(yaml.safe_dump(to_plain(config))), "a file") == config


def test_options_of_another_version_are_named():
    with pytest.raises(ValueError, match=r"old\.yaml: unknown options momentums"):
        from_plain({"momentums": 3}, "old.yaml")


def test_only_what_decides_the_weights_has_to_stay_when_a_training_goes_on():
    old, new = TrainingConfig(), TrainingConfig(workers=7, pictures=0, learning_rate=1.0)
    assert differences(old, new) == {"learning_rate": (1e-4, 1.0)}


# --- the schedule -----------------------------------------------------------------------------------------------------


def rates(config, steps_per_epoch):
    steps = config.epochs * steps_per_epoch
    return [learning_rate_factor(step, steps_per_epoch=steps_per_epoch, config=config) for step in range(steps)]


def test_the_steps_are_those_of_torchs_schedule():
    config = TrainingConfig(epochs=12, milestones=(4, 9))
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    peer = torch.optim.lr_scheduler.MultiStepLR(optimizer, [4 * 3, 9 * 3], gamma=0.1)
    expected = []
    for _ in range(36):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    assert rates(config, 3) == pytest.approx(expected)


def test_the_cosine_is_torchs_after_the_warm_up():
    config = TrainingConfig(epochs=5, schedule="cosine", warmup_steps=10)
    parameter = torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.SGD([parameter], lr=1.0)
    peer = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, 40)
    expected = [(step + 1) / 11 for step in range(10)]
    for _ in range(40):
        expected.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        peer.step()
    assert rates(config, 10) == pytest.approx(expected)


# --- the order --------------------------------------------------------------------------------------------------------


def test_an_epoch_sees_every_image_at_most_once_in_whole_steps():
    order = TrainingOrder(Images(10), batch_size=4, seed=0)
    seen = list(order)
    assert len(seen) == len(set(seen)) == len(order) == 8
    assert set(seen) <= set(range(10))


def test_epochs_differ_and_come_again():
    images = Images(50)
    order = TrainingOrder(images, batch_size=10, seed=0)
    first = list(order)
    order.set_epoch(1)
    second = list(order)
    assert first != second
    assert images.epoch == 1
    order.set_epoch(0)
    assert list(order) == first
    assert list(TrainingOrder(Images(50), batch_size=10, seed=1)) != first


@pytest.mark.parametrize("devices", [2, 3])
def test_devices_share_out_the_images_of_each_step(devices):
    whole = list(TrainingOrder(Images(20), batch_size=6, seed=5))
    shares = [list(TrainingOrder(Images(20), batch_size=6, seed=5, device=d, devices=devices)) for d in range(devices)]
    each = 6 // devices
    for step in range(3):
        together = {index for share in shares for index in share[step * each : (step + 1) * each]}
        assert together == set(whole[step * 6 : (step + 1) * 6])


def test_too_few_images_for_a_step_say_what_to_do():
    with pytest.raises(ValueError, match="batch_size must be at most the number of training images, 3, got 4"):
        TrainingOrder(Images(3), batch_size=4, seed=0)


@pytest.mark.parametrize("length", [4, 5, 6])
def test_validation_frames_are_shared_out_in_shares_of_one_length(length):
    shares = [list(Share(length, device=device, devices=3)) for device in range(3)]
    assert len({len(share) for share in shares}) == 1
    assert {place for share in shares for place in share} == set(range(length))
