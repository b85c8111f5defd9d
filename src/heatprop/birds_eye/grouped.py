"""Groups of classes with maps of their own: one memory for each, one list of detections."""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor, nn

from heatprop.checks import check_maps, check_reset, check_shift
from heatprop.coasting import check_dt
from heatprop.output import PropagatorOutput
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps, Tracklets

Suppression = Callable[[Detections], Tensor]


class GroupedOutput(NamedTuple):
    """What a frame gives.

    Attributes:
        detections: Of all groups by falling score, ``(B, G * K)``.
        groups: What each group's propagator returned, with its own labels and identities.
    """

    detections: Detections
    groups: tuple[PropagatorOutput, ...]


class GroupedPropagator(nn.Module):
    """Give a detector whose classes come in groups a memory, each group on its own maps.

    CenterPoint has a heatmap, offset, size and further maps for each of six groups of classes on nuScenes. Each group
    has a propagator, with options of its own if need be; detections come together with labels counted over all groups
    and identities that never collide: ``identity in the group * G + group``.

    Args:
        propagators: One for each group, with equal ``top_k`` and ``stride``.
        classes: How many classes each group has.
        suppressions: For each group what drops detections across its classes, a
            `CircleSuppression`, `RotatedSuppression` or any function from detections ``(B, K)`` to a mask of those that
            are kept; what it drops is not remembered. ``None`` leaves it to the propagators' own NMS by class.

    Attributes:
        propagators: As given.

    Raises:
        TypeError: If one is not a HeatmapPropagator.
        ValueError: If their numbers differ, one is given twice, or ``top_k`` or ``stride`` differ.

    Examples:
        >>> import torch
        >>> from heatprop import HeadMaps, HeatmapPropagator
        >>> from heatprop.birds_eye import GroupedPropagator
        >>> grouped = GroupedPropagator([HeatmapPropagator(top_k=5) for _ in range(2)], classes=(1, 2))
        >>> cars, others = torch.zeros(1, 1, 16, 16), torch.zeros(1, 2, 16, 16)
        >>> cars[0, 0, 4, 4], others[0, 1, 9, 9] = 0.6, 0.8
        >>> found = grouped([HeadMaps(cars), HeadMaps(others)]).detections.unpad()[0]
        >>> found["labels"].tolist(), found["track_ids"].tolist()
        ([2, 0], [1, 0])
    """

    def __init__(
        self,
        propagators: Sequence[HeatmapPropagator],
        *,
        classes: Sequence[int],
        suppressions: Sequence[Suppression] | None = None,
    ) -> None:
        super().__init__()
        for one in propagators:
            if not isinstance(one, HeatmapPropagator):
                raise TypeError(f"propagators must be HeatmapPropagators, got {type(one).__name__}")
        counts = {len(propagators), len(classes), len(classes if suppressions is None else suppressions)}
        if len(counts) > 1 or not propagators:
            raise ValueError(
                "propagators, classes and suppressions must have one entry for each group, got "
                f"{len(propagators)}, {len(classes)} and {'none' if suppressions is None else len(suppressions)}"
            )
        if len(set(map(id, propagators))) < len(propagators):
            raise ValueError("each group needs a propagator of its own, got one twice; make one for each")
        if len({(one.top_k, one.stride) for one in propagators}) > 1:
            came = [(one.top_k, one.stride) for one in propagators]
            raise ValueError(f"propagators must have equal top_k and stride, got {came}")
        self.propagators = nn.ModuleList(propagators)
        self.classes = tuple(classes)
        self.suppressions = None if suppressions is None else tuple(suppressions)

    def forward(
        self,
        groups: Sequence[HeadMaps],
        *,
        reset: Tensor | None = None,
        shift: Tensor | None = None,
        dt: float | Tensor | None = None,
    ) -> GroupedOutput:
        """Propagate the next frame of each stream and remember its detections.

        Args:
            groups: The maps of each group, all of one batch and grid, as `heatprop.adapters.centerpoint` gives them.
            reset: As in `heatprop.HeatmapPropagator.forward`.
            shift: As there; `ego_shift` makes one from the car's motion.
            dt: As there.

        Returns:
            The detections of all groups, and what each group's propagator returned.

        Raises:
            TypeError: As there.
            ValueError: As there, or if groups, their classes or their grids do not fit. No group has moved on then.
        """
        self._check(groups, reset, shift)
        check_dt(dt, groups[0].heatmap.shape[:1], groups[0].heatmap.device)
        with ExitStack() as memories:  # an error leaves all groups at the same frame
            for one in self._all():
                memories.enter_context(one.whole_or_nothing())
            outputs = tuple(self._propagate(number, maps, reset, shift, dt) for number, maps in enumerate(groups))
        return GroupedOutput(self._join([output.detections for output in outputs]), outputs)

    def coast(self, frames: int = 1, *, shift: Tensor | None = None, dt: float | Tensor | None = None) -> Detections:
        """Let the memory stand in for frames that the detector does not look at; see `HeatmapPropagator.coast`.

        Args:
            frames: How many frames pass, at least 1.
            shift: How the ground moved in each of them.
            dt: How long each of them takes, in frames.

        Returns:
            The detections of all groups in the last of these frames, without extras.
        """
        with ExitStack() as memories:
            for one in self._all():
                memories.enter_context(one.whole_or_nothing())
            found = [one.coast(frames, shift=shift, dt=dt) for one in self._all()]
        return self._join(found)

    def reset(self, streams: int | Sequence[int] | Tensor | None = None) -> None:
        """Forget the past of some streams (an index, a list or a ``(B,)`` bool mask), or of all."""
        for one in self._all():
            one.reset(streams)

    @property
    def state(self) -> tuple[Tracklets | None, ...]:
        """What each group's propagator remembers; ``None`` before the first frame. Set as many."""
        return tuple(one.state for one in self._all())

    @state.setter
    def state(self, state: Sequence[Tracklets | None]) -> None:
        if len(state) != len(self.propagators):
            raise ValueError(f"state must have {len(self.propagators)} entries, one for each group, got {len(state)}")
        for one, tracklets in zip(self._all(), state, strict=True):
            one.state = tracklets

    def _all(self) -> list[HeatmapPropagator]:
        return [one for one in self.propagators if isinstance(one, HeatmapPropagator)]

    def _check(self, groups: Sequence[HeadMaps], reset: Tensor | None, shift: Tensor | None) -> None:
        if len(groups) != len(self.propagators):
            raise ValueError(f"groups must hold {len(self.propagators)} sets of maps, got {len(groups)}")
        for maps in groups:
            check_maps(maps)
        heatmaps = [maps.heatmap for maps in groups]
        if (counts := tuple(heatmap.shape[1] for heatmap in heatmaps)) != self.classes:
            raise ValueError(f"groups must have {self.classes} classes, got {counts}")
        if len(grids := {(len(heatmap), *heatmap.shape[2:]) for heatmap in heatmaps}) > 1:
            raise ValueError(f"groups must have one batch and grid (B, H, W), got {sorted(grids)}")
        check_reset(reset, heatmaps[0].shape[:1], heatmaps[0].device)
        check_shift(shift, heatmaps[0])

    def _propagate(
        self, number: int, maps: HeadMaps, reset: Tensor | None, shift: Tensor | None, dt: float | Tensor | None
    ) -> PropagatorOutput:
        propagator = self._all()[number]
        output: PropagatorOutput = propagator(*maps[:3], extras=maps.extras, reset=reset, shift=shift, dt=dt)
        state = propagator.state
        if self.suppressions is None or state is None:
            return output
        kept = self.suppressions[number](output.detections) & output.detections.valid
        propagator._remember(state._replace(valid=kept, track_id=torch.where(kept, state.track_id, -1)))
        return output._replace(detections=_only(output.detections, kept))

    def _join(self, found: Sequence[Detections]) -> Detections:
        """Put the detections of all groups together, by falling score; labels and identities count over all."""
        first, numbered = 0, []
        for group, (detections, count) in enumerate(zip(found, self.classes, strict=True)):
            valid = detections.valid
            identity = torch.where(valid, detections.track_ids * len(found) + group, -1)
            labels = torch.where(valid, detections.labels + first, 0)
            numbered.append(detections._replace(track_ids=identity, labels=labels))
            first += count
        fields = {name: torch.cat([getattr(one, name) for one in numbered], dim=1) for name in _PLAIN}
        names = [name for name in numbered[0].extras if all(name in one.extras for one in numbered)]
        extras = {name: torch.cat([one.extras[name] for one in numbered], dim=1) for name in names}
        return _reorder(Detections(**fields, extras=extras))


_PLAIN = tuple(name for name in Detections._fields if name != "extras")


def _only(detections: Detections, kept: Tensor) -> Detections:
    """Turn what is not kept into padding, behind what is."""

    def clear(field: Tensor) -> Tensor:
        return field.masked_fill(~kept.view(*kept.shape, *[1] * (field.dim() - 2)), 0)

    cleared = detections.map(clear)
    return _reorder(cleared._replace(track_ids=torch.where(kept, detections.track_ids, -1)))


def _reorder(detections: Detections) -> Detections:
    """Bring the valid ones to the front, by falling score; equal scores keep their order."""
    order = torch.where(detections.valid, -detections.scores, torch.inf).argsort(dim=1, stable=True)

    def take(field: Tensor) -> Tensor:
        return field.gather(1, order.view(*order.shape, *[1] * (field.dim() - 2)).expand_as(field))

    return detections.map(take)
