"""CenterNet's ``--keep_res``: a rectangle around the frame, by its affine as loops, and boxes there and back."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from heatprop.centernet.letterbox import pad


def oracle(image, multiple):
    """`pre_process` and `get_affine_transform` with rotation 0: centre to centre, input width per scale width."""
    channels, rows, columns = image.shape
    height, width = (rows | multiple - 1) + 1, (columns | multiple - 1) + 1
    center, scale = (columns // 2, rows // 2), (width, height)
    ratio = width / scale[0]  # both sides by the width's
    padded = np.zeros((channels, height, width), image.dtype)
    for y in range(height):
        for x in range(width):
            source_x = center[0] + (x - width * 0.5) / ratio
            source_y = center[1] + (y - height * 0.5) / ratio
            assert source_x == int(source_x)  # so nothing is interpolated
            assert source_y == int(source_y)
            if 0 <= source_x < columns and 0 <= source_y < rows:
                padded[:, y, x] = image[:, int(source_y), int(source_x)]
    return padded


@pytest.mark.parametrize(("height", "width"), [(1, 1), (31, 32), (33, 64), (47, 20)])
@pytest.mark.parametrize("multiple", [8, 32])
@pytest.mark.parametrize("dtype", [torch.uint8, torch.float64, torch.float16])
def test_pad_is_centernets_keep_res_bit_for_bit(height, width, multiple, dtype):
    frames = (torch.rand(2, 3, height, width) * 255).to(dtype)
    padded, _ = pad(frames, multiple)
    assert padded.dtype == dtype
    assert np.array_equal(padded.numpy(), np.stack([oracle(frame.numpy(), multiple) for frame in frames]))


def test_a_side_that_is_a_multiple_grows_as_in_the_original():
    assert pad(torch.zeros(1, 3, 512, 480))[0].shape == (1, 3, 544, 512)
    assert pad(torch.zeros(1, 3, 512, 480), 128)[0].shape == (1, 3, 640, 512)


@given(height=st.integers(1, 300), width=st.integers(1, 300), multiple=st.sampled_from([2, 8, 32, 128]))
def test_boxes_and_pixels_come_back_for_every_size(height, width, multiple):
    frames = torch.rand(1, 1, height, width)
    padded, where = pad(frames, multiple)
    left, top, right, bottom = where.letterboxed(torch.tensor([0.0, 0, width, height])).long().tolist()
    assert torch.equal(padded[:, :, top:bottom, left:right], frames)
    assert padded.shape[2] % multiple == padded.shape[3] % multiple == 0
    assert abs(padded.sum() - frames.sum()) < 1e-2
    boxes = torch.tensor([[3.5, -2, 40, 1000]])
    assert torch.equal(where.boxes(where.letterboxed(boxes)), boxes)


def test_pad_runs_on_meta_tensors():
    assert pad(torch.empty(2, 3, 6, 8, device="meta"))[0].shape == (2, 3, 32, 32)


def test_pad_says_what_must_hold():
    with pytest.raises(TypeError, match="frames must be a tensor, got ndarray"):
        pad(np.zeros((1, 3, 4, 4)))
    with pytest.raises(ValueError, match=r"must have shape \(B, C, H, W\)"):
        pad(torch.zeros(3, 4, 4))
    with pytest.raises(ValueError, match="multiple must be at least 2, got 0"):
        pad(torch.zeros(1, 3, 4, 4), 0)
    with pytest.raises(ValueError, match="multiple must be even, so that the middle is a pixel, got 31"):
        pad(torch.zeros(1, 3, 4, 4), 31)
    with pytest.raises(TypeError, match="multiple must be a whole number"):
        pad(torch.zeros(1, 3, 4, 4), 32.0)
