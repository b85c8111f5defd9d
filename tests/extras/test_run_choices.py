"""`heatprop run`: detectors in a file, classes, labels, pictures."""

import json
import sys

import numpy as np
import pytest
from films import make
from PIL import Image
from toy_detectors import film, lossless
from typer.testing import CliRunner

from heatprop.cli import app
from heatprop.running.detectors import DetectorError, find_labels, load_detector
from heatprop.video.drawing import SEEN, annotate

FILE = """
from toy_detectors import spots, two_classes
from beside import helper

class_names = ("nothing", "plate")

def detect(frames):
    return helper(two_classes(frames))

def named(frames):
    return two_classes(frames)

named.class_names = {1: "car", 0: "bus"}

def wrong(frames):
    return two_classes(frames)

wrong.class_names = "car"
"""


@pytest.fixture
def detector_file(tmp_path, monkeypatch):
    (tmp_path / "detectors").mkdir()
    path = tmp_path / "detectors" / "mydet.py"
    path.write_text(FILE)
    path.with_name("beside.py").write_text("def helper(maps):\n    return maps\n")
    monkeypatch.setattr(sys, "path", list(sys.path))
    yield path
    for name in ("mydet", "beside"):
        sys.modules.pop(name, None)


def run(*arguments):
    return CliRunner().invoke(app, ["run", *map(str, arguments)], env={"COLUMNS": "250"})


def clip(path, scores=(0.8,) * 3):
    return make(path, film(scores, height=96, width=160), prepare=lossless)


def labels(path):
    return [json.loads(line)["label"] for line in path.read_text().splitlines()]


# --- the detector -----------------------------------------------------------------------------------------------------


def test_a_file_is_a_detector(tmp_path, detector_file):
    result = run(clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", "--json", "--detector", f"{detector_file}:detect")
    assert result.exit_code == 0, result.output
    assert labels(tmp_path / "out" / "a.jsonl") == [1, 1, 1]


def test_names_of_classes_are_the_callables_or_the_modules(detector_file):
    assert load_detector(f"{detector_file}:detect").class_names == ("nothing", "plate")
    assert load_detector(f"{detector_file}:named").class_names == ("bus", "car")
    assert load_detector("toy_detectors:two_classes").class_names == ()
    with pytest.raises(DetectorError, match=r"class_names of .* must be the names of its classes in their order"):
        load_detector(f"{detector_file}:wrong")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("nowhere.py:detect", "there is no file nowhere.py"),
        ("broken.py:detect", "broken.py cannot be imported: ZeroDiv"),
    ],
)
def test_a_file_that_is_no_detector_is_told(tmp_path, monkeypatch, name, message):
    (tmp_path / "broken.py").write_text("1 / 0")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    with pytest.raises(DetectorError, match=message):
        load_detector(name)


# --- classes ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("classes", "count"), [("plate", 3), ("1", 3), ("nothing", 0), ("nothing, plate", 3)])
def test_only_the_classes_asked_for_are_written(tmp_path, detector_file, classes, count):
    words = (clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", "--json", "--classes", classes)
    assert run(*words, "--detector", f"{detector_file}:detect").exit_code == 0
    assert len(labels(tmp_path / "out" / "a.jsonl")) == count


def test_two_passes_keep_classes_too(tmp_path, detector_file):
    words = (clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", "--json", "--classes", "nothing", "--two-pass")
    assert run(*words, "--detector", f"{detector_file}:detect").exit_code == 0
    assert labels(tmp_path / "out" / "a.jsonl") == []


def test_a_class_that_the_detector_does_not_have_is_told(tmp_path, detector_file):
    words = (clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", "--classes", "plates")
    result = run(*words, "--detector", f"{detector_file}:detect")
    assert result.exit_code == 2
    assert "got 'plates'; it has nothing, plate" in result.output
    with pytest.raises(ValueError, match="it has no names: give numbers from 0"):
        find_labels("plate", ())
    with pytest.raises(ValueError, match="got '2'; it has a, b"):
        find_labels("2", ("a", "b"))
    assert find_labels("7", ()) == {7}


def test_labels_say_the_name_of_the_class(tmp_path, monkeypatch, detector_file):
    from heatprop.running import outputs

    said = []

    def draw(image, boxes, *, texts, carried):
        said.extend(texts)
        return image

    monkeypatch.setattr(outputs, "annotate", draw)
    run(clip(tmp_path / "a.mp4", (0.8,)), "--out", tmp_path / "out", "--detector", f"{detector_file}:detect")
    run(clip(tmp_path / "a.mp4", (0.8,)), "--out", tmp_path / "out", "--detector", "toy_detectors:two_classes")
    assert said == ["plate: #0  0.80", "1: #0  0.80"]


# --- labels -----------------------------------------------------------------------------------------------------------


def areas(image):
    """How many pixels have the colour of labels."""
    return int((np.abs(image.astype(int) - SEEN).sum(axis=2) == 0).sum())


@pytest.mark.parametrize("shift", [(0, 0), (6, 3), (30, 0), (0, 8)])
def test_labels_of_boxes_in_one_place_do_not_cover_each_other(shift):
    """Together they take the room that they take alone."""
    empty = np.zeros((240, 320, 3), np.uint8)
    boxes = [
        np.add([100, 100, 160, 150], [*shift, *shift]) * 1 if number else [100, 100, 160, 150] for number in (0, 1)
    ]
    plain = areas(annotate(empty, boxes, texts=["", ""], carried=[False, False]))
    alone = [areas(annotate(empty, [box], texts=["#0 0.93"], carried=[False])) for box in boxes]
    outlines = [areas(annotate(empty, [box], texts=[""], carried=[False])) for box in boxes]
    label = min(one - outline for one, outline in zip(alone, outlines, strict=True))
    both = areas(annotate(empty, boxes, texts=["#0 0.93", "#1 0.87"], carried=[False, False]))
    assert both - plain > 1.75 * label


def test_many_labels_in_one_corner_stay_in_the_picture():
    empty = np.zeros((60, 80, 3), np.uint8)
    drawn = annotate(empty, [[0, 0, 20, 20]] * 30, texts=["#0 0.9"] * 30, carried=[False] * 30)
    assert drawn.shape == empty.shape


# --- pictures ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".JPEG", ".bmp", ".webp", ".tif"])
def test_a_picture_in_gives_pictures_out(tmp_path, suffix):
    (image,) = film((0.8,), height=96, width=160)
    Image.fromarray(image).save(tmp_path / f"a{suffix}")
    result = run(
        tmp_path / f"a{suffix}",
        "--out",
        tmp_path / "out",
        "--blur",
        "--annotate",
        "--compare",
        "--json",
        "--detector",
        "toy_detectors:spots",
    )
    assert result.exit_code == 0, result.output
    names = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert names == sorted(["a.jsonl", *(f"a_{kind}{suffix}" for kind in ("annotated", "blurred", "compare"))])
    with Image.open(tmp_path / "out" / f"a_annotated{suffix}") as annotated:
        drawn = np.asarray(annotated.convert("RGB"))
    assert drawn.shape == image.shape
    assert np.abs(drawn.astype(int) - SEEN).sum(axis=2).min() < 60, "a box is drawn"
    with Image.open(tmp_path / "out" / f"a_blurred{suffix}") as blurred:
        assert np.asarray(blurred.convert("RGB")).max() < 0.5 * image.max()


def test_a_picture_is_seen_upright_and_loses_what_its_file_tells_of_it(tmp_path):
    """A preview in the file's metadata would show the face that the picture hides."""
    (image,) = film((0.8,), height=96, width=160)
    exif = Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "taken in the garden"  # to be turned by 90 degrees; a description
    Image.fromarray(np.rot90(image)).save(tmp_path / "a.jpg", exif=exif, quality=95)
    words = (tmp_path / "a.jpg", "--out", tmp_path / "out", "--blur", "--detector", "toy_detectors:spots")
    assert run(*words).exit_code == 0
    with Image.open(tmp_path / "out" / "a_blurred.jpg") as blurred:
        assert blurred.size == (160, 96)
        assert not blurred.getexif()


def test_a_picture_and_a_video_share_a_folder_and_skip_what_is_there(tmp_path):
    (image,) = film((0.8,), height=96, width=160)
    Image.fromarray(image).save(tmp_path / "a.png")
    words = (
        tmp_path / "a.png",
        clip(tmp_path / "b.mp4"),
        "--out",
        tmp_path / "out",
        "--detector",
        "toy_detectors:spots",
    )
    assert run(*words).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["a_annotated.png", "b_annotated.mp4"]
    assert "2 of 2 videos are finished already" in run(*words, "--skip-existing").stderr


# --- the radius -------------------------------------------------------------------------------------------------------


def moving(path, step, count=80):
    """A spot that moves so many cells a frame to and fro, without ever turning within 3 frames."""
    places = [10 + step * (number % 8 if number // 8 % 2 == 0 else 8 - number % 8) for number in range(count)]
    return make(path, [film((0.9,), cell=(x, 12), height=96, width=288)[0] for x in places], prepare=lossless)


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize(("step", "radius"), [(1, 1), (3, 3), (5, 5)])
def test_the_radius_follows_the_motion_of_each_video(tmp_path, step, radius, two_pass):
    words = ("--out", tmp_path / "out", "--json", "--no-annotate", "--detector", "toy_detectors:spots")
    words = (moving(tmp_path / "a.mp4", step), *words, *(["--two-pass"] if two_pass else []))
    result = run(*words, "--radius", "auto")
    assert result.exit_code == 0, result.output
    assert f"note: radius {radius}, which covers 95 % of" in result.stderr
    ids = {json.loads(line)["id"] for line in (tmp_path / "out" / "a.jsonl").read_text().splitlines()}
    assert len(ids) == 1, "it is followed"


def test_each_video_has_a_radius_of_its_own_and_few_motions_keep_the_default(tmp_path):
    sources = (moving(tmp_path / "a.mp4", 4), clip(tmp_path / "b.mp4"), moving(tmp_path / "c.mp4", 1))
    words = ("--out", tmp_path / "out", "--detector", "toy_detectors:spots", "--radius", "auto")
    said = [line for line in run(*sources, *words).stderr.splitlines() if line.startswith("note: radius")]
    assert [line.split()[2] for line in said] == ["4,", "2,", "1,"]
    assert "as set: 2 motions were seen, which are too few" in said[1]


@pytest.mark.parametrize("radius", ["many", "-1", "101", "1.5"])
def test_a_radius_that_is_none_is_told(tmp_path, radius):
    result = run(clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", "--radius", radius)
    assert result.exit_code == 2
    assert "radius" in result.output
