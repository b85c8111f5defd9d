"""Small maps to test on, made by seed or by hand."""

import math

import numpy as np
import torch

from heatprop import HeadMaps, HeatmapPropagator, Tracklets

SHAPE = (2, 9, 11)  # of the frames of `run`


def spots(shape, scores, *, dtype=torch.float64):
    """A heatmap (1, C, H, W) that is 0 but for ``{(label, y, x): score}``."""
    heatmap = torch.zeros(1, *shape, dtype=dtype)
    for (label, y, x), score in scores.items():
        heatmap[0, label, y, x] = score
    return heatmap


def plane(heatmap, *values):
    """A map (B, D, H, W) like the heatmap's that holds one value a channel: an offset, a size."""
    channels = torch.tensor(values, dtype=heatmap.dtype, device=heatmap.device)
    return channels[None, :, None, None].repeat(heatmap.shape[0], 1, *heatmap.shape[2:])


def crowd(seed, *, batch=2, frames=6, shape=(3, 12, 10), density=0.15, levels=None, largest=5.0, dtype=torch.float64):
    """Random spots that wander, fade and vanish for a frame: HeadMaps of (B, T, ...) with one extra, "depth".

    Args:
        seed: The same seed gives the same maps.
        batch: Streams.
        frames: Frames a stream.
        shape: (C, H, W).
        density: Share of the cells above 0; 1 gives maps without equal cells.
        levels: Round scores to multiples of 1 / levels: ties.
        largest: Largest side of a box, in cells.
        dtype: Of all maps.
    """
    random = np.random.default_rng(seed)
    height, width = shape[1:]
    steady = random.random((batch, *shape)) * (random.random((batch, *shape)) < density)
    heatmap = np.empty((batch, frames, *shape))
    for time in range(frames):
        steady = np.roll(steady, random.integers(-1, 2, size=2), axis=(2, 3))
        faded = steady * random.uniform(0.02, 1, size=steady.shape) * (random.random((batch, 1, 1, 1)) > 0.15)
        noise = random.random(steady.shape) * (random.random(steady.shape) < density)
        heatmap[:, time] = np.maximum(faded, 0.2 * noise)
    if levels is not None:
        heatmap = np.round(heatmap * levels) / levels
    offset = random.random((batch, frames, 2, height, width))
    size = random.uniform(0, largest, (batch, frames, 2, height, width))
    depth = random.random((batch, frames, 1, height, width))
    maps = [torch.from_numpy(array).to(dtype) for array in (heatmap, offset, size, depth)]
    return HeadMaps(maps[0], maps[1], maps[2], {"depth": maps[3]})


def with_extras(maps, seed, **depths):
    """Maps (B, T, ...) with extras of these depths beside their own, a few of their numbers not finite."""
    random, extras = np.random.default_rng(seed), dict(maps.extras or {})
    batch, frames, _, height, width = maps.heatmap.shape
    for name, depth in depths.items():
        values = random.normal(0, 2, (batch, frames, depth, height, width))
        values[random.random(values.shape) < 0.03] = random.choice([np.nan, np.inf])
        extras[name] = torch.from_numpy(values).to(maps.heatmap.dtype)
    return maps._replace(extras=extras)


def frame(maps, time):
    """One frame (B, ...) of maps (B, T, ...)."""
    extras = None if maps.extras is None else {name: value[:, time] for name, value in maps.extras.items()}
    first = (None if value is None else value[:, time] for value in maps[:3])
    return HeadMaps(*first, extras)


def feed(propagator, maps, **options):
    """Call a propagator with HeadMaps."""
    return propagator(maps.heatmap, maps.offset, maps.size, extras=maps.extras, **options)


def gaussian(shape, centres, *, deviation=1.0, dtype=torch.float32):
    """A heatmap (1, C, H, W) with a Gaussian around every ``(label, y, x, height)``; centres may lie between cells."""
    heatmap = torch.zeros(1, *shape, dtype=dtype)
    rows, columns = torch.arange(shape[1])[:, None], torch.arange(shape[2])[None]
    for label, y, x, height in centres:
        distance = (rows - y) ** 2 + (columns - x) ** 2
        blob = height * torch.exp(-distance / (2 * deviation**2)).to(dtype)
        heatmap[0, label] = torch.maximum(heatmap[0, label], blob)
    return heatmap


def moving_blob(frames=12, *, shape=(1, 16, 24), speed=1.0, dropped=(6,), box=(6.0, 4.0), dtype=torch.float32):
    """One object crossing the image in a straight line, invisible in the dropped frames.

    Returns:
        HeadMaps of (1, T, ...) and the true boxes (T, 4) in cells.
    """
    heatmaps, offsets, truths = [], [], []
    for time in range(frames):
        x, y = 4.0 + speed * time, shape[1] / 2
        heatmap = gaussian(shape, [] if time in dropped else [(0, y, x, 0.9)], dtype=dtype)
        heatmaps.append(heatmap)
        offsets.append(plane(heatmap, x - math.floor(x), 0.0))
        truths.append([x - box[0] / 2, y - box[1] / 2, x + box[0] / 2, y + box[1] / 2])
    heatmap = torch.stack(heatmaps, dim=1)
    size = plane(heatmap[:, 0], *box)[:, None].repeat(1, frames, 1, 1, 1)
    return HeadMaps(heatmap, torch.stack(offsets, dim=1), size), torch.tensor(truths, dtype=dtype)


def tracklets(streams, *, places=None, dtype=torch.float64):
    """The oracle's tracklets, a list per stream, as padded tensors."""
    places = places or max(1, *(len(stream) for stream in streams))
    batch = len(streams)
    state = Tracklets(
        label=torch.zeros(batch, places, dtype=torch.int64),
        x=torch.zeros(batch, places, dtype=torch.int64),
        y=torch.zeros(batch, places, dtype=torch.int64),
        score=torch.zeros(batch, places, dtype=dtype),
        length=torch.zeros(batch, places, dtype=torch.int32),
        size=torch.zeros(batch, places, 2, dtype=dtype),
        track_id=torch.full((batch, places), -1),
        valid=torch.zeros(batch, places, dtype=torch.bool),
        next_id=torch.tensor([len(stream) for stream in streams]),
    )
    for index, stream in enumerate(streams):
        for place, tracklet in enumerate(stream):
            for name, value in tracklet._asdict().items():
                target = getattr(state, name)
                target[index, place] = torch.as_tensor(value, dtype=target.dtype)
            state.valid[index, place] = True
    return state


def run(frames, *, size=(2.0, 2.0), **options):
    """Feed heatmaps given as {(label, y, x): score}; returns the propagator and the last frame's output."""
    propagator, output = HeatmapPropagator(**options), None
    for frame in frames:
        heatmap = frame if torch.is_tensor(frame) else spots(SHAPE, frame)
        sizes = None if size is None else plane(heatmap, *size)
        output = propagator(heatmap, plane(heatmap, 0.0, 0.0), sizes)
    return propagator, output


def found(output):
    """The detections of stream 0 as {(label, y, x): score}, in the returned order."""
    [stream] = output.detections.unpad()
    cells = zip(stream["labels"].tolist(), stream["cells"].tolist(), stream["scores"].tolist(), strict=True)
    return {(label, y, x): score for label, (x, y), score in cells}


def still(frames, **options):
    """Feed frames given as {(label, y, x): score} of one size; returns the propagator and all detections."""
    propagator, found = HeatmapPropagator(**options), []
    for frame in frames:
        heatmap = spots((1, 9, 15), frame)
        output = propagator(heatmap, plane(heatmap, 0.5, 0.5), plane(heatmap, 2.0, 2.0))
        found.append(output.detections.unpad()[0])
    return propagator, found


def fed(frames=3, *, dtype=torch.float32, seed=0, **options):
    """A propagator that has seen some frames, the next frame's maps, and the last output."""
    maps, propagator = crowd(seed, frames=frames + 1, dtype=dtype), HeatmapPropagator(**options)
    output = None
    for time in range(frames):
        output = feed(propagator, frame(maps, time))
    return propagator, frame(maps, frames), output


def random_maps(batch=2, shape=(3, 6, 5)):
    """A heatmap, an offset and a size without any structure."""
    return torch.rand(batch, *shape), torch.rand(batch, 2, *shape[1:]), torch.rand(batch, 2, *shape[1:])


def random_boxes(seed, *, batch=1, places=100, spread=20.0, grid=None):
    """Boxes (B, K, 4) in float64, crowded; on a grid they tie."""
    random = np.random.default_rng(seed)
    corner = random.uniform(0, spread, (batch, places, 2))
    boxes = np.concatenate([corner, corner + random.uniform(0, spread / 2, (batch, places, 2))], axis=2)
    return torch.from_numpy(boxes if grid is None else np.round(boxes / grid) * grid)


def one_spot(score=0.0):
    """A heatmap of one class with a score at cell (7, 5), an offset of half a cell, and sizes of 4 cells."""
    heatmap = torch.zeros(1, 1, 12, 16)
    heatmap[0, 0, 5, 7] = score
    return heatmap, torch.full((1, 2, 12, 16), 0.5), torch.full((1, 2, 12, 16), 4.0)


def one_by_one(detector, frames, *, reset=None, shift=None):
    """Call a VideoDetector with each frame of (B, T, ...)."""
    return [
        detector(
            frames[:, t],
            reset=None if reset is None else reset[:, t],
            shift=None if shift is None else shift[:, t],
        )
        for t in range(frames.shape[1])
    ]
