"""``heatprop reproduce`` on tiny videos whose detector is right by construction; figures by hand."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from bright_squares import CLASSES, DIM, FRAMES, VIDEOS, Counted, boxes_of, write_videos
from commands import run

pytest.importorskip("typer", reason="needs the extra cli")
pytest.importorskip("torchvision", reason="needs the extra train")
from PIL import Image
from typer.testing import CliRunner

import heatprop
from heatprop import HeatmapPropagator
from heatprop.centernet import CenterNet, load_checkpoint, normalize
from heatprop.centernet.letterbox import letterbox
from heatprop.cli.app import app
from heatprop.cli.eval import eval_app
from heatprop.evaluation.columns import join
from heatprop.formats.detections_file import write_detections_file
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_classes import class_ids
from heatprop.formats.imagenet_lists import list_frames
from heatprop.maps.saved import iterate_saved_maps
from heatprop.maps.table1 import table1
from heatprop.reports.documents import to_document
from heatprop.reproducing import paper, running
from heatprop.reproducing.moments import draw_moment, find_moments
from heatprop.reproducing.plan import make_plan, parse_shard
from heatprop.reproducing.propagating import read_video_detections, read_video_runs, to_picture_pixels
from heatprop.reproducing.results import gather
from heatprop.reproducing.running import ReadingOptions, process_videos
from heatprop.reproducing.runs import run_names
from heatprop.reproducing.tables import paper_tables, to_markdown
from heatprop.reproducing.writing import _hits_of_figure_4, report_document
from heatprop.video.drawing import CARRIED

SIZE = 128
NAMES = {1: "dog", 2: "car"}
LOST = f"{next(iter(VIDEOS))}/{DIM:06d}"


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return write_videos(tmp_path_factory.mktemp("made"))


@pytest.fixture
def data(made, tmp_path):
    """A copy that may be damaged."""
    shutil.copytree(made, tmp_path / "data")
    return tmp_path / "data"


def plan_of(root, out):
    return make_plan(root, out, list_frames(root), classes=CLASSES, size=SIZE, checkpoint="right by construction")


def truth_of(plan):
    return read_vid(plan.data, plan.frames, classes=plan.classes)


def process(plan, detector, *, shard=(0, 1), **reading):
    options = ReadingOptions(**{"batch": 2, "workers": 2, **reading})
    return process_videos(plan, plan.videos(shard), truth_of(plan), detector.load, reading=options)


def everything(plan):
    """All detections of all runs."""
    return {
        (video.name, run): read_video_detections(plan.detections_file(video), video, run, size=SIZE)
        for video in plan.videos()
        for run in [*run_names(), "HP+Seq-NMS"]
    }


def assert_same(some, others):
    assert some.keys() == others.keys()
    for key, one in some.items():
        for column, other in zip(one, others[key], strict=True):
            np.testing.assert_array_equal(column, other)


@pytest.fixture(scope="module")
def finished(made, tmp_path_factory):
    plan = plan_of(made, tmp_path_factory.mktemp("out"))
    process(plan, Counted())
    return plan


# --- what comes out ---------------------------------------------------------------------------------------------------


def test_boxes_are_in_pixels_of_the_pictures_again(finished):
    """Wide, high and square pictures; edges lie within a pixel of what was drawn."""
    for video in finished.videos():
        found = read_video_detections(finished.detections_file(video), video, "per frame", size=SIZE)
        for label, track in ((1, 0), (2, 1)):
            rows = found.label == label
            assert found.frame[rows].tolist() == [frame for frame in range(FRAMES) if track == 1 or frame != DIM]
            drawn = [boxes_of(video.name, frame)[track] for frame in found.frame[rows]]
            np.testing.assert_allclose(found.box[rows], np.add(drawn, (0, 0, 1, 1)), atol=1)


def test_the_papers_tables_have_the_figures_by_hand(finished):
    """A dog is lost in 1 of 5 frames alone, and never with the memory: 0.98 * 2 * 2 / (1 + 2 * 2) * 0.9 and above."""
    results = gather(finished, truth_of(finished))
    methods = {row.method: row for row in results.methods}
    assert methods["per frame"].alone.per_class == {1: pytest.approx(4 / 5), 2: 1}
    assert methods["HP"].alone.mean == 1
    assert methods["interpolation"].alone.mean == 1
    assert methods["HP"].with_seq_nms.mean == 1
    assert results.precision["HP"] == 1
    assert results.uncovered[0] == pytest.approx(1 / 2), "cars stand, dogs move by 128 / 64 / 4 cells and more"
    assert results.uncovered[1] == 0
    overall = results.reports["per frame"].displacement["overall"]
    assert overall.objects == len(VIDEOS) * 2 * (FRAMES - 1)
    assert results.frames == len(VIDEOS) * FRAMES
    assert results.network_milliseconds > 0
    assert all(row.milliseconds > 0 for row in results.methods)


def test_heatprop_eval_says_the_same_of_the_detections_in_the_devkits_file(finished, tmp_path):
    found = [
        read_video_detections(finished.detections_file(video), video, "per frame", size=SIZE)
        for video in finished.videos()
    ]
    ids = np.array([class_ids()[wnid] for wnid in CLASSES])
    everywhere = join(found)
    write_detections_file(tmp_path / "found.txt", everywhere._replace(label=ids[everywhere.label - 1]), finished.frames)
    arguments = (
        "vid",
        "--root",
        finished.data,
        "--detections",
        tmp_path / "found.txt",
        "--json",
        tmp_path / "eval.json",
    )
    assert CliRunner().invoke(eval_app, [str(one) for one in arguments]).exit_code == 0
    said = json.loads((tmp_path / "eval.json").read_text())
    results = gather(finished, truth_of(finished))
    assert said["mAP50"] == pytest.approx(results.precision["per frame"], abs=1e-12)
    assert said["flicker"] == to_document(results.reports["per frame"], NAMES)["flicker"]


def test_the_report_holds_every_table_of_the_paper(finished):
    results = gather(finished, truth_of(finished))
    text = "\n\n".join(to_markdown(table) for table in paper_tables(results, NAMES))
    for part in (
        *("Table 1", "Table 2", "Table 3: 75 % recall", "Table 3: 65 % recall", "Table 4", "Table 5", "Fig. 5"),
        *("| HP/+Seq-NMS | 100.0/100.0 | 76.7/78.4 |", "| dog | 80.0/100.0/100.0 |", "fast", "Flicker"),
    ):
        assert part in text
    document = report_document(results, NAMES, {})
    assert set(document["mAP50"]) == set(run_names())
    assert document["mAP50"]["per frame"] == pytest.approx(0.9)
    json.dumps(document, allow_nan=False)


def test_no_two_runs_look_alike_in_the_pictures(finished):
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    from heatprop.plots.curves import draw_curves

    lines = draw_curves(gather(finished, truth_of(finished)).curves).axes[0].lines
    assert len(lines) == len({(line.get_color(), line.get_linestyle()) for line in lines}) == 8


def test_figure_4_shows_the_papers_two_videos_where_they_are_listed(finished, monkeypatch):
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    results = gather(finished, truth_of(finished))
    assert len(set(_hits_of_figure_4(finished, results)["HP"].track)) == 2 * len(VIDEOS)
    monkeypatch.setattr(paper, "CLIPS", ("val/ILSVRC2015_val_00000001", "val/ILSVRC2015_val_00040001"))
    hits = _hits_of_figure_4(finished, results)["per frame"]
    boxes = [
        box for track in (0, 1) for box in (boxes_of("val/ILSVRC2015_val_00000001", n)[track] for n in range(FRAMES))
    ]
    np.testing.assert_array_equal(hits.truth_box, boxes)
    assert hits.hit.tolist() == [frame != DIM for frame in range(FRAMES)] + [True] * FRAMES


def test_to_picture_pixels_undoes_the_letterbox():
    sizes = [(640, 360), (359, 641), (97, 97)]
    boxes = np.random.default_rng(0).uniform(-20, 300, (3, 4))
    expected = [
        letterbox(torch.zeros(1, 3, height, width), 256)[1].boxes(torch.from_numpy(box)).numpy()
        for (width, height), box in zip(sizes, boxes, strict=True)
    ]
    np.testing.assert_allclose(to_picture_pixels(boxes, np.array(sizes), 256), expected, rtol=1e-12)


def test_boxes_can_be_clipped_to_the_pictures(finished):
    video = finished.videos()[0]
    whole, clipped = (
        read_video_detections(finished.detections_file(video), video, "HP", size=SIZE, clip=clip)
        for clip in (False, True)
    )
    width, height = VIDEOS[video.name][0]
    np.testing.assert_array_equal(clipped.box, np.clip(whole.box, 0, [width, height, width, height]))


def test_the_maps_serve_eval_and_tune_as_they_are(finished):
    """Table 1 in the network's pixels: the same objects, the same misses."""
    rows = {row.method: row for row in table1(iterate_saved_maps(finished.out / "maps"))}
    assert rows["per frame"].alone.per_class == {"dog": pytest.approx(4 / 5), "car": 1}
    assert rows["HP"].alone.mean == 1


def test_moments_are_frames_in_which_only_the_memory_found_something(finished):
    """The dogs' dark frame, in every video."""
    results = gather(finished, truth_of(finished))
    moments = find_moments(results.truth, results.hits, count=2)
    assert [(moment.video, moment.frame) for moment in moments] == [(0, DIM), (1, DIM)]
    assert all(moment.gain > 0.5 for moment in moments)
    picture = draw_moment(finished, finished.videos()[0], moments[0])
    height, width = (side // 2 for side in picture.shape[:2])
    orange = (picture == CARRIED).all(axis=2)
    assert not orange[:height].any()
    assert orange[height:, width // 2 : width].any()


def test_no_moment_is_found_where_nothing_was_lost(finished):
    results = gather(finished, truth_of(finished))
    assert find_moments(results.truth, dict.fromkeys(results.hits, results.hits["HP"])) == []


# --- stopping and going on --------------------------------------------------------------------------------------------


def test_an_interrupted_run_goes_on_and_ends_with_the_same(made, finished, tmp_path):
    plan = plan_of(made, tmp_path / "out")
    first = Counted(stop_after=FRAMES + 2)  # in the second video
    with pytest.raises(KeyboardInterrupt):
        process(plan, first)
    assert [plan.detections_file(video).exists() for video in plan.videos()] == [True, False, False]
    assert not plan.maps_file(plan.videos()[1]).exists()
    second = Counted()
    assert process(plan, second) == 1
    assert second.pictures == 2 * FRAMES, "the first video is not detected again"
    assert_same(everything(plan), everything(finished))


def test_two_shards_merged_equal_one_run(made, finished, tmp_path):
    """Each shard in a folder of its own, as on two machines; their detections are copied together."""
    parts = [plan_of(made, tmp_path / name) for name in ("a", "b")]
    counts = []
    for number, part in enumerate(parts):
        detector = Counted()
        process(part, detector, shard=(number, 2))
        counts.append(detector.pictures)
    assert counts == [2 * FRAMES, FRAMES]
    shutil.copytree(parts[1].out / "detections", parts[0].out / "detections", dirs_exist_ok=True)
    assert_same(everything(parts[0]), everything(finished))
    merged, one = (report_document(gather(plan, truth_of(plan)), NAMES, {}) for plan in (parts[0], finished))
    assert merged["mAP50"] == one["mAP50"]
    assert merged["methods"] == one["methods"]


def test_batches_and_threads_change_nothing(made, finished, tmp_path):
    plan = plan_of(made, tmp_path)
    process(plan, Counted(), batch=7, workers=1)
    assert_same(everything(plan), everything(finished))


def test_maps_are_not_needed_where_detections_are(made, tmp_path):
    plan = plan_of(made, tmp_path)
    process(plan, Counted())
    shutil.rmtree(plan.out / "maps")
    again = Counted()
    assert process(plan, again) == len(VIDEOS)
    assert again.pictures == 0
    gather(plan, truth_of(plan))


def test_detections_are_made_from_maps_that_are_there(made, finished, tmp_path):
    plan = plan_of(made, tmp_path)
    process(plan, Counted())
    shutil.rmtree(plan.out / "detections")
    again = Counted()
    process(plan, again)
    assert again.pictures == 0
    assert_same(everything(plan), everything(finished))


def test_a_missing_shard_is_named(made, tmp_path):
    plan = plan_of(made, tmp_path)
    process(plan, Counted(), shard=(0, 2))
    with pytest.raises(ValueError, match=r"file for each of 3 videos, got none for val/ILSVRC2015_val_00000001 \(1\)"):
        gather(plan, truth_of(plan))


def test_a_shard_of_another_checkpoint_is_not_merged(made, finished):
    other = finished._replace(checkpoint="another")
    with pytest.raises(ValueError, match=r"00000000\.npz must be made with the checkpoint that reproduce\.json names"):
        gather(other, truth_of(finished))


def test_files_that_are_damaged_or_of_other_frames_are_named(made, tmp_path):
    plan = plan_of(made, tmp_path)
    process(plan, Counted())
    video = plan.videos()[1]
    shutil.copy(plan.detections_file(plan.videos()[0]), plan.detections_file(video))
    other = video._replace(numbers=[*video.numbers[1:], 9])
    with pytest.raises(ValueError, match=r"00000001\.npz must hold the frames of the list, got others; delete it"):
        read_video_runs(plan.detections_file(video), other)
    path = plan.detections_file(video)
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(ValueError, match=r"00000001\.npz must be an \.npz archive"):
        gather(plan, truth_of(plan))


# --- bad input --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [None, b"", b"no picture", b"cut"])
def test_a_picture_that_is_missing_or_damaged_is_named_and_leaves_no_file(data, tmp_path, content):
    path = data / "Data" / "VID" / f"{LOST}.JPEG"
    if content is None:
        path.unlink()
    else:
        path.write_bytes(path.read_bytes()[:90] if content == b"cut" else content)
    plan = plan_of(data, tmp_path / "out")
    with pytest.raises(ValueError, match=rf"{LOST}\.JPEG must (be|exist)"):
        process(plan, Counted())
    assert not list((tmp_path / "out").rglob("*.npz"))


def test_a_bad_picture_is_skipped_counted_and_bridged_on_demand(data, tmp_path):
    """The frame's objects still count: the car is lost there alone, and found with the memory."""
    (data / "Data" / "VID" / f"{LOST}.JPEG").unlink()
    plan = plan_of(data, tmp_path / "out")
    process(plan, Counted(), skip_bad=True)
    results = gather(plan, truth_of(plan))
    assert len(results.unread) == 1
    assert LOST in results.unread[0]
    boxes = len(VIDEOS) * FRAMES
    assert results.reports["per frame"].average.per_class[2] == pytest.approx((boxes - 1) / boxes)
    assert results.reports["HP"].average.per_class[2] == 1


def test_videos_of_one_name_and_odd_sizes_are_refused(made, tmp_path):
    frames = list_frames(made)
    twice = frames._replace(videos=["a/x", "b/x", "c"])
    with pytest.raises(ValueError, match="different names, got 'x' twice"):
        make_plan(made, tmp_path, twice, classes=CLASSES, size=SIZE, checkpoint="")
    with pytest.raises(ValueError, match="multiple of 32, got 100"):
        make_plan(made, tmp_path, frames, classes=CLASSES, size=100, checkpoint="")


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "a/b", "0/0"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="shard must be a number from 0 and the number of shards"):
        parse_shard(text)


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    """A CenterNet of random weights, as ``heatprop train`` writes one, its scores spread around 0.02."""
    torch.manual_seed(0)
    model = CenterNet(2, backbone="resnet18", head_channels=8, deformable="none").eval()
    with torch.no_grad():
        logits = model(normalize(255 * torch.rand(4, 3, 64, 64))).heatmap.logit()
        last, scale = model.heads.heatmap[-1], 2 / logits.std()
        last.bias.copy_(scale * (last.bias - logits.mean((0, 2, 3))) - 4)
        last.weight.mul_(scale)
        model.heads.size[-1].bias.fill_(8.0)  # a box of negative size is no evidence
    path = tmp_path_factory.mktemp("weights") / "model.pt"
    described = {"backbone": "resnet18", "head_channels": 8, "deformable": "none", "input_size": 64}
    document = {"format": "heatprop.centernet.1", "classes": list(CLASSES), "state_dict": model.state_dict()}
    torch.save(document | described, path)
    return path


@pytest.fixture(scope="module")
def one_run(made, checkpoint, tmp_path_factory):
    out = tmp_path_factory.mktemp("one")
    return out, run(app, "reproduce", "--data", made, "--out", out, "--checkpoint", checkpoint).stdout


def figures(out):
    """The report without what depends on the clock and the machine."""
    document = json.loads((out / "report.json").read_text())
    return {key: document[key] for key in ("made_from", "frames", "mAP50", "uncovered", "methods", "pictures_skipped")}


def test_the_command_goes_from_pictures_and_weights_to_tables_and_figures(one_run):
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    out, printed = one_run
    document = json.loads((out / "report.json").read_text())
    assert document["frames"] == len(VIDEOS) * FRAMES
    assert document["made_from"]["classes"] == list(CLASSES)
    assert document["made_from"]["size"] == 64
    assert [row["method"] for row in document["table1"]] == ["per frame", "interpolation", "HP"]
    for text in ("3 videos, 15 frames, 2 classes, network input 64 x 64", "Table 1", "Table 5", "report.md"):
        assert text in printed
    assert "**Table 2: P**" in (out / "report.md").read_text()
    for name in ("scores.png", "curves.png"):
        assert (out / name).read_bytes().startswith(b"\x89PNG")


def test_the_command_finds_what_the_network_and_the_propagator_find(made, checkpoint, one_run):
    """Frame by frame with the public parts: letterbox, normalize, CenterNet, HeatmapPropagator."""
    model = CenterNet(2, backbone="resnet18", head_channels=8, deformable="none").eval()
    load_checkpoint(model, checkpoint)
    plan = make_plan(made, one_run[0], list_frames(made), classes=CLASSES, size=64, checkpoint="")
    total = 0
    for video in plan.videos():
        propagator, expected = HeatmapPropagator(), []
        for path in video.pictures:
            frame = torch.from_numpy(np.array(Image.open(path))).permute(2, 0, 1)[None]
            square, where = letterbox(frame, 64)
            with torch.inference_mode():
                heatmap, offset, size = (one.half().float() for one in model(normalize(square))[:3])
                found = propagator(heatmap.where(heatmap >= 0.003, 0.001), offset, size).detections.unpad()[0]
            expected.append({**found, "boxes": where.boxes(found["boxes"].double())})
        found = read_video_detections(plan.detections_file(video), video, "HP", size=64)
        np.testing.assert_array_equal(found.frame, np.repeat(range(FRAMES), [len(one["scores"]) for one in expected]))
        np.testing.assert_allclose(found.score, np.concatenate([one["scores"] for one in expected]), atol=1e-3)
        np.testing.assert_allclose(found.box, np.concatenate([one["boxes"] for one in expected]), atol=0.05)
        total += len(found.score)
    assert total > 40


def test_two_shards_and_a_run_without_weights_equal_one_run(made, checkpoint, one_run, tmp_path):
    for number in (0, 1):
        assert not (tmp_path / "report.json").exists()
        run(app, "reproduce", "--data", made, "--out", tmp_path, "--checkpoint", checkpoint, "--shard", f"{number}/2")
    run(app, "reproduce", "--data", made, "--out", tmp_path)
    assert figures(tmp_path) == figures(one_run[0])


def test_ctrl_c_says_how_to_go_on_and_the_next_run_ends_with_the_same(made, checkpoint, one_run, tmp_path, monkeypatch):
    calls, save = [], running.save_video_detections

    def interrupted(plan, video):
        calls.append(video.name)
        if len(calls) == 2:
            raise KeyboardInterrupt
        save(plan, video)

    monkeypatch.setattr(running, "save_video_detections", interrupted)
    arguments = ("--data", made, "--out", tmp_path, "--checkpoint", checkpoint)
    assert "start it again with --out" in run(app, "reproduce", *arguments, code=130).stderr
    assert not (tmp_path / "report.json").exists()
    monkeypatch.undo()
    assert "3 videos, 1 of them finished before" in run(app, "reproduce", *arguments).stderr
    assert figures(tmp_path) == figures(one_run[0])


def test_a_run_that_was_killed_goes_on_and_ends_with_the_same(made, checkpoint, one_run, tmp_path):
    """Killed as soon as its first file is there; half a file of the second may lie about under another name."""
    arguments = ("--data", made, "--out", tmp_path, "--checkpoint", checkpoint)
    source = str(Path(heatprop.__file__).parents[1])
    process = subprocess.Popen(
        [sys.executable, "-m", "heatprop", "reproduce", *map(str, arguments)],
        env=os.environ | {"PYTHONPATH": source},
        stderr=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 120
    while not list((tmp_path / "maps").glob("*.npz")) and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    process.kill()
    assert process.wait() == -signal.SIGKILL
    assert not (tmp_path / "report.json").exists()
    (tmp_path / "maps" / ".ILSVRC2015_val_00000002.npz.x.part").write_bytes(b"PK half a file")
    run(app, "reproduce", *arguments)
    assert figures(tmp_path) == figures(one_run[0])


def test_the_command_names_a_missing_picture_and_skips_it_on_demand(data, checkpoint, tmp_path):
    (data / "Data" / "VID" / f"{LOST}.JPEG").unlink()
    arguments = ("--data", data, "--out", tmp_path / "out", "--checkpoint", checkpoint)
    assert f"{LOST}.JPEG must exist, got no such file" in run(app, "reproduce", *arguments, code=1).stderr
    assert "pictures that could not be read: 1" in run(app, "reproduce", *arguments, "--skip-bad").stderr
    assert len(figures(tmp_path / "out")["pictures_skipped"]) == 1


def test_a_wrong_class_count_is_named_and_leaves_the_folder_free(made, checkpoint, tmp_path):
    arguments = ("--data", made, "--out", tmp_path / "out")
    said = run(app, "reproduce", *arguments, "--checkpoint", checkpoint, "--classes", "dog,car,bus", code=1).stderr
    assert "has 2 classes, got 3 from --classes" in said
    plain = tmp_path / "plain.pt"
    torch.save({"state_dict": torch.load(checkpoint, weights_only=True)["state_dict"]}, plain)
    foreign = ("--checkpoint", plain, "--backbone", "resnet18", "--head-channels", 8, "--size", 64)
    said = run(app, "reproduce", *arguments, *foreign, code=1).stderr
    assert "plain.pt does not fit the model" in said
    assert "here: 30 classes, resnet18, 8 head channels; see --classes" in said
    assert not (tmp_path / "out").exists()


def test_what_is_no_detector_or_no_device_is_refused(made, checkpoint, tmp_path):
    arguments = ("--data", made, "--out", tmp_path / "out")
    assert "got no such file" in run(app, "reproduce", *arguments, "--checkpoint", tmp_path / "none.pt", code=1).stderr
    assert "must hold results of heatprop reproduce" in run(app, "reproduce", *arguments, code=1).stderr
    assert (
        "the checkpoint, which has resnet18, got dla34"
        in run(app, "reproduce", *arguments, "--checkpoint", checkpoint, "--backbone", "dla34", code=1).stderr
    )
    (tmp_path / "text.pt").write_text("no weights")
    assert (
        "text.pt is not a checkpoint"
        in run(app, "reproduce", *arguments, "--checkpoint", tmp_path / "text.pt", code=1).stderr
    )
    weights = torch.load(checkpoint, weights_only=True)["state_dict"]
    names = {name: one for name, one in weights.items() if name.startswith("backbone.")}
    torch.save({name.removeprefix("backbone."): one for name, one in names.items()}, tmp_path / "body.pt")
    body = ("--checkpoint", tmp_path / "body.pt", "--backbone", "resnet18")
    assert (
        "must be a detector's weights, got those of a backbone"
        in run(app, "reproduce", *arguments, *body, code=1).stderr
    )
    said = run(app, "reproduce", *arguments, "--checkpoint", checkpoint, "--device", "nowhere", code=1).stderr
    assert "no device 'nowhere' here" in said


def test_results_of_something_else_are_not_mixed(made, checkpoint, tmp_path):
    run(app, "reproduce", "--data", made, "--out", tmp_path, "--checkpoint", checkpoint, "--shard", "0/3")
    said = run(
        app, "reproduce", "--data", made, "--out", tmp_path, "--checkpoint", checkpoint, "--size", 96, code=1
    ).stderr
    assert "got results that differ in size; choose another --out" in said
    (tmp_path / "frames.txt").write_text("val/ILSVRC2015_val_00000001/000000 1\n")
    said = run(
        app,
        "reproduce",
        *("--data", made, "--out", tmp_path, "--checkpoint", checkpoint, "--frames", tmp_path / "frames.txt"),
        code=1,
    ).stderr
    assert "got results that differ in frames" in said
    assert "give --checkpoint" in run(app, "reproduce", "--data", made, "--out", tmp_path, code=1).stderr
