"""Weights of PASCAL VOC have colours of their own: CenterNet's arithmetic on BGR images in numpy."""

import numpy as np
import pytest
import torch

from heatprop.centernet import COCO, IMAGENET, PASCAL, normalize

# `datasets/dataset/pascal.py` and `kitti.py`, subtracted from an image of OpenCV's: blue first.
MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


def test_pascal_is_centernets_arithmetic_on_bgr_images():
    frame = np.random.randint(0, 256, (7, 5, 3), dtype=np.uint8)  # RGB
    as_fed = (frame[..., ::-1] / 255.0 - MEAN) / STD  # BGR
    ours = normalize(torch.from_numpy(frame).permute(2, 0, 1), mean=PASCAL.mean, std=PASCAL.std)
    np.testing.assert_allclose(ours.numpy(), as_fed[..., ::-1].transpose(2, 0, 1), atol=1e-5)


def test_imagenet_is_the_same_figures_on_rgb_images():
    frame = torch.randint(0, 256, (3, 6, 5), dtype=torch.uint8)
    expected = (frame.double() / 255 - torch.from_numpy(MEAN)[:, None, None]) / torch.from_numpy(STD)[:, None, None]
    ours = normalize(frame, mean=IMAGENET.mean, std=IMAGENET.std)
    torch.testing.assert_close(ours.double(), expected, atol=1e-5, rtol=0)
    assert IMAGENET.mean == PASCAL.mean[::-1]


def test_the_default_is_coco():
    frame = torch.randint(0, 256, (3, 6, 5), dtype=torch.uint8)
    assert torch.equal(normalize(frame), normalize(frame, mean=COCO.mean, std=COCO.std))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"mean": (0.5,)}, r"mean must be three finite numbers \(R, G, B\), got \(0.5,\)"),
        ({"std": (0.2, 0, 0.2)}, r"std must be three finite numbers \(R, G, B\) above 0, got"),
        ({"mean": (0.1, float("nan"), 0.2)}, "mean must be three finite numbers"),
    ],
)
def test_bad_statistics_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        normalize(torch.zeros(3, 2, 2), **options)
