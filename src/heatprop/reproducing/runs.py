"""The runs on every video: Table 1's methods, and the sweeps of Tables 2, 4 and 5."""

from heatprop.maps.detecting import HP, Setting
from heatprop.tuning.space import SWEEPS, sweep

METHODS = ("per frame", "interpolation", "HP")
"""Methods of Table 1; each also runs with Seq-NMS."""
RESCORED = "{}+Seq-NMS"
"""Name of a method's run after Seq-NMS."""
CURVES = (
    "per frame",
    "interpolation",
    *(f"radius {radius}" for radius in (0, 1)),
    "HP",
    "radius 3",
    "radius 4",
    "radius 5",
)
"""The runs of Fig. 5."""


def run_names() -> dict[str, Setting]:
    """List every run without Seq-NMS.

    Returns:
        Name -> setting: the three methods, then ``radius 0``, ``alpha 0.5`` and so on; the setting that the sweeps
        share with HP comes only once.

    Examples:
        >>> list(run_names())[:5], len(run_names())
        (['per frame', 'interpolation', 'HP', 'radius 0', 'radius 1'], 21)
    """
    from heatprop.maps.table1 import methods_like  # here, because it needs torch

    sweeps = {
        name_of(option, value): setting
        for option in SWEEPS
        for value, setting in sweep(option).items()
        if setting != HP
    }
    return methods_like(HP) | sweeps


def name_of(option: str, value: float) -> str:
    """Name the run of a sweep.

    Args:
        option: ``"radius"``, ``"alpha"`` or ``"beta"``.
        value: Value of the option.

    Returns:
        The name; ``"HP"`` at the paper's default.

    Examples:
        >>> name_of("alpha", 0.5), name_of("alpha", 0.98)
        ('alpha 0.5', 'HP')
    """
    return "HP" if value == getattr(HP, option) else f"{option} {value:g}"
