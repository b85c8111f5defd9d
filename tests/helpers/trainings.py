"""A benchmark and a training so small that tests can afford them."""

import torch

from heatprop.centernet.training import TrainingConfig
from heatprop.synthetic import SceneOptions, make_benchmark

CLASSES = ("n02924116", "n02958343")  # bus and car


def render(folder):
    """8 training frames of 2 videos, 4 validation frames of one, 96 x 64 pixels, two classes."""
    scene = SceneOptions(size=(96, 64), frames=4, objects=(1, 3), length=(0.3, 0.6), occluders=0, classes=CLASSES)
    for _ in make_benchmark(folder, train=2, val=1, scene=scene):
        pass
    return folder


def tiny(**options):
    """Two steps an epoch on the benchmark above, by SGD, with weights that move visibly."""
    base = {
        "backbone": "resnet18",
        "input_size": 64,
        "batch_size": 4,
        "epochs": 4,
        "learning_rate": 0.01,
        "clip_norm": 1.0,
        "milestones": (3,),
        "workers": 0,
        "validate_every": 0,
        "accelerator": "cpu",
        "seed": 3,
    }
    return TrainingConfig(**(base | options))


def weights(path):
    """All tensors of a checkpoint of Lightning's: weights, their averages, and the optimiser's state."""
    checkpoint = torch.load(path, weights_only=True)
    found = dict(checkpoint["state_dict"])
    for name in ("current_model_state", "averaging_state"):
        found |= {f"{name}.{key}": value for key, value in checkpoint.get(name, {}).items()}
    for place, state in checkpoint["optimizer_states"][0]["state"].items():
        found |= {
            f"optimizer.{place}.{key}": torch.as_tensor(value) for key, value in state.items() if value is not None
        }
    return found
