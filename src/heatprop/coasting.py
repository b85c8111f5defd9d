"""Frames that the detector skips: only the memory says where the objects are."""

import torch
from torch import Tensor

from heatprop.association import Names, pack_tracklets, take_places, to_detections
from heatprop.boxes import decode_boxes
from heatprop.candidates import Candidates
from heatprop.identities import Identities, wait_for
from heatprop.motion import predict
from heatprop.options import PropagatorOptions
from heatprop.remembering.recall import Memories, show, with_extras
from heatprop.structures import Detections, Tracklets, change_fields


def coast(
    state: Tracklets, shape: tuple[int, ...], options: PropagatorOptions, *, frames: int, shift: Tensor | None
) -> tuple[Tracklets, Detections]:
    """Carry the objects through frames that the detector skips.

    Args:
        state: Detections of the last frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        options: The propagator's options.
        frames: How many frames pass, at least 1.
        shift: Motion of the picture in each frame, as in `heatprop.motion.moved_by`.

    Returns:
        The tracklets and the detections of the last of these frames.
    """
    state = with_extras(state, options.remembered)
    for _ in range(frames):
        state, leaving = predict(state, shape, options, shift=shift)
        if leaving is not None:
            state = change_fields(state, valid=state.valid & ~leaving)
        state, detections = carry_on(state, shape, options)
    return state, detections


def carry_on(moved: Tracklets, shape: tuple[int, ...], options: PropagatorOptions) -> tuple[Tracklets, Detections]:
    """Turn tracklets into the detections of a frame that the detector skipped.

    Args:
        moved: The tracklets, where they are expected in that frame, ``(B, K)`` each.
        shape: ``(C, H, W)`` of the heatmap.
        options: The propagator's options.

    Returns:
        The tracklets, unseen for one frame more and without those that are no longer trusted; and the detections.
    """
    cells = torch.stack([moved.x, moved.y], dim=2)
    boxes = decode_boxes(moved.position, torch.zeros_like(moved.position), moved.size, stride=options.stride)
    flat = (moved.label * shape[1] + moved.y) * shape[2] + moved.x
    nothing, nobody = torch.zeros_like(moved.score), torch.full_like(moved.label, moved.label.shape[1])
    unseen = torch.where(moved.valid, moved.unseen + 1, 0)
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
        unseen=unseen,
        owner=nobody,
        network_sizes=torch.zeros_like(moved.size),
    )
    valid = moved.valid if options.max_unseen is None else moved.valid & (unseen <= options.max_unseen)
    order = torch.where(valid, moved.score, -1).argsort(dim=1, descending=True, stable=True)  # the valid ones first
    valid = valid.gather(1, order)
    found = Candidates(*(take_places(field, order, valid) for field in candidates))
    ids = torch.where(valid, moved.track_id.gather(1, order), -1)
    velocity = take_places(moved.velocity, order, valid)
    known = wait_for(Identities.beside(moved), frames=1)
    tracklets = pack_tracklets(found, found.scores, valid, Names(ids, moved.next_id, velocity, known))
    memories = Memories.beside(moved).take(order, valid)
    extras = show(memories, found.positions - found.cells, options.remembered)
    tracklets = change_fields(tracklets, **memories.fields())
    return tracklets, to_detections(found, ids, valid, carried=valid, extras=extras)
