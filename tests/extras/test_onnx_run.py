"""`heatprop run --detector model.onnx --head ...`: tiny networks of random weights, classes, sizes, refusals."""

import json

import numpy as np
import pytest
import torch
from films import make
from torch import nn
from toy_detectors import film, lossless
from typer.testing import CliRunner

from heatprop import adapters
from heatprop.cli import app
from heatprop.running import DetectorError, load_detector

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

STRIDES = {"fcos": (8, 16, 32, 64, 128), "nanodet": (8, 16, 32, 64)}
CLASSES = 2


class TinyNetwork(nn.Module):
    """One convolution per level of random weights, its output laid out as that kind of head exports it."""

    def __init__(self, head):
        super().__init__()
        torch.manual_seed(3)
        self.head = head
        self.strides = (4,) if head == "centernet" else STRIDES.get(head, (8, 16, 32))
        self.numbers = {"yolo": 4, "yolox": 5, "nanodet": 32, "fcos": 5, "rtmdet": 4, "centernet": 4}[head]
        self.layers = nn.ModuleList(
            [nn.Conv2d(3, self.numbers + CLASSES, stride, stride, bias=False) for stride in self.strides]
        )

    def forward(self, pixels):
        levels = [layer(pixels / pixels.abs().amax().clamp(min=1)) for layer in self.layers]
        n = self.numbers
        if self.head == "centernet":
            return levels[0][:, 4:], levels[0][:, :2].exp(), levels[0][:, 2:4].sigmoid()
        if self.head in ("fcos", "rtmdet"):
            boxes = [stride * level[:, :4].exp() for level, stride in zip(levels, self.strides, strict=True)]
            centerness = [level[:, 4:5] for level in levels] if self.head == "fcos" else []
            return (*[level[:, n:] for level in levels], *boxes, *centerness)
        rows = torch.cat([level.flatten(2) for level in levels], dim=2)  # (B, n + C, N)
        if self.head == "yolo":
            return torch.cat([8 * rows[:, :2].abs() * 8 + 8, 16 * rows[:, 2:4].exp(), rows[:, 4:].sigmoid()], dim=1)
        if self.head == "yolox":
            return torch.cat([rows[:, :4], rows[:, 4:].sigmoid()], dim=1).transpose(1, 2)
        return torch.cat([rows[:, n:].sigmoid(), rows[:, :n]], dim=1).transpose(1, 2)


def export(path, head, *, size=(96, 160), names=None, dynamic=False):
    network = TinyNetwork(head).eval()
    axes = {"images": {2: "height", 3: "width"}} if dynamic else None
    torch.onnx.export(
        network, (torch.rand(1, 3, *size),), path, dynamo=False, input_names=["images"], dynamic_axes=axes
    )
    if names is not None:
        model = onnx.load(path)
        onnx.helper.set_model_props(model, names)
        onnx.save(model, path)
    return network


def run(*arguments):
    return CliRunner().invoke(app, ["run", *map(str, arguments)], env={"COLUMNS": "250"})


def clip(path):
    return make(path, film((0.8,) * 3, height=96, width=160), prepare=lossless)


pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::torch.jit.TracerWarning")


@pytest.mark.parametrize("head", ["yolo", "yolox", "nanodet", "fcos", "rtmdet", "centernet"])
def test_a_network_in_a_file_is_a_detector(tmp_path, head):
    path = tmp_path / "model.onnx"
    export(path, head, size=(128, 256), names={"names": "{0: 'cat', 1: 'dog'}"})
    options = ["--out", tmp_path / "out", "--json", "--detector", path, "--head", head, "--steady", "--score", 0.05]
    result = run(clip(tmp_path / "a.mp4"), *options)
    assert result.exit_code == 0, result.output
    lines = [json.loads(line) for line in (tmp_path / "out" / "a.jsonl").read_text().splitlines()]
    assert lines
    assert {line.get("class_name", line["label"]) for line in lines} <= {"cat", "dog", 0, 1}


@pytest.mark.parametrize("dynamic", [True, False])
def test_its_maps_are_those_of_the_network_in_torch(tmp_path, dynamic):
    path = tmp_path / "model.onnx"
    size = (96, 160) if dynamic else (128, 192)
    network = export(path, "yolo", size=size, dynamic=dynamic)
    pixels = torch.randint(0, 256, (1, 3, 96, 160)).float()
    maps = load_detector(str(path), head="yolo")(pixels)
    padded = torch.full((1, 3, *size), 114.0)
    padded[:, :, :96, :160] = pixels
    with torch.inference_mode():
        expected = adapters.yolo(input_size=size[::-1])(network(padded / 255))
    assert maps.heatmap.shape == (1, CLASSES, 12, 20)
    np.testing.assert_allclose(maps.heatmap, expected.heatmap[:, :, :12, :20], atol=1e-5)
    np.testing.assert_allclose(maps.size, expected.size[:, :, :12, :20], atol=1e-3)


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        ({"names": "{0: 'cat', 1: 'dog'}"}, ("cat", "dog")),
        ({"classes": '["cat", "dog"]'}, ("cat", "dog")),
        ({"class_names": "cat\ndog\n"}, ("cat", "dog")),
        ({"author": "me"}, ()),
    ],
)
def test_classes_come_from_the_metadata(tmp_path, names, expected):
    export(tmp_path / "model.onnx", "rtmdet", size=(96, 160), names=names)
    assert load_detector(str(tmp_path / "model.onnx"), head="rtmdet").class_names == expected


def test_a_fixed_size_sets_the_size_of_the_picture(tmp_path):
    export(tmp_path / "model.onnx", "yolo", size=(64, 96))
    detector = load_detector(str(tmp_path / "model.onnx"), head="yolo")
    assert detector.longer_side == 64
    with pytest.raises(
        DetectorError, match="takes pictures of 96 x 64 pixels, got one of 160 x 96; pass --detector-size 64"
    ):
        detector(torch.zeros(1, 3, 96, 160))


def test_what_does_not_go_together_is_refused(tmp_path):
    path, video = tmp_path / "model.onnx", clip(tmp_path / "a.mp4")
    path.write_bytes(b"nothing")
    out = ["--out", tmp_path / "out", "--json"]
    for arguments, message in (
        (["--detector", path], "needs --head, the kind of network that it is: yolo, yolox, nanodet"),
        (["--detector", path, "--head", "yolo"], "is no ONNX network that onnxruntime can load"),
        (["--detector", tmp_path / "no.onnx", "--head", "yolo"], "there is no file"),
        (["--detector", "mine.py:detect", "--head", "yolo"], "--head reads a network in an .onnx file"),
        (["--detector", path, "--head", "yolo", "--stride", 8], "so leave out --stride 8"),
        (["--detector", path, "--head", "yolo", "--adapter", "centernet"], "so leave out --adapter centernet"),
    ):
        result = run(video, *out, *arguments)
        assert result.exit_code == 2, result.output
        assert message in " ".join(result.output.replace("│", " ").split())
