import cv2
import numpy as np
import pytest
import torch

from heatprop.centernet.letterbox import letterbox, warp


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


@pytest.mark.parametrize("zoom", ["original", "continuous"])
@pytest.mark.parametrize("seed", range(3))
def test_an_augmented_picture_is_the_one_of_the_originals_three_points(zoom, seed):
    """CenterNet maps a centre, a point above it and a third to the square's, and hands that to OpenCV."""
    data = pytest.importorskip("heatprop.centernet.data", reason="needs heatprop[train]")
    image = cv2.GaussianBlur(np.random.default_rng(seed).integers(0, 256, (140, 200, 3), dtype=np.uint8), (0, 0), 2)
    _, where = data.Augmentation(zoom=zoom).draw_place(200, 140, 128, np.random.default_rng(seed))
    side = 128 / where.scale  # the original's s and c
    x, y = (64 - where.left) / where.scale, (64 - where.top) / where.scale
    assert 0.6 - 1e-9 <= side / 200 <= 1.4
    source = np.float32([(x, y), (x, y - side / 2), (x - side / 2, y - side / 2)])
    target = np.float32([(64, 64), (64, 0), (0, 0)])
    expected = cv2.warpAffine(image, cv2.getAffineTransform(source, target), (128, 128), flags=cv2.INTER_LINEAR)
    square = warp(torch.from_numpy(image).permute(2, 0, 1)[None], where, 128)[0].permute(1, 2, 0).numpy()
    wrong = np.abs(square.astype(int) - expected)
    assert np.quantile(wrong, 0.99) <= 2  # its weights are multiples of 1/32; the frame's edge is as far as black
    assert wrong.mean() < 0.5
