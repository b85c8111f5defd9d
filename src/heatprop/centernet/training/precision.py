"""Choose the number format that a machine computes with at full speed."""

from typing import Literal

import torch

from heatprop.centernet.configuration import TrainingConfig

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


def lightning_precision(config: TrainingConfig) -> LightningPrecision:
    """Translate the precision option into Lightning's name for it.

    Args:
        config: Training options: ``precision`` and ``accelerator``.

    Returns:
        The ``precision`` argument of Lightning's ``Trainer``.
    """
    if config.precision == "auto":
        return "bf16-mixed" if has_fast_bfloat16(config.accelerator) else "32-true"
    words: dict[str, LightningPrecision] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    return words[config.precision]


def has_fast_bfloat16(accelerator: str) -> bool:
    """Tell whether the hardware computes with bfloat16 instead of emulating it.

    Args:
        accelerator: Lightning's name of the accelerator; ``"auto"`` is a GPU if there is one.

    Returns:
        True if it does. A CPU needs AVX-512 BF16 or AMX; on others bfloat16 is slower than 32 bits.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator not in ("cpu", "auto"):
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
