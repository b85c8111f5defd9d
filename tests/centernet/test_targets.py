"""Targets against CenterNet's rule as loops, and what happens at every edge."""

import numpy as np
import pytest
import torch
from centernet_oracles import oracle_radius, oracle_targets
from devices import devices, on
from hypothesis import given
from hypothesis import strategies as st
from oracles import intersection_over_union
from torch.testing import assert_close

from heatprop.centernet import gaussian_radius, make_targets

RULES = ["original", "corrected"]


def batch_of(images, num_classes=3, shape=(12, 16), **options):
    """Targets of a list of lists of (box, label), and the oracle's, padded likewise."""
    most = max(len(image) for image in images)
    boxes, labels = np.full((len(images), most, 4), 7.0), np.zeros((len(images), most), int)
    valid = np.zeros((len(images), most), bool)
    for place, image in enumerate(images):
        for number, (box, label) in enumerate(image):
            boxes[place, number], labels[place, number], valid[place, number] = box, label, True
    tensors = torch.from_numpy(boxes), torch.from_numpy(labels), torch.from_numpy(valid)
    actual = make_targets(*tensors, num_classes=num_classes, shape=shape, **options)
    rule = options.pop("radius_rule", "original")
    each = [
        oracle_targets(*fields, num_classes, shape, rule=rule, **options)
        for fields in zip(boxes, labels, valid, strict=True)
    ]
    return actual, [np.stack(column) for column in zip(*each, strict=True)]


def assert_equal(actual, expected):
    for name, tensor, array in zip(actual._fields, actual, expected, strict=True):
        wanted = torch.from_numpy(array).to(tensor.dtype)
        assert_close(tensor, wanted.view(tensor.shape), atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name} {text}")


numbers = st.one_of(st.integers(-40, 100), st.floats(-40, 100, width=32))
objects = st.tuples(st.tuples(numbers, numbers, numbers, numbers), st.integers(0, 2))


@given(
    images=st.lists(st.lists(objects, max_size=5), min_size=1, max_size=3),
    rule=st.sampled_from(RULES),
    stride=st.sampled_from([1, 4, 3]),
    min_overlap=st.sampled_from([0.3, 0.7, 0.9]),
)
def test_targets_match_the_loop_oracle(images, rule, stride, min_overlap):
    assert_equal(*batch_of(images, radius_rule=rule, stride=stride, min_overlap=min_overlap))


@pytest.mark.parametrize("rule", RULES)
def test_targets_of_the_papers_size_match_the_loop_oracle(rule):
    rng = np.random.default_rng(0)
    corner, side = rng.uniform(-60, 512, (2, 20, 2)), rng.uniform(1, 300, (2, 20, 2))
    boxes = np.concatenate([corner, corner + side], axis=-1)
    images = [
        [(box, int(label)) for box, label in zip(*image, strict=True)]
        for image in zip(boxes, rng.integers(0, 30, (2, 20)), strict=True)
    ]
    assert_equal(*batch_of(images, 30, (128, 128), radius_rule=rule))


def test_float32_boxes_give_float32_targets_equal_to_the_float64_ones():
    rng = np.random.default_rng(1)
    corner = rng.integers(0, 1600, (4, 30, 2)) / 4  # exact in float32
    boxes = torch.from_numpy(np.concatenate([corner, corner + rng.integers(1, 800, (4, 30, 2)) / 4], axis=-1))
    labels, valid = torch.from_numpy(rng.integers(0, 5, (4, 30))), torch.ones(4, 30, dtype=torch.bool)
    wide, narrow = (make_targets(one, labels, valid, num_classes=5, shape=(96, 104)) for one in (boxes, boxes.float()))
    for name, one, other in zip(wide._fields, wide, narrow, strict=True):
        assert_close(one.to(other.dtype), other, atol=1e-6, rtol=0, msg=lambda text, name=name: f"{name} {text}")
    assert narrow.heatmap.dtype == narrow.offset.dtype == narrow.size.dtype == torch.float32
    assert torch.equal(wide.heatmap == 1, narrow.heatmap == 1)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_boxes_give_float32_targets(dtype):
    boxes = torch.tensor([[[8, 8, 32, 24]]], dtype=dtype)
    targets = make_targets(boxes, torch.zeros(1, 1).long(), torch.ones(1, 1).bool(), num_classes=1, shape=(16, 16))
    assert targets.heatmap.dtype == targets.size.dtype == torch.float32
    assert targets.size.tolist() == [[[6, 4]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("rule", RULES)
def test_radii_of_all_sizes_match_the_loop_oracle(rule, dtype):
    sides = torch.arange(1, 200, 3, dtype=dtype)
    sizes = torch.stack(torch.meshgrid(sides, sides, indexing="ij"), dim=-1)
    expected = [[oracle_radius(w, h, 0.7, rule) for h in sides.tolist()] for w in sides.tolist()]
    assert torch.equal(gaussian_radius(sizes, radius_rule=rule), torch.tensor(expected, dtype=dtype))


@given(w=st.integers(4, 120), h=st.integers(4, 120), min_overlap=st.sampled_from([0.5, 0.7, 0.9]))
def test_a_corrected_radius_is_the_last_that_keeps_the_overlap(w, h, min_overlap):
    """The three ways to be off, as boxes: what the equations were made for."""

    def worst(r):
        boxes = (r, r, w + r, h + r), (r, r, w - r, h - r), (-r, -r, w + r, h + r)
        return min(intersection_over_union((0, 0, w, h), box) if w > 2 * r and h > 2 * r else 0 for box in boxes)

    radius = gaussian_radius(
        torch.tensor([w, h], dtype=torch.float64), min_overlap=min_overlap, radius_rule="corrected"
    )
    assert worst(radius.item()) >= min_overlap - 1e-9
    assert worst(radius.item() + 1) < min_overlap + 1e-9


def test_original_radii_are_3_35_to_3_8_times_too_large():
    for w, h in [(1000, 1000), (1000, 2000), (1000, 5000)]:
        size = torch.tensor([w, h], dtype=torch.float64)
        original, corrected = (gaussian_radius(size, radius_rule=rule).item() for rule in RULES)
        assert 3.3 <= original / corrected <= 3.85


@given(images=st.lists(st.lists(objects, min_size=1, max_size=5), min_size=1, max_size=3))
def test_the_heatmap_is_1_at_the_valid_centres_and_nowhere_else(images):
    targets, _ = batch_of(images)
    ones = set()
    for image, place in targets.valid.nonzero().tolist():
        y, x = divmod(int(targets.index[image, place]), 16)
        ones.add((image, images[image][place][1], y, x))
    assert {tuple(cell) for cell in (targets.heatmap == 1).nonzero().tolist()} == ones
    assert 0 <= targets.heatmap.min() <= targets.heatmap.max() <= 1
    assert ((targets.offset >= 0) & (targets.offset < 1)).all()


def test_images_of_a_batch_are_apart():
    one, two = [((4, 4, 30, 30), 0)], [((20, 10, 50, 44), 2), ((0, 0, 9, 9), 0)]
    both, _ = batch_of([one, two])
    for place, image in enumerate([one, two]):
        alone, _ = batch_of([image])
        assert torch.equal(both.heatmap[place], alone.heatmap[0])
        assert torch.equal(both.size[place, : len(image)], alone.size[0])


@pytest.mark.parametrize("places", [0, 3])
def test_a_batch_of_background_has_empty_targets(places):
    boxes = torch.full((2, places, 4), float("nan"))
    labels = torch.full((2, places), -100)  # what padding holds does not matter
    valid = torch.zeros(2, places, dtype=torch.bool)
    targets = make_targets(boxes, labels, valid, num_classes=2, shape=(5, 6))
    assert targets.heatmap.shape == (2, 2, 5, 6)
    assert not any(field.any() for field in targets)


@pytest.mark.parametrize(
    "box",
    [
        (-30, 10, -2, 20),
        (10, 70, 20, 90),
        (61, 10, 63.9, 20),  # beyond the middle of the last column
        (20, 10, 20, 30),
        (30, 10, 20, 30),
        (10, float("nan"), 20, 30),
        (float("-inf"), 10, float("-inf"), 30),
    ],
)
def test_boxes_outside_of_the_picture_and_degenerate_ones_are_not_valid(box):
    targets, _ = batch_of([[(box, 1), ((8, 8, 24, 24), 1)]])
    only, _ = batch_of([[((8, 8, 24, 24), 1)]])
    assert targets.valid.tolist() == [[False, True]]
    assert torch.equal(targets.heatmap, only.heatmap)
    assert all(not field[0, 0].any() for field in targets[1:])


def test_an_infinite_box_fills_the_picture():
    whole, _ = batch_of([[((float("-inf"), float("-inf"), float("inf"), float("inf")), 0)]])
    assert whole.size.tolist() == [[[15, 11]]]
    assert whole.index.item() == 5 * 16 + 7


@devices
def test_targets_read_no_value_and_stay_on_the_device(device):
    with on(device):
        boxes, labels = torch.empty(2, 3, 4, device=device), torch.empty(2, 3, dtype=torch.int64, device=device)
        valid = torch.empty(2, 3, dtype=torch.bool, device=device)
        targets = make_targets(boxes, labels, valid, num_classes=4, shape=(8, 10))
        assert {field.device.type for field in targets} == {device}
        assert [tuple(field.shape) for field in targets] == [(2, 4, 8, 10), (2, 3), (2, 3, 2), (2, 3, 2), (2, 3)]


GOOD = {"num_classes": 2, "shape": (8, 8)}


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"boxes": [[0, 0, 1, 1]]}, TypeError, "boxes must be a torch.Tensor, got list"),
        ({"boxes": torch.zeros(1, 2, 4).int()}, TypeError, "boxes must hold floating point numbers, got torch.int32"),
        ({"boxes": torch.zeros(2, 4)}, ValueError, r"boxes must have shape \(B, N, 4\), got \(2, 4\)"),
        ({"labels": torch.zeros(1, 2)}, TypeError, "labels must be torch.int64, got torch.float32"),
        ({"labels": torch.zeros(2).long()}, ValueError, r"labels must have shape \(B, N\) = \(1, 2\), got \(2,\)"),
        ({"valid": torch.zeros(1, 2)}, TypeError, "valid must be torch.bool, got torch.float32"),
        ({"valid": torch.zeros(1, 2, device="meta").bool()}, ValueError, "valid is on meta, boxes on cpu"),
        ({"num_classes": 0}, ValueError, "num_classes must be at least 1, got 0"),
        ({"shape": (0, 8)}, ValueError, "height of the heatmap must be at least 1, got 0"),
        ({"stride": 0}, ValueError, "stride must be at least 1, got 0"),
        ({"min_overlap": 0}, ValueError, "min_overlap must be above 0, got 0"),
        ({"min_overlap": 2}, ValueError, "min_overlap must be between 0 and 1, got 2"),
        ({"radius_rule": "best"}, ValueError, "radius_rule must be 'original' or 'corrected', got 'best'"),
    ],
)
def test_targets_say_what_must_hold(change, error, message):
    arguments = {
        "boxes": torch.zeros(1, 2, 4),
        "labels": torch.zeros(1, 2).long(),
        "valid": torch.ones(1, 2).bool(),
        **GOOD,
        **change,
    }
    with pytest.raises(error, match=message):
        make_targets(**arguments)
