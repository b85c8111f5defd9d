"""What the network cannot say of a cell, the memory says: no finite score hides a box that cannot be read."""

import math

import pytest
import torch
from torch.testing import assert_close

from heatprop import HeadMaps, HeatmapPropagator, Tracklets, VideoDetector, two_pass

SHAPE = (1, 1, 12, 16)
CELL = (0, 0, 5, 7)


def frame(score=0.0):
    heatmap = torch.zeros(SHAPE)
    heatmap[CELL] = score
    return heatmap, torch.full((1, 2, 12, 16), 0.5), torch.full((1, 2, 12, 16), 4.0)


BROKEN = [
    (head, channel, value)
    for head in ("offset", "size")
    for channel in (0, 1)
    for value in (math.nan, math.inf, -math.inf, 3e38, -3e38)
] + [("size", 0, -1.0), ("size", 1, -0.25)]


def broken_frame(head, channel, value, *, score=0.9):
    heatmap, offset, size = frame(score)
    {"offset": offset, "size": size}[head][0, channel, 5, 7] = value
    return heatmap, offset, size


@pytest.mark.parametrize("options", [{}, {"carry": "network"}, "steady"], ids=str)
@pytest.mark.parametrize(("head", "channel", "value"), BROKEN)
def test_a_cell_whose_box_cannot_be_read_is_bridged_by_the_memory(head, channel, value, options):
    make = HeatmapPropagator.steady if options == "steady" else lambda: HeatmapPropagator(**options)
    broken, blank = make(), make()
    for propagator in (broken, blank):
        for _ in range(3):
            propagator(*frame(0.9))
    found = broken(*broken_frame(head, channel, value)).detections
    expected = blank(*(torch.zeros_like(field) for field in frame())).detections
    assert found.carried[0, 0]
    assert found.network_scores[0, 0] == 0
    assert_close(found, expected, rtol=0, atol=0)
    assert_close(broken.state, blank.state, rtol=0, atol=0)


@pytest.mark.parametrize(("head", "channel", "value"), BROKEN)
def test_the_returned_heatmap_is_0_where_the_box_cannot_be_read(head, channel, value):
    heatmap, offset, size = broken_frame(head, channel, value)
    heatmap[0, 0, 1, 1] = 0.3
    returned = HeatmapPropagator()(heatmap, offset, size).heatmap
    expected = torch.zeros(SHAPE)
    expected[0, 0, 1, 1] = 0.3
    assert torch.equal(returned, expected)


def test_the_dense_size_is_the_pasts_where_the_box_cannot_be_read():
    propagator = HeatmapPropagator()
    propagator(*frame(0.9))
    heatmap, offset, size = broken_frame("offset", 0, math.nan)
    size[0, :, 5, 7] = 9.0
    assert propagator(heatmap, offset, size).size_map()[0, 0, :, 5, 7].tolist() == [4.0, 4.0]


def test_two_passes_bridge_it_too():
    frames = [HeadMaps(*frame(0.9)), HeadMaps(*broken_frame("size", 0, math.inf)), HeadMaps(*frame(0.9))]
    found = [one.unpad()[0] for one in two_pass(frames, HeatmapPropagator())]
    assert [len(one["boxes"]) for one in found] == [1, 1, 1]
    assert found[1]["carried"].tolist() == [True]


def test_float16_sizes_that_overflow_are_bridged():
    propagator = HeatmapPropagator()
    propagator(*(field.half() for field in frame(0.9)))
    heatmap, offset, size = (field.half() for field in frame(0.9))
    size[0, :, 5, 7] = torch.tensor(12.0).exp().half()  # 162,755 does not fit
    assert size[0, 0, 5, 7].isinf()
    assert propagator(heatmap, offset, size).detections.carried[0, 0]


@pytest.mark.parametrize(("score", "counts"), [(1e30, 1.0), (9.69, 1.0), (-0.5, 0.0), (-1e30, 0.0)])
def test_scores_outside_0_to_1_are_clamped(score, counts):
    output = HeatmapPropagator(score_threshold=0.0)(*frame(score))
    assert output.heatmap[CELL] == counts
    assert output.detections.scores.max() == counts
    assert output.detections.network_scores.max() == counts


def test_scores_in_range_keep_their_bits():
    heatmap = torch.rand(SHAPE)
    heatmap[0, 0, 0, :4] = torch.tensor([0.0, 1.0, 1e-45, 1 - 2**-24])
    returned = HeatmapPropagator()(heatmap, torch.rand(1, 2, 12, 16), torch.rand(1, 2, 12, 16)).heatmap
    assert torch.equal(returned, heatmap)


def test_extras_of_a_carried_detection_are_0():
    propagator, extras = HeatmapPropagator(), {"depth": torch.full(SHAPE, 7.0)}
    seen = propagator(*frame(0.9), extras=extras).detections
    lost = propagator(*frame(0.01), extras=extras).detections
    assert seen.extras["depth"][0, 0].item() == 7
    assert lost.carried[0, 0]
    assert lost.extras["depth"][0, 0].item() == 0


# --- state ------------------------------------------------------------------------------------------------------------


def state(**changes):
    propagator = HeatmapPropagator(top_k=3)
    propagator(*frame(0.9))
    return propagator.state._replace(**changes)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"score": torch.full((1, 3), math.nan)}, "state.score must be finite"),
        ({"score": torch.full((1, 3), 1.5)}, r"state.score must be in \[0, 1\]"),
        ({"size": torch.full((1, 3, 2), math.inf)}, "state.size must be finite"),
        ({"size": torch.full((1, 3, 2), -1.0)}, "state.size must be at least 0"),
        ({"x": torch.full((1, 3), -4)}, "state.x must be at least 0"),
        ({"y": torch.zeros(1, 2, dtype=torch.int64)}, r"state.y must have shape \(1, 3\)"),
        ({"next_id": torch.zeros(3, dtype=torch.int64)}, r"state.next_id must have shape \(1,\)"),
        ({"valid": torch.ones(1, 3)}, "state.valid must be a bool tensor"),
        ({"label": torch.zeros(1, 3)}, "state.label must hold whole numbers"),
        ({"score": torch.zeros(1, 3, dtype=torch.int64)}, "state.score must hold floating point"),
        ({"score": "high"}, "state.score must be a torch.Tensor"),
        ({"position": torch.zeros(1, 3, 2, device="meta")}, "state.position is on meta"),
    ],
)
def test_a_state_that_no_propagator_leaves_is_refused_and_changes_nothing(changes, message):
    propagator = HeatmapPropagator(top_k=3)
    propagator(*frame(0.9))
    before = propagator.state
    with pytest.raises((TypeError, ValueError), match=message):
        propagator.state = state(**changes)
    assert all(one is other for one, other in zip(propagator.state, before, strict=True))


def test_a_state_that_is_set_is_a_copy():
    propagator, given = HeatmapPropagator(top_k=3), state()
    propagator.state = given
    given.score.fill_(0.1)
    assert propagator.state.score[0, 0] == 0.9


def test_step_reads_nothing_outside_a_smaller_map():
    large = HeatmapPropagator(top_k=3)
    heatmap = torch.zeros(1, 2, 64, 64)
    heatmap[0, 1, 60, 61] = 0.9
    large(heatmap, size=torch.full((1, 2, 64, 64), 4.0))
    small = torch.zeros(1, 1, 16, 16)
    _, output = large.step(large.state, small, size=torch.full((1, 2, 16, 16), 4.0))
    assert output.heatmap.shape == small.shape


def test_the_first_nine_fields_make_a_state():
    propagator, whole = HeatmapPropagator(top_k=3), state()
    propagator.state = Tracklets(*whole[:9])
    assert propagator(*frame(0.0)).detections.carried[0, 0]


def test_a_call_that_finds_the_memory_changed_by_another_thread_says_so(monkeypatch):
    import heatprop.propagator as module

    propagator = HeatmapPropagator()
    propagator(*frame(0.9))
    real = module.predict

    def meanwhile(*arguments, **options):
        monkeypatch.setattr(module, "predict", real)
        propagator(*frame(0.5))  # what another thread does between reading and writing
        return real(*arguments, **options)

    monkeypatch.setattr(module, "predict", meanwhile)
    with pytest.raises(RuntimeError, match="another thread"):
        propagator(*frame(0.7))


@pytest.mark.parametrize(
    ("maps", "message"),
    [
        ((torch.zeros(SHAPE).to(torch.float8_e4m3fn),), "heatmap must hold floating point numbers of 16 to 64 bits"),
        ((torch.zeros(SHAPE).to_sparse(),), "heatmap must be a dense tensor"),
        ((torch.zeros(SHAPE, dtype=torch.complex64),), "heatmap must hold floating point"),
        ((torch.zeros(SHAPE), torch.zeros(1, 2, 12, 16).to_sparse()), "offset must be a dense tensor"),
    ],
)
def test_maps_of_a_kind_that_the_core_cannot_read_are_refused(maps, message):
    with pytest.raises(TypeError, match=message):
        HeatmapPropagator()(*maps)


@pytest.mark.parametrize("chunk", [False, True])
def test_an_extra_that_is_none_is_refused(chunk):
    heatmap = torch.zeros(1, *SHAPE) if chunk else torch.zeros(SHAPE)
    call = HeatmapPropagator().forward_chunk if chunk else HeatmapPropagator()
    with pytest.raises(TypeError, match=r"extras\['a'\] must be a torch.Tensor, got NoneType"):
        call(heatmap, extras={"a": None})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("radius", 1_000_000),
        ("top_k", 100_000_000),
        ("max_length", 2**40),
        ("max_radius", 10**6),
        ("peak_kernel", 10**7 + 1),
    ],
)
def test_absurd_options_are_refused(option, value):
    with pytest.raises(ValueError, match=f"{option} must be at most"):
        HeatmapPropagator(**{option: value})


# --- a refused chunk --------------------------------------------------------------------------------------------------


def test_a_refused_chunk_with_skipped_frames_changes_nothing():
    def detector(frames):
        scores = frames[:, :1, ::4, ::4]
        return HeadMaps(scores, None, torch.full((len(frames), 2, *scores.shape[2:]), 4.0))

    frames = torch.zeros(1, 3, 3, 48, 64)
    frames[:, :, :, 20, 28] = 0.9
    video = VideoDetector(detector, adapter=lambda maps: maps, every=2)
    video(frames[:, 0])
    before = video.state
    wrong = torch.zeros(1, 3, 2, 99, 99)  # a flow for maps of another size; frame 1 coasts, frame 2 refuses it
    with pytest.raises(ValueError, match="shift must have shape"):
        video(frames, shift=wrong)
    assert_close(video.state, before, rtol=0, atol=0)
    again = video(frames[:, 1])
    assert again.carried[0, 0], "the turn of the detector did not advance either"


def test_a_detector_that_breaks_in_a_chunk_leaves_the_memory_as_it_was():
    calls = []

    def detector(frames):
        calls.append(len(frames))
        side = 12 if len(calls) < 2 else 13  # maps of another size, which the propagator refuses
        return HeadMaps(torch.zeros(len(frames), 1, side, 16), None, None)

    video = VideoDetector(detector, adapter=lambda maps: maps, every=2)
    video(torch.zeros(1, 3, 48, 64))
    before = video.state
    with pytest.raises(ValueError, match="changed shape"):
        video(torch.zeros(1, 2, 3, 48, 64))  # frame 0 coasts, frame 1 is looked at
    assert_close(video.state, before, rtol=0, atol=0)


def test_scores_after_a_second_sigmoid_are_said_once_a_video(caplog):
    video = VideoDetector(lambda frames: {"hm": torch.rand(1, 1, 12, 16), "wh": torch.ones(1, 2, 12, 16)})
    for _ in range(3):
        video(torch.zeros(1, 3, 48, 64))
    assert [record.message for record in caplog.records if "second sigmoid" in record.message] != []
    assert len(caplog.records) == 1
    video.reset()
    video(torch.zeros(1, 3, 48, 64))
    assert len(caplog.records) == 2
