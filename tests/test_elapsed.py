"""Time, not frames: `dt` of forward, forward_chunk, step and coast."""

import math

import pytest
import torch
import toy
from comparing import assert_same_bits, assert_same_state, tensors
from hypothesis import given
from hypothesis import strategies as st
from laws import OPTIONS, SEEDS, few_examples, shifts, video
from steady_options import STEADY
from torch.testing import assert_close

from heatprop import HeadMaps, HeatmapPropagator, VideoDetector

PRESETS = pytest.mark.parametrize("options", [{}, STEADY, {"velocity": True}], ids=["paper", "steady", "velocity"])


def moving(frames, *, lost=(), speed=(0.5, 0.25), batch=1):
    """Two blobs that move far from any border, in double precision: the sums below are exact."""
    rows, columns = torch.arange(48, dtype=torch.float64)[:, None], torch.arange(64, dtype=torch.float64)[None]
    heatmap, offset = torch.zeros(batch, frames, 1, 48, 64).double(), torch.zeros(batch, frames, 2, 48, 64).double()
    for t in range(frames):
        for x, y in ((16 + speed[0] * t, 14.0), (40 - speed[1] * t, 30 + speed[1] * t)):
            blob = torch.exp(-((columns + 0.5 - x) ** 2 + (rows + 0.5 - y) ** 2) / 3)
            heatmap[:, t, 0] = torch.maximum(heatmap[:, t, 0], (0.02 if t in lost else 0.85) * blob)
            near = blob > 0.2
            offset[:, t, 0] = torch.where(near, x - columns, offset[:, t, 0])
            offset[:, t, 1] = torch.where(near, y - rows, offset[:, t, 1])
    return HeadMaps(heatmap, offset, torch.full_like(offset, 6.0))


# --- against coast ----------------------------------------------------------------------------------------------------


@PRESETS
@pytest.mark.parametrize("frames", [2, 3, 5])
@pytest.mark.parametrize("moved", [False, True])
def test_n_frames_at_once_are_n_minus_1_coasted_and_one(options, frames, moved):
    maps = moving(30, lost=(12, 15))
    one, other = HeatmapPropagator(**options), HeatmapPropagator(**options)
    way = torch.tensor([[0.125, -0.0625]]).double() if moved else None
    for t in range(0, 30, frames):
        now = toy.frame(maps, t)
        whole = None if way is None else frames * way
        at_once = toy.feed(one, now, dt=float(frames), shift=whole if t else None)
        if t:
            other.coast(frames - 1, shift=way)
        in_turn = toy.feed(other, now, shift=way if t else None)
        for name, value in tensors(in_turn).items():
            assert_close(tensors(at_once)[name], value, msg=name)
    for name, value in other.state._asdict().items():
        if name != "known_unseen":  # that of empty places says nothing
            assert_close(getattr(one.state, name), value, msg=name)
    known = other.state.known_id >= 0
    assert_close(one.state.known_unseen[known], other.state.known_unseen[known])


@few_examples
@given(seed=SEEDS, options=OPTIONS, moved=st.booleans())
def test_dt_1_is_a_frame_bit_for_bit(seed, options, moved):
    maps, one, other = video(seed), HeatmapPropagator(**options), HeatmapPropagator(**options)
    for time in range(5):
        motion = shifts(seed + time, 2, 2) if moved else None
        dt = [1, 1.0, torch.ones(2), torch.ones(2, dtype=torch.int64)][time % 4]
        pair = [toy.feed(one, toy.frame(maps, time), shift=motion)]
        pair.append(toy.feed(other, toy.frame(maps, time), shift=motion, dt=dt))
        assert_same_bits(*pair)
        assert_same_state(one.state, other.state)
    assert torch.equal(one.coast().scores, other.coast(dt=1).scores)
    assert_same_state(one.state, other.state)


@PRESETS
def test_fractions_lie_between(options):
    """A lost object is further on and weaker the more time has passed."""
    maps, found = moving(9, lost=(8,)), []
    for dt in (1.0, 1.25, 1.5, 2.0, 3.0):
        propagator = HeatmapPropagator(**options)
        for t in range(8):
            toy.feed(propagator, toy.frame(maps, t))
        blank, before = toy.frame(maps, 8).map(torch.zeros_like), propagator.state.position[0, 0]
        output = toy.feed(propagator, blank, dt=dt)
        way = (output.prior.position[0, 0] - before).norm()
        found.append((way.item(), output.detections.scores[0, 0].item()))
        assert propagator.state.unseen[0, 0] == dt
    places, scores = zip(*found, strict=True)
    assert sorted(scores, reverse=True) == list(scores)
    assert len(set(scores)) == 5
    if options:
        assert sorted(places) == list(places)
        assert places[2] == pytest.approx((places[0] + places[3]) / 2)


def test_half_a_frame_moves_half_as_far_and_fades_nothing():
    maps, scores = moving(9), []
    for dt in (0.5, 1.0):
        propagator = HeatmapPropagator(**STEADY)
        for t in range(8):
            toy.feed(propagator, toy.frame(maps, t))
        before, way = propagator.state.position[0, 0], propagator.state.velocity[0, 0]
        output = toy.feed(propagator, toy.frame(maps, 8).map(torch.zeros_like), dt=dt)
        assert_close(output.prior.position[0, 0], before + dt * way)
        assert propagator.state.unseen[0, 0] == dt
        scores.append(output.detections.scores[0, 0])
    assert scores[0] == scores[1]


# --- streams and frames -----------------------------------------------------------------------------------------------


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_streams_with_times_of_their_own_equal_those_streams_apart(seed, options):
    maps, together = video(seed, batch=3), HeatmapPropagator(**options)
    apart, dt = [HeatmapPropagator(**options) for _ in range(3)], torch.tensor([1.0, 2.5, 0.5])
    for time in range(4):
        both = tensors(toy.feed(together, toy.frame(maps, time), dt=dt.roll(time)))
        for stream, propagator in enumerate(apart):
            part = slice(stream, stream + 1)
            alone = toy.feed(propagator, toy.frame(maps, time).stream(stream), dt=dt.roll(time)[part])
            for name, value in tensors(alone).items():
                assert torch.equal(value[0], both[name][stream]), name


@PRESETS
def test_a_chunk_with_times_equals_its_frames_and_step_equals_forward(options):
    maps, dt = video(7, frames=4), torch.rand(2, 4) * 3 + 0.1
    chunk, one, state = HeatmapPropagator(**options), HeatmapPropagator(**options), None
    together = chunk.forward_chunk(*maps[:3], extras=maps.extras, dt=dt)
    for t in range(4):
        now = toy.frame(maps, t)
        output = toy.feed(one, now, dt=dt[:, t])
        state, stepped = chunk.step(state, *now[:3], extras=now.extras, dt=dt[:, t])
        assert_same_bits(output, stepped)
        for name, value in tensors(output).items():
            assert torch.equal(tensors(together)[name][:, t], value), name
    for t in range(4):
        other = HeatmapPropagator(**options)
        other.forward_chunk(*(field[:, : t + 1] for field in maps[:3]), dt=2)
        assert other.state.valid.any()


@PRESETS
def test_a_stream_that_starts_again_ignores_the_time(options):
    maps, one, other = video(3), HeatmapPropagator(**options), HeatmapPropagator(**options)
    for propagator in (one, other):
        for time in range(3):
            toy.feed(propagator, toy.frame(maps, time))
    reset = torch.tensor([True, False])
    pair = [toy.feed(one, toy.frame(maps, 3), reset=reset, dt=torch.tensor([9.5, 2.0]))]
    pair.append(toy.feed(other, toy.frame(maps, 3), reset=reset, dt=torch.tensor([1.0, 2.0])))
    assert_same_bits(*pair)
    first = [toy.feed(HeatmapPropagator(**options), toy.frame(maps, 0), dt=dt) for dt in (None, 7.0)]
    assert_same_bits(*first)


# --- what the object does meanwhile -----------------------------------------------------------------------------------


def test_an_object_that_was_seen_once_is_found_again_however_far_it_went_between_two_looks():
    """A box of 4 x 6 cells moves by its width in two frames: at every second frame its old box is no longer there."""
    for dt, ids in ((None, 6), (2, 1)):
        propagator, seen = HeatmapPropagator.steady(), set()
        for t in range(6):
            heatmap = toy.spots((1, 24, 48), {(0, 12, 8 + 4 * t): 0.8})
            found = propagator(heatmap, size=toy.plane(heatmap, 4.0, 6.0), dt=dt).detections.unpad()[0]
            seen |= set(found["track_ids"][~found["carried"]].tolist())
        assert len(seen) == ids


def test_ages_count_calls_and_the_clocks_count_time():
    propagator, _ = toy.still([{(0, 4, 6): 0.9}])
    blank = toy.spots((1, 9, 15), {})
    assert propagator(blank, dt=2.5).detections.ages[0, 0] == 2
    assert propagator.state.unseen[0, 0] == 2.5
    assert propagator(blank, dt=0.25).detections.ages[0, 0] == 3
    assert propagator.state.unseen[0, 0] == 2.75


@pytest.mark.parametrize(("dt", "calls"), [(1, 4), (2, 2), (0.5, 8), (5, 0)])
def test_a_ghost_lives_as_long_as_max_unseen_however_often_it_is_looked_for(dt, calls):
    propagator, _ = toy.still([{(0, 4, 6): 0.9}], max_unseen=4, alpha=1.0)
    lives = [propagator(toy.spots((1, 9, 15), {}), dt=dt).detections.valid.any().item() for _ in range(10)]
    assert lives == [True] * calls + [False] * (10 - calls)


# --- errors -----------------------------------------------------------------------------------------------------------

WRONG = [0, -1, -0.5, math.nan, math.inf, -math.inf, 2**30]


@pytest.mark.parametrize("value", WRONG)
@pytest.mark.parametrize("kind", ["number", "tensor"])
def test_a_time_that_is_none_is_refused_and_changes_nothing(value, kind):
    propagator, maps = HeatmapPropagator.steady(), toy.random_maps()
    propagator(*maps)
    before = propagator.state
    dt = value if kind == "number" else torch.tensor([1.0, value])
    for call in (
        lambda: propagator(*maps, dt=dt),
        lambda: propagator.step(before, *maps, dt=dt),
        lambda: propagator.coast(dt=dt),
        lambda: propagator.forward_chunk(*(one[:, None] for one in maps), dt=dt if kind == "number" else dt[:, None]),
    ):
        with pytest.raises(ValueError, match=r"^dt must be above 0 and below 2\*\*30 frames, got"):
            call()
    assert propagator.state.valid is before.valid


@pytest.mark.parametrize("dt", ["1", [1.0, 1.0], True, 1j, torch.tensor([True, True]), torch.tensor([1j, 1j])])
def test_a_time_of_another_type_is_refused(dt):
    with pytest.raises(TypeError, match=r"^dt must"):
        HeatmapPropagator()(*toy.random_maps(), dt=dt)


def test_a_time_of_another_shape_or_device_is_refused():
    propagator, maps = HeatmapPropagator(), toy.random_maps()
    for dt in (torch.ones(3), torch.ones(2, 1), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=r"^dt must have shape \(2,\), one number per stream, got"):
            propagator(*maps, dt=dt)
    with pytest.raises(ValueError, match="dt is on meta, heatmap on cpu"):
        propagator(*maps, dt=torch.ones(2, device="meta"))
    chunk = [one[:, None] for one in maps]
    with pytest.raises(ValueError, match=r"^dt must have shape \(2, 1\), one number per stream and frame, got"):
        propagator.forward_chunk(*chunk, dt=torch.ones(2))


def test_a_state_with_whole_numbers_unseen_serves_and_a_broken_clock_is_refused():
    propagator, maps = HeatmapPropagator.steady(), toy.random_maps()
    propagator(*maps)
    propagator.coast()
    state = propagator.state
    propagator.state = state._replace(unseen=state.unseen.int())
    assert torch.equal(propagator.state.unseen, state.unseen)
    with pytest.raises(ValueError, match=r"state\.unwatched must be at least 0"):
        propagator.state = state._replace(unwatched=state.unwatched - 5)
    with pytest.raises(ValueError, match=r"state\.unwatched must have shape \(2,\)"):
        propagator.state = state._replace(unwatched=state.unseen)


# --- VideoDetector ----------------------------------------------------------------------------------------------------


def detectors(**options):
    """A detector of bright pixels with the steady memory, twice."""
    return [
        VideoDetector(lambda frames: frames[:, :1, ::4, ::4], HeatmapPropagator.steady(), adapter=HeadMaps, **options)
        for _ in range(2)
    ]


@pytest.mark.parametrize("every", [1, 2])
def test_timestamps_are_frames_at_the_nominal_rate_one_by_one_and_in_chunks(every):
    frames, dt = torch.rand(2, 6, 3, 48, 64).pow(4), torch.rand(2, 6).double() + 0.5
    dt[:, 0] = 1
    times, reset = 1.7e9 + (dt / 25).cumsum(1), torch.zeros(2, 6, dtype=torch.bool)
    reset[1, 3] = True
    one, other = detectors(every=every, rate=25)
    whole = one(frames, timestamps=times, reset=reset)
    assert_close(whole.boxes, other(frames, dt=dt, reset=reset).boxes, rtol=1e-3, atol=1e-3)
    other.reset()
    for t in range(6):
        part = other(frames[:, t], timestamps=times[:, t], reset=reset[:, t])
        assert torch.equal(part.scores, whole.scores[:, t])
    assert_same_state(one.state, other.state)


def test_timestamps_of_a_stream_that_was_reset_may_start_again():
    (video, _), frames = detectors(rate=10), torch.zeros(2, 3, 48, 64)
    video(frames, timestamps=torch.tensor([5.0, 5.0]).double())
    wrong = torch.tensor([5.5, 0.0]).double()
    before = video.state
    with pytest.raises(ValueError, match="timestamps must be finite and increase within a stream"):
        video(frames, timestamps=wrong)
    assert video.state.valid is before.valid
    video.reset(1)
    video(frames, timestamps=wrong)
    video.reset()
    video(frames, timestamps=torch.zeros(2).double())


def test_timestamps_that_mean_nothing_are_refused():
    (video, _), frames = detectors(rate=10), torch.zeros(2, 3, 48, 64)
    with pytest.raises(TypeError, match="timestamps must be a float64 tensor on the CPU"):
        video(frames, timestamps=torch.zeros(2))
    with pytest.raises(TypeError, match="timestamps must be a float64 tensor on the CPU"):
        video(frames, timestamps=[0.0, 0.0])
    with pytest.raises(ValueError, match=r"timestamps must have shape \(2,\), got \(3,\)"):
        video(frames, timestamps=torch.zeros(3).double())
    with pytest.raises(ValueError, match="timestamps must be finite"):
        video(frames, timestamps=torch.tensor([0, math.nan]).double())
    with pytest.raises(ValueError, match="stand instead of dt"):
        video(frames, timestamps=torch.zeros(2).double(), dt=1)
    with pytest.raises(ValueError, match="rate"):
        detectors()[0](frames, timestamps=torch.zeros(2).double())
    with pytest.raises(ValueError, match="rate must be"):
        detectors(rate=0)
