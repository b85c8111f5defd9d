"""Normalising against CenterNet's own arithmetic, which works on BGR images in numpy."""

import numpy as np
import pytest
import torch

from heatprop.centernet import normalize

# COCO's statistics as CenterNet writes them, in the order blue, green, red.
MEAN_BGR = np.array([0.40789654, 0.44719302, 0.47026115], dtype=np.float32)
STD_BGR = np.array([0.28863828, 0.27408164, 0.27809835], dtype=np.float32)


def by_centernet(frame_rgb):
    """An image (H, W, 3) as CenterNet feeds it: BGR / 255, minus mean, by deviation; then back to RGB planes."""
    normal = (frame_rgb[..., ::-1].astype(np.float32) / 255 - MEAN_BGR) / STD_BGR
    return np.ascontiguousarray(normal[..., ::-1].transpose(2, 0, 1))


@pytest.mark.parametrize("dtype", [torch.uint8, torch.float32, torch.float64])
def test_normalize_is_centernets_arithmetic(dtype):
    frame = np.random.randint(0, 256, (7, 5, 3), dtype=np.uint8)
    ours = normalize(torch.from_numpy(frame).permute(2, 0, 1).to(dtype))
    assert ours.dtype == (torch.float64 if dtype == torch.float64 else torch.float32)
    np.testing.assert_allclose(ours.numpy(), by_centernet(frame), atol=1e-5)


def test_leading_dimensions_stay():
    frames = torch.randint(0, 256, (2, 4, 3, 6, 6), dtype=torch.uint8)
    assert torch.equal(normalize(frames)[1, 2], normalize(frames[1, 2]))


def test_bad_frames_are_refused():
    with pytest.raises(TypeError, match=r"uint8 or floating tensor of values in 0..255, got torch.int64"):
        normalize(torch.zeros(3, 4, 4, dtype=torch.int64))
    with pytest.raises(TypeError, match="got ndarray"):
        normalize(np.zeros((3, 4, 4)))
    with pytest.raises(ValueError, match=r"\(..., 3, H, W\), got \(4, 4, 3\); permute channels-last"):
        normalize(torch.zeros(4, 4, 3))
