"""All training options in one frozen dataclass; the defaults are the paper's."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_type_hints

from heatprop.checks import check_count, check_number

CONFIG_FILE = "config.yaml"
"""The file in a training's folder that holds its options."""


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """How CenterNet is trained.

    The paper gives backbone, input size, sampling, flip, zoom, optimiser, learning rate, batch and epochs. All other
    options have the original CenterNet's value, or change nothing by default.

    Attributes:
        backbone: ResNet-18 to 152 (resnet101), dla34, or timm:NAME.
        head_channels: Channels between the neck and each head's output, at least 1.
        deformable: Version of the neck's deformable convolutions; none uses plain ones, which are faster.
        weights: Weights to start from: an ImageNet backbone, a CenterNet or a model of ours; random by default.
        load_heads: Whether to load the heads from ``weights`` too; impossible if the file has other classes.
        classes: WordNet ids, in the order of the classes; by default those of the data set.
        input_size: Side of the network's input, in pixels, a multiple of 32.
        frames_per_video: Frames of each training video, evenly spread, at least 1; null takes every frame.
        images_per_class: Largest number of ImageNet DET images per class; 0 leaves DET out.
        flip: Share of the pictures that are mirrored, 0 to 1.
        zoom: Random scale from 0.6 to 1.4: in the original's steps of 0.1, continuous, or none (a plain letterbox).
        colours: Whether to vary brightness, contrast and saturation as the original does; the paper does not say.
        radius_rule: Radius of the Gaussians: original, with the bug that all published weights share, or corrected.
        optimizer: The paper's SGD, the original CenterNet's Adam, or AdamW.
        learning_rate: Highest learning rate, above 0.
        momentum: Momentum of SGD, 0 to 1; the paper does not give it.
        weight_decay: Weight decay, at least 0; the paper does not give it.
        batch_size: Images per step over all devices together, at least 1.
        epochs: How many times all images are seen, at least 1.
        schedule: How the learning rate falls: in steps at the milestones, or along half a cosine to 0.
        milestones: Epochs after which the learning rate falls, in rising order; for the schedule "steps".
        decay: Factor on the learning rate at each milestone, above 0 and at most 1.
        warmup_steps: Steps in which the learning rate rises from 0, at least 0.
        size_weight: Weight of the size loss, at least 0.
        offset_weight: Weight of the offset loss, at least 0.
        precision: 32 bits, or mixed with bfloat16 or float16; auto is bfloat16 if the hardware computes with it.
        clip_norm: Largest norm of the gradient, above 0; null does not clip.
        ema: Decay of a moving average of the weights, 0 to 1; the average is validated and saved; null for none.
        freeze_batch_norm: Keep the statistics of batch normalisation as they are.
        sync_batch_norm: Share the statistics of batch normalisation among devices.
        channels_last: Store pictures and weights channels-last in memory; faster on most machines.
        accelerator: Where to run: auto, cpu, gpu, or any other accelerator that Lightning knows.
        devices: How many devices to use, at least 1.
        workers: How many processes load pictures, at least 0.
        validate_every: Epochs between two validations, at least 1; 0 never validates.
        validation_frames: Frames of each validation clip, evenly spread, at least 1; null takes every frame.
        score_threshold: Lowest score of a detection in validation, 0 to 1.
        pictures: How many validation pictures to draw with their detections, at least 0.
        skip_bad: Skip and count pictures that cannot be read, instead of stopping.
        seed: Random seed of the first weights, the order of the images and their augmentation, at least 0.

    Raises:
        TypeError: If a number has the wrong type.
        ValueError: If an option is out of its range.

    Examples:
        >>> TrainingConfig().learning_rate, TrainingConfig.original_adam(batch_size=16).milestones
        (0.0001, (90, 120))
    """

    backbone: str = "resnet101"
    head_channels: int = 64
    deformable: Literal["v2", "v1", "none"] = "v2"
    weights: str | None = None
    load_heads: bool = True
    classes: tuple[str, ...] | None = None
    input_size: int = 512
    frames_per_video: int | None = 10
    images_per_class: int = 2000
    flip: float = 0.5
    zoom: Literal["original", "continuous", "none"] = "original"
    colours: bool = False
    radius_rule: Literal["original", "corrected"] = "original"
    optimizer: Literal["sgd", "adam", "adamw"] = "sgd"
    learning_rate: float = 1e-4
    momentum: float = 0.9
    weight_decay: float = 0.0
    batch_size: int = 32
    epochs: int = 80
    schedule: Literal["steps", "cosine"] = "steps"
    milestones: tuple[int, ...] = (50,)
    decay: float = 0.1
    warmup_steps: int = 0
    size_weight: float = 0.1
    offset_weight: float = 1.0
    precision: Literal["32", "bf16", "fp16", "auto"] = "32"
    clip_norm: float | None = None
    ema: float | None = None
    freeze_batch_norm: bool = False
    sync_batch_norm: bool = False
    channels_last: bool = True
    accelerator: str = "auto"
    devices: int = 1
    workers: int = 2
    validate_every: int = 1
    validation_frames: int | None = 10
    score_threshold: float = 0.05
    pictures: int = 4
    skip_bad: bool = False
    seed: int = 0

    def __post_init__(self) -> None:
        for name, low in _COUNTS.items():
            if getattr(self, name) is not None:
                check_count(name, getattr(self, name), low=low)
        for name, (low, high) in _NUMBERS.items():
            if getattr(self, name) is not None:
                check_number(name, getattr(self, name), low=low, high=high)
        for name in ("learning_rate", "decay", "clip_norm"):
            if getattr(self, name) == 0:
                raise ValueError(f"{name} must be above 0, got 0")
        for name, known in _CHOICES.items():
            if getattr(self, name) not in known:
                raise ValueError(f"{name} must be one of {', '.join(known)}, got {getattr(self, name)!r}")
        self._check_together()

    def _check_together(self) -> None:
        if self.input_size % 32:
            raise ValueError(f"input_size must be a multiple of 32, got {self.input_size}")
        if list(self.milestones) != sorted(set(self.milestones)) or any(epoch < 1 for epoch in self.milestones):
            raise ValueError(f"milestones must be epochs of at least 1 in rising order, got {self.milestones}")
        if self.classes is not None and not 0 < len(set(self.classes)) == len(self.classes):
            raise ValueError(f"classes must hold at least one name, each once, got {self.classes}")
        if self.batch_size % self.devices:
            raise ValueError(
                f"batch_size must be a multiple of devices, got {self.batch_size} and {self.devices}; "
                "it counts the images of all devices"
            )

    @classmethod
    def original_adam(cls, **overrides: Any) -> "TrainingConfig":
        """Make the schedule of the original CenterNet: Adam at 1.25e-4, 140 epochs, a tenth of it after 90 and 120.

        Args:
            overrides: Options to change.

        Returns:
            The configuration.
        """
        return replace(cls(optimizer="adam", learning_rate=1.25e-4, epochs=140, milestones=(90, 120)), **overrides)

    @classmethod
    def small(cls, **overrides: Any) -> "TrainingConfig":
        """Make options that train a ResNet-18 on the synthetic benchmark on a laptop, from random weights.

        Args:
            overrides: Options to change.

        Returns:
            The configuration.
        """
        return replace(cls(**_SMALL), **overrides)


PRESETS: dict[str, Callable[[], TrainingConfig]] = {
    "paper": TrainingConfig,
    "original-adam": TrainingConfig.original_adam,
    "small": TrainingConfig.small,
}
"""The choices of ``--preset``."""

MACHINE = frozenset(
    {
        "accelerator",
        "devices",
        "workers",
        "validate_every",
        "validation_frames",
        "pictures",
        "skip_bad",
        "weights",
        "load_heads",
    }
)
"""Options that may change when a training resumes: those about the machine, about watching it, and its start."""


def differences(old: TrainingConfig, new: TrainingConfig) -> dict[str, tuple[Any, Any]]:
    """Compare the options that decide a training's final weights.

    Args:
        old: The options so far.
        new: The options from now on.

    Returns:
        Option -> old and new value, for the options that differ, without those in `MACHINE`.
    """
    pairs = {name: (getattr(old, name), getattr(new, name)) for name in get_type_hints(TrainingConfig)}
    return {name: pair for name, pair in pairs.items() if name not in MACHINE and pair[0] != pair[1]}


def to_plain(config: TrainingConfig) -> dict[str, Any]:
    """Turn a configuration into what YAML, JSON and a checkpoint can hold.

    Args:
        config: The configuration.

    Returns:
        Option -> value; lists instead of tuples.
    """
    values = {name: getattr(config, name) for name in get_type_hints(TrainingConfig)}
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def from_plain(values: dict[str, Any], origin: str | Path) -> TrainingConfig:
    """Turn what `to_plain` made back into a configuration.

    Args:
        values: Option -> value; missing options get their defaults.
        origin: Where the values come from, for error messages.

    Returns:
        The configuration.

    Raises:
        ValueError: If there is an unknown option, or a value is out of its range.
    """
    if unknown := sorted(set(values) - set(get_type_hints(TrainingConfig))):
        raise ValueError(f"{origin}: unknown options {', '.join(unknown)}; it was written by another version")
    plain: dict[str, Any] = {name: tuple(one) if isinstance(one, list) else one for name, one in values.items()}
    return TrainingConfig(**plain)


_COUNTS = {
    **dict.fromkeys(("head_channels", "input_size", "batch_size", "epochs", "devices"), 1),
    **dict.fromkeys(("frames_per_video", "validation_frames"), 1),
    **dict.fromkeys(("images_per_class", "warmup_steps", "workers", "validate_every", "pictures", "seed"), 0),
}
_INFINITY = float("inf")
_NUMBERS = {
    **dict.fromkeys(("learning_rate", "weight_decay", "size_weight", "offset_weight", "clip_norm"), (0, _INFINITY)),
    **dict.fromkeys(("flip", "momentum", "decay", "ema", "score_threshold"), (0, 1)),
}
_CHOICES = {
    name: kind.__args__
    for name, kind in get_type_hints(TrainingConfig).items()
    if getattr(kind, "__origin__", None) is Literal
}
_SMALL: dict[str, Any] = {
    "backbone": "resnet18",
    "deformable": "none",
    "input_size": 128,
    "frames_per_video": None,
    "images_per_class": 0,
    "radius_rule": "corrected",
    "optimizer": "adam",
    "learning_rate": 1e-3,
    "batch_size": 8,
    "epochs": 20,
    "schedule": "cosine",
    "warmup_steps": 100,
    "precision": "auto",
    "clip_norm": 10.0,
    "workers": 0,
    "validate_every": 5,
}
