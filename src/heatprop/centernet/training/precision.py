"""What number format a machine computes with at full speed."""

from typing import Literal

import torch

from heatprop.centernet.configuration import TrainingConfig

LightningPrecision = Literal["32-true", "bf16-mixed", "16-mixed"]


def lightning_precision(config: TrainingConfig) -> LightningPrecision:
    """Translate the option into Lightning's word.

    Args:
        config: With ``precision`` and ``accelerator``.

    Returns:
        What ``Trainer`` takes.
    """
    if config.precision == "auto":
        return "bf16-mixed" if has_fast_bfloat16(config.accelerator) else "32-true"
    words: dict[str, LightningPrecision] = {"32": "32-true", "bf16": "bf16-mixed", "fp16": "16-mixed"}
    return words[config.precision]


def has_fast_bfloat16(accelerator: str) -> bool:
    """Tell whether bfloat16 is computed, not only emulated.

    Args:
        accelerator: Lightning's name; ``"auto"`` is a GPU where there is one.

    Returns:
        Whether it is. On a CPU that takes AVX-512 BF16 or AMX: elsewhere it is slower than 32 bits.
    """
    if accelerator != "cpu" and torch.cuda.is_available():
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    if accelerator not in ("cpu", "auto"):
        return False
    return bool(torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported())
