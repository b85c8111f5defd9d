"""The letterbox against CenterNet's rule as loops, and boxes there and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heatprop.centernet.letterbox import Letterbox, letterbox

SHAPES = [(9, 16, 8), (16, 9, 12), (5, 7, 21), (1, 1, 4), (1, 6, 3), (12, 12, 12)]  # height, width, size


def oracle(image, size):
    """Rule of CenterNet's affine warp: target pixel (x, y) reads the source at ((x, y) - border) / r, black outside."""
    channels, rows, columns = image.shape
    r = size / max(rows, columns)
    square = np.zeros((channels, size, size))
    for y in range(size):
        for x in range(size):
            at_x, at_y = (x - (size - r * columns) / 2) / r, (y - (size - r * rows) / 2) / r
            for source_y in range(int(np.floor(at_y)), int(np.floor(at_y)) + 2):
                for source_x in range(int(np.floor(at_x)), int(np.floor(at_x)) + 2):
                    if 0 <= source_y < rows and 0 <= source_x < columns:
                        share = (1 - abs(at_x - source_x)) * (1 - abs(at_y - source_y))
                        square[:, y, x] += share * image[:, source_y, source_x]
    return square


@pytest.mark.parametrize(("height", "width", "size"), SHAPES)
def test_letterbox_matches_centernets_rule_as_loops(height, width, size):
    frames = torch.rand(2, 3, height, width, dtype=torch.float64)
    square, _ = letterbox(frames, size)
    expected = np.stack([oracle(frame.numpy(), size) for frame in frames])
    torch.testing.assert_close(square, torch.from_numpy(expected), atol=1e-12, rtol=0)


def test_a_frame_of_the_right_size_comes_back_bit_for_bit():
    frames = torch.randint(0, 256, (1, 3, 32, 32), dtype=torch.uint8)
    assert torch.equal(letterbox(frames, 32)[0], frames)


def test_the_border_is_black_and_as_wide_on_both_sides():
    square, where = letterbox(torch.full((1, 3, 30, 40), 200, dtype=torch.uint8), 80)
    assert (where.scale, where.left, where.top, where.width, where.height) == (2, 0, 10, 40, 30)
    assert not square[:, :, :9].any()
    assert not square[:, :, -10:].any()
    assert (square[:, :, 10:69, :79] == 200).all()


def test_boxes_come_back_exactly_when_the_scale_is_a_power_of_two():
    _, where = letterbox(torch.zeros(1, 3, 1024, 2048), 512)
    boxes = torch.tensor([[3.0, 5.0, 700.0, 1020.0], [-7.0, 0.5, 2048.0, 1024.0]])
    assert torch.equal(where.boxes(where.letterboxed(boxes)), boxes)
    assert torch.equal(where.letterboxed(boxes)[0], torch.tensor([0.75, 129.25, 175.0, 383.0]))


@given(
    height=st.integers(1, 4000),
    width=st.integers(1, 4000),
    size=st.integers(1, 2048),
    numbers=st.lists(st.floats(-5000, 5000), min_size=4, max_size=4),
)
def test_boxes_come_back_for_every_size(height, width, size, numbers):
    scale = size / max(height, width)
    where = Letterbox(scale, (size - scale * width) / 2, (size - scale * height) / 2, width, height)
    boxes = torch.tensor([[numbers]], dtype=torch.float64)
    torch.testing.assert_close(where.boxes(where.letterboxed(boxes)), boxes, atol=1e-8, rtol=0)


def test_a_bright_pixel_is_found_again_where_its_box_says():
    frames = torch.zeros(1, 1, 90, 160)
    frames[0, 0, 70, 130] = 1
    square, where = letterbox(frames, 320)
    y, x = divmod(int(square.argmax()), 320)
    assert where.boxes(torch.tensor([x, y, x, y], dtype=torch.float32)).tolist() == [130, 70, 130, 70]


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_letterbox_keeps_the_dtype(dtype):
    square, where = letterbox(torch.ones(1, 3, 6, 8, dtype=dtype), 16)
    assert square.dtype == dtype
    assert where.boxes(torch.ones(2, 5, 4, dtype=torch.float32)).dtype == torch.float32


def test_letterbox_runs_on_meta_tensors():
    square, where = letterbox(torch.empty(2, 3, 6, 8, device="meta"), 16)
    assert (square.device.type, square.shape) == ("meta", (2, 3, 16, 16))
    assert where.boxes(torch.empty(2, 4, device="meta")).shape == (2, 4)


def test_letterbox_says_what_must_hold():
    with pytest.raises(TypeError, match="frames must be a tensor, got ndarray"):
        letterbox(np.zeros((1, 3, 4, 4)))
    for shape in [(3, 4, 4), (1, 3, 0, 4)]:
        with pytest.raises(ValueError, match=r"must have shape \(B, C, H, W\), H and W at least 1, got"):
            letterbox(torch.zeros(shape))
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        letterbox(torch.zeros(1, 3, 4, 4), 0)
