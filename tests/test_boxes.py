"""Eq. 1, IoU and the three branches of per-class NMS."""

import numpy as np
import oracles
import pytest
import torch
import toy
from torch.testing import assert_close

from heatprop import decode_boxes, pairwise_iou

# --- Eq. 1 ------------------------------------------------------------------------------------------------------------


def test_eq1_equals_the_loop_oracle():
    cells = torch.randint(0, 128, (2, 5, 2))
    offset, size = torch.rand(2, 5, 2, dtype=torch.float64), torch.rand(2, 5, 2, dtype=torch.float64) * 30
    boxes = decode_boxes(cells, offset, size, stride=4)
    for stream, place in np.ndindex(2, 5):
        (x, y), at = cells[stream, place].tolist(), (stream, place)
        expected = oracles.decode_box(x, y, offset[at].tolist(), size[at].tolist(), 4)
        np.testing.assert_allclose(boxes[at].numpy(), expected, rtol=1e-14)


def test_eq1_takes_x_before_y_and_w_before_h():
    boxes = decode_boxes(torch.tensor([[[10, 3]]]), torch.tensor([[[0.5, 0.25]]]), torch.tensor([[[4.0, 2.0]]]))
    assert boxes.tolist() == [[[34.0, 9.0, 50.0, 17.0]]]


def test_eq1_multiplies_by_the_stride():
    arguments = torch.tensor([[[10, 3]]]), torch.tensor([[[0.5, 0.25]]]), torch.tensor([[[4.0, 2.0]]])
    assert decode_boxes(*arguments, stride=1).tolist() == [[[8.5, 2.25, 12.5, 4.25]]]
    assert decode_boxes(*arguments, stride=8).tolist() == [[[68.0, 18.0, 100.0, 34.0]]]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_boxes_keep_the_dtype_of_the_maps(dtype):
    boxes = decode_boxes(torch.zeros(1, 2, 2).long(), torch.zeros(1, 2, 2, dtype=dtype), torch.ones(1, 2, 2).to(dtype))
    assert boxes.dtype == dtype
    assert pairwise_iou(boxes).dtype == dtype


# --- IoU --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_iou_equals_the_loop_oracle(dtype):
    boxes = toy.random_boxes(0, batch=2, places=12).to(dtype)
    iou = pairwise_iou(boxes)
    assert iou.shape == (2, 12, 12)
    for stream, one, other in np.ndindex(*iou.shape):
        expected = oracles.intersection_over_union(boxes[stream, one].tolist(), boxes[stream, other].tolist())
        assert iou[stream, one, other].item() == pytest.approx(expected, abs=1e-6 if dtype == torch.float32 else 1e-15)


def test_iou_of_touching_and_of_distant_boxes_is_0():
    boxes = torch.tensor([[[0.0, 0, 1, 1], [1, 0, 2, 1], [1, 1, 2, 2], [7, 7, 9, 9]]])
    assert torch.equal(pairwise_iou(boxes)[0], torch.eye(4))


def test_iou_of_a_large_box_does_not_overflow_in_float16():
    boxes = torch.tensor([[[0.0, 0, 1000, 1000], [0, 0, 1000, 500]]], dtype=torch.float16)
    assert_close(pairwise_iou(boxes)[0, 0, 1].float(), torch.tensor(0.5), atol=1e-3, rtol=0)


# --- NMS --------------------------------------------------------------------------------------------------------------


# --- the three branches -----------------------------------------------------------------------------------------------
