"""Frames for exported graphs: moving objects over noise, with what is hard: ties, blanks, NaN, resets, motion."""

import numpy as np
import torch

from heatprop import HeadMaps


def make_frames(count, *, batch, classes=3, rows=20, columns=24, seed=0, ties=False, noise=0.03):
    """Yield ``(maps, reset, shift)`` for each frame: objects walk, blink and cross; some frames are broken."""
    random = np.random.default_rng(seed)
    objects = random.uniform([0, 0], [columns, rows], (batch, 6, 2))
    speeds, labels = random.normal(0, 0.7, (batch, 6, 2)), random.integers(0, classes, (batch, 6))
    sides = random.uniform(2, 7, (batch, 6, 2))
    y, x = np.mgrid[:rows, :columns]
    for time in range(count):
        objects = (objects + speeds) % [columns, rows]
        heatmap = random.uniform(0, noise, (batch, classes, rows, columns))
        for b in range(batch):
            for (cx, cy), label in zip(objects[b], labels[b], strict=True):
                score = random.choice([0.0, 0.08, 0.3, 0.6, 0.9]) if ties else random.beta(2, 2)
                spread = np.exp(-((x + 0.5 - cx) ** 2 + (y + 0.5 - cy) ** 2) / 3)
                heatmap[b, label] = np.maximum(heatmap[b, label], score * spread)
        if ties:
            heatmap = np.round(heatmap, 1)
        offset = random.uniform(0, 1, (batch, 2, rows, columns))
        size = np.repeat(np.repeat(sides.mean(1)[:, :, None, None], rows, 2), columns, 3)
        size = size * random.uniform(0.8, 1.2, size.shape)
        if time % 11 == 5:
            heatmap[:] = 0
        if time % 13 == 7:
            [heatmap, offset, size][time % 3][:] = np.nan
        if time % 7 == 3:
            heatmap[random.random(heatmap.shape) < 0.02] = random.choice([np.nan, np.inf, -np.inf, 2, -1])
            size[random.random(size.shape) < 0.02] = random.choice([np.nan, -1, np.inf])
        fields = (torch.from_numpy(field).float() for field in (heatmap, offset, size))
        reset = torch.from_numpy(random.random(batch) < 0.05)
        shift = torch.from_numpy(random.normal(0, 0.6, (batch, 2))).float()
        yield HeadMaps(*fields), reset, shift


def assert_parity(propagator, exported, frames, *, extras=False, motion=False, points=False):
    """Run both through the frames; ids, labels, cells and ages equal, boxes and scores to 1e-5. Return the objects."""
    objects = 0
    for time, (maps, reset, shift) in enumerate(frames):
        given = (maps.heatmap,) if points else maps[:3]
        more = {"reset": reset} | ({"shift": shift} if motion else {})
        if extras:
            more["extras"] = {"depth": maps.heatmap[:, :1].nan_to_num(0, 0, 0) * 3}
        with torch.no_grad():
            wanted, found = propagator(*given, **more), exported(*given, **more)
        for name, value in wanted.detections._asdict().items():
            other = getattr(found.detections, name)
            if name == "extras":
                assert value.keys() == other.keys()
                for key, field in value.items():
                    torch.testing.assert_close(other[key], field, atol=1e-5, rtol=1e-5)
            elif value.is_floating_point():
                torch.testing.assert_close(other, value, atol=1e-5, rtol=1e-5, msg=f"{name} in frame {time}")
            else:
                assert torch.equal(other, value), f"{name} in frame {time}"
        torch.testing.assert_close(found.heatmap, wanted.heatmap, atol=1e-5, rtol=1e-5)
        assert torch.equal(exported.state.next_id, propagator.state.next_id)
        objects += int(wanted.detections.valid.sum())
    return objects
