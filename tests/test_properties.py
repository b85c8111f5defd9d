"""What holds for any maps and options: Hypothesis draws them."""

import math

import torch
import toy
from comparing import assert_same_bits, stack, tensors
from hypothesis import given
from hypothesis import strategies as st
from laws import SEEDS, few_examples
from torch.testing import assert_close

from heatprop import HeadMaps, HeatmapPropagator, extend_score

SHAPES = st.tuples(st.integers(1, 3), st.integers(1, 9), st.integers(1, 9))
OPTIONS = st.fixed_dictionaries(
    {
        "radius": st.integers(0, 6),
        "alpha": st.floats(0, 1),
        "beta": st.one_of(st.floats(0, 1000), st.just(math.inf)),
        "top_k": st.integers(1, 40),
        "carry": st.sampled_from(["balanced", "network"]),
    }
)


@few_examples
@given(seed=SEEDS, shape=SHAPES, options=OPTIONS)
def test_scores_stay_between_0_and_1(seed, shape, options):
    maps, propagator = toy.crowd(seed, shape=shape, density=0.5, dtype=torch.float32), HeatmapPropagator(**options)
    for time in range(6):
        output = toy.feed(propagator, toy.frame(maps, time))
        for scores in (output.heatmap, output.detections.scores, output.detections.network_scores):
            assert ((scores >= 0) & (scores <= 1)).all()


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_full_scores_stay_at_most_1(seed, options):
    """The largest score there is, where rounding could lift it above 1."""
    maps = toy.crowd(seed, shape=(1, 6, 6), levels=1, density=0.5, dtype=torch.float32)
    propagator = HeatmapPropagator(**options)
    for time in range(6):
        assert toy.feed(propagator, toy.frame(maps, time)).heatmap.max() <= 1


@few_examples
@given(seed=SEEDS, shape=SHAPES, options=OPTIONS)
def test_valid_detections_come_first_by_falling_score(seed, shape, options):
    maps, propagator = toy.crowd(seed, shape=shape, density=0.5), HeatmapPropagator(**options)
    for time in range(6):
        detections = toy.feed(propagator, toy.frame(maps, time)).detections
        assert (detections.valid.int().diff(dim=1) <= 0).all()
        assert (detections.scores.diff(dim=1) <= 0).all()


@few_examples
@given(seed=SEEDS, shape=SHAPES, options=OPTIONS)
def test_streams_in_a_batch_equal_propagators_apart_bit_for_bit(seed, shape, options):
    maps = toy.crowd(seed, batch=3, shape=shape, dtype=torch.float32)
    together, apart = HeatmapPropagator(**options), [HeatmapPropagator(**options) for _ in range(3)]
    for time in range(6):
        frame = toy.frame(maps, time)
        joint = tensors(toy.feed(together, frame))
        for stream, propagator in enumerate(apart):
            rows = [value[[stream]] for value in frame[:3]]
            alone = propagator(*rows, extras={"depth": frame.extras["depth"][[stream]]})
            for name, value in tensors(alone).items():
                assert torch.equal(joint[name][[stream]], value), name


@few_examples
@given(seed=SEEDS, shape=SHAPES, options=OPTIONS, with_reset=st.booleans())
def test_a_chunk_equals_frame_by_frame_bit_for_bit(seed, shape, options, with_reset):
    maps = toy.crowd(seed, shape=shape, dtype=torch.float32)
    reset = torch.rand(2, 6, generator=torch.Generator().manual_seed(seed)) < 0.3 if with_reset else None
    chunked, framed = HeatmapPropagator(**options), HeatmapPropagator(**options)
    chunk = tensors(chunked.forward_chunk(maps.heatmap, maps.offset, maps.size, extras=maps.extras, reset=reset))
    frames = [
        toy.feed(framed, toy.frame(maps, time), reset=None if reset is None else reset[:, time]) for time in range(6)
    ]
    for name, value in stack(frames).items():
        assert torch.equal(chunk[name], value), name
    for one, other in zip(chunked.state, framed.state, strict=True):
        assert torch.equal(one, other)


@few_examples
@given(seed=SEEDS, cut=st.integers(1, 5))
def test_two_chunks_equal_one(seed, cut):
    maps = toy.crowd(seed, dtype=torch.float32)
    whole, halves = HeatmapPropagator(), HeatmapPropagator()
    one = tensors(whole.forward_chunk(maps.heatmap, maps.offset, maps.size))
    first = tensors(halves.forward_chunk(maps.heatmap[:, :cut], maps.offset[:, :cut], maps.size[:, :cut]))
    second = tensors(halves.forward_chunk(maps.heatmap[:, cut:], maps.offset[:, cut:], maps.size[:, cut:]))
    for name, value in one.items():
        assert torch.equal(value, torch.cat([first[name], second[name]], dim=1)), name


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_flipped_maps_give_flipped_boxes(seed, options):
    """Left becomes right, dx its negative; maps without equal cells, for ties fall by position."""
    maps, width = toy.crowd(seed, shape=(2, 8, 10), density=1.0), 10
    there, back = HeatmapPropagator(**options), HeatmapPropagator(**options)
    for time in range(6):
        heatmap, offset, size, _ = toy.frame(maps, time)
        signs = torch.tensor([-1.0, 1.0], dtype=offset.dtype)[None, :, None, None]
        straight = there(heatmap, offset, size)
        mirrored = back(heatmap.flip(-1), offset.flip(-1) * signs, size.flip(-1))
        assert torch.equal(mirrored.heatmap.flip(-1), straight.heatmap)
        one, other = straight.detections, mirrored.detections
        for name in ("scores", "labels", "ages", "track_ids", "network_scores", "carried", "valid"):
            assert torch.equal(getattr(one, name), getattr(other, name)), name
        valid = one.valid
        assert torch.equal(width - 1 - one.cells[valid][:, 0], other.cells[valid][:, 0])
        x1, y1, x2, y2 = other.boxes[valid].unbind(-1)
        unflipped = torch.stack([(width - 1) * 4 - x2, y1, (width - 1) * 4 - x1, y2], dim=1)
        assert_close(unflipped, one.boxes[valid], rtol=0, atol=1e-10)


@few_examples
@given(seed=SEEDS, options=OPTIONS)
def test_swapped_axes_give_swapped_boxes(seed, options):
    maps = toy.crowd(seed, shape=(2, 6, 9), density=1.0)
    there, back = HeatmapPropagator(**options), HeatmapPropagator(**options)
    for time in range(6):
        heatmap, offset, size, _ = toy.frame(maps, time)
        one = there(heatmap, offset, size).detections
        other = back(heatmap.mT, offset.flip(1).mT, size.flip(1).mT).detections
        assert torch.equal(one.cells, other.cells.flip(-1))
        assert_close(one.boxes, other.boxes[..., [1, 0, 3, 2]], rtol=0, atol=1e-10)


@few_examples
@given(seed=SEEDS, shape=SHAPES, options=OPTIONS)
def test_untouched_cells_keep_their_bits(seed, shape, options):
    maps, propagator = toy.crowd(seed, shape=shape, dtype=torch.float32), HeatmapPropagator(**options)
    state = propagator.initial_state(2)
    for time in range(6):
        squares = extend_score(state, shape, radius=options["radius"]) > 0
        heatmap, offset, size, _ = toy.frame(maps, time)
        state, output = propagator.step(state, heatmap, offset, size)
        assert torch.equal(output.heatmap[~squares], heatmap[~squares])


@few_examples
@given(
    seed=SEEDS,
    shape=SHAPES,
    options=OPTIONS,
    value=st.sampled_from([math.nan, math.inf, -math.inf]),
    at=st.integers(0, 5),
    rest=st.booleans(),
)
def test_a_broken_frame_acts_as_an_all_zero_one_then_and_ever_after(seed, shape, options, value, at, rest):
    maps = toy.crowd(seed, shape=shape, dtype=torch.float32)
    zero = HeadMaps(*(tensor.clone() for tensor in maps[:3]))
    broken = HeadMaps(*(tensor.clone() for tensor in maps[:3]))
    for tensor in zero[:3]:
        tensor[:, at] = 0
    broken.heatmap[:, at] = value
    if rest:  # else offset and size stay: a broken cell counts as offset 0, size 0
        broken.offset[:, at], broken.size[:, at] = value, value
    one, other = HeatmapPropagator(**options), HeatmapPropagator(**options)
    for time in range(6):
        assert_same_bits(toy.feed(one, toy.frame(broken, time)), toy.feed(other, toy.frame(zero, time)))


@few_examples
@given(seed=SEEDS, at=st.integers(0, 5))
def test_a_broken_frame_acts_as_an_all_zero_one_without_offset_and_size(seed, at):
    broken = toy.crowd(seed, dtype=torch.float32).heatmap
    zero = broken.clone()
    broken[:, at], zero[:, at] = math.nan, 0
    one, other = HeatmapPropagator(), HeatmapPropagator()
    for time in range(6):
        assert_same_bits(one(broken[:, time]), other(zero[:, time]))


@few_examples
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 12), st.integers(1, 12)),
    radius=st.integers(0, 6),
    place=st.floats(0, 0.999),
    score=st.floats(0.7, 1.0),
    kernel=st.sampled_from([None, 3]),
)
def test_an_object_keeps_its_cell_id_and_one_box_over_20_blank_frames(shape, radius, place, score, kernel):
    cell = torch.unravel_index(torch.tensor(int(place * math.prod(shape))), shape)
    heatmap = toy.spots(shape, {tuple(index.item() for index in cell): score}, dtype=torch.float32)
    propagator = HeatmapPropagator(radius=radius, peak_kernel=kernel)
    offset, size = toy.plane(heatmap, 0.25, 0.75), toy.plane(heatmap, 1.5, 0.5)
    first = propagator(heatmap, offset, size).detections
    for time in range(20):
        [found] = propagator(torch.zeros_like(heatmap), offset, size).detections.unpad()
        assert found["cells"].tolist() == first.cells[0, :1].tolist()
        assert found["labels"].tolist() == first.labels[0, :1].tolist()
        assert found["track_ids"].tolist() == [0]
        assert found["ages"].tolist() == [time + 2]
        assert found["carried"].tolist() == [True]
        assert_close(found["boxes"], first.boxes[0, :1], rtol=1e-5, atol=1e-5)


@few_examples
@given(shape=SHAPES, options=OPTIONS, frames=st.integers(1, 4))
def test_without_a_detection_nothing_happens(shape, options, frames):
    propagator, blank = HeatmapPropagator(**options), torch.zeros(2, *shape)
    for _ in range(frames):
        output = propagator(blank, toy.plane(blank, 0.5, 0.5), toy.plane(blank, 2.0, 2.0))
        assert torch.equal(output.heatmap, blank)
        assert not output.detections.valid.any()
        assert output.detections.scores.shape == (2, options["top_k"])


@few_examples
@given(shape=SHAPES, options=OPTIONS, value=st.sampled_from([0.25, 0.5, 1.0]))
def test_on_a_plateau_every_cell_stays_where_it_was(shape, options, value):
    """All cells are peaks at first; then each is the own cell of a square, and none can spread."""
    options["top_k"] = math.prod(shape)
    propagator, flat = HeatmapPropagator(**options), torch.full((1, *shape), value)
    arguments = flat, toy.plane(flat, 0.5, 0.5), toy.plane(flat, 0.5, 0.5)
    first = propagator(*arguments).detections
    assert first.valid.all()
    second = propagator(*arguments).detections
    cells = {(label, *cell) for label, cell in zip(first.labels[0].tolist(), first.cells[0].tolist(), strict=True)}
    kept = second.valid[0]
    again = zip(second.labels[0, kept].tolist(), second.cells[0, kept].tolist(), strict=True)
    assert {(label, *cell) for label, cell in again} <= cells
    assert kept.any()


@few_examples
@given(seed=SEEDS, options=OPTIONS, value=st.floats(0.125, 1.0, width=32))
def test_a_1_by_1_map_has_one_detection_at_its_only_cell(seed, options, value):
    propagator, heatmap = HeatmapPropagator(**options), torch.full((1, 1, 1, 1), value)
    for time in range(4):
        [found] = propagator(heatmap, size=toy.plane(heatmap, 1.0, 1.0)).detections.unpad()
        assert found["cells"].tolist() == [[0, 0]]
        assert found["ages"].tolist() == [time + 1]
        assert_close(found["scores"], heatmap.flatten(), rtol=0, atol=1e-6)


@few_examples
@given(seed=SEEDS, shape=st.tuples(st.integers(1, 2), st.integers(1, 3), st.integers(1, 3)), extra=st.integers(1, 200))
def test_more_places_than_cells_change_nothing_but_the_padding(seed, shape, extra):
    maps, cells = toy.crowd(seed, shape=shape, density=0.7, dtype=torch.float32), math.prod(shape)
    exact, wide = HeatmapPropagator(top_k=cells), HeatmapPropagator(top_k=cells + extra)
    for time in range(6):
        one, other = (toy.feed(propagator, toy.frame(maps, time)) for propagator in (exact, wide))
        assert other.detections.valid.shape == (2, cells + extra)
        assert not other.detections.valid[:, cells:].any()
        narrow, wider = tensors(one), tensors(other)
        for name, value in narrow.items():
            trimmed = wider[name] if name == "heatmap" else wider[name][:, :cells]
            assert torch.equal(value, trimmed), name
