r"""What is remembered of the extras of each object, and how it goes from frame to frame.

Where the network sees an object, the remembered value $v$ and the network's $V$ become one by the extra's rule, with
the balance of Eq. 7: $(\hat Y V + h v) / (\hat Y + h)$. Where the network does not see it, the remembered value stays.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from heatprop.evidence import read_at
from heatprop.remembering.rules import Remembered, depth_of
from heatprop.structures import Tracklets, change_fields

_TINY = 1e-12
_SHORT = 1e-6  # two directions whose mean is shorter are opposite


class Memories(NamedTuple):
    """The remembered extras of the detections of a frame, side by side in the order in which they were declared.

    Attributes:
        values: Shape ``(B, K, R)``, R numbers for each object; places relative to its centre; 0 where unknown.
        known: Which extras the network has ever shown of it, shape ``(B, K, E)``, ``bool``.
    """

    values: Tensor
    known: Tensor

    @classmethod
    def beside(cls, tracklets: Tracklets) -> "Memories":
        """Take what lies beside tracklets, of which nothing may be left out."""
        return cls(tracklets.extras, tracklets.has_extras)

    def take(self, order: Tensor, valid: Tensor) -> "Memories":
        """Reorder the places, ``(B, K)``; nothing is known where the new place is not valid."""
        order, valid = order.unsqueeze(2), valid.unsqueeze(2)
        values = self.values.gather(1, order.expand_as(self.values)).masked_fill(~valid, 0)
        return Memories(values, self.known.gather(1, order.expand_as(self.known)) & valid)

    def fields(self) -> dict[str, Tensor]:
        """The fields as those of `Tracklets`."""
        return {"extras": self.values, "has_extras": self.known}


class Sights(NamedTuple):
    """Where the extras of a frame's detections are read, and whose memory each goes on with.

    Attributes:
        place: Flat cell ``y * W + x``, shape ``(B, K)``, ``int64``.
        shown: Whether the network sees the object there, shape ``(B, K)``, ``bool``.
        scores: The network's own scores, shape ``(B, K)``.
        lean: From the cell to the centre, ``(dx, dy)``, shape ``(B, K, 2)``, in cells.
        source: Tracklet that it goes on with, shape ``(B, K)``, ``int64``; K where there is none.
    """

    place: Tensor
    shown: Tensor
    scores: Tensor
    lean: Tensor
    source: Tensor


def recall(
    extras: Mapping[str, Tensor] | None, sights: Sights, prior: Tracklets, remembered: Sequence[Remembered]
) -> Memories:
    """Read the extras that are remembered, and blend in what their objects had.

    Args:
        extras: The network's maps, ``(B, D, H, W)`` each; one that is left out was not seen.
        sights: Where they are read.
        prior: Detections of the last frame, ``(B, K)`` each.
        remembered: What was declared.

    Returns:
        What is remembered of each detection.
    """
    if not remembered:
        return Memories.beside(prior)
    K = sights.source.shape[1]
    owner = sights.source.clamp(max=K - 1)
    past = Memories.beside(prior).take(owner, sights.source < K)
    h, network = prior.score.gather(1, owner), sights.scores
    share = (h / torch.where(network > 0, network + h, 1)).unsqueeze(2)  # (B, K, 1); used where the network sees it

    values, known = [], []
    for number, (one, before) in enumerate(zip(remembered, split(past.values, remembered), strict=True)):
        now, shows = _read(extras, one, sights, before)
        had = past.known[:, :, number : number + 1]
        both = _agree(now, before, share, one)
        values.append(torch.where(shows & had, both, torch.where(shows, now, before)))
        known.append(shows | had)
    return Memories(torch.cat(values, dim=2), torch.cat(known, dim=2))


def read_velocity(field: Tensor, sights: Sights, prior: Tracklets) -> Tensor:
    """Read how the detections move from where each was in the frame before.

    Args:
        field: From the cell to that place, ``(dx, dy)``, shape ``(B, 2, H, W)``, in cells.
        sights: Where it is read.
        prior: Detections of the last frame, ``(B, K)`` each.

    Returns:
        Velocities, shape ``(B, K, 2)``, in cells per frame; where the network does not see the object or the numbers
        are not finite, the last ones of its tracklet.
    """
    K = sights.source.shape[1]
    owner = sights.source.clamp(max=K - 1).unsqueeze(2).expand(-1, -1, 2)
    past = prior.velocity.gather(1, owner).masked_fill((sights.source == K).unsqueeze(2), 0)
    before, shows = _read_sound(field, sights, past.dtype)
    return torch.where(shows, sights.lean - before, past)


def show(memories: Memories, lean: Tensor, remembered: Sequence[Remembered]) -> dict[str, Tensor]:
    """Turn what is remembered into extras as the network gives them: places relative to the cell.

    Args:
        memories: Of the detections, ``(B, K, ...)``.
        lean: From each cell to the centre, ``(dx, dy)``, shape ``(B, K, 2)``, in cells.
        remembered: What was declared.

    Returns:
        ``{name: (B, K, D)}``, 0 where nothing is known.
    """
    shown = {}
    for number, (one, value) in enumerate(zip(remembered, split(memories.values, remembered), strict=True)):
        if one.rule == "points":
            known = memories.known[:, :, number : number + 1]
            value = torch.where(known, value + lean.repeat(1, 1, one.depth // 2), 0)
        shown[one.name] = value
    return shown


def with_extras(tracklets: Tracklets, remembered: Sequence[Remembered]) -> Tracklets:
    """Give tracklets that remember no extras room for them.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        remembered: What was declared.

    Returns:
        The tracklets; of new extras nothing is known.

    Raises:
        ValueError: If the tracklets remember other extras.
    """
    fields = (tracklets.extras, tracklets.has_extras)
    came = tuple(0 if field is None else field.shape[2] for field in fields)
    wanted = (depth_of(remembered), len(remembered))
    if any(came) and came != wanted:
        raise ValueError(
            f"state holds {came[0]} numbers of {came[1]} extras, remember declares {wanted[0]} of {wanted[1]}; "
            "call reset(), or set remember to what the state was made with"
        )
    if came == wanted and all(field is not None for field in fields):
        return tracklets
    places, wide = tracklets.valid.shape, torch.promote_types(tracklets.size.dtype, torch.float32)
    return change_fields(
        tracklets,
        extras=tracklets.size.new_zeros(*places, wanted[0], dtype=wide),
        has_extras=tracklets.valid.new_zeros(*places, wanted[1]),
    )


def split(values: Tensor, remembered: Sequence[Remembered]) -> tuple[Tensor, ...]:
    """Cut ``(B, K, R)`` into the extras, ``(B, K, D)`` each."""
    return torch.split(values, [one.depth for one in remembered], dim=2)


def read_extra(field: Tensor, place: Tensor, shown: Tensor, dtype: torch.dtype) -> Tensor:
    """Read an extra map like `read_at`; 0 where it is not shown; floats come in ``dtype`` or wider."""
    values = read_at(field, place)
    if values.is_floating_point():
        values = values.to(torch.promote_types(values.dtype, dtype))
    return values.masked_fill(~shown.unsqueeze(2), 0)


def _read(extras: Mapping[str, Tensor] | None, one: Remembered, sights: Sights, like: Tensor) -> tuple[Tensor, Tensor]:
    """Read an extra, places relative to the centre, (B, K, D), and say where it can be read, (B, K, 1)."""
    field = (extras or {}).get(one.name)
    if field is None:
        return torch.zeros_like(like), torch.zeros_like(sights.shown).unsqueeze(2)
    now, shows = _read_sound(field, sights, like.dtype)
    if one.rule == "points":
        now = torch.where(shows, now - sights.lean.repeat(1, 1, one.depth // 2), 0)
    return now, shows


def _read_sound(field: Tensor, sights: Sights, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """Read a map, (B, K, D), and say where the network shows finite numbers, (B, K, 1); elsewhere they are 0."""
    now = read_at(field, sights.place).to(dtype)
    limit = torch.finfo(torch.float32).max / 8  # sums and differences stay finite
    sound = (now.abs() <= limit).all(2, keepdim=True)  # false for NaN too, unlike a maximum in ONNX Runtime
    shows = sights.shown.unsqueeze(2) & sound
    return torch.where(shows, now, 0), shows


def _agree(now: Tensor, before: Tensor, share: Tensor, one: Remembered) -> Tensor:
    """Make one value of the network's and the remembered one, of which the latter counts ``share``."""
    if one.rule == "last":
        return now
    if one.rule == "angle":
        return _turn(now, before, share)
    return torch.lerp(now, before, share)


def _turn(now: Tensor, before: Tensor, share: Tensor) -> Tensor:
    """Blend directions: the mean of two unit vectors, as a unit vector; of two opposite ones the network's."""
    new, old = _unit(now), _unit(before)
    mean = torch.lerp(new, old, share.unsqueeze(3))
    opposite = mean.square().sum(3, keepdim=True) < _SHORT**2
    return _unit(torch.where(opposite, new, mean).flatten(2)).flatten(2)


def _unit(pairs: Tensor) -> Tensor:
    """Scale pairs, (B, K, D), to length 1, (B, K, D / 2, 2); a pair of zeros stays."""
    vectors = pairs.reshape(*pairs.shape[:2], -1, 2)
    vectors = vectors / vectors.abs().amax(3, keepdim=True).clamp(min=_TINY)  # no square overflows
    return vectors * vectors.square().sum(3, keepdim=True).clamp(min=_TINY).rsqrt()
