"""IoU is written twice, once in torch and once in numpy; everybody else calls one of them."""

import re
from pathlib import Path

import numpy as np
import oracles
import pytest
import torch
import toy

import heatprop
from heatprop import pairwise_iou
from heatprop.evaluation import iou


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
    expected = iou(boxes[0].numpy()[rows], others[0].numpy()[columns]).reshape(9, 9)
    assert np.array_equal(pairwise_iou(boxes, others)[0].numpy(), expected)


def test_a_half_box_is_compared_in_float32_and_no_others_give_an_empty_column():
    boxes = torch.tensor([[[0, 0, 900, 900]]], dtype=torch.float16)
    assert pairwise_iou(boxes, boxes).item() == 1  # 900 * 900 does not fit into float16
    assert pairwise_iou(boxes, boxes[:, :0]).shape == (1, 1, 0)


def test_no_third_module_computes_a_common_area():
    package = Path(heatprop.__file__).parent
    written = [
        path.relative_to(package).as_posix()
        for path in package.rglob("*.py")
        if re.search(r"inter \+|- inter\b|- common\b|\bintersection\b.*/", path.read_text(encoding="utf-8"))
    ]
    rotated = "birds_eye/suppression.py"  # boxes at an angle overlap in polygons
    assert sorted({*written, rotated}) == [rotated, "boxes.py", "evaluation/overlap.py"]
