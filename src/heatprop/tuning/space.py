"""Which settings a search tries."""

import math
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from heatprop.maps.detecting import HP, Setting

RADII = tuple(range(6))
"""Radii of the paper's Table 2."""
ALPHAS = (0.5, 0.6, 0.7, 0.8, 0.9, 0.95, 0.98, 1.0)
"""Alphas of the paper's Table 4."""
BETAS = (0.5, 1.0, 2.0, 5.0, 10.0, 100.0, 1000.0)
"""Betas of the paper's Table 5."""
NMS_THRESHOLDS = (0.3, 0.4, 0.5, 0.6)

SWEEPS: Mapping[str, tuple[float, ...]] = {"radius": RADII, "alpha": ALPHAS, "beta": BETAS}
"""Option -> values of the paper's ablations; the others stay at its defaults."""


def sweep(name: str, base: Setting = HP) -> dict[float, Setting]:
    """Vary one option as the paper does.

    Args:
        name: ``"radius"``, ``"alpha"`` or ``"beta"``.
        base: Values of the other options.

    Returns:
        Value -> setting.

    Examples:
        >>> [setting.radius for setting in sweep("radius").values()]
        [0, 1, 2, 3, 4, 5]
    """
    changes: list[dict[str, Any]] = [{name: value} for value in SWEEPS[name]]
    return {change[name]: replace(base, **change) for change in changes}


def first_settings(base: Setting = HP) -> list[Setting]:
    """List the settings to try before the search starts: the defaults and the paper's ablations.

    Args:
        base: The paper's defaults, possibly with other thresholds.

    Returns:
        The settings, each of them once.

    Examples:
        >>> len(first_settings())  # 6 + 8 + 7, the defaults three times
        19
    """
    return list(dict.fromkeys([base, *(setting for name in SWEEPS for setting in sweep(name, base).values())]))


def to_parameters(setting: Setting) -> dict[str, Any]:
    """Convert the searched options of a setting to Optuna's parameters.

    Args:
        setting: The setting.

    Returns:
        Name -> value; beta as its logarithm to base 10.

    Examples:
        >>> to_parameters(Setting())
        {'radius': 2, 'alpha': 0.98, 'log_beta': 0.30103, 'nms_threshold': 0.3}
    """
    return {
        "radius": setting.radius,
        "alpha": setting.alpha,
        "log_beta": round(math.log10(setting.beta), 6),
        "nms_threshold": setting.nms_threshold,
    }


def from_parameters(parameters: Mapping[str, Any], base: Setting = HP) -> Setting:
    """Make a setting from Optuna's parameters; the inverse of `to_parameters`.

    Args:
        parameters: Name -> value.
        base: Values of the options that are not searched.

    Returns:
        The setting; beta has three significant digits.

    Examples:
        >>> from_parameters(to_parameters(Setting(beta=5.0))).beta
        5.0
    """
    options = {name: value for name, value in parameters.items() if name != "log_beta"}
    return replace(base, **options, beta=float(f"{10 ** parameters['log_beta']:.3g}"))
