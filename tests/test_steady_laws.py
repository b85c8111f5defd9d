"""What holds for any maps under the options beyond the paper, and what each is for, on small moving pictures."""

import pytest
import torch
import toy
from comparing import stack, tensors
from hypothesis import given
from laws import OPTIONS, SEEDS, few_examples, shifts, video
from oracles import intersection_over_union
from steady_options import STEADY
from torch.testing import assert_close

from heatprop import HeatmapPropagator
from heatprop.propagation import NOISE

# --- laws -------------------------------------------------------------------------------------------------------------


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_scores_stay_between_0_and_1(seed, options):
    maps, propagator = video(seed, levels=seed % 3 or None), HeatmapPropagator(**options)
    for time in range(6):
        output = toy.feed(propagator, toy.frame(maps, time), shift=shifts(seed + time, 2, 2))
        for scores in (output.heatmap, output.detections.scores, propagator.coast().scores):
            assert ((scores >= 0) & (scores <= 1)).all()


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_the_geometric_average_lies_between_the_network_and_the_past(seed, options):
    maps, propagator = toy.crowd(seed, shape=(2, 8, 9), density=0.4), None
    propagator = HeatmapPropagator(**(options | {"average": "geometric"}))
    for time in range(5):
        output = toy.feed(propagator, toy.frame(maps, time), shift=shifts(seed, 2, 2).double())
        past, network = output.prior_score(), output.network_heatmap
        changed = output.heatmap != network
        assert not (changed & (past == 0)).any()
        low, high = torch.minimum(network, past).clamp(min=NOISE), torch.maximum(network, past).clamp(min=NOISE)
        held = (output.heatmap >= low - 1e-12) & (output.heatmap <= high + 1e-12)
        assert held[changed].all()


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_a_batch_equals_its_streams_apart(seed, options):
    maps, together = video(seed, batch=3), HeatmapPropagator(**options)
    apart = [HeatmapPropagator(**options) for _ in range(3)]
    for time in range(5):
        now, motion = toy.frame(maps, time), shifts(seed + time, 3, 2)
        both = tensors(toy.feed(together, now, shift=motion))
        for stream, propagator in enumerate(apart):
            part = slice(stream, stream + 1)
            extras = {"depth": now.extras["depth"][part]}
            alone = propagator(*(value[part] for value in now[:3]), extras=extras, shift=motion[part])
            for name, value in tensors(alone).items():
                assert torch.equal(value[0], both[name][stream]), name


@pytest.mark.parametrize("form", [(2,), (2, 3), (2, 8, 9)], ids=["translation", "affine", "flow"])
@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_a_chunk_equals_its_frames(seed, options, form):
    maps, one, other = video(seed, frames=4), HeatmapPropagator(**options), HeatmapPropagator(**options)
    motion, reset = shifts(seed, 2, 4, *form), torch.rand(2, 4) < 0.2
    chunk = one.forward_chunk(*maps[:3], extras=maps.extras, reset=reset, shift=motion)
    frames = [toy.feed(other, toy.frame(maps, t), reset=reset[:, t], shift=motion[:, t]) for t in range(4)]
    for name, value in stack(frames).items():
        assert torch.equal(value, tensors(chunk)[name]), name
    sizes = torch.stack([frame.size_map() for frame in frames], dim=1)
    assert_close(chunk.size_map(), sizes, equal_nan=True)
    assert torch.equal(chunk.prior_score(), torch.stack([frame.prior_score() for frame in frames], dim=1))


# --- what each option is for ------------------------------------------------------------------------------------------


def test_a_size_of_many_cells_widens_the_square():
    heatmap, moved = (toy.spots((1, 9, 30), {(0, 4, x): 0.9}) for x in (10, 13))
    for share, age in ((0.0, 1), (0.1, 1), (0.2, 2)):
        propagator = HeatmapPropagator(radius=1, radius_per_size=share, max_radius=3)
        for frame in (heatmap, moved):
            found = propagator(frame, size=toy.plane(frame, 15.0, 40.0)).detections.unpad()[0]
        assert found["ages"][0] == age


def test_steady_bridges_a_flickering_object_with_one_id():
    maps, truths = toy.moving_blob(frames=16, dropped=(4, 7, 11))
    propagator = HeatmapPropagator(**STEADY)
    for found, truth in zip(propagator.forward_chunk(*maps[:3]).detections.unpad()[0], truths * 4, strict=True):
        assert found["track_ids"].tolist() == [0]
        assert intersection_over_union(found["boxes"][0].tolist(), truth.tolist()) > 0.8
