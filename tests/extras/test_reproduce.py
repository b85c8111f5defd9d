"""``heatprop reproduce`` on tiny videos whose detector is right by construction; figures by hand."""

import json
import shutil

import numpy as np
import pytest
import torch
from bright_squares import CLASSES, DIM, FRAMES, VIDEOS, Counted, boxes_of, write_videos

pytest.importorskip("typer", reason="needs the extra cli")

from heatprop.evaluation.baselines import table1
from heatprop.evaluation.imagenet import read_vid
from heatprop.evaluation.imagenet_lists import list_frames
from heatprop.evaluation.saved_maps import iterate_saved_maps
from heatprop.letterbox import letterbox
from heatprop.reproducing.plan import make_plan, parse_shard
from heatprop.reproducing.propagating import read_video_detections, read_video_runs, to_picture_pixels
from heatprop.reproducing.results import gather
from heatprop.reproducing.running import Reading, process_videos
from heatprop.reproducing.runs import run_names
from heatprop.reproducing.tables import paper_tables, to_markdown
from heatprop.reproducing.writing import report_document

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
    return make_plan(root, out, list_frames(root), CLASSES, SIZE)


def truth_of(plan):
    return read_vid(plan.data, plan.frames, classes=plan.classes)


def process(plan, detector, *, shard=(0, 1), **reading):
    options = Reading(**{"batch": 2, "workers": 2, **reading})
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
    with pytest.raises(ValueError, match=r"a file of each of 3 videos, got none of val/ILSVRC2015_val_00000001 \(1\)"):
        gather(plan, truth_of(plan))


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
    with pytest.raises(ValueError, match=rf"{LOST}\.JPEG must be"):
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
        make_plan(made, tmp_path, twice, CLASSES, SIZE)
    with pytest.raises(ValueError, match="multiple of 32, got 100"):
        make_plan(made, tmp_path, frames, CLASSES, 100)


@pytest.mark.parametrize("text", ["4/4", "1", "-1/4", "a/b", "0/0"])
def test_a_shard_that_is_none_is_refused(text):
    with pytest.raises(ValueError, match="shard must be a number from 0 and how many there are"):
        parse_shard(text)
