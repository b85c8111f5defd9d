"""Two passes over a video as plain loops: the judge of heatprop.two_pass. Builds on the oracle of one pass."""

from oracles import OraclePropagator, intersection_over_union, nms


def one_pass(frames, cuts, *, backward, **options):
    """Detections (dicts of the oracle) of each frame; `frames` are (heatmap, offset, size, extras) of (1, ...)."""
    found = [None] * len(frames)
    order = range(len(frames))
    propagator = OraclePropagator(**options)
    for number in reversed(order) if backward else order:
        starts = number + 1 in cuts if backward else number in cuts
        if starts:
            propagator = OraclePropagator(**options)
        heatmap, offset, size, extras = frames[number]
        found[number] = propagator.forward(heatmap, offset, size, extras=extras)[0]["detections"]
    return found


def how_close(one, other, *, points, radius, match_iou):
    """How well two detections of both directions go together; None if they do not."""
    if one["label"] != other["label"]:
        return None
    if points:
        apart = max(abs(a - b) for a, b in zip(one["cell"], other["cell"], strict=True))
        return -apart if apart <= radius else None
    iou = intersection_over_union(one["box"], other["box"])
    return iou if iou > match_iou else None


def merge(forward, backward, *, combine, match_iou, points, radius, nms_threshold):
    """One list of a frame; each entry knows its track in both directions, None where there is none."""
    pairs = []
    for i, one in enumerate(forward):
        for j, other in enumerate(backward):
            close = how_close(one, other, points=points, radius=radius, match_iou=match_iou)
            if close is not None:
                pairs.append((-close, i, j))
    partner = {}
    for _, i, j in sorted(pairs):
        if i not in partner and j not in partner.values():
            partner[i] = j
    merged = []
    for i, one in enumerate(forward):
        if i not in partner:
            merged.append({**one, "forward": one["track_id"], "backward": None})
            continue
        other = backward[partner[i]]
        surer = other if other["score"] > one["score"] else one
        scores = (one["score"], other["score"])
        merged.append(
            {
                **surer,
                "score": max(scores) if combine == "maximum" else sum(scores) / 2,
                "age": max(one["age"], other["age"]),
                "forward": one["track_id"],
                "backward": other["track_id"],
            }
        )
    for j, other in enumerate(backward):
        if j not in partner.values():
            merged.append({**other, "forward": None, "backward": other["track_id"]})
    merged.sort(key=lambda entry: (-entry["score"], entry["label"], entry["cell"][1], entry["cell"][0]))
    if points:
        return merged
    columns = ([entry[key] for entry in merged] for key in ("box", "score", "label"))
    return [entry for entry, stays in zip(merged, nms(*columns, nms_threshold), strict=True) if stays]


def two_pass(frames, *, cuts=(), combine="mean", match_iou=0.5, points=False, radius=2, nms_threshold=0.3, **options):
    """Merged detections of each frame, without names."""
    options |= {"radius": radius, "nms_threshold": nms_threshold}
    directions = (one_pass(frames, cuts, backward=backward, **options) for backward in (False, True))
    rules = {"combine": combine, "match_iou": match_iou, "points": points}
    return [merge(*both, **rules, radius=radius, nms_threshold=nms_threshold) for both in zip(*directions, strict=True)]
