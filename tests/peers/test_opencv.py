import cv2
import numpy as np
import pytest
import torch

from heatprop.letterbox import letterbox


@pytest.mark.parametrize(("height", "width", "size"), [(108, 192, 64), (37, 100, 64), (33, 60, 128)])
def test_letterbox_of_bytes_matches_opencvs_affine_warp_to_one_grey_level(height, width, size):
    """CenterNet calls ``cv2.warpAffine``, whose weights are multiples of 1/32."""
    image = np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)
    r = size / max(height, width)
    matrix = np.array([[r, 0, (size - r * width) / 2], [0, r, (size - r * height) / 2]])
    expected = cv2.warpAffine(image, matrix, (size, size), flags=cv2.INTER_LINEAR)
    square, _ = letterbox(torch.from_numpy(image).permute(2, 0, 1)[None], size)
    assert square.dtype == torch.uint8
    assert np.abs(square[0].permute(1, 2, 0).numpy().astype(int) - expected).max() <= 1
