"""What a machine without a GPU can prove about one: no sync, no hard-coded device, one graph, every dtype."""

import pytest
import torch
import toy
from comparing import assert_close_outputs
from devices import DTYPES, devices, on
from torch.testing import assert_close

from heatprop import (
    HeatmapPropagator,
    balance,
    balance_size,
    decode_boxes,
    extend_length,
    extend_score,
    extend_size,
    find_peaks,
    nms,
    pairwise_iou,
    temporal_average,
    top_k,
    window_maximum,
)


def empty_maps(device, *, time=(), dtype=torch.float32):
    def make(channels):
        return torch.empty(2, *time, channels, 12, 10, device=device, dtype=dtype)

    return make(3), make(2), make(2), {"depth": make(1)}


def assert_all_on(device, output):
    fields = output.detections._asdict()
    extras = fields.pop("extras")
    for name, tensor in {"heatmap": output.heatmap, **fields, **extras}.items():
        assert tensor.device.type == device, name


# --- no sync, no hard-coded device ------------------------------------------------------------------------------------


@devices
@pytest.mark.parametrize("carry", ["balanced", "network"])
def test_the_module_reads_no_value_and_stays_on_the_device(device, carry):
    with on(device):
        heatmap, offset, size, extras = empty_maps(device)
        propagator, reset = HeatmapPropagator(carry=carry), torch.empty(2, dtype=torch.bool, device=device)
        propagator(heatmap, offset, size, extras=extras)
        output = propagator(heatmap, offset, size, extras=extras, reset=reset)
        assert_all_on(device, output)
        assert {tensor.device.type for tensor in propagator.state} == {device}
        assert output.size_map().device.type == device


@devices
def test_steady_reads_no_value_copies_none_from_the_host_and_stays_on_the_device(device, monkeypatch):
    """A tensor made from Python numbers is a copy that waits for a GPU; fake devices let it pass."""

    def refuse(*_, **__):
        raise AssertionError("a tensor is made from Python numbers")

    with on(device):
        heatmap, offset, size, extras = empty_maps(device)
        propagator = HeatmapPropagator.steady(evidence=True, max_unseen=3, max_length=9)
        shifts = [torch.empty(2, *form, device=device) for form in ((2,), (2, 3), (2, 12, 10))]
        propagator(heatmap, offset, size, extras=extras)
        for owner, name in ((torch, "tensor"), (torch, "as_tensor"), (torch.Tensor, "new_tensor")):
            monkeypatch.setattr(owner, name, refuse)
        for shift in shifts:
            output = propagator(heatmap, offset, size, extras=extras, shift=shift)
        assert_all_on(device, output)
        assert output.size_map().device.type == output.prior_score().device.type == device
        for shift in (None, *shifts[:2]):
            skipped = propagator.coast(2, shift=shift)
        assert {value.device.type for value in skipped if torch.is_tensor(value)} == {device}
        assert {tensor.device.type for tensor in propagator.state} == {device}


@devices
def test_points_read_no_value_and_stay_on_the_device(device):
    with on(device):
        propagator, heatmap = HeatmapPropagator(), empty_maps(device)[0]
        propagator(heatmap)
        assert_all_on(device, propagator(heatmap))


@devices
def test_step_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        propagator, (heatmap, offset, size, extras) = HeatmapPropagator(), empty_maps(device)
        state = propagator.initial_state(2, device=device)
        for _ in range(2):
            state, output = propagator.step(state, heatmap, offset, size, extras=extras)
        assert_all_on(device, output)
        assert {tensor.device.type for tensor in state} == {device}


@devices
def test_a_chunk_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        heatmap, offset, size, extras = empty_maps(device, time=(3,))
        reset = torch.empty(2, 3, dtype=torch.bool, device=device)
        output = HeatmapPropagator().forward_chunk(heatmap, offset, size, extras=extras, reset=reset)
        assert_all_on(device, output)
        assert output.size_map().shape == (2, 3, 3, 2, 12, 10)


@devices
def test_reset_with_a_mask_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        propagator, maps = HeatmapPropagator(), empty_maps(device)[:3]
        propagator(*maps)
        propagator.reset(torch.empty(2, dtype=torch.bool, device=device))
        assert {tensor.device.type for tensor in propagator.state} == {device}


@pytest.mark.parametrize("streams", [0, [0, 1]])
def test_reset_with_an_index_stays_on_the_device(streams):
    propagator, maps = HeatmapPropagator(), empty_maps("meta")[:3]
    propagator(*maps)
    propagator.reset(streams)
    assert {tensor.device.type for tensor in propagator.state} == {"meta"}


@devices
@pytest.mark.parametrize("dtype", DTYPES)
def test_dtypes_on_the_device_are_those_on_the_cpu(device, dtype):
    with on(device):
        propagator, maps = HeatmapPropagator(), empty_maps(device, dtype=dtype)[:3]
        propagator(*maps)
        actual = propagator(*maps)
    plain, maps = HeatmapPropagator(), [torch.zeros(tensor.shape, dtype=dtype) for tensor in maps]
    plain(*maps)
    expected = plain(*maps)
    assert actual.heatmap.dtype == expected.heatmap.dtype
    for name, tensor in expected.detections._asdict().items():
        if name != "extras":
            assert getattr(actual.detections, name).dtype == tensor.dtype, name
            assert getattr(actual.detections, name).shape == tensor.shape, name


@devices
def test_equations_peaks_and_boxes_read_no_value_and_stay_on_the_device(device):
    with on(device):
        heatmap, _, size, _ = empty_maps(device)
        state, shape = HeatmapPropagator().initial_state(2, device=device), (3, 12, 10)
        score, length = extend_score(state, shape), extend_length(state, shape)
        average = temporal_average(heatmap, score, length)
        scores, index = top_k(find_peaks(heatmap, kernel=5), 20)
        cells, sides = torch.stack([index, index], dim=-1), torch.stack([scores, scores], dim=-1)
        boxes = decode_boxes(cells, sides, sides)
        results = [
            balance(heatmap, average),
            balance_size(heatmap, size, score, extend_size(state, shape)),
            window_maximum(heatmap, kernel=5),
            pairwise_iou(boxes),
            nms(boxes, scores, index),
        ]
        assert {tensor.device.type for tensor in results} == {device}


# --- compiled ---------------------------------------------------------------------------------------------------------


def test_step_with_extras_a_motion_and_a_reset_mask_compiles_to_one_graph_and_equals_eager(backend):
    """Traced and functionalised, as inductor and the exporters start; inductor's own C++ takes a minute to build."""
    backend.other = "aot_eager"
    maps = toy.with_extras(toy.crowd(0, dtype=torch.float32), 0, nose=2, turn=2, look=3)
    remember = {"depth": ("blend", 1), "nose": ("points", 2), "turn": ("angle", 2), "look": ("last", 3)}
    propagator = HeatmapPropagator(top_k=20, carry="network", remember=remember)
    compiled = torch.compile(propagator.step, fullgraph=True, backend=backend)
    state = plain = propagator.initial_state(2)
    for time in range(6):
        heatmap, offset, size, extras = toy.frame(maps, time)
        more = {"extras": extras, "reset": torch.rand(2) < 0.3, "shift": torch.eye(2, 3) + 0.1 * torch.randn(2, 2, 3)}
        state, output = compiled(state, heatmap, offset, size, **more)
        plain, expected = propagator.step(plain, heatmap, offset, size, **more)
        assert_close_outputs(output, expected)
        assert_close(state.extras, plain.extras)
    assert backend.graphs == 1


def test_the_module_compiles_to_at_most_two_graphs_for_all_videos_and_equals_eager(backend):
    maps, propagator = toy.crowd(0, dtype=torch.float32), HeatmapPropagator.steady(top_k=20)
    plain = HeatmapPropagator.steady(top_k=20)
    compiled = torch.compile(propagator, fullgraph=True, backend=backend)
    for times in (range(4), range(2), range(2, 6)):
        propagator.reset()
        plain.reset()
        for time in times:
            frame, shift = toy.frame(maps, time), torch.randn(2, 2, 12, 10)
            assert_close_outputs(toy.feed(compiled, frame, shift=shift), toy.feed(plain, frame, shift=shift))
        assert all(torch.allclose(*pair) for pair in zip(propagator.state, plain.state, strict=True))
    assert 1 <= backend.graphs <= 2


def test_steady_with_a_shift_exports_and_equals_eager():
    """Traced as one graph and functionalised, too."""

    class Step(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.propagator = HeatmapPropagator.steady(top_k=20, remember={"depth": ("blend", 1), "turn": ("angle", 2)})

        def forward(self, state, heatmap, offset, size, extras, shift):
            state, output = self.propagator.step(state, heatmap, offset, size, extras=extras, shift=shift)
            return tuple(state), (output.detections.boxes, output.detections.extras)

    maps, step = toy.with_extras(toy.crowd(0, frames=3, dtype=torch.float32), 0, turn=2), Step()
    state = step.propagator.initial_state(2)
    program = torch.export.export(step, (state, *toy.frame(maps, 0), torch.randn(2, 2))).module()
    for time in range(3):
        arguments = (*toy.frame(maps, time), torch.randn(2, 2))
        exported, expected = program(state, *arguments), step(state, *arguments)
        assert_close(exported[1], expected[1])
        state = type(state)(*expected[0])


# --- numbers ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_low_precision_follows_float32_as_far_as_it_resolves(dtype):
    """One object whose score falls and rises: the balanced score errs by the heatmap's own rounding, not more."""
    narrow, wide = HeatmapPropagator(), HeatmapPropagator()
    for score in (0.9, 0.1, 0.4, 0.0, 0.0, 0.8):
        heatmap = toy.spots((1, 5, 5), {(0, 2, 2): score}, dtype=dtype)
        one = narrow(heatmap, size=toy.plane(heatmap, 2.0, 2.0)).detections
        other = wide(heatmap.float(), size=toy.plane(heatmap.float(), 2.0, 2.0)).detections
        assert torch.equal(one.cells, other.cells)
        assert_close(one.scores, other.scores, rtol=0, atol=3 * torch.finfo(dtype).eps)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_steady_on_low_precision_follows_float32_as_far_as_it_resolves(dtype):
    narrow, wide = HeatmapPropagator.steady(), HeatmapPropagator.steady()
    shift = torch.tensor([[0.25, 0.0]], dtype=dtype)
    for score in (0.9, 0.3, 0.4, 0.0, 0.8):
        heatmap = toy.spots((1, 7, 9), {(0, 3, 4): score}, dtype=dtype)
        one = narrow(heatmap, size=toy.plane(heatmap, 2.0, 2.0), shift=shift)
        other = wide(heatmap.float(), size=toy.plane(heatmap.float(), 2.0, 2.0), shift=shift.float())
        assert one.heatmap.dtype == dtype
        assert torch.equal(one.detections.cells, other.detections.cells)
        assert_close(one.detections.scores, other.detections.scores, rtol=0, atol=3 * torch.finfo(dtype).eps)
        assert narrow.state.position.dtype == torch.float32


def test_gradients_flow_through_the_geometric_average_of_two_frames():
    heatmaps = torch.rand(2, 1, 1, 5, 5, dtype=torch.float64) * 0.2 + 0.1
    heatmaps[:, 0, 0, 2, 2] = torch.tensor([0.9, 0.6], dtype=torch.float64)
    propagator = HeatmapPropagator(average="geometric", radius=1, top_k=3)

    def scores(first, second):
        state, _ = propagator.step(None, first, size=torch.ones(1, 2, 5, 5, dtype=torch.float64))
        return propagator.step(state, second, size=torch.ones(1, 2, 5, 5, dtype=torch.float64))[1].heatmap

    assert torch.autograd.gradcheck(scores, tuple(frame.clone().requires_grad_() for frame in heatmaps), fast_mode=True)


def test_gradients_of_empty_maps_are_finite():
    first, second = (torch.zeros(1, 1, 5, 5, requires_grad=True) for _ in range(2))
    propagator = HeatmapPropagator.steady()
    state, one = propagator.step(None, first, size=torch.ones(1, 2, 5, 5))
    _, two = propagator.step(state, second, size=torch.ones(1, 2, 5, 5))
    (one.heatmap.sum() + two.heatmap.sum() + two.detections.boxes.sum()).backward()
    assert first.grad.isfinite().all()
    assert second.grad.isfinite().all()


def test_maps_that_are_not_contiguous_give_the_same_bits():
    maps, plain, strided = toy.crowd(0, dtype=torch.float32), HeatmapPropagator(), HeatmapPropagator()
    for time in range(6):
        heatmap, offset, size, _ = toy.frame(maps, time)
        last = [tensor.permute(0, 2, 3, 1).contiguous().permute(0, 3, 1, 2) for tensor in (heatmap, offset, size)]
        one, other = plain(heatmap, offset, size), strided(*last)
        assert torch.equal(one.heatmap, other.heatmap)
        assert torch.equal(one.detections.boxes, other.detections.boxes)


def test_two_threads_give_the_same_bits_as_one():
    """Squares that overlap are written by several; the maps are large enough to be shared out among threads."""
    maps = toy.crowd(0, frames=3, shape=(20, 64, 64), density=0.02, dtype=torch.float32)
    threads, outputs = torch.get_num_threads(), []
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            outputs.append(HeatmapPropagator().forward_chunk(maps.heatmap, maps.offset, maps.size))
    finally:
        torch.set_num_threads(threads)
    one, two = outputs
    assert torch.equal(one.heatmap, two.heatmap)
    for name, tensor in one.detections._asdict().items():
        if name != "extras":
            assert torch.equal(tensor, getattr(two.detections, name)), name
