"""The synthetic benchmark: what is annotated is what is rendered, and what is read back is what was written."""

import json

import numpy as np
import pytest

pytest.importorskip("skimage", reason="needs heatprop[benchmark]")
Image = pytest.importorskip("PIL.Image", reason="needs heatprop[benchmark]")

from heatprop.evaluation import (  # noqa: E402 # after the packages of the extra are known to be there
    Predictions,
    average_precision,
)
from heatprop.formats.imagenet import read_vid  # noqa: E402
from heatprop.formats.imagenet_classes import VID_WNIDS  # noqa: E402
from heatprop.formats.imagenet_lists import list_frames, read_frame_list  # noqa: E402
from heatprop.formats.imagenet_xml import read_annotation  # noqa: E402
from heatprop.synthetic import (  # noqa: E402
    CLASSES,
    SceneOptions,
    annotate_frame,
    class_names,
    fingerprint,
    make_benchmark,
    make_scene,
    render_frame,
    scene_truth,
    video_name,
)
from heatprop.synthetic.motion import Course  # noqa: E402
from heatprop.synthetic.photos import PHOTOS, TEXTURES, load_photo  # noqa: E402
from heatprop.synthetic.rendering import exposure, render_thing  # noqa: E402
from heatprop.synthetic.sprites import draw_sprite  # noqa: E402
from heatprop.synthetic.visible import extents  # noqa: E402

SMALL = SceneOptions(size=(96, 64), frames=8, objects=(2, 3), length=(0.3, 0.5))
ROAD = SceneOptions(size=(96, 64), frames=6, objects=(2, 2), occluders=0, length=(0.4, 0.4), camera=0)


def alone(scene, thing, time):
    """Alpha of one thing on an empty picture, by the plainest loop over its pixels."""
    width, height = scene.options.size
    alpha = np.zeros((height, width), np.uint8)
    layer = render_thing(scene, thing, time)
    if layer is not None:
        band, (left, top) = np.asarray(layer.picture.getchannel("A")), layer.corner
        for y in range(band.shape[0]):
            for x in range(band.shape[1]):
                if 0 <= left + x < width and 0 <= top + y < height:
                    alpha[top + y, left + x] = band[y, x]
    return alpha


def place(scene, *places):
    """Put the objects of a scene at fixed places, farthest first, as many as places are given."""
    frames = scene.options.frames
    things = [
        thing._replace(course=Course(np.tile(np.float64(at), (frames, 1)), *np.ones((1, frames)), *courses(frames)))
        for thing, at in zip(scene.things, places, strict=False)
    ]
    return scene._replace(things=tuple(things))


def courses(frames):
    return np.zeros((1, frames))[0], np.ones(frames, np.int64)


@pytest.mark.parametrize("seed", range(4))
def test_boxes_are_the_extents_of_the_visible_pixels(seed):
    scene = make_scene(SMALL, (seed,))
    compared = 0
    for frame in range(SMALL.frames):
        boxes = {one.track: one.box for one in annotate_frame(scene, frame).objects}
        for depth, thing in enumerate(scene.things):
            seen = alone(scene, thing, frame) >= 128
            for nearer in scene.things[depth + 1 :]:
                seen &= alone(scene, nearer, frame) < 128
            if thing.track in boxes:
                rows, columns = np.nonzero(seen)
                assert boxes[thing.track] == (columns.min(), rows.min(), columns.max(), rows.max())
                compared += 1
    assert compared > 5


def test_the_picture_changes_inside_of_the_boxes_only():
    """Without blur, what an object changes in the picture is its box and at most 2 px of soft edge about it."""
    options = SceneOptions(
        size=(96, 96), frames=1, objects=(1, 1), occluders=0, shutter=(0, 0), defocus=0, camera=0, length=(0.4, 0.5)
    )
    for seed in range(8):
        scene = place(make_scene(options, (seed,)), (48, 48))._replace(noise=0.0)
        with_object, without = (render_frame(one, 0).astype(int) for one in (scene, scene._replace(things=())))
        (one,) = annotate_frame(scene, 0).objects
        soft = np.subtract(one.box, extents((with_object != without).any(axis=-1))) * (1, 1, -1, -1)
        assert 0 <= soft.min() <= soft.max() <= 2


def test_equal_seeds_give_equal_bytes_whatever_the_workers(tmp_path):
    for name, workers in (("a", 1), ("b", 2)):
        list(make_benchmark(tmp_path / name, train=1, val=1, seed=3, scene=SMALL, workers=workers))
    list(make_benchmark(tmp_path / "c", train=1, val=1, seed=4, scene=SMALL))
    a, b, c = (fingerprint(tmp_path / name) for name in "abc")
    assert a == b != c


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    root = tmp_path_factory.mktemp("made") / "root"
    videos = list(make_benchmark(root, train=2, val=2, seed=1, scene=SMALL))
    assert [video.new for video in videos] == [True] * 4
    return root


def test_the_vid_reader_reads_what_was_rendered(made):
    truth = read_vid(made, list_frames(made))
    wnids = list(VID_WNIDS)
    row = 0
    for number in range(2):
        scene = make_scene(SMALL, (1, 1, number), split="val")
        for frame in range(SMALL.frames):
            for one in annotate_frame(scene, frame).objects:
                assert (truth.video[row], truth.frame[row], truth.track[row]) == (number, frame, one.track)
                assert wnids[truth.label[row] - 1] == one.name
                assert tuple(truth.box[row]) == one.box
                row += 1
    assert row == len(truth.box) > 10


def test_the_evaluator_gives_perfect_boxes_an_average_precision_of_1(made):
    truth = read_vid(made, list_frames(made))
    found = Predictions(truth.video, truth.frame, truth.label, np.ones(len(truth.box)), truth.box)
    result = average_precision(truth, found)
    assert result.mean == 1
    assert set(result.per_class) <= {1 + list(VID_WNIDS).index(wnid) for wnid in CLASSES}


def test_all_lists_name_the_frames_that_are_there(made):
    lists = made / "ImageSets"
    whole = list_frames(made)
    for name in ("VID_val_frames.txt", "VID_val_videos.txt", "VID/val.txt"):
        listed = read_frame_list(lists / name)
        assert list(listed.paths()) == list(whole.paths())
        assert listed.frame_id.tolist() == whole.frame_id.tolist()
    train = read_frame_list(lists / "VID_train_15frames.txt")
    assert list(train.paths()) == list(list_frames(made, "train").paths())  # 8 frames: all of them
    assert (lists / "VID_val_videos.txt").read_text().splitlines()[1] == f"{video_name('val', 1)} 9 0 8"


def test_fifteen_frames_of_a_long_video_are_spread_over_it(tmp_path):
    still = SceneOptions(size=(32, 32), frames=300, objects=(0, 0), occluders=0, shutter=(0, 0), defocus=0, camera=0)
    list(make_benchmark(tmp_path, train=1, val=0, scene=still))
    lines = (tmp_path / "ImageSets" / "VID_train_15frames.txt").read_text().splitlines()
    assert lines == [f"{video_name('train', 0)} 1 {frame} 300" for frame in range(10, 300, 20)]


def test_every_annotation_has_its_picture_of_the_size_it_says(made):
    for path in sorted((made / "Annotations").rglob("*.xml")):
        annotation = read_annotation(path)
        with Image.open(made / "Data" / path.relative_to(made / "Annotations").with_suffix(".JPEG")) as photo:
            assert photo.size == (annotation.width, annotation.height) == SMALL.size
        for one in annotation.objects:
            x1, y1, x2, y2 = one.box
            assert 0 <= x1 < x2 <= SMALL.size[0] - 1
            assert 0 <= y1 < y2 <= SMALL.size[1] - 1
            assert one.generated is False


def test_track_ids_are_unique_in_a_frame_and_keep_their_class(made):
    truth = read_vid(made, list_frames(made))
    keys = list(zip(truth.video.tolist(), truth.frame.tolist(), truth.track.tolist(), strict=True))
    assert len(set(keys)) == len(keys)
    classes = {}
    for (video, _, track), label in zip(keys, truth.label.tolist(), strict=True):
        assert classes.setdefault((video, track), label) == label


def test_corners_are_written_in_the_order_of_imagenet_vid(made):
    path = next((made / "Annotations").rglob("000004.xml"))
    tags = [
        line.strip()[1:5] for line in path.read_text().splitlines() if line.strip()[1:5] in {"xmax", "xmin", "ymax"}
    ]
    assert tags[:3] == ["xmax", "xmin", "ymax"]


def test_a_finished_video_is_not_rendered_again_and_half_a_one_is(tmp_path):
    list(make_benchmark(tmp_path, train=0, val=2, scene=SMALL))
    first = tmp_path / "Data" / "VID" / video_name("val", 0) / "000000.JPEG"
    first.write_bytes(b"kept")
    half = tmp_path / "Annotations" / "VID" / video_name("val", 1)  # it is moved last
    for path in half.iterdir():
        path.unlink()
    half.rmdir()
    (tmp_path / ".parts" / half.name / "Data").mkdir(parents=True)
    videos = list(make_benchmark(tmp_path, train=0, val=3, scene=SMALL))
    assert [video.new for video in videos] == [False, True, True]
    assert first.read_bytes() == b"kept"
    assert not (tmp_path / ".parts").exists()
    assert len(list_frames(tmp_path).videos) == 3


def test_another_benchmark_or_data_set_is_not_mixed_in(tmp_path):
    list(make_benchmark(tmp_path / "made", train=0, val=1, scene=SMALL))
    with pytest.raises(ValueError, match="must hold videos made with these options"):
        list(make_benchmark(tmp_path / "made", train=0, val=1, seed=9, scene=SMALL))
    (tmp_path / "real" / "Data").mkdir(parents=True)
    with pytest.raises(ValueError, match=r"must be new or hold benchmark\.json"):
        list(make_benchmark(tmp_path / "real", train=0, val=1, scene=SMALL))
    assert json.loads((tmp_path / "made" / "benchmark.json").read_text())["seed"] == 0


def test_a_hidden_object_is_occluded_and_one_that_is_cut_is_not():
    scene = place(make_scene(ROAD, (2,)), (40, 32), (52, 32))
    far, near = annotate_frame(scene, 0).objects
    assert (far.track, far.occluded) == (0, True)
    assert (near.track, near.occluded) == (1, False)
    (cut,) = annotate_frame(place(scene, (2, 32)), 0).objects
    assert (cut.box[0], cut.occluded) == (0, False)


def test_an_object_that_can_hardly_be_seen_has_no_box():
    scene = make_scene(ROAD, (2,))
    width = scene.things[0].sprite.size[0]
    assert len(annotate_frame(place(scene, (96 + 0.1 * width, 32)), 0).objects) == 1
    assert len(annotate_frame(place(scene, (96 + 0.4 * width, 32)), 0).objects) == 0
    assert len(annotate_frame(place(scene, (40, 32), (40, 32))._replace(things=scene.things[:0]), 0).objects) == 0


def test_motion_blur_smears_what_moves_and_leaves_what_stands():
    options = SceneOptions(
        size=(96, 64), frames=3, objects=(1, 1), occluders=0, shutter=(1, 1), defocus=0, camera=0, length=(0.4, 0.4)
    )
    scene = place(make_scene(options, (7,)), (48, 32))._replace(noise=0.0)
    assert exposure(scene, 1) == [1.0]
    (thing,) = scene.things
    moving = thing.course._replace(place=np.array([[38.0, 32.0], [48.0, 32.0], [58.0, 32.0]]))
    fast = scene._replace(things=(thing._replace(course=moving),))
    assert len(exposure(fast, 1)) == 9  # 10 px in steps of 1.25, and one more
    assert annotate_frame(fast, 1) == annotate_frame(scene, 1)
    empty, sharp, blurred = (render_frame(one, 1).astype(int) for one in (scene._replace(things=()), scene, fast))
    touched = [int((np.abs(picture - empty) > 3).any(axis=(0, 2)).sum()) for picture in (sharp, blurred)]
    assert 6 <= touched[1] - touched[0] <= 11  # columns: 10 px more, less the faint ends


def test_defocus_softens_the_frames_that_it_is_asked_for():
    scene = make_scene(SMALL, (3,))._replace(noise=0.0, defocus=np.array([0.0, 2.0] * 4))
    sharp, soft = (np.abs(np.diff(render_frame(scene, frame).astype(int), axis=1)).mean() for frame in (0, 1))
    assert soft < 0.8 * sharp


def test_objects_leave_and_enter():
    options = SceneOptions(size=(64, 64), frames=80, objects=(1, 1), occluders=0, speed=(4, 4), length=(0.3, 0.3))
    truth = scene_truth(make_scene(options, (0,)))
    assert 10 < len(truth.frame) < 80
    assert (np.diff(truth.frame) > 1).any()


def test_objects_move_at_the_speed_that_was_asked_for():
    options = SceneOptions(size=(192, 192), frames=20, objects=(4, 4), speed=(3, 3))
    for thing in make_scene(options, (1,)).things:
        if thing.track >= 0:
            steps = np.linalg.norm(np.diff(thing.course.place, axis=0), axis=1)
            assert 3 * 0.7 - 1e-9 <= steps.min() <= steps.max() <= 3 * 1.3 + 1e-9


def test_the_camera_never_sees_the_end_of_the_world():
    for seed in range(20):
        scene = make_scene(SceneOptions(size=(64, 48), frames=200, objects=(0, 0)), (seed,))
        camera, size = scene.camera, np.array([64, 48])
        half = (size / 2 + np.abs(camera.shake)) / camera.zoom[:, None]
        assert (np.abs(camera.pan) + half <= size).all()


@pytest.mark.parametrize("wnid", CLASSES)
def test_every_class_is_one_of_imagenet_vid_and_is_drawn(wnid):
    assert VID_WNIDS[wnid] == CLASSES[wnid]
    sprite = draw_sprite(np.random.default_rng(0), wnid, 40.0)
    assert max(sprite.size) == 42  # a border of 1 px
    alpha = np.asarray(sprite.getchannel("A"))
    assert not alpha[[0, -1]].any()
    assert not alpha[:, [0, -1]].any()
    assert 0.3 < (alpha >= 128).mean() < 0.95


def test_splits_share_no_background_and_all_photographs_are_in_the_wheel():
    assert not set(PHOTOS["train"]) & set(PHOTOS["val"])
    for name in {*PHOTOS["train"], *PHOTOS["val"], *TEXTURES}:
        assert min(load_photo(name).size) >= 300


def test_the_truth_of_a_scene_counts_classes_from_0():
    options = SceneOptions(classes=("n02391049", "n02958343"), objects=(4, 4), frames=3)
    scene = make_scene(options, (0,))
    truth = scene_truth(scene, "walk")
    assert class_names(scene) == ("zebra", "car")
    assert set(truth.label.tolist()) <= {0, 1}
    assert len(truth.box) == sum(len(annotate_frame(scene, frame).objects) for frame in range(3))
    empty = scene_truth(make_scene(SceneOptions(objects=(0, 0), frames=2), (0,)))
    assert empty.box.shape == (0, 4)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": (16, 64)}, "size, width and height must be 32 to inf"),
        ({"frames": 0}, "frames must be 1 to 1000000, got 0"),
        ({"speed": (5, 1)}, "speed must be 0 to inf, the lower first, got 5, 1"),
        ({"classes": ("n02084071",)}, "classes must be among n01503061.* got .'n02084071'"),
        ({"classes": ()}, "got none"),
        ({"shutter": (0, 1.5)}, "shutter must be 0 to 1"),
    ],
)
def test_an_option_out_of_its_range_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SceneOptions(**options)


def test_the_command_makes_a_benchmark(tmp_path):
    typer = pytest.importorskip("typer", reason="needs heatprop[cli]")
    testing = pytest.importorskip("typer.testing")
    from heatprop.cli.make_benchmark import make_benchmark as command

    app = typer.Typer()
    app.command()(command)
    arguments = ["--out", str(tmp_path / "a"), "--train", "1", "--val", "1", "--frames", "3", "--size", "64x48"]
    result = testing.CliRunner().invoke(app, [*arguments, "--classes", "bird,car"])
    assert result.exit_code == 0
    assert "1 + 1 videos of 3 frames; 6 frames rendered" in result.output
    assert len(list((tmp_path / "a").rglob("*.JPEG"))) == 6
    for wrong in (["--size", "big"], ["--classes", "dog"], ["--fastest", "0.1"]):
        assert testing.CliRunner().invoke(app, [*arguments, *wrong]).exit_code == 2
