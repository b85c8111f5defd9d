"""`adapters.dense` against plain loops: levels, flat outputs, ties, what does not vote, devices, and refusals."""

import pickle

import dense_oracle
import numpy as np
import pytest
import torch
from devices import devices, on

from heatprop import HeatmapPropagator, adapters

STRIDES = (8, 16, 32)
WIDTH, HEIGHT = 96, 64


def make_levels(*, classes=3, bins=None, streams=2, extra=0, strides=STRIDES, mean=-2.0):
    levels = []
    for stride in strides:
        shape = (streams, classes + extra, HEIGHT // stride, WIDTH // stride)
        distances = 3 * torch.rand(streams, 4 * (bins or 1), *shape[2:], dtype=torch.float64)
        levels.append((2 * torch.randn(shape, dtype=torch.float64) + mean, distances))
    return levels


def flatten(levels):
    """(B, N, 4 + C), boxes first."""
    rows = [torch.cat([boxes, scores], dim=1).flatten(2).transpose(1, 2) for scores, boxes in levels]
    return torch.cat(rows, dim=1)


def expected_maps(levels, strides=STRIDES, *, grid=8, low=0.01, size=(WIDTH, HEIGHT), **options):
    classes = levels[0][0].shape[1] - options.get("objectness", False)
    cells = -(-size[1] // grid), -(-size[0] // grid)
    found = []
    for stream in range(len(levels[0][0])):
        one = [(scores[stream].numpy(), boxes[stream].numpy()) for scores, boxes in levels]
        places = dense_oracle.places_of(one, strides, **options)
        found.append(dense_oracle.vote(places, classes, cells, grid=grid, low=low))
    return [torch.from_numpy(np.stack(maps)) for maps in zip(*found, strict=True)]


def assert_maps(maps, expected, **tolerance):
    for name, field, wanted in zip(("heatmap", "offset", "size"), maps, expected, strict=False):
        torch.testing.assert_close(
            field, wanted.to(field.dtype), msg=lambda text, name=name: f"{name}: {text}", **tolerance
        )


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"unit": "pixels", "origin": 0.0},
        {"bins": 16},
        {"objectness": True},
        {"grid": 4, "low": 0.3},
        {"grid": 20, "low": 0.0},
        {"bins": 8, "objectness": True, "grid": 16, "origin": 0.0},
    ],
    ids=str,
)
def test_levels_match_the_loop_oracle(options):
    levels = make_levels(bins=options.get("bins"), extra=options.get("objectness", 0))
    maps = adapters.dense(STRIDES, **options)(levels)
    assert (maps.heatmap > 0).sum() > 20
    assert_maps(maps, expected_maps(levels, **options))


def test_scores_after_the_sigmoid_are_read_as_they_are():
    levels = [(scores.sigmoid(), boxes) for scores, boxes in make_levels()]
    assert_maps(adapters.dense(logits=False)(levels), expected_maps(levels, logits=False))


@pytest.mark.parametrize("boxes", ["xywh", "xyxy"])
@pytest.mark.parametrize("transposed", [False, True])
def test_one_tensor_of_boxes_in_pixels_matches_the_loop_oracle(boxes, transposed):
    levels = [(scores, 90 * numbers.abs()) for scores, numbers in make_levels()]
    if boxes == "xyxy":
        levels = [(scores, torch.cat([b[:, :2] / 3, b[:, :2] / 3 + b[:, 2:]], 1)) for scores, b in levels]
    raw = flatten(levels)
    maps = adapters.dense(boxes=boxes, input_size=(WIDTH, HEIGHT))(raw.transpose(1, 2) if transposed else raw)
    assert maps.heatmap.shape == (2, 3, 8, 12)
    assert_maps(maps, expected_maps(levels, boxes=boxes))


@pytest.mark.parametrize("options", [{}, {"bins": 4, "objectness": True}], ids=str)
def test_one_tensor_of_distances_equals_its_levels(options):
    levels = make_levels(bins=options.get("bins"), extra=options.get("objectness", 0))
    expected = adapters.dense(**options)(levels)
    for raw in (flatten(levels), flatten(levels).transpose(1, 2).numpy()):
        for ours, theirs in zip(
            adapters.dense(input_size=(WIDTH, HEIGHT), **options)(raw)[:3], expected[:3], strict=True
        ):
            torch.testing.assert_close(ours, theirs, rtol=1e-14, atol=0)  # vectors and their rests round apart


def test_places_of_an_unknown_number_lie_along_the_longer_side():
    raw = torch.rand(1, 50, 7)
    maps = [adapters.dense(boxes="xyxy", logits=False, input_size=8)(one) for one in (raw, raw.transpose(1, 2))]
    assert maps[0].heatmap.shape == (1, 3, 1, 1)
    assert torch.equal(*(one.heatmap for one in maps))


def test_equal_scores_go_to_the_finer_level_then_to_the_lower_index_in_any_order_of_the_levels():
    fine, coarse = torch.zeros(1, 1, 4, 4), torch.zeros(1, 1, 2, 2)
    fine_boxes, coarse_boxes = torch.zeros(1, 4, 4, 4), torch.zeros(1, 4, 2, 2)
    coarse[0, 0, 0, 0] = fine[0, 0, 0, 0] = fine[0, 0, 0, 1] = 0.5
    coarse_boxes[0, :, 0, 0] = torch.tensor([3.0, 3, 2.5, 2.5])  # centre (4, 4) pixels
    fine_boxes[0, :, 0, 0] = torch.ones(4)  # centre (4, 4)
    fine_boxes[0, :, 0, 1] = torch.tensor([3.0, 3, 1, 3])  # centre (4, 4)
    levels = [(fine, fine_boxes), (coarse, coarse_boxes)]
    for strides, raw in (((8, 16), levels), ((16, 8), levels[::-1])):
        assert adapters.dense(strides, logits=False)(raw).size[0, :, 0, 0].tolist() == [2.0, 2.0]
    fine[0, 0, 0, 0] = 0
    assert adapters.dense((8, 16), logits=False)(levels).size[0, :, 0, 0].tolist() == [4.0, 6.0]
    fine[0, 0, 0, 1] = 0
    assert adapters.dense((8, 16), logits=False)(levels).size[0, :, 0, 0].tolist() == [11.0, 11.0]


def test_a_box_on_the_line_between_cells_votes_for_the_higher_one_and_at_the_end_for_none():
    rows = [[8.0, 8, 2, 2, 0.9], [16, 8, 2, 2, 0.8], [0, -0.01, 2, 2, 0.7], [0, 0, 2, 2, 0.6], [0] * 5, [0] * 5]
    maps = adapters.dense(boxes="xywh", logits=False, input_size=16)(torch.tensor([rows]))
    assert maps.heatmap[0, 0].tolist() == [[torch.tensor(0.6).item(), 0], [0, torch.tensor(0.9).item()]]


def test_what_is_not_finite_or_turned_inside_out_does_not_vote():
    good = [12.0, 12, 4, 4, 0.5, 0.25, 0]
    nan, inf = float("nan"), float("inf")
    places = [[nan, 12, 4, 4], [12, inf, 4, 4], [12, 12, -1, 4], [12, 12, 4, inf]]
    bad = [[*place, 0.9, 0.9, 0.9] for place in places] + [[12, 12, 4, 4, nan, 0.9, 0.9]]
    maps = adapters.dense(boxes="xywh", logits=False, input_size=16)(torch.tensor([[*bad, good]]))
    assert maps.heatmap[0, :, 1, 1].tolist() == [0.5, 0.25, 0]
    assert maps.heatmap.sum() == 0.75
    assert maps.size[0, :, 1, 1].tolist() == [0.5, 0.5]
    assert all(field.isfinite().all() for field in maps[:3])


def test_a_frame_without_votes_is_empty():
    maps = adapters.dense()([(torch.full_like(scores, -9), boxes) for scores, boxes in make_levels()])
    assert not maps.heatmap.any()
    assert not maps.size.any()
    assert (maps.offset == 0.5).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_scores_keep_their_dtype_and_boxes_are_float32_at_least(dtype):
    levels = [(scores.to(dtype), boxes.to(dtype)) for scores, boxes in make_levels()]
    maps = adapters.dense()(levels)
    assert maps.heatmap.dtype == dtype
    assert maps.offset.dtype == maps.size.dtype == torch.promote_types(dtype, torch.float32)
    assert torch.equal(maps.heatmap.float().bool(), adapters.dense()(levels).heatmap.bool())


def test_numpy_arrays_and_inputs_stay_as_they_are():
    levels = make_levels()
    before = [(scores.clone(), boxes.clone()) for scores, boxes in levels]
    expected = adapters.dense()(levels)
    arrays = [(scores.numpy(), boxes.numpy()) for scores, boxes in levels]
    assert torch.equal(adapters.dense()(arrays).heatmap, expected.heatmap)
    assert all(torch.equal(*pair) for one in zip(levels, before, strict=True) for pair in zip(*one, strict=True))


def test_the_path_that_never_waits_gives_the_same_maps(monkeypatch):
    levels = make_levels(extra=1)
    adapter = adapters.dense(objectness=True, low=0.1)
    expected = adapter(levels)
    monkeypatch.setattr("heatprop.adapters.dense_heads.may_wait", lambda field: False)
    for ours, theirs in zip(adapter(levels)[:3], expected[:3], strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-12, rtol=0)


def test_it_compiles_to_one_graph():
    levels = [(scores.float(), boxes.float()) for scores, boxes in make_levels(bins=4)]
    adapter = adapters.dense(bins=4)
    compiled = torch.compile(adapter.__call__, backend="eager", fullgraph=True)
    assert_maps(compiled(levels)[:3], adapter(levels)[:3], atol=1e-6, rtol=1e-6)


@devices
def test_it_reads_no_value_and_stays_on_the_device(device):
    with on(device):
        levels = [
            (torch.empty(2, 3, 64 // s, 96 // s, device=device), torch.empty(2, 4, 64 // s, 96 // s, device=device))
            for s in STRIDES
        ]
        for maps in (
            adapters.dense()(levels),
            adapters.dense(boxes="xywh", input_size=(96, 64))(torch.empty(2, 7, 126, device=device)),
        ):
            assert maps.heatmap.shape == (2, 3, 8, 12)
            assert {field.device.type for field in maps[:3]} == {device}


def test_an_adapter_pickles_and_shows_its_options():
    adapter = adapters.dense(grid=4, bins=16)
    levels = make_levels(bins=16)
    assert torch.equal(pickle.loads(pickle.dumps(adapter))(levels).size, adapter(levels).size)
    assert "grid=4" in repr(adapter)
    assert "bins=16" in repr(adapter)


def test_one_object_on_two_levels_is_one_detection_that_outlives_a_blank_frame():
    def levels(score):
        found = []
        for stride, row, column in ((8, 3, 5), (16, 1, 2), (32, 0, 1)):
            scores = torch.full((1, 1, HEIGHT // stride, WIDTH // stride), 0.001)
            boxes = torch.zeros(1, 4, *scores.shape[2:])
            scores[0, 0, row, column] = score - stride / 1000
            x, y = (column + 0.5) * stride, (row + 0.5) * stride
            boxes[0, :, row, column] = torch.tensor([x - 20, y - 10, 60 - x, 44 - y]) / stride  # (20, 10, 60, 44)
            found.append((scores, boxes))
        return found

    propagator = HeatmapPropagator.steady(stride=8, peak_kernel=1, top_k=300)
    read = adapters.dense(logits=False)
    for score in (0.9, 0.9, 0.04):
        maps = read(levels(score))
        (found,) = propagator(*maps[:3]).detections.unpad()
        torch.testing.assert_close(found["boxes"], torch.tensor([[20.0, 10, 60, 44]]))
    assert found["carried"].tolist() == [True]
    assert found["scores"].item() > 0.5


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"strides": ()}, ValueError, "strides must name the stride of each level, got none"),
        ({"strides": 8}, TypeError, "strides must be a sequence of numbers"),
        ({"strides": (8, 0)}, ValueError, "each of strides must be finite and above 0"),
        ({"grid": 0}, ValueError, "grid must be finite and above 0 pixels, got 0"),
        ({"unit": "metres"}, ValueError, "unit must be one of 'cells', 'pixels', got 'metres'"),
        ({"boxes": "cxcywh"}, ValueError, "boxes must be one of 'ltrb', 'xywh', 'xyxy', got 'cxcywh'"),
        ({"origin": 2}, ValueError, "origin must be between 0 and 1, got 2"),
        ({"low": -0.1}, ValueError, "low must be between 0 and 1"),
        ({"bins": 1}, ValueError, "bins must be at least 2, got 1"),
        ({"bins": 16, "boxes": "xywh"}, ValueError, "only distances have bins"),
        ({"logits": 1}, TypeError, "logits must be True or False, got 1"),
        ({"objectness": None}, TypeError, "objectness must be True or False, got None"),
        ({"input_size": (640, 480, 3)}, TypeError, "input_size must be .width, height. in pixels"),
        ({"input_size": "640"}, TypeError, "input_size must be .width, height. in pixels"),
        ({"input_size": (640, 0)}, ValueError, "each side of input_size must be at least 1, got 0"),
    ],
)
def test_options_out_of_their_range_are_refused(options, error, message):
    with pytest.raises(error, match=message):
        adapters.dense(**options)


def level(classes, boxes, rows, columns, batch=1):
    return torch.zeros(batch, classes, rows, columns), torch.zeros(batch, boxes, rows, columns)


@pytest.mark.parametrize(
    ("options", "raw", "error", "message"),
    [
        ({}, {"a": 1}, TypeError, "expects 3 levels, one for each of strides .8, 16, 32., of .scores .B, C, h, w.*got"),
        ({}, [level(3, 4, 8, 8)], ValueError, "expects 3 levels"),
        ({"strides": (8, 16)}, [level(3, 4, 8, 8), level(2, 4, 4, 4)], ValueError, "got list of 2"),
        ({"strides": (8,)}, [level(3, 64, 8, 8)], ValueError, "boxes .B, 4, h, w"),
        ({"strides": (8,), "bins": 16}, [level(3, 4, 8, 8)], ValueError, "boxes .B, 64, h, w"),
        ({"strides": (8,), "objectness": True}, [level(1, 4, 8, 8)], ValueError, "scores .B, 1 . C, h, w"),
        ({"strides": (8,)}, [("a", "b")], TypeError, "got list of 1"),
        ({"strides": (16, 8)}, [level(3, 4, 8, 8), level(3, 4, 4, 4)], ValueError, "give strides in the order of the"),
        ({"strides": (8,), "input_size": (64, 96)}, [level(3, 4, 8, 12)], ValueError, "input_size as .width, height."),
        (
            {"strides": (8,)},
            [(torch.zeros(1, 3, 8, 8, dtype=torch.int64), torch.zeros(1, 4, 8, 8))],
            TypeError,
            "float",
        ),
        ({}, torch.zeros(1, 84, 8400), ValueError, "needs input_size to read one tensor .1, 84, 8400., got None"),
        ({"input_size": 640}, torch.zeros(1, 84, 100), ValueError, "N should be 8400, as input_size is .640, 640."),
        ({"input_size": 64, "boxes": "xywh"}, torch.zeros(1, 4, 84), ValueError, "one tensor .B, N, 4 . C."),
        ({"input_size": 64, "boxes": "xywh"}, torch.zeros(84, 7), ValueError, "one tensor .B, N, 4 . C."),
    ],
)
def test_outputs_that_do_not_fit_are_refused(options, raw, error, message):
    with pytest.raises(error, match=message):
        adapters.dense(**options)(raw)
