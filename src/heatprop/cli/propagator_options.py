"""Options of the propagator on the command line: names, help, ranges and defaults come from its record."""

from typing import Any

import typer

from heatprop.options import STEADY, PropagatorOptions, option_help, option_range

PAPER = PropagatorOptions()
"""The paper's options: what a command takes where nothing is said."""


def propagator_option(name: str, **details: Any) -> Any:
    """Make the command line's form of one numeric option.

    Args:
        name: Field of `heatprop.PropagatorOptions`.
        details: More for `typer.Option`, such as ``metavar``.

    Returns:
        What `typer.Option` gives, for ``Annotated``.
    """
    low, high = option_range(name)
    flag = f"--{name.replace('_', '-')}"
    return typer.Option(flag, **{"min": low, "max": high, "help": option_help(name), **details})


def paper_or_steady(name: str) -> str:
    """Say what holds where an option is not given: the paper's value, and the one of ``--steady``."""
    return f"{getattr(PAPER, name):g}; with --steady {getattr(STEADY, name):g}"
