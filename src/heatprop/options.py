"""Every option of the propagator, in one place: what it means, its default and its range; and the preset."""

import functools
import inspect
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import (
    Annotated,
    Any,
    Concatenate,
    Literal,
    NamedTuple,
    ParamSpec,
    TypeAlias,
    TypeVar,
    get_args,
    get_origin,
)

from heatprop.checks import check_count, check_number
from heatprop.remembering.rules import Remembered, Rule, read_rules

Identity: TypeAlias = Literal["square", "memory"]
Average: TypeAlias = Literal["arithmetic", "geometric"]
Carry: TypeAlias = Literal["balanced", "network"]

_P = ParamSpec("_P")
_Module = TypeVar("_Module")


class Between(NamedTuple):
    """The range of an option, both ends included."""

    low: float
    high: float = math.inf


@dataclass(frozen=True, kw_only=True)
class PropagatorOptions:
    r"""The options of `heatprop.HeatmapPropagator`, which takes each of them as a keyword.

    The first nine are the paper's. The others are off by default; `HeatmapPropagator.steady` turns on those that helped
    in our measurements. The interpolation baseline of Sec. 5.1 is ``radius=0, alpha=0.5, beta=math.inf``.

    Attributes:
        radius: $P$, how far an object's centre may move from one frame to the next, in cells.
        alpha: $\alpha$, weight of the memory against the new frame, in [0, 1]; lower values forget faster.
        beta: $\beta$, how much more a long-lived object counts; 0 ignores the past, infinity trusts every tracklet
            fully.
        top_k: K, the most detections in a frame, over all classes.
        score_threshold: Lowest balanced score of a detection, in [0, 1].
        nms_threshold: Largest IoU of two detections of one class, in [0, 1].
        peak_kernel: Side of the peak window, odd, in cells; ``None`` for ``max(3, 2 * radius + 1)``.
        stride: $R$, pixels of the network input per cell.
        carry: Which score is carried to the next frame: the ``"balanced"`` one (the paper's worked numbers), or the
            ``"network"``'s own (Eq. 11).
        average: Eqs. 5 and 6 on the scores, ``"arithmetic"`` (the paper), or on their logarithms, ``"geometric"``, so
            that an object which the network no longer sees fades within a few frames.
        claim_once: Pass each tracklet on to only one detection, the one with the highest balanced score; other peaks in
            its square fall back to the network's score and start new tracklets.
        max_length: Largest tracklet length that counts in the weight, in frames; ``None`` for no limit.
        evidence: Shrink the tracklet length in frames in which the network's own score is below the threshold.
        max_unseen: How many frames in a row an object is carried without the network seeing it; ``None`` for no limit.
        border: Forget the score of an object that leaves the map: less than this share of its box, in [0, 1], is still
            inside. Needs a ``shift`` or ``velocity``.
        velocity: Move each tracklet on by its measured velocity.
        radius_per_size: Let the radius grow with the object: this share of its box's shorter side, rounded, at least
            ``radius``; 0 for one radius for all.
        max_radius: Largest such radius, in cells.
        identity: Whom a detection inherits its ``track_id`` from: the tracklet whose ``"square"`` it lies in (the
            paper), or a ``"memory"`` of the objects that the network saw, which waits for those that are hidden.
        remember: The extras that are remembered, ``{name: (rule, depth)}``: a carried object keeps them. The rule says
            how the remembered value and the network's become one: ``"blend"`` (like sizes, Eq. 7), ``"points"`` (the
            same for pairs (dx, dy) from the cell, which move with the box), ``"angle"`` (the direction of pairs (sin,
            cos)) or ``"last"`` (what the network showed last). The depth is the number of channels.
        motion: Move each tracklet on by the network's own motion instead of a measured velocity: the name of an extra
            of 2 channels that says where the object's centre was in the frame before, (dx, dy) from the cell, in cells,
            such as CenterTrack's ``"tracking"``.

    Raises:
        TypeError: If an option has the wrong type.
        ValueError: If an option is out of its range.
    """

    radius: Annotated[int, Between(0, 100)] = 2
    alpha: Annotated[float, Between(0, 1)] = 0.98
    beta: Annotated[float, Between(0)] = 2.0
    top_k: Annotated[int, Between(1, 10_000)] = 100
    score_threshold: Annotated[float, Between(0, 1)] = 0.05
    nms_threshold: Annotated[float, Between(0, 1)] = 0.3
    peak_kernel: Annotated[int | None, Between(1, 1001)] = None
    stride: Annotated[float, Between(0)] = 4
    carry: Carry = "balanced"
    average: Average = "arithmetic"
    claim_once: bool = False
    max_length: Annotated[int | None, Between(1, 2**31 - 1)] = None
    evidence: bool = False
    max_unseen: Annotated[int | None, Between(0, 2**31 - 1)] = None
    border: Annotated[float, Between(0, 1)] = 0.0
    velocity: bool = False
    radius_per_size: Annotated[float, Between(0)] = 0.0
    max_radius: Annotated[int, Between(0, 100)] = 4
    identity: Identity = "square"
    remember: Mapping[str, tuple[Rule, int]] | None = field(default=None, hash=False)
    motion: str | None = None

    def __post_init__(self) -> None:
        """Check every option."""
        for option in fields(self):
            self._check(option.name, option.type)
        remembered = self.remembered  # read once, here, since each step asks for it
        if self.remember is not None:  # a copy, which nobody else can change
            object.__setattr__(self, "remember", {one.name: (one.rule, one.depth) for one in remembered})
        if self.stride in (0, math.inf):
            raise ValueError(f"stride must be a finite number above 0, got {self.stride}")
        if self.radius_per_size == math.inf:
            raise ValueError("radius_per_size must be finite, got inf; max_radius limits the radius")
        if self.peak_kernel is not None and self.peak_kernel % 2 == 0:
            raise ValueError(f"peak_kernel must be odd, so that it has a middle cell, got {self.peak_kernel}")
        if self.radius_per_size and self.max_radius < self.radius:
            raise ValueError(f"max_radius must be at least radius {self.radius}, got {self.max_radius}")

    @property
    def largest_radius(self) -> int:
        """The largest radius that any object can have, in cells."""
        return max(self.radius, self.max_radius) if self.radius_per_size else self.radius

    @property
    def window(self) -> int:
        """The side of the peak window, in cells."""
        return max(3, 2 * self.radius + 1) if self.peak_kernel is None else self.peak_kernel

    @property
    def moves(self) -> bool:
        """Whether tracklets move on by themselves."""
        return self.velocity or self.motion is not None

    @functools.cached_property
    def remembered(self) -> tuple[Remembered, ...]:
        """The extras that are remembered, in their order."""
        return read_rules(self.remember)

    def as_keywords(self) -> dict[str, Any]:
        """The options by name, as the constructor of `heatprop.HeatmapPropagator` takes them."""
        return {option.name: getattr(self, option.name) for option in fields(PropagatorOptions)}

    def _check(self, name: str, kind: Any) -> None:
        """Check an option against the type and the range of its field."""
        value = getattr(self, name)
        kind, between = get_args(kind) if get_origin(kind) is Annotated else (kind, Between(-math.inf))
        if name == "remember":
            read_rules(value)
        elif name == "motion":
            if value is not None and not isinstance(value, str):
                raise TypeError(f"motion must be the name of an extra, or None, got {value!r}")
        elif kind is bool:
            if not isinstance(value, bool):
                raise TypeError(f"{name} must be True or False, got {value!r}")
        elif get_origin(kind) is Literal:
            one, other = get_args(kind)
            if value not in (one, other):
                raise ValueError(f'{name} must be "{one}" or "{other}", got {value!r}')
        elif value is None and type(None) in get_args(kind):
            return
        elif kind is float:
            check_number(name, value, low=between.low, high=between.high)
        else:
            check_count(name, value, low=between.low, high=between.high)


STEADY = PropagatorOptions(
    radius=1,
    radius_per_size=0.1,
    max_radius=2,
    alpha=0.96,
    beta=10.0,
    nms_threshold=0.6,
    peak_kernel=3,
    average="geometric",
    claim_once=True,
    border=0.9,
    max_unseen=15,
    velocity=True,
    identity="memory",
)
"""The preset of `heatprop.HeatmapPropagator.steady`, chosen by measurements on real video (docs/steady.md)."""

NMS_WITHOUT_WINDOW = 0.5
"""Its ``nms_threshold`` with ``peak_kernel=1``: no window thins out the peaks of one object (docs/dense-heads.md)."""


def steady_keywords(overrides: Mapping[str, Any]) -> dict[str, Any]:
    """Return all options of the preset as keywords, some of them changed; others follow those."""
    options = STEADY.as_keywords() | dict(overrides)
    if "radius" in overrides and "max_radius" not in overrides:
        options["max_radius"] = max(options["radius"], STEADY.max_radius)
    if options["peak_kernel"] == 1 and "nms_threshold" not in overrides:
        options["nms_threshold"] = NMS_WITHOUT_WINDOW
    return options


def option_help(name: str) -> str:
    """Return what the record says about one option, in plain words, for help texts.

    Args:
        name: The option.

    Returns:
        Its description, without TeX; empty if Python runs without docstrings.

    Examples:
        >>> option_help("top_k")
        'K, the most detections in a frame, over all classes.'
    """
    lines = inspect.cleandoc(PropagatorOptions.__doc__ or "").splitlines()
    start = next((number for number, line in enumerate(lines) if line.startswith(f"    {name}: ")), None)
    if start is None:
        return ""
    words = [lines[start].partition(": ")[2]]
    for line in lines[start + 1 :]:
        if not line.startswith("        "):
            break
        words.append(line.strip())
    return " ".join(words).replace("``", "").replace("$\\alpha$, ", "").replace("$\\beta$, ", "").replace("$", "")


def option_range(name: str) -> Between:
    """Return the range of a numeric option."""
    (option,) = (option for option in fields(PropagatorOptions) if option.name == name)
    between: Between = get_args(option.type)[1]
    return between


def takes_options(
    record: Callable[_P, PropagatorOptions],
) -> Callable[[Callable[[_Module, PropagatorOptions], None]], Callable[Concatenate[_Module, _P], None]]:
    """Let a constructor that needs the whole record take its fields as keywords.

    Args:
        record: `PropagatorOptions`.

    Returns:
        A decorator; the constructor that it makes has the signature and the documentation of the record.
    """

    def decorate(init: Callable[[_Module, PropagatorOptions], None]) -> Callable[Concatenate[_Module, _P], None]:
        @functools.wraps(init)
        def with_keywords(self: _Module, /, *args: _P.args, **kwargs: _P.kwargs) -> None:
            init(self, record(*args, **kwargs))

        own = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
        options = inspect.signature(record).parameters.values()
        with_keywords.__signature__ = inspect.Signature([own, *options])  # type: ignore[attr-defined]
        with_keywords.__doc__ = record.__doc__
        return with_keywords

    return decorate


class Option:
    """An option as an attribute of a module that holds the record as ``options``; setting it replaces the record."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, module: Any, owner: type) -> Any:
        """Read it from the record."""
        return self if module is None else getattr(module.options, self._name)

    def __set__(self, module: Any, value: Any) -> None:
        """Replace the record with one that has the new value, after a check."""
        module.options = replace(module.options, **{self._name: value})
