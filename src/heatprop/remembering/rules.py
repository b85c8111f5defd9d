"""Which extras are remembered: the option ``remember``, read and checked."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple, TypeAlias, get_args

from torch import Tensor

from heatprop.checks import check_count

Rule: TypeAlias = Literal["blend", "points", "angle", "last"]

_PAIRED = {"points": "(dx, dy)", "angle": "(sin, cos)"}


class Remembered(NamedTuple):
    """One extra of the memory.

    Attributes:
        name: Its key in ``extras``.
        rule: How the remembered value and the network's become one: ``"blend"``, ``"points"``, ``"angle"`` or
            ``"last"``.
        depth: D, its channels.
    """

    name: str
    rule: Rule
    depth: int


def read_rules(remember: Mapping[str, tuple[Rule, int]] | None) -> tuple[Remembered, ...]:
    """Read the option ``remember``.

    Args:
        remember: Name -> rule and depth; ``None`` for nothing.

    Returns:
        The extras in their order.

    Raises:
        TypeError: If it is no such dict, or a depth is not a whole number.
        ValueError: If there is no such rule, a depth is below 1, or odd where the rule needs pairs.

    Examples:
        >>> read_rules({"depth": ("blend", 1)})
        (Remembered(name='depth', rule='blend', depth=1),)
    """
    if remember is None:
        return ()
    if not isinstance(remember, Mapping):
        raise TypeError(f"remember must be a dict {{name: (rule, depth)}}, got {remember!r}")
    return tuple(_read_rule(name, entry) for name, entry in remember.items())


def depth_of(remembered: Sequence[Remembered]) -> int:
    """Count the numbers that all remembered extras of one object have together."""
    return sum(one.depth for one in remembered)


def check_remembered(extras: Mapping[str, Tensor] | None, remembered: Sequence[Remembered]) -> None:
    """Require maps of remembered extras as they were declared; an extra may be left out of a frame.

    Args:
        extras: The maps, ``(B, D, H, W)`` each.
        remembered: What was declared.

    Raises:
        TypeError: If a map does not hold floating point numbers.
        ValueError: If it has another depth.
    """
    for name, rule, depth in remembered:
        field = (extras or {}).get(name)
        if field is None:
            continue
        if field.shape[1] != depth:
            raise ValueError(
                f"extras[{name!r}] has {field.shape[1]} channels, but {depth} are remembered; "
                f"declare remember={{{name!r}: ({rule!r}, {field.shape[1]})}} before the first frame"
            )
        if not field.is_floating_point():
            raise TypeError(f"extras[{name!r}] is remembered and must hold floating point numbers, got {field.dtype}")


def check_motion(extras: Mapping[str, Tensor] | None, motion: str | None) -> None:
    """Require the extra that moves the tracklets, if there is to be one.

    Args:
        extras: The maps, ``(B, D, H, W)`` each.
        motion: Its name, or ``None``.

    Raises:
        TypeError: If it does not hold floating point numbers.
        ValueError: If it is missing, or has not 2 channels.
    """
    if motion is None:
        return
    field = (extras or {}).get(motion)
    if field is None:
        came = ", ".join(map(repr, extras or {})) or "none"
        raise ValueError(f"extras must hold {motion!r}, which motion names, got {came}; pass it, or set motion=None")
    if field.shape[1] != 2:
        raise ValueError(f"extras[{motion!r}] has {field.shape[1]} channels, motion needs 2 (dx, dy)")
    if not field.is_floating_point():
        raise TypeError(
            f"extras[{motion!r}] moves the tracklets and must hold floating point numbers, got {field.dtype}"
        )


def _read_rule(name: Any, entry: Any) -> Remembered:
    label = f"remember[{name!r}]"
    if not isinstance(name, str):
        raise TypeError(f"remember must have names of extras as keys, got {name!r}")
    if isinstance(entry, str) or not isinstance(entry, Sequence) or len(entry) != 2:
        raise TypeError(f'{label} must be a pair (rule, depth) such as ("blend", 10), got {entry!r}')
    rule, depth = entry
    if rule not in get_args(Rule):
        *most, last = map('"{}"'.format, get_args(Rule))
        raise ValueError(f"{label} must have the rule {', '.join(most)} or {last}, got {rule!r}")
    check_count(f"the depth of {label}", depth, low=1, high=10_000)
    if rule in _PAIRED and depth % 2:
        raise ValueError(f'{label} must have an even depth, because "{rule}" reads pairs {_PAIRED[rule]}, got {depth}')
    return Remembered(name, rule, int(depth))
