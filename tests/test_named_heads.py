"""Dense heads by name against what each detector's own code does, written down again as plain float64 numpy."""

import dense_oracle
import numpy as np
import pytest
import torch

from heatprop import adapters

WIDTH, HEIGHT, CLASSES = 128, 64, 3


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def softmax_mean(bins):
    """Mean of 0, 1, 2, ... weighted by the softmax over the last axis."""
    weights = np.exp(bins - bins.max(-1, keepdims=True))
    return (weights * np.arange(bins.shape[-1])).sum(-1) / weights.sum(-1)


def random_maps(channels, strides, *, shift=0.0):
    return [torch.randn(2, channels, -(-HEIGHT // s), -(-WIDTH // s), dtype=torch.float64) * 2 + shift for s in strides]


def cells_of(level, stride, origin):
    """Column and row of every cell, in pixels, row after row."""
    rows, columns = level.shape[-2:]
    y, x = np.meshgrid(np.arange(rows) + origin, np.arange(columns) + origin, indexing="ij")
    return x.ravel() * stride, y.ravel() * stride


def around(x, y, sides):
    """`distance2bbox`: left, top, right and bottom, (n, 4)."""
    return np.stack([x - sides[:, 0], y - sides[:, 1], x + sides[:, 2], y + sides[:, 3]], axis=1)


def rows_of(level):
    """(channels, h, w) -> (h * w, channels)."""
    return level.reshape(len(level), -1).T


def assert_votes(maps, decoded, *, size=(WIDTH, HEIGHT), grid=8):
    """Compare with the votes of boxes (x1, y1, x2, y2) and scores of each stream."""
    cells = -(-size[1] // grid), -(-size[0] // grid)
    found = [
        dense_oracle.vote(zip(scores.tolist(), map(tuple, boxes), strict=True), CLASSES, cells, grid=grid)
        for boxes, scores in decoded
    ]
    for name, field, wanted in zip(("heatmap", "offset", "size"), maps, zip(*found, strict=True), strict=False):
        np.testing.assert_allclose(field.numpy(), np.stack(wanted), rtol=1e-9, atol=1e-9, err_msg=name)
    assert (maps.heatmap > 0).sum() > 20


# --- ultralytics: Detect.inference -----------------------------------------------------------------------------------


def decode_ultralytics(levels, strides):
    """`make_anchors` (offset 0.5), `DFL`, `dist2bbox(xywh=True) * strides`, `cls.sigmoid()`: (4 + C, N)."""
    columns = []
    for level, stride in zip(levels, strides, strict=True):
        rows = rows_of(level)
        left, top, right, bottom = softmax_mean(rows[:, :64].reshape(-1, 4, 16)).T
        x, y = (c / stride for c in cells_of(level, stride, 0.5))
        x1, y1, x2, y2 = x - left, y - top, x + right, y + bottom
        box = np.stack([(x1 + x2) / 2, (y1 + y2) / 2, x2 - x1, y2 - y1], axis=1) * stride
        columns.append(np.concatenate([box, sigmoid(rows[:, 64:])], axis=1))
    return np.concatenate(columns).T


def corners_of(exported):
    x, y, w, h = exported[:4]
    return np.stack([x - w / 2, y - h / 2, x + w / 2, y + h / 2], axis=1)


def test_yolo_reads_the_levels_of_ultralytics_head_and_what_it_exports():
    strides = (8, 16, 32)
    levels = random_maps(64 + CLASSES, strides)
    exported = np.stack([decode_ultralytics([level[b].numpy() for level in levels], strides) for b in range(2)])
    decoded = [(corners_of(one), one[4:].T) for one in exported]
    assert_votes(adapters.yolo()(levels), decoded)
    size = (WIDTH, HEIGHT)
    assert_votes(adapters.yolo(input_size=size)(exported), decoded)
    assert_votes(adapters.yolo(input_size=size)((torch.from_numpy(exported), levels)), decoded)  # as evaluated
    assert_votes(adapters.yolo(input_size=size)([exported]), decoded)  # as ONNX Runtime gives it


# --- YOLOX: YOLOXHead.forward and decode_outputs ---------------------------------------------------------------------


@pytest.mark.parametrize("decoded", [True, False])
def test_yolox_multiplies_by_objectness_and_decodes_as_its_own_code(decoded):
    strides, raw, boxes = (8, 16, 32), [], []
    for level, stride in zip(random_maps(5 + CLASSES, strides), strides, strict=True):
        rows = np.stack([rows_of(one.numpy()) for one in level])
        rows[:, :, 4:] = sigmoid(rows[:, :, 4:])
        x, y = cells_of(level, stride, 0.0)
        centre = rows[:, :, :2] * stride + np.stack([x, y], axis=1)
        raw.append(rows)
        boxes.append(np.concatenate([centre, np.exp(rows[:, :, 2:4]) * stride, rows[:, :, 4:]], axis=2))
    outputs = np.concatenate(boxes, axis=1)  # (B, N, 5 + C), as the evaluated network returns it
    expected = [(corners_of(one.T), one[:, 5:] * one[:, 4:5]) for one in outputs]
    given = outputs if decoded else np.concatenate(raw, axis=1)
    assert_votes(adapters.yolox(decoded=decoded, input_size=(WIDTH, HEIGHT))(given), expected)
    assert_votes(adapters.yolox(decoded=decoded, input_size=(WIDTH, HEIGHT))([given]), expected)


# --- NanoDet: get_bboxes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("plus", [True, False])
def test_nanodet_reads_one_tensor_levels_or_two_lists(plus):
    """`distribution_project(reg) * stride` from `center_priors`: corners in Plus, middles before."""
    strides, origin = ((8, 16, 32, 64), 0.0) if plus else ((8, 16, 32), 0.5)
    levels = random_maps(CLASSES + 32, strides)
    decoded = []
    for b in range(2):
        boxes, scores = [], []
        for level, stride in zip(levels, strides, strict=True):
            rows = rows_of(level[b].numpy())
            sides = softmax_mean(rows[:, CLASSES:].reshape(-1, 4, 8)) * stride
            boxes.append(around(*cells_of(level, stride, origin), sides))
            scores.append(sigmoid(rows[:, :CLASSES]))
        decoded.append((np.concatenate(boxes), np.concatenate(scores)))
    flat = torch.cat([level.flatten(2).transpose(1, 2) for level in levels], dim=1)  # what its forward returns
    size = (WIDTH, HEIGHT)
    assert_votes(adapters.nanodet(plus=plus, logits=True)(levels), decoded)
    assert_votes(adapters.nanodet(plus=plus, logits=True, input_size=size)(flat), decoded)
    lists = [level[:, :CLASSES] for level in levels], [level[:, CLASSES:] for level in levels]
    assert_votes(adapters.nanodet(plus=plus, logits=True)(lists), decoded)
    flat[:, :, :CLASSES] = flat[:, :, :CLASSES].sigmoid()  # what it exports
    assert_votes(adapters.nanodet(plus=plus, input_size=size)([flat.numpy()]), decoded)


# --- mmdetection: predict_by_feat of FCOSHead and RTMDetHead ---------------------------------------------------------


def test_fcos_multiplies_by_centerness_and_measures_pixels_from_the_middle():
    strides = (8, 16, 32, 64, 128)
    scores, centerness = random_maps(CLASSES, strides), random_maps(1, strides, shift=2.0)
    boxes = [
        4 * stride * torch.rand_like(level[:, :1].expand(-1, 4, -1, -1))
        for level, stride in zip(scores, strides, strict=True)
    ]
    decoded = []
    for b in range(2):
        parts = [
            (
                around(*cells_of(box, s, 0.5), rows_of(box[b].numpy())),
                sigmoid(rows_of(score[b].numpy())) * sigmoid(rows_of(center[b].numpy())),
            )
            for score, box, center, s in zip(scores, boxes, centerness, strides, strict=True)
        ]
        decoded.append(tuple(np.concatenate(part) for part in zip(*parts, strict=True)))
    assert_votes(adapters.fcos()((scores, boxes, centerness)), decoded)
    assert_votes(adapters.fcos()([level.numpy() for level in (*scores, *boxes, *centerness)]), decoded)


def test_rtmdet_measures_pixels_from_the_corner():
    strides = (8, 16, 32)
    scores = random_maps(CLASSES, strides)
    boxes = [
        4 * stride * torch.rand_like(level[:, :1].expand(-1, 4, -1, -1))
        for level, stride in zip(scores, strides, strict=True)
    ]
    decoded = []
    for b in range(2):
        parts = [
            (around(*cells_of(box, s, 0.0), rows_of(box[b].numpy())), sigmoid(rows_of(score[b].numpy())))
            for score, box, s in zip(scores, boxes, strides, strict=True)
        ]
        decoded.append(tuple(np.concatenate(part) for part in zip(*parts, strict=True)))
    assert_votes(adapters.rtmdet()((scores, boxes)), decoded)
    assert_votes(adapters.rtmdet()([level.numpy() for level in (*scores, *boxes)]), decoded)


@pytest.mark.parametrize(
    ("make", "raw", "message"),
    [
        (
            lambda: adapters.yolo(),
            [torch.zeros(1, 64, 8, 8)] * 3,
            "yolo expects levels .B, 64 . C, h, w., got list of 3",
        ),
        (lambda: adapters.yolo(), torch.zeros(1, 7, 84), "needs input_size"),
        (lambda: adapters.yolox(), torch.zeros(1, 84, 8), "needs input_size"),
        (lambda: adapters.yolox(decoded=False, input_size=64), torch.zeros(1, 80, 8), "yolox expects .B, 84, 5 . C."),
        (lambda: adapters.nanodet(), [torch.zeros(1, 3, 8, 8)] * 4, "nanodet expects levels .B, 32 . C, h, w."),
        (
            lambda: adapters.fcos(),
            [torch.zeros(1, 3, 8, 8)] * 4,
            "fcos expects 3 lists .scores, boxes, centerness. of 5",
        ),
        (
            lambda: adapters.rtmdet(),
            {"a": 1},
            "rtmdet expects 2 lists .scores, boxes. of 3 levels each, got {'a': int}",
        ),
    ],
)
def test_outputs_of_another_head_are_refused(make, raw, message):
    with pytest.raises(ValueError, match=message):
        make()(raw)


@pytest.mark.parametrize("options", [{"make": adapters.yolox, "decoded": 1}, {"make": adapters.nanodet, "plus": "no"}])
def test_flags_must_be_flags(options):
    make = options.pop("make")
    with pytest.raises(TypeError, match="must be True or False, got"):
        make(**options)
