"""NMS of more boxes than one matrix holds: they are gone through in blocks, with the same result."""

from importlib import import_module

import oracles
import pytest
import torch
import toy
from devices import devices, on

from heatprop import nms

MANY = 700  # several blocks, the last one not full
MODULE = import_module(nms.__module__)


def by_loops(boxes, scores, labels, valid, threshold=0.3):
    kept = torch.zeros_like(valid)
    for stream, place in ((stream, stays.nonzero()[:, 0]) for stream, stays in enumerate(valid)):
        arguments = (value[stream, place].double().numpy() for value in (boxes, scores, labels))
        kept[stream, place] = torch.tensor(oracles.nms(*arguments, threshold), dtype=torch.bool)
    return kept


def chain():
    """Boxes in a row of which each overlaps its neighbours alone by more than 0.3."""
    left = torch.arange(MANY, dtype=torch.float64) * 3
    return torch.stack([left, torch.zeros_like(left), left + 10, torch.full_like(left, 10)], dim=1)[None]


def test_the_cases_fill_several_blocks():
    assert MODULE.MATRIX < MANY
    assert MANY > 2 * MODULE.BLOCK
    assert MANY % MODULE.BLOCK


@pytest.mark.parametrize("threshold", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("classes", [1, 30])
def test_many_boxes_equal_the_loop_oracle(classes, threshold):
    boxes = toy.random_boxes(classes, batch=2, places=MANY, spread=60.0)
    scores, labels = torch.rand(2, MANY, dtype=torch.float64), torch.randint(0, classes, (2, MANY))
    valid = torch.rand(2, MANY) < 0.8
    kept = nms(boxes, scores, labels, valid, iou_threshold=threshold)
    assert torch.equal(kept, by_loops(boxes, scores, labels, valid, threshold))


@pytest.mark.parametrize("threshold", [0.3, 0.5, 1 / 3])
def test_many_boxes_equal_the_loop_oracle_where_scores_and_overlaps_tie(threshold):
    boxes = toy.random_boxes(3, batch=2, places=MANY, spread=20.0, grid=1.0)  # some have no area
    scores, labels = torch.randint(1, 9, (2, MANY)).double() / 8, torch.randint(0, 3, (2, MANY))
    valid = torch.ones_like(labels, dtype=torch.bool)
    kept = nms(boxes, scores, labels, iou_threshold=threshold)
    assert torch.equal(kept, by_loops(boxes, scores, labels, valid, threshold))


@pytest.mark.parametrize("first", [-(2**62), 2**24, 2**53])
def test_classes_of_any_number_stay_apart(first):
    """float32 cannot tell 2**24 from 2**24 + 1."""
    boxes = torch.tensor([3.0, 4, 9, 8]).repeat(1, MANY, 1)
    kept = nms(boxes, torch.full((1, MANY), 0.5), first + torch.arange(MANY)[None] % 80)
    assert kept.tolist() == [[True] * 80 + [False] * (MANY - 80)]


@pytest.mark.parametrize("falling", [True, False])
def test_a_chain_goes_on_from_block_to_block(falling):
    scores = torch.linspace(0.1, 1, MANY, dtype=torch.float64)[None]
    kept = nms(chain(), scores.flip(1) if falling else scores, torch.zeros(1, MANY).long())
    assert kept.tolist() == [[place % 2 == (not falling) for place in range(MANY)]]


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_many_boxes_of_low_precision_equal_one_matrix(dtype, monkeypatch):
    boxes, scores = toy.random_boxes(4, batch=2, places=MANY).to(dtype), torch.rand(2, MANY).to(dtype)
    labels = torch.randint(0, 3, (2, MANY))
    in_blocks = nms(boxes, scores, labels)
    monkeypatch.setattr(MODULE, "MATRIX", MANY)
    assert torch.equal(in_blocks, nms(boxes, scores, labels))


def test_boxes_that_gradients_are_asked_of_are_suppressed_too():
    boxes = toy.random_boxes(5, places=MANY).requires_grad_()
    scores, labels = torch.rand(1, MANY, requires_grad=True), torch.zeros(1, MANY).long()
    assert torch.equal(nms(boxes, scores, labels), nms(boxes.detach(), scores.detach(), labels))


@devices
def test_many_boxes_read_no_value_and_stay_on_the_device(device):
    with on(device):
        fields = torch.empty(2, MANY, 4, device=device), torch.empty(2, MANY, device=device)
        kept = nms(*fields, torch.empty(2, MANY, device=device, dtype=torch.int64))
        assert (kept.shape, kept.dtype, kept.device.type) == ((2, MANY), torch.bool, device)


def test_many_boxes_compile_to_one_graph(backend):
    boxes, scores = toy.random_boxes(6, places=MANY), torch.rand(1, MANY, dtype=torch.float64)
    arguments = boxes, scores, torch.randint(0, 3, (1, MANY))
    assert torch.equal(torch.compile(nms, fullgraph=True, backend=backend)(*arguments), nms(*arguments))
    assert backend.graphs == 1
