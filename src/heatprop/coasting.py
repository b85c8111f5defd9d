"""Time that nobody looks at: what was remembered moves, fades and waits, and frames that the detector skips."""

from numbers import Real

import torch
from torch import Tensor

from heatprop.association import Names, pack_tracklets, take_places, to_detections
from heatprop.boxes import decode_boxes
from heatprop.candidates import Candidates
from heatprop.checks import check_real
from heatprop.identities import Identities, wait_for
from heatprop.motion import predict
from heatprop.options import PropagatorOptions
from heatprop.remembering.recall import Memories, show, with_extras
from heatprop.structures import Detections, Tracklets, change_fields


def coast(
    state: Tracklets,
    shape: tuple[int, ...],
    options: PropagatorOptions,
    *,
    frames: int,
    shift: Tensor | None,
    dt: Tensor | None = None,
) -> tuple[Tracklets, Detections]:
    """Carry the objects through frames that the detector skips.

    Args:
        state: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        options: The propagator's options.
        frames: How many frames pass, at least 1.
        shift: Motion of the picture in each frame, as in `heatprop.motion.moved_by`.
        dt: How long each of them takes, shape ``(B, 1)``, in frames; ``None`` for 1.

    Returns:
        The tracklets and the detections of the last of these frames.
    """
    state = with_extras(state, options.remembered)
    for _ in range(frames):
        state, leaving = predict(state, shape, options, shift=shift, frames=dt)
        if leaving is not None:
            state = change_fields(state, valid=state.valid & ~leaving)
        state, detections = carry_on(let_pass(state, options, frames=1.0 if dt is None else dt), shape, options)
    return state, detections


def carry_on(moved: Tracklets, shape: tuple[int, ...], options: PropagatorOptions) -> tuple[Tracklets, Detections]:
    """Turn tracklets into the detections of a frame that the detector skipped.

    Args:
        moved: The tracklets, where they are expected in that frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        options: The propagator's options.

    Returns:
        The tracklets by falling score, and the detections.
    """
    cells = torch.stack([moved.x, moved.y], dim=2)
    boxes = decode_boxes(moved.position, torch.zeros_like(moved.position), moved.size, stride=options.stride)
    flat = (moved.label * shape[1] + moved.y) * shape[2] + moved.x
    nothing, nobody = torch.zeros_like(moved.score), torch.full_like(moved.label, moved.label.shape[1])
    candidates = Candidates(
        flat_index=flat,
        cells=cells,
        labels=moved.label,
        scores=moved.score,
        network_scores=nothing,
        sizes=moved.size,
        positions=moved.position,
        boxes=boxes,
        ages=moved.length,
        unseen=moved.unseen,
        owner=nobody,
        network_sizes=torch.zeros_like(moved.size),
    )
    valid = moved.valid
    order = torch.where(valid, moved.score, -1).argsort(dim=1, descending=True, stable=True)  # the valid ones first
    valid = valid.gather(1, order)
    found = Candidates(*(take_places(field, order, valid) for field in candidates))
    ids = torch.where(valid, moved.track_id.gather(1, order), -1)
    velocity = take_places(moved.velocity, order, valid)
    names = Names(ids, moved.next_id, velocity, Identities.beside(moved))
    tracklets = pack_tracklets(found, found.scores, valid, names, unwatched=moved.unwatched)
    memories = Memories.beside(moved).take(order, valid)
    extras = show(memories, found.positions - found.cells, options.remembered)
    return change_fields(tracklets, **memories.fields()), to_detections(found, ids, valid, carried=valid, extras=extras)


def check_dt(dt: float | Tensor | None, shape: tuple[int, ...], device: torch.device) -> None:
    """Require frames since the last call, above 0 and below 2**30; the values of a tensor on the CPU too.

    Raises:
        TypeError: If it is neither a number nor a tensor of real numbers.
        ValueError: If a value is out of range, or the shape or the device does not fit.
    """
    if dt is None:
        return
    if not isinstance(dt, Tensor):
        if isinstance(dt, bool) or not isinstance(dt, Real):
            raise TypeError(f"dt must be a number or a tensor of them, got {dt!r}")
        if not 0 < dt < 2**30:
            raise ValueError(f"dt must be above 0 and below 2**30 frames, got {dt!r}; leave it out for 1")
        return
    check_real("dt", dt)
    if dt.dtype == torch.bool:
        raise TypeError("dt must hold frames since the last call, got torch.bool")
    if dt.shape != shape:
        per = "stream" if len(shape) == 1 else "stream and frame"
        raise ValueError(f"dt must have shape {tuple(shape)}, one number per {per}, got {tuple(dt.shape)}")
    if dt.device not in (device, torch.device("cpu")):
        raise ValueError(f"dt is on {dt.device}, heatmap on {device}; move it there or to the CPU")
    at_hand = dt.device.type == "cpu" and type(dt) is Tensor and not torch.compiler.is_compiling()
    if at_hand and not bool(((dt > 0) & (dt < 2**30)).all()):
        raise ValueError(f"dt must be above 0 and below 2**30 frames, got {dt.tolist()}")


def frames_between(
    timestamps: Tensor, last: Tensor | None, reset: Tensor | None, shape: tuple[int, ...], rate: float
) -> Tensor:
    """Turn timestamps into frames since the frame before.

    Args:
        timestamps: When each frame was taken, shape ``(B,)`` or ``(B, T)``, in seconds, ``float64`` on the CPU.
        last: The timestamps of the last call's last frame, shape ``(B,)``, NaN where there is none; or ``None``.
        reset: Frames at which a stream starts again, of the same shape; they count as one frame.
        shape: ``(B,)`` or ``(B, T)``.
        rate: Nominal number of frames per second.

    Returns:
        The same shape, above 0.

    Raises:
        TypeError: If ``timestamps`` is not such a tensor.
        ValueError: If its shape differs, or the timestamps of a stream do not increase.
    """
    if not isinstance(timestamps, Tensor) or timestamps.dtype != torch.float64 or timestamps.device.type != "cpu":
        came = f"{timestamps.dtype} on {timestamps.device}" if isinstance(timestamps, Tensor) else repr(timestamps)
        raise TypeError(
            f"timestamps must be a float64 tensor on the CPU, which can hold seconds since 1970, got {came}"
        )
    if timestamps.shape != shape:
        raise ValueError(f"timestamps must have shape {tuple(shape)}, got {tuple(timestamps.shape)}")
    times = timestamps.reshape(len(timestamps), -1)
    first = torch.full_like(times[:, :1], torch.nan) if last is None else last.unsqueeze(1)
    passed = (times.diff(dim=1, prepend=first) * rate).view(shape)
    begins = torch.zeros_like(passed, dtype=torch.bool).view_as(times)
    begins[:, 0] = first[:, 0].isnan()
    begins = begins.view(shape) if reset is None else begins.view(shape) | reset.cpu()
    passed = torch.where(begins, 1, passed)
    if not bool((timestamps.isfinite() & (passed > 0)).all()):
        raise ValueError(
            f"timestamps must be finite and increase within a stream, got {timestamps.tolist()}. "
            "A new video probably started: call reset() before it."
        )
    return passed


def elapsed_frames(dt: float | Tensor | None, like: Tensor) -> Tensor | None:
    """Turn the time since the last call into frames for each stream.

    Args:
        dt: A number, or shape ``(B,)``; ``None`` for one frame. Where it is not finite or not above 0, and
            `check_dt` could not see that without waiting for the device, it counts as 1.
        like: A field of the tracklets, shape ``(B, K)``, ``float32`` at least.

    Returns:
        Shape ``(B, 1)``, in the dtype and on the device of ``like``; ``None`` for one frame.
    """
    if dt is None:
        return None
    if not isinstance(dt, Tensor):
        return like.new_full((len(like), 1), float(dt))
    frames = dt.to(device=like.device, dtype=like.dtype, non_blocking=True).unsqueeze(1)
    return torch.where((frames > 0) & (frames < torch.inf), frames, 1)


def let_pass(tracklets: Tracklets, options: PropagatorOptions, *, frames: float | Tensor) -> Tracklets:
    r"""Let time pass that nobody looks at: scores fade, and everybody waits.

    Each frame without evidence leaves $\alpha$ of a score. Objects that fall below the threshold, or were carried for
    too long, are forgotten; their identities wait on.

    Args:
        tracklets: Detections of the last frame, ``(B, K)`` each, where they are expected.
        options: The propagator's options.
        frames: How many frames pass, a number or shape ``(B, 1)``. Less than 0, down to -1, turns the clocks back for a
            frame that comes early, and fades nothing.

    Returns:
        The tracklets; where no time passes, the same bits.
    """
    unwatched = frames.clamp(min=0) if isinstance(frames, Tensor) else max(frames, 0.0)
    score = tracklets.score * options.alpha**unwatched
    unseen = tracklets.unseen + frames
    gone = (score < options.score_threshold) & (tracklets.score >= options.score_threshold)
    if options.max_unseen is not None:
        gone = gone | ((unseen > options.max_unseen) & (unseen > tracklets.unseen))
    known = wait_for(Identities.beside(tracklets), frames=frames)
    return change_fields(
        tracklets,
        score=score,
        unseen=unseen,
        valid=tracklets.valid & ~gone,
        unwatched=tracklets.unwatched + (unwatched.squeeze(1) if isinstance(unwatched, Tensor) else unwatched),
        **known.fields(),
    )
