"""Streams in a pool against a propagator for each of them: the same bits, whoever comes and goes."""

import random

import pytest
import torch
from export_cases import make_frames
from torch.testing import assert_close

from heatprop import HeadMaps, HeatmapPropagator
from heatprop.streams import StreamPool

MAKERS = {"paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}


def maps_of(maps, stream):
    """The maps of one stream without a batch dimension."""
    return HeadMaps(*(field[stream] for field in maps[:3]))


def assert_equal(found, expected):
    for name, value in expected._asdict().items():
        if name != "extras":
            assert torch.equal(getattr(found, name), value), name


@pytest.mark.parametrize("options", MAKERS)
def test_streams_that_come_and_go_equal_propagators_of_their_own(options):
    """The oracle is one propagator for each stream; every step a random part of them is pushed."""
    chance, make = random.Random(1), MAKERS[options]
    pool, alone = StreamPool(make(top_k=20), streams=5), {}
    ended, compared = 0, 0
    for maps, _, _ in make_frames(60, batch=5, seed=3):
        if len(pool) < 5 and chance.random() < 0.5:
            alone[pool.open()] = make(top_k=20)
        if alone and chance.random() < 0.15:
            gone = chance.choice(sorted(alone))
            pool.close(gone)
            del alone[gone]
            ended += 1
        if alone and chance.random() < 0.1:
            again = chance.choice(sorted(alone))
            pool.reset(again)
            alone[again].reset()
        pushed = {stream: maps_of(maps, number) for number, stream in enumerate(alone) if chance.random() < 0.7}
        found = pool.push(pushed)
        assert found.keys() == pushed.keys()
        for stream, one in pushed.items():
            expected = alone[stream](*(field[None] for field in one[:3])).detections
            assert_equal(found[stream], expected)
            compared += int(expected.valid.sum())
        for stream, propagator in alone.items():  # also of those that were not pushed
            ours, theirs = pool.state(stream), propagator.state
            assert (ours is None) == (theirs is None)
            if theirs is not None:
                assert all(torch.equal(one, other) for one, other in zip(ours, theirs, strict=True))
    assert ended >= 5
    assert compared > 200


def test_a_new_stream_in_an_old_place_knows_nothing_of_the_one_before():
    pool = StreamPool(HeatmapPropagator(), streams=1)
    heatmap = torch.zeros(1, 16, 16)
    heatmap[0, 8, 8] = 0.9
    first = pool.open()
    pool.push({first: heatmap})
    pool.push({first: heatmap})
    pool.close(first)
    second = pool.open()
    found = pool.push({second: torch.zeros(1, 16, 16)})[second]
    assert not found.valid.any()
    found = pool.push({second: heatmap})[second].unpad()[0]
    assert (found["ages"].tolist(), found["track_ids"].tolist()) == ([1], [0])


def test_broken_maps_of_one_stream_touch_no_other():
    pool, alone = StreamPool(HeatmapPropagator(), streams=2), HeatmapPropagator()
    good, bad = pool.open(), pool.open()
    for maps, _, _ in make_frames(12, batch=1, seed=5):
        one = maps_of(maps, 0)
        found = pool.push({good: one, bad: one.map(lambda field: torch.full_like(field, torch.nan))})
        assert_equal(found[good], alone(*maps[:3]).detections)
        assert not found[bad].valid.any()


def test_extras_come_back_by_stream():
    pool = StreamPool(HeatmapPropagator(), streams=3)
    streams = [pool.open() for _ in range(3)]
    heatmap = torch.zeros(1, 8, 8)
    heatmap[0, 4, 4] = 0.9
    maps = {stream: HeadMaps(heatmap, None, None, {"depth": torch.full((1, 8, 8), stream + 1.0)}) for stream in streams}
    for stream, found in pool.push(maps).items():
        assert_close(found.extras["depth"][0, 0], torch.tensor([stream + 1.0]))


def test_a_push_of_nothing_changes_nothing():
    pool = StreamPool(HeatmapPropagator(), streams=2)
    stream = pool.open()
    assert pool.push({}) == {}
    assert pool.state(stream) is None


def test_one_graph_serves_every_push(backend):
    pool = StreamPool(HeatmapPropagator(top_k=10), streams=3)
    pool._step = torch.compile(pool.propagator.step, fullgraph=True, backend=backend)
    streams = [pool.open() for _ in range(3)]
    for number, (maps, _, _) in enumerate(make_frames(6, batch=3, seed=1)):
        pool.push({stream: maps_of(maps, place) for place, stream in enumerate(streams[: 1 + number % 3])})
        if number == 3:
            pool.close(streams[0])
            streams[0] = pool.open()
    assert backend.graphs == 1


def test_a_full_pool_and_unknown_streams_are_refused():
    pool = StreamPool(HeatmapPropagator(), streams=1)
    stream = pool.open()
    with pytest.raises(RuntimeError, match="all 1 places of the pool are taken; close a stream"):
        pool.open()
    pool.close(stream)
    for call in (pool.close, pool.reset, pool.state, lambda one: pool.push({one: torch.zeros(1, 8, 8)})):
        with pytest.raises(KeyError, match="no stream 0 is open"):
            call(stream)


def test_maps_that_do_not_fit_are_refused_and_change_nothing():
    pool = StreamPool(HeatmapPropagator(), streams=2)
    one, other = pool.open(), pool.open()
    heatmap = torch.zeros(1, 8, 8)
    heatmap[0, 4, 4] = 0.9
    pool.push({one: heatmap})
    before = pool.state(one)
    with pytest.raises(ValueError, match=r"maps of stream 1 must be like the first ones.*\(1, 8, 9\)"):
        pool.push({one: heatmap, other: torch.zeros(1, 8, 9)})
    with pytest.raises(ValueError, match="without a batch dimension"):
        pool.push({one: heatmap[None]})
    with pytest.raises(TypeError, match="must be a tensor"):
        pool.push({one: ([0.0], None, None)})
    assert all(torch.equal(a, b) for a, b in zip(pool.state(one), before, strict=True))
    with pytest.raises(TypeError, match="must be a HeatmapPropagator, got str"):
        StreamPool("steady")
    with pytest.raises(ValueError, match="streams must be at least 1"):
        StreamPool(HeatmapPropagator(), streams=0)
