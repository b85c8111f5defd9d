"""NMS against torchvision's, class by class on float64 boxes."""

import pytest
import torch
import torchvision

from heatprop import nms


def by_torchvision(boxes, scores, labels, threshold):
    kept = torch.zeros_like(labels, dtype=torch.bool)
    for stream in range(len(boxes)):
        for label in labels[stream].unique():
            place = (labels[stream] == label).nonzero()[:, 0]
            stays = torchvision.ops.nms(boxes[stream, place], scores[stream, place], threshold)
            kept[stream, place[stays]] = True
    return kept


def boxes_from(corner, side):
    return torch.cat([corner, corner + side], dim=-1)


def random_boxes(batch=4, places=100, spread=20.0):
    corner, side = torch.rand(2, batch, places, 2).double() * spread
    return boxes_from(corner, side / 2)


def assert_equal(boxes, scores, labels, threshold=0.3):
    actual = nms(boxes, scores, labels, iou_threshold=threshold)
    assert torch.equal(actual, by_torchvision(boxes, scores, labels, threshold))


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.7, 1.0])
@pytest.mark.parametrize("classes", [1, 2, 80])
def test_nms_equals_torchvision_on_random_boxes(classes, threshold):
    for _ in range(3):
        boxes = random_boxes()
        assert_equal(boxes, torch.rand(4, 100).double(), torch.randint(0, classes, (4, 100)), threshold)


@pytest.mark.parametrize("threshold", [0.1, 0.2, 0.25, 0.3, 1 / 3, 0.5, 0.6])
def test_nms_equals_torchvision_where_overlaps_tie_with_the_threshold(threshold):
    corner, side = torch.randint(0, 12, (8, 100, 2)).double(), torch.randint(1, 11, (8, 100, 2)).double()
    scores = torch.randint(1, 9, (8, 100)).double() / 8
    assert_equal(boxes_from(corner, side), scores, torch.randint(0, 2, (8, 100)), threshold)


@pytest.mark.parametrize("falling", [True, False])
def test_nms_equals_torchvision_on_chains_of_100(falling):
    left = torch.arange(100).double()[None, :, None] * torch.tensor([3.0, 0.0]).double()
    scores = torch.linspace(0.1, 1, 100).double()[None]
    assert_equal(boxes_from(left, 10.0), scores.flip(1) if falling else scores, torch.zeros(1, 100).long())


def test_nms_equals_torchvision_on_a_chain_in_random_order():
    left = torch.arange(100).double()[None, :, None] * torch.tensor([3.0, 0.0]).double()
    scores = torch.randperm(100).double()[None] / 100
    assert_equal(boxes_from(left, 10.0), scores, torch.zeros(1, 100).long())


def test_nms_equals_torchvision_on_boxes_without_area():
    corner = torch.randint(0, 4, (4, 100, 2)).double()
    side = torch.randint(0, 2, (4, 100, 2)).double()
    assert_equal(boxes_from(corner, side), torch.rand(4, 100).double(), torch.randint(0, 3, (4, 100)))


def test_nms_equals_torchvision_on_identical_boxes_of_equal_score():
    boxes = torch.tensor([3.0, 4, 9, 8]).double().repeat(1, 100, 1)
    assert_equal(boxes, torch.full((1, 100), 0.5).double(), torch.arange(100)[None] % 80)


@pytest.mark.parametrize("shift", [1e4, 1e6, 1e9])
def test_nms_equals_torchvision_at_huge_coordinates(shift):
    assert_equal(random_boxes() + shift, torch.rand(4, 100).double(), torch.randint(0, 80, (4, 100)))
