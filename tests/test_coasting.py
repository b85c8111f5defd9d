"""Frames without a detector: what the memory says of them."""

import pytest
import torch
import toy
from comparing import assert_same_bits
from hypothesis import given
from hypothesis import strategies as st
from laws import OPTIONS, SEEDS, few_examples, shifts, video

from heatprop import (
    HeatmapPropagator,
)


@few_examples
@given(seed=SEEDS, options=OPTIONS, moved=st.booleans())
def test_two_skipped_frames_are_one_and_one(seed, options, moved):
    maps, one = video(seed), HeatmapPropagator(**options)
    other, motion = HeatmapPropagator(**options), shifts(seed, 2, 2) if moved else None
    for time in range(3):
        for propagator in (one, other):
            toy.feed(propagator, toy.frame(maps, time))
    at_once = one.coast(2, shift=motion)
    other.coast(shift=motion)
    in_turn = other.coast(shift=motion)
    for name, value in at_once._asdict().items():
        assert name == "extras" or torch.equal(value, getattr(in_turn, name)), name
    assert all(torch.equal(*pair) for pair in zip(one.state, other.state, strict=True))
    assert_same_bits(*(toy.feed(propagator, toy.frame(maps, 3)) for propagator in (one, other)))


@pytest.mark.parametrize("limit", [1, 3])
def test_a_coasting_ghost_lives_exactly_as_long_as_max_unseen(limit):
    propagator, _ = toy.still([{(0, 4, 6): 0.9}], max_unseen=limit)
    assert [propagator.coast().valid.sum().item() for _ in range(5)] == [1] * limit + [0] * (5 - limit)


def test_coasting_is_honest_about_age_and_evidence():
    propagator, [*_, seen] = toy.still([{(0, 4, 6): 0.9}] * 3)
    [found] = propagator.coast(4).unpad()
    assert (found["ages"].tolist(), found["carried"].tolist(), found["network_scores"].tolist()) == ([3], [True], [0])
    for name in ("boxes", "track_ids", "cells"):
        assert torch.equal(found[name], seen[name]), name
    torch.testing.assert_close(found["scores"], seen["scores"] * 0.98**4)
    assert found["extras"] == {}
    assert propagator.state.unseen[0, 0] == 4


@pytest.mark.parametrize(("alpha", "left"), [(1.0, 9), (0.5, 3), (0.0, 0)])
def test_without_evidence_a_score_fades_to_alpha_of_it_and_ends_at_the_threshold(alpha, left):
    propagator, _ = toy.still([{(0, 4, 6): 0.8}], alpha=alpha, score_threshold=0.1)
    scores = [propagator.coast().scores[0, 0].item() for _ in range(9)]
    assert scores == pytest.approx([0.8 * alpha**frames for frames in range(1, left + 1)] + [0.0] * (9 - left))
    assert propagator.state.valid.any() == (left == 9)


def test_coasted_objects_come_by_falling_score_however_long_they_are_known():
    propagator, _ = toy.still([{(0, 4, 6): 0.9, (0, 2, 12): 0.8}])
    found = propagator.coast(3).unpad()[0]
    assert found["scores"].tolist() == sorted(found["scores"].tolist(), reverse=True)


def test_coasting_before_the_first_frame_is_refused():
    with pytest.raises(RuntimeError, match="coast continues from a propagated frame"):
        HeatmapPropagator().coast()


def test_coasting_on_a_state_without_its_maps_is_refused():
    """A state that is set does not say how large the maps are."""
    propagator = HeatmapPropagator()
    propagator.state = propagator.initial_state(2)
    with pytest.raises(RuntimeError, match="coast continues from a propagated frame"):
        propagator.coast()


@pytest.mark.parametrize(("frames", "error"), [(0, ValueError), (-1, ValueError), (1.0, TypeError), (True, TypeError)])
def test_coasting_over_no_whole_number_of_frames_is_refused(frames, error):
    propagator = HeatmapPropagator()
    propagator(*toy.random_maps())
    with pytest.raises(error, match=rf"^frames must be .*got {frames}"):
        propagator.coast(frames)


def test_coasting_with_a_shift_that_does_not_fit_is_refused():
    propagator = HeatmapPropagator()
    propagator(*toy.random_maps())
    with pytest.raises(ValueError, match="shift must have shape"):
        propagator.coast(shift=torch.zeros(3, 2))
    with pytest.raises(ValueError, match="shift is on meta"):
        propagator.coast(shift=torch.zeros(2, 2, device="meta"))
