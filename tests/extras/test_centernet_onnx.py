"""CenterNet as an ONNX file, run by onnxruntime: no plugin for the deformable convolution."""

import importlib.util

import numpy as np
import onnxruntime
import pytest
import torch
from original_networks import randomized

from heatprop.centernet import CenterNet

NAMES = ["heatmap", "offset", "size"]


@pytest.fixture(scope="module")
def model():
    model = randomized(CenterNet(3, backbone="resnet18"))
    for stage in model.neck.stages:
        torch.nn.init.normal_(stage.conv.offset_conv.weight, std=0.02)
    return model


def assert_equal(path, model, images):
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    ours = session.run(None, {"images": images.numpy()})
    with torch.no_grad():
        expected = model(images)
    assert expected.size.std() > 0.01
    for mine, wanted in zip(ours, expected[:3], strict=True):
        np.testing.assert_allclose(mine, wanted.numpy(), atol=1e-4, rtol=1e-4)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch's older exporter, which needs no onnxscript
@pytest.mark.filterwarnings("ignore::torch.jit.TracerWarning")  # the checks of shapes, which are constants
def test_the_tracing_exporters_file_gives_the_same_maps(tmp_path, model):
    path, images = tmp_path / "centernet.onnx", torch.randn(2, 3, 64, 96)
    options = {
        "input_names": ["images"],
        "output_names": NAMES,
        "dynamic_axes": {key: {0: "batch"} for key in ["images", *NAMES]},
    }
    torch.onnx.export(model, (images,), path, dynamo=False, opset_version=17, **options)
    assert_equal(path, model, images)
    assert_equal(path, model, torch.randn(1, 3, 64, 96))


@pytest.mark.skipif(importlib.util.find_spec("onnxscript") is None, reason="torch's newer exporter needs onnxscript")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.filterwarnings("ignore::FutureWarning")
def test_the_newer_exporters_file_gives_the_same_maps(tmp_path, model):
    path, images = tmp_path / "centernet.onnx", torch.randn(2, 3, 64, 96)
    torch.onnx.export(model, (images,), path, dynamo=True, input_names=["images"], output_names=NAMES, verbose=False)
    assert_equal(path, model, images)
