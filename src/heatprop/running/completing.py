"""After skipped frames the detector's own boxes count, even where the memory doubts them."""

from typing import Any

import torch

from heatprop.boxes import pairwise_iou
from heatprop.running.reading import OwnBoxes

OVERLAP = 0.5
"""IoU from which a box stands for one of the detector's."""


def complete(found: dict[str, Any], own: OwnBoxes, *, score: float, known: set[int]) -> dict[str, Any]:
    """Show each box that the detector alone gives.

    The memory lowers a score that was low in the frames before. After a skipped frame it knows less, so what the
    detector sees is shown. It has the identity of the object that the memory returns there below the score, if that
    object was shown before; else it has none, which is -1.

    Args:
        found: What the memory returns for a frame, as `heatprop.Detections.unpad` gives it.
        own: What the detector alone gives from the score on, in the same pixels.
        score: Lowest score of what is shown.
        known: The identities that were shown before.

    Returns:
        The objects with the scores and boxes to show, by falling score.
    """
    found = {name: value.clone() for name, value in found.items() if name != "extras"}
    boxes, labels = (torch.from_numpy(field).to(found["boxes"].device) for field in (own.boxes, own.labels))
    fresh = []
    for number, value in enumerate(own.scores.tolist()):
        near = pairwise_iou(boxes[None, number : number + 1], found["boxes"][None].to(boxes.dtype))[0, 0].nan_to_num()
        near = near.masked_fill(found["labels"] != labels[number], 0)
        shown = found["scores"] >= score
        if not len(near) or near.max() < OVERLAP:
            fresh.append(number)
        elif near.masked_fill(~shown, 0).max() < OVERLAP:
            place = int(near.masked_fill(shown, 0).argmax())
            found["boxes"][place] = boxes[number].to(found["boxes"].dtype)
            for name in ("scores", "network_scores"):
                found[name][place] = value
            found["carried"][place] = False
            if int(found["track_ids"][place]) not in known:
                found["track_ids"][place] = -1
    if fresh:
        found = {name: torch.cat([value, _new(name, value, own, fresh)]) for name, value in found.items()}
    order = found["scores"].argsort(descending=True, stable=True)
    return {name: value[order] for name, value in found.items()}


def _new(name: str, like: torch.Tensor, own: OwnBoxes, fresh: list[int]) -> torch.Tensor:
    """One field of objects that nobody knew."""
    known = {"boxes": own.boxes, "scores": own.scores, "network_scores": own.scores, "labels": own.labels}
    if name in known:
        return torch.from_numpy(known[name][fresh]).to(like)
    return like.new_full((len(fresh), *like.shape[1:]), {"ages": 1, "track_ids": -1}.get(name, 0))
