"""Where tracklets are expected in the next frame: moved by the camera and by their own velocity."""

import torch
from torch import Tensor

from heatprop.options import PropagatorOptions
from heatprop.structures import Tracklets, change_fields

VELOCITY_GAIN = 0.2
"""Share of a newly measured velocity in the remembered one; the first measurement counts whole."""


def predict(
    tracklets: Tracklets,
    shape: tuple[int, ...],
    options: PropagatorOptions,
    *,
    shift: Tensor | None,
    frames: Tensor | None = None,
) -> tuple[Tracklets, Tensor | None]:
    """Move tracklets to where they are expected; those whose centre leaves the map are dropped.

    The cell moves in whole steps and the position keeps the remainder, so a slow shift is not lost.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        options: The propagator's options. With ``velocity`` or ``motion`` each tracklet keeps moving. An object leaves
            when less than ``border`` of its box is expected inside the map, and less than in the last frame.
        shift: Motion of the picture from the last frame to this one (`moved_by`), or ``None``.
        frames: How many frames lie between them, shape ``(B, 1)``; ``None`` for one.

    Returns:
        The moved tracklets; and which of them leave, shape ``(B, K)``, ``bool``, or ``None`` if nothing moves.
    """
    if shift is None and not options.moves:
        return tracklets, None
    H, W = shape[1:]
    position = tracklets.position
    if shift is not None:
        place = tracklets.y * W + tracklets.x
        position = moved_by(position, place, shift)
        tracklets = change_fields(tracklets, **_move_known(tracklets, shift, W, H))
    if options.moves:
        position = position + (tracklets.velocity if frames is None else tracklets.velocity * frames.unsqueeze(2))
    # far outside is outside; numbers, because a tensor made from them would wait for the device
    position = torch.stack([position[:, :, 0].clamp(-1, W), position[:, :, 1].clamp(-1, H)], dim=2)
    whole = (position.floor() - tracklets.position.floor()).long()
    x, y = (torch.stack([tracklets.x, tracklets.y], dim=2) + whole).unbind(2)
    inside = (x >= 0) & (x < W) & (y >= 0) & (y < H)
    moved = change_fields(
        tracklets, x=x.clamp(0, W - 1), y=y.clamp(0, H - 1), position=position, valid=tracklets.valid & inside
    )
    if not options.border:
        return moved, None
    before, now = area_inside(tracklets, shape), area_inside(moved, shape)
    return moved, (now < options.border * moved.size.prod(2)) & (now < before)


def area_inside(tracklets: Tracklets, shape: tuple[int, ...]) -> Tensor:
    """Return the area of each box inside the map ``(C, H, W)``, shape ``(B, K)``, in cells."""
    half, (H, W) = tracklets.size / 2, shape[1:]
    before = (half - tracklets.position).clamp(min=0)  # what lies left of the map, and above it; exactly 0 within
    x, y = (tracklets.position + half).unbind(2)
    behind = torch.stack([x - W, y - H], dim=2).clamp(min=0)
    return (tracklets.size - before - behind).clamp(min=0).prod(2)


def moved_by(position: Tensor, place: Tensor, shift: Tensor) -> Tensor:
    r"""Move positions with the picture.

    Args:
        position: Centres ``(x, y)``, shape ``(B, K, 2)``, in cells.
        place: Flat cell ``y * W + x`` at which a flow is read, shape ``(B, K)``, ``int64``.
        shift: A translation ``(dx, dy)``, shape ``(B, 2)``; an affine map $A$ with $p' = A\,(x, y, 1)^T$, shape
            ``(B, 2, 3)``; or a flow, shape ``(B, 2, H, W)``, read at ``place``. All in cells, from
            the last frame to this one. What is not finite moves nothing.

    Returns:
        The positions in this frame, shape ``(B, K, 2)``.
    """
    shift = shift.to(position.dtype)
    if shift.dim() == 2:
        moved = position + shift.unsqueeze(1)
    elif shift.dim() == 3:
        x, y = position.unsqueeze(3).unbind(2)  # no matmul: autocast would round positions to whole cells
        across, down, rest = shift.unsqueeze(1).unbind(3)  # (B, 1, 2)
        moved = across * x + down * y + rest
    else:
        moved = position + shift.flatten(2).gather(2, place.unsqueeze(1).expand(-1, 2, -1)).transpose(1, 2)
    return torch.where(moved.isfinite().all(2, keepdim=True), moved, position)


def _move_known(tracklets: Tracklets, shift: Tensor, width: int, height: int) -> dict[str, Tensor]:
    """Move where the objects of the memory were seen with the picture, too."""
    moved = {}
    for name in ("known_position", "known_previous"):
        position = getattr(tracklets, name)
        x, y = position.unbind(2)
        place = y.floor().clamp(0, height - 1).long() * width + x.floor().clamp(0, width - 1).long()
        moved[name] = moved_by(position, place, shift)
    return moved


def measure_velocity(position: Tensor, seen: Tensor, owner: Tensor, prior: Tracklets) -> Tensor:
    """Update the velocity of each detection that continues a tracklet.

    Args:
        position: Centres in this frame, shape ``(B, K, 2)``, in cells.
        seen: Where the network itself saw the object, shape ``(B, K)``, ``bool``; elsewhere the velocity stays.
        owner: Tracklet of each detection, shape ``(B, K)``, ``int64``; K where there is none: such a detection is at
            rest.
        prior: The tracklets after `predict`.

    Returns:
        Velocities, shape ``(B, K, 2)``, in cells per frame.
    """
    K = owner.shape[1]
    at = owner.clamp(max=K - 1)
    both = at.unsqueeze(2).expand_as(position)
    before = prior.velocity.gather(1, both)
    frames = prior.unseen.gather(1, at) + 1  # since the last measurement
    surprise = (position - prior.position.gather(1, both)) / frames.unsqueeze(2)
    first = (prior.length.gather(1, at) <= 1).unsqueeze(2)
    velocity = torch.where(seen.unsqueeze(2), before + torch.where(first, surprise, VELOCITY_GAIN * surprise), before)
    return torch.where((owner < K).unsqueeze(2), velocity, 0)
