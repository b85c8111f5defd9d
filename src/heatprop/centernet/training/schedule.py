"""How the learning rate goes up and down, as a pure function of the step."""

import math

from heatprop.centernet.configuration import TrainingConfig


def learning_rate_factor(step: int, *, steps_per_epoch: int, config: TrainingConfig) -> float:
    """Compute the factor that multiplies the learning rate at a step.

    With ``"steps"`` it is multiplied by ``decay`` after each of the ``milestones``; with ``"cosine"`` it follows half a
    cosine from the end of the warm-up to 0 after the last step. In the warm-up it also rises linearly: step 0 has
    1 / (warmup_steps + 1).

    Args:
        step: Number of the step, from 0.
        steps_per_epoch: Steps per epoch, at least 1.
        config: Training options: ``schedule``, ``milestones``, ``decay``, ``warmup_steps`` and ``epochs``.

    Returns:
        The factor, in [0, 1].

    Examples:
        >>> config = TrainingConfig()  # the paper's: 50 epochs, then 30 at a tenth
        >>> [round(learning_rate_factor(10 * epoch, steps_per_epoch=10, config=config), 3) for epoch in (0, 49, 50, 79)]
        [1.0, 1.0, 0.1, 0.1]
    """
    rise = min(1.0, (step + 1) / (config.warmup_steps + 1))
    if config.schedule == "steps":
        falls = sum(step >= epoch * steps_per_epoch for epoch in config.milestones)
        return float(rise * config.decay**falls)
    rest = max(1, config.epochs * steps_per_epoch - config.warmup_steps)
    way = min(1.0, max(0, step - config.warmup_steps) / rest)
    return rise * 0.5 * (1 + math.cos(math.pi * way))
