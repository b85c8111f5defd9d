"""Eq. 1 and IoU."""

import re
from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
import toy
from torch.testing import assert_close

import heatprop
from heatprop import decode_boxes, pairwise_iou
from heatprop.evaluation import iou as numpy_iou

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


def test_boxes_are_compared_with_others_as_the_loop_oracle_does():
    boxes, others = toy.random_boxes(1, batch=2, places=5), toy.random_boxes(2, batch=2, places=7)
    found = pairwise_iou(boxes, others)
    assert found.shape == (2, 5, 7)
    for stream, row, column in np.ndindex(2, 5, 7):
        expected = oracles.intersection_over_union(boxes[stream, row].tolist(), others[stream, column].tolist())
        assert found[stream, row, column].item() == pytest.approx(expected, abs=1e-12)


def test_without_others_each_box_is_compared_with_each():
    boxes = toy.random_boxes(3, batch=2, places=6)
    assert torch.equal(pairwise_iou(boxes), pairwise_iou(boxes, boxes))


def test_the_torch_and_the_numpy_iou_agree_to_the_last_bit():
    boxes, others = toy.random_boxes(4, places=9), toy.random_boxes(5, places=9)
    rows, columns = np.divmod(np.arange(81), 9)
    expected = numpy_iou(boxes[0].numpy()[rows], others[0].numpy()[columns]).reshape(9, 9)
    assert np.array_equal(pairwise_iou(boxes, others)[0].numpy(), expected)


def test_a_half_box_is_compared_in_float32_and_no_others_give_an_empty_column():
    boxes = torch.tensor([[[0, 0, 900, 900]]], dtype=torch.float16)
    assert pairwise_iou(boxes, boxes).item() == 1  # 900 * 900 does not fit into float16
    assert pairwise_iou(boxes, boxes[:, :0]).shape == (1, 1, 0)


def test_no_third_module_computes_a_common_area():
    """IoU is written twice, once in torch and once in numpy; everybody else calls one of them."""
    package = Path(heatprop.__file__).parent
    written = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"inter \+|- inter\b|- common\b|\bintersection\b.*/", path.read_text(encoding="utf-8"))
    ]
    rotated = "birds_eye/suppression.py"  # boxes at an angle overlap in polygons
    assert sorted({*written, rotated}) == [rotated, "boxes.py", "evaluation/overlap.py"]
