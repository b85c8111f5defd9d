"""`heatprop.remembering` once more, for one extra of one object: plain numbers, angles as complex numbers."""

import numpy as np


def relative(rule, values, lean):
    """Places from the cell as places from the centre; other values stay."""
    return np.subtract(values, np.tile(lean, len(values) // 2)) if rule == "points" else np.array(values)


def absolute(rule, values, lean):
    """The way back."""
    return np.add(values, np.tile(lean, len(values) // 2)) if rule == "points" else np.array(values)


def blend_extra(rule, y, now, h, before):
    """The remembered value of an extra: from the network's and the one before, either of which may be ``None``."""
    if now is None or before is None:
        return before if now is None else now
    if rule == "last":
        return now
    if rule != "angle":
        return (y * now + h * before) / (y + h)  # Eq. 7
    return np.concatenate([turn(y, a, h, b) for a, b in zip(now.reshape(-1, 2), before.reshape(-1, 2), strict=True)])


def turn(y, now, h, before):
    """The direction between two, given as (sin, cos), y : h."""
    new, old = (complex(*pair[::-1]) for pair in (now, before))
    mean = (y * new / (abs(new) or 1) + h * old / (abs(old) or 1)) / (y + h)
    mean = mean if abs(mean) >= 1e-6 else new
    return np.array([mean.imag, mean.real]) / (abs(mean) or 1)


def recall_frame(found, memories, extras, options, events):
    """Give every detection of a frame its extras and what is remembered of them.

    Args:
        found: Detections, dicts with the words of `SteadyOracle`, changed here.
        memories: Those of the last frame.
        extras: The network's maps ``{name: (D, H, W)}``.
        options: ``remember`` and ``identity``.
        events: A Counter of what happens, changed here.
    """
    for one in found:
        lean = np.subtract(one["position"], one["cell"])
        source, y = find_source(one, memories, options["identity"]), one["network_score"]
        one["memory"] = {}
        events["another tracklet"] += source is not None and source is not own_of(one, memories)
        events["found again"] += source is None and one["place"] >= 0
        for name, (rule, _) in (options["remember"] or {}).items():
            now = None if name not in extras else extras[name][(slice(None), *one["cell"][::-1])]
            blind = one["carried"] or y == 0 or now is None or not np.isfinite(now).all()
            now = None if blind else relative(rule, now, lean)
            before = None if source is None else source.extras.get(name)
            value = blend_extra(rule, y, now, None if source is None else source.score, before)
            if value is not None:
                one["memory"][name] = value
            events[f"{rule}: {'no' if now is None else 'new'} value, {'none' if before is None else 'one'} before"] += 1
        one["extras"] |= show(one["memory"], lean, options["remember"])


def move_frame(found, memories, extras, motion, identity):
    """Give every detection the velocity that the network shows; where it shows none, its tracklet's last one."""
    for one in found:
        (x, y), source = one["cell"], find_source(one, memories, identity)
        before = extras[motion][:, y, x]
        seen = not one["carried"] and one["network_score"] > 0 and np.isfinite(before).all()
        last = (0.0, 0.0) if source is None else source.velocity
        one["velocity"] = tuple(np.subtract(one["position"], (x + before[0], y + before[1]))) if seen else last


def show(memory, lean, remember):
    """What a user sees of what is remembered: 0 where nothing is."""
    return {
        name: absolute(rule, memory[name], lean) if name in memory else np.zeros(depth)
        for name, (rule, depth) in (remember or {}).items()
    }


def own_of(one, memories):
    """The tracklet in whose square a detection lies; ``None`` where there is none."""
    return memories[one["place"]] if one["place"] >= 0 else None


def find_source(one, memories, identity):
    """The tracklet that a detection goes on with; ``None`` where there is none."""
    own = own_of(one, memories)
    if identity == "square":
        return own
    same = [memory for memory in memories if memory.track_id == one["track_id"]]
    return same[0] if same else own if one["carried"] else None
