"""Per-class NMS and its three branches."""

from importlib import import_module

import numpy as np
import oracles
import pytest
import torch
import toy
from devices import devices, on

from heatprop import (
    nms,
)

PLACES = 100


MODULE = import_module(nms.__module__)
BRANCHES = [MODULE.suppress_eager, MODULE.suppress_unrolled, MODULE.suppress_while]


def assert_nms_equals_the_oracle(boxes, scores, labels, valid=None, **options):
    kept = nms(boxes, scores, labels, valid, **options)
    assert kept.shape == scores.shape
    assert kept.dtype == torch.bool
    for stream in range(len(boxes)):
        stays = torch.ones_like(kept[stream]) if valid is None else valid[stream]
        place = stays.nonzero()[:, 0]
        arguments = (value[stream, place].double().numpy() for value in (boxes, scores, labels))
        expected = torch.zeros_like(kept[stream])
        expected[place] = torch.tensor(oracles.nms(*arguments, options.get("iou_threshold", 0.3)), dtype=torch.bool)
        assert kept[stream].tolist() == expected.tolist()


@pytest.mark.parametrize("threshold", [0.0, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("classes", [1, 3, 80])
def test_nms_equals_the_loop_oracle_on_crowds(classes, threshold):
    boxes, scores = toy.random_boxes(1, batch=2, places=60), torch.rand(2, 60, dtype=torch.float64)
    assert_nms_equals_the_oracle(boxes, scores, torch.randint(0, classes, (2, 60)), iou_threshold=threshold)


@pytest.mark.parametrize("seed", range(5))
def test_nms_equals_the_loop_oracle_where_scores_and_overlaps_tie(seed):
    boxes = toy.random_boxes(seed, batch=2, places=60, spread=6.0, grid=1.0)
    scores = torch.randint(1, 5, (2, 60)).double() / 8
    assert_nms_equals_the_oracle(boxes, scores, torch.randint(0, 2, (2, 60)))


def test_nms_equals_the_loop_oracle_in_float32_on_a_grid():
    boxes = toy.random_boxes(7, batch=2, places=60, grid=0.5).float()
    assert_nms_equals_the_oracle(boxes, torch.rand(2, 60), torch.randint(0, 2, (2, 60)), iou_threshold=0.5)


def test_nms_ignores_places_that_are_not_valid():
    boxes, scores = toy.random_boxes(2, batch=2, places=60), torch.rand(2, 60, dtype=torch.float64)
    assert_nms_equals_the_oracle(boxes, scores, torch.randint(0, 2, (2, 60)), torch.rand(2, 60) < 0.5)


def test_a_place_that_is_not_valid_suppresses_nobody():
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 4]]])
    kept = nms(boxes, torch.tensor([[0.9, 0.8]]), torch.zeros(1, 2).long(), torch.tensor([[False, True]]))
    assert kept.tolist() == [[False, True]]


def test_nms_keeps_the_higher_score_wherever_it_stands():
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 5], [20, 0, 24, 4]]])
    kept = nms(boxes, torch.tensor([[0.5, 0.9, 0.1]]), torch.zeros(1, 3).long())
    assert kept.tolist() == [[False, True, True]]


def test_nms_keeps_the_earlier_of_equal_scores():
    boxes = torch.tensor([[[0.0, 0, 4, 4], [0, 0, 4, 5]]])
    kept = nms(boxes, torch.tensor([[0.5, 0.5]]), torch.zeros(1, 2).long())
    assert kept.tolist() == [[True, False]]


def test_nms_keeps_one_of_many_identical_boxes():
    boxes = torch.tensor([3.0, 4, 9, 8]).repeat(1, PLACES, 1)
    kept = nms(boxes, torch.full((1, PLACES), 0.5), torch.zeros(1, PLACES).long())
    assert kept.tolist() == [[True] + [False] * (PLACES - 1)]


def test_nms_keeps_identical_boxes_of_80_classes():
    boxes = torch.tensor([3.0, 4, 9, 8]).repeat(1, PLACES, 1)
    kept = nms(boxes, torch.full((1, PLACES), 0.5), torch.arange(PLACES)[None] % 80)
    assert kept.tolist() == [[True] * 80 + [False] * 20]


def test_nms_follows_a_chain_of_100_where_every_second_box_revives_the_next():
    kept = nms(chain(), torch.linspace(1, 0.1, PLACES)[None], torch.zeros(1, PLACES).long())
    assert kept.tolist() == [[place % 2 == 0 for place in range(PLACES)]]


def test_nms_follows_a_chain_of_100_from_its_far_end():
    kept = nms(chain(), torch.linspace(0.1, 1, PLACES)[None], torch.zeros(1, PLACES).long())
    assert kept.tolist() == [[place % 2 == 1 for place in range(PLACES)]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_keeps_an_overlap_that_ties_with_the_threshold(dtype):
    boxes = torch.tensor([[[0, 0, 13, 1], [7, 0, 20, 1]]], dtype=dtype)  # 6 of 20
    kept = nms(boxes, torch.tensor([[0.9, 0.8]], dtype=dtype), torch.zeros(1, 2).long(), iou_threshold=0.3)
    assert kept.tolist() == [[True, True]]


@pytest.mark.parametrize(("width", "stays"), [(13 - 1e-9, True), (13 + 1e-9, False)])
def test_nms_resolves_the_threshold_in_float64(width, stays):
    boxes = torch.tensor([[[0, 0, width, 1], [7, 0, 20, 1]]], dtype=torch.float64)
    kept = nms(boxes, torch.tensor([[0.9, 0.8]], dtype=torch.float64), torch.zeros(1, 2).long(), iou_threshold=0.3)
    assert kept.tolist() == [[True, stays]]


def test_nms_keeps_boxes_without_area_even_where_they_coincide():
    boxes = torch.tensor([[[5.0, 5, 5, 5], [5, 5, 5, 5], [5, 5, 9, 5], [5, 5, 9, 5]]])
    kept = nms(boxes, torch.tensor([[0.9, 0.8, 0.7, 0.6]]), torch.zeros(1, 4).long(), iou_threshold=0.0)
    assert kept.all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_separates_classes_at_huge_coordinates(dtype):
    boxes = torch.tensor([[[0.0, 0, 8, 8], [4, 0, 12, 8], [6, 0, 14, 8], [0, 0, 8, 8]]], dtype=dtype) + 2.0**20
    scores, labels = torch.tensor([[0.9, 0.8, 0.7, 0.6]], dtype=dtype), torch.tensor([[0, 0, 0, 79]])
    kept = nms(boxes, scores, labels)  # IoU with the first: 4 of 12, 2 of 14, the same box in another class
    assert kept.tolist() == [[True, False, True, True]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_nms_of_boxes_shifted_far_away_is_that_of_boxes_at_the_origin(dtype):
    boxes, scores = toy.random_boxes(3, places=60, grid=0.25).to(dtype), torch.rand(1, 60, dtype=dtype)
    labels = torch.randint(0, 80, (1, 60))
    assert torch.equal(nms(boxes + 2.0**18, scores, labels), nms(boxes, scores, labels))


def test_nms_has_a_threshold_of_0_3_by_default():
    boxes, scores, labels = toy.random_boxes(4), torch.rand(1, PLACES), torch.zeros(1, PLACES).long()
    assert torch.equal(nms(boxes, scores, labels), nms(boxes, scores, labels, iou_threshold=0.3))


def test_nms_of_a_batch_equals_nms_of_its_streams():
    boxes, scores = toy.random_boxes(5, batch=4, places=60), torch.rand(4, 60, dtype=torch.float64)
    labels = torch.randint(0, 2, (4, 60))
    apart = [nms(boxes[[b]], scores[[b]], labels[[b]]) for b in range(4)]
    assert torch.equal(nms(boxes, scores, labels), torch.cat(apart))


def relation(boxes, scores, labels, threshold=0.3):
    """``overlaps[b, i, j]``: i is better than j, of its class, and their IoU is above the threshold; by loops."""
    overlaps = torch.zeros(*scores.shape, scores.shape[1], dtype=torch.bool)
    for stream, (box, score, label) in enumerate(zip(boxes.tolist(), scores.tolist(), labels.tolist(), strict=True)):
        for i in range(len(box)):
            for j in range(len(box)):
                better = score[i] > score[j] or (score[i] == score[j] and i < j)
                if better and label[i] == label[j]:
                    overlaps[stream, i, j] = oracles.intersection_over_union(box[i], box[j]) > threshold
    return overlaps


@pytest.fixture(scope="module")
def cases():
    """One batch with every kind of trouble, so that each branch is compiled for one shape alone."""
    generator = torch.Generator().manual_seed(0)
    boxes = torch.cat(
        [
            toy.random_boxes(0, spread=30.0),
            toy.random_boxes(1, spread=8.0, grid=1.0),
            toy.random_boxes(2, spread=200.0),
            toy.random_boxes(3, spread=8.0, grid=1.0),
            chain(batch=3),
            torch.tensor([3.0, 4, 9, 8], dtype=torch.float64).repeat(1, PLACES, 1),
            torch.zeros(1, PLACES, 4, dtype=torch.float64),
        ]
    )
    scores = torch.randint(1, 30, boxes.shape[:2], generator=generator).double() / 32
    scores[4], scores[5] = torch.linspace(1, 0.1, PLACES), torch.linspace(0.1, 1, PLACES)
    labels = torch.randint(0, 2, scores.shape, generator=generator)
    labels[4:] = 0
    valid = torch.rand(scores.shape, generator=generator) < 0.7
    valid[4:6] = True
    valid[3] = False
    return relation(boxes, scores, labels), valid


def chain(places=PLACES, *, batch=1):
    """Boxes in a row of which each overlaps its neighbours alone by more than 0.3: 7 of 13, the next 4 of 16."""
    left = torch.arange(places, dtype=torch.float64) * 3
    boxes = torch.stack([left, torch.zeros_like(left), left + 10, torch.full_like(left, 10)], dim=1)
    return boxes.repeat(batch, 1, 1)


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_branch_equals_the_loop_oracle(branch, cases):
    overlaps, valid = cases
    kept = branch(overlaps, valid)
    expected = [oracles.suppress(*stream) for stream in zip(overlaps.numpy(), valid.numpy(), strict=True)]
    assert kept.dtype == torch.bool
    np.testing.assert_array_equal(kept.numpy(), np.stack(expected))


@pytest.mark.parametrize("branch", BRANCHES)
def test_each_branch_leaves_its_arguments_alone(branch, cases):
    overlaps, valid = cases
    before = overlaps.clone(), valid.clone()
    branch(overlaps, valid)
    assert torch.equal(overlaps, before[0])
    assert torch.equal(valid, before[1])


def test_the_oracles_relation_equals_the_oracles_nms():
    boxes, scores = toy.random_boxes(6, places=40, spread=8.0, grid=1.0), torch.randint(1, 9, (1, 40)).double() / 8
    labels = torch.randint(0, 2, (1, 40))
    kept = oracles.suppress(relation(boxes, scores, labels)[0].numpy(), np.ones(40, dtype=bool))
    assert kept.tolist() == oracles.nms(boxes[0].tolist(), scores[0].tolist(), labels[0].tolist())


@devices
def test_nms_off_the_cpu_takes_fixed_rounds(device):
    with on(device):
        overlaps = torch.empty(2, 30, 30, dtype=torch.bool, device=device)
        kept = MODULE.suppress_unrolled(overlaps, torch.empty(2, 30, dtype=torch.bool, device=device))
        assert (kept.shape, kept.dtype, kept.device.type) == ((2, 30), torch.bool, device)


@pytest.mark.parametrize("branch", [MODULE.suppress_unrolled, MODULE.suppress_while])
def test_nms_branches_without_a_sync_compile_to_one_graph(branch, backend):
    overlaps = torch.rand(1, 20, 20).triu(1) > 0.7
    valid = torch.rand(1, 20) > 0.2
    kept = torch.compile(branch, fullgraph=True, backend=backend)(overlaps, valid)
    assert torch.equal(kept, MODULE.suppress_eager(overlaps, valid))
    assert backend.graphs == 1
