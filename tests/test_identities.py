"""Identities against plain loops."""

import numpy as np
import pytest
import torch
from comparing import assert_near
from identity_oracle import IdentityOracle, Shown

from heatprop import HeatmapPropagator
from heatprop.identities import Identities, Sightings, recognise, wait_for


def empty(batch, places, dtype=torch.float64):
    zero = lambda *s, d=dtype: torch.zeros(batch, places, *s, dtype=d)  # noqa: E731
    whole = zero(d=torch.int64)
    return Identities(whole - 1, whole, zero(2), zero(2), zero(2), zero(2), zero(), zero(d=torch.int32))


def random_frame(rng, places, tracklet_ids, *, coarse):
    """Candidates of one stream: places 0..n-1 kept, in shuffled order, with owners among the last tracklets."""
    K = places
    n = rng.integers(0, K + 1)
    grid = (lambda x: np.round(x)) if coarse else (lambda x: x)
    rank = rng.permutation(K)
    owners = [t for t, i in enumerate(tracklet_ids) if i >= 0]
    frame = {
        "scores": grid(rng.random(K) * 5) / 5 if coarse else rng.random(K),
        "positions": grid(rng.random((K, 2)) * 12),
        "sizes": grid(2 + rng.random((K, 2)) * 6),
        "labels": rng.integers(0, 2, K),
        "kept": np.arange(K) < n,
        "owner": np.array([rng.choice(owners) if owners and rng.random() < 0.6 else K for _ in range(K)]),
        "rank": rank,
    }
    frame["carried"] = frame["scores"] < 0.05
    frame["owner_id"] = np.array([tracklet_ids[o] if o < K else -2 for o in frame["owner"]])
    return frame


def oracle_ids(oracle, frame, unwatched):
    order = [n for n in np.argsort(frame["rank"]) if frame["kept"][n]]
    K = len(frame["rank"])
    shown = [
        Shown(
            float(frame["scores"][n]),
            frame["positions"][n],
            frame["sizes"][n],
            int(frame["labels"][n]),
            bool(frame["carried"][n]),
            int(frame["owner"][n]) if frame["owner"][n] < K else None,
            int(frame["owner_id"][n]) if frame["owner"][n] < K else None,
        )
        for n in order
    ]
    ids = np.full(K, -1)
    for n, one in zip(order, oracle.recognise(shown, unwatched=unwatched), strict=True):
        ids[n] = -1 if one is None else one
    return ids


@pytest.mark.parametrize("coarse", [False, True])
@pytest.mark.parametrize("seed", range(6))
def test_random_sequences_equal_plain_loops(seed, coarse):
    rng = np.random.default_rng(seed)
    K, batch = int(rng.integers(2, 14)), 3
    oracles, memory, next_id = [IdentityOracle(K) for _ in range(batch)], empty(batch, K), torch.zeros(batch).long()
    before = np.full((batch, K), -1)
    for _ in range(25):
        frames = [random_frame(rng, K, row, coarse=coarse) for row in before]
        unwatched = rng.choice([0.0, 0.25, 1.0, 2.0], batch)
        for oracle, frames_more in zip(oracles, unwatched, strict=True):
            oracle.wait(frames_more)
        expected = np.stack([oracle_ids(*one) for one in zip(oracles, frames, unwatched, strict=True)])
        shown = Sightings(**{k: torch.from_numpy(np.stack([f[k] for f in frames])) for k in Sightings._fields})
        passed = torch.from_numpy(unwatched).unsqueeze(1)
        who = recognise(wait_for(memory, frames=passed), shown, next_id, unwatched=passed)
        memory, next_id, before = who.memory, who.next_id, expected
        np.testing.assert_array_equal(who.track_ids.numpy(), expected)
        np.testing.assert_array_equal(next_id.numpy(), [o.next_id for o in oracles])
        np.testing.assert_array_equal(who.kept.numpy(), expected >= 0)
        for row, oracle in enumerate(oracles):
            assert memory.track_id[row].tolist() == [-1 if one is None else one.track_id for one in oracle.known]
            order = [n for n in np.argsort(frames[row]["rank"]) if frames[row]["kept"][n]]
            seen = {int(order[n]): velocity for n, velocity in oracle.velocities.items()}
            assert np.flatnonzero(who.known[row]).tolist() == sorted(seen)
            moving = np.reshape([seen[n] for n in sorted(seen)], (-1, 2))
            assert_near(who.velocity[row].numpy()[sorted(seen)], moving, 1e-9, "velocity of detections")
            places = [place for place, one in enumerate(oracle.known) if one is not None]
            for name in ("position", "previous", "velocity", "size"):
                known = np.reshape([getattr(oracle.known[place], name) for place in places], (-1, 2))
                assert_near(getattr(memory, name)[row].numpy()[places], known, 1e-9, name)


def crossing(frames=40, noise=0.0, seed=0):
    """Two objects that cross, one hidden while they do."""
    rng = np.random.default_rng(seed)
    for t in range(frames):
        heat, offset, size = torch.zeros(1, 1, 32, 64), torch.full((1, 2, 32, 64), 0.5), torch.full((1, 2, 32, 64), 6.0)
        for k, (x, y) in enumerate(((8 + t, 14), (56 - t, 17))):
            if k == 0 and 20 <= t < 28:
                continue
            heat[0, 0, y, x] = 0.9 - noise * rng.random()
        yield heat, offset, size


def test_identities_survive_a_crossing():
    propagator = HeatmapPropagator.steady()
    ends = {}
    for t, maps in enumerate(crossing()):
        found = propagator(*maps).detections.unpad()[0]
        for cell, one, score in zip(
            found["cells"].tolist(), found["track_ids"].tolist(), found["network_scores"].tolist(), strict=True
        ):
            if score > 0.5:
                ends.setdefault(t, {})[14 if cell[1] == 14 else 17] = one
    assert ends[0] == ends[39]
