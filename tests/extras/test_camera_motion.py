"""Camera motion on pictures of a world that is a formula: every pixel is exact, no warping library is involved."""

import builtins

import numpy as np
import pytest
import torch
from panorama import SIZE, pose, truth, view, world

from heatprop.centernet.letterbox import letterbox
from heatprop.video import CameraMotion, cell_motion

IDENTITY = np.eye(2, 3)


def largest_error(motion, expected, size=SIZE):
    """Of all places of the picture, in pixels."""
    x, y = np.meshgrid([0, size[0]], [0, size[1]])
    corners = np.stack([x.ravel(), y.ravel(), np.ones(4)])
    return np.hypot(*(motion @ corners - expected @ corners)).max()


def watch(images):
    camera = CameraMotion()
    return [camera(image) for image in images]


# --- a moving camera --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "move",
    [
        {"x": 3.3},
        {"y": -5.7},
        {"x": -11.0, "y": 6.5},
        {"degrees": 1.5},
        {"zoom": 1.03},
        {"zoom": 0.96},
        {"x": 4.0, "y": 2.0, "degrees": -2.0, "zoom": 1.02},
    ],
    ids=str,
)
def test_the_motion_of_a_camera_is_found_to_a_fifth_of_a_pixel(move):
    last, now = pose(), pose(**move)
    _, motion = watch([view(last), view(now)])
    assert largest_error(motion, truth(last, now)) < 0.2
    assert largest_error(IDENTITY, truth(last, now)) > 1


def test_a_larger_picture_is_looked_at_small_and_answered_in_its_own_pixels():
    size = (960, 541)  # sides that do not shrink by one factor
    last, now = pose(size=size), pose(9.0, -6.0, degrees=0.5, size=size)
    _, motion = watch([view(last, size=size), view(now, size=size)])
    assert largest_error(motion, truth(last, now), size) < 0.6


def test_noise_changes_it_little():
    last, now = pose(), pose(4.0, 3.0)
    _, motion = watch([view(last, noise=10), view(now, noise=10, seed=1)])
    assert largest_error(motion, truth(last, now)) < 0.5


def test_an_object_that_moves_on_its_own_does_not_disturb_it():
    last, now = pose(), pose(6.0, 0.0)

    def bus(left):
        def paint(points, grey):
            inside = (np.abs(points - [left + 50, 100]) < [50, 40]).all(-1)
            return np.where(inside, world(points - [left, 0]), grey)

        return paint

    _, motion = watch([view(last, paint=bus(60)), view(now, paint=bus(72))])
    assert largest_error(motion, truth(last, now)) < 0.3


def test_a_ride_gives_each_frames_motion():
    cameras = [pose(2.0 * t, t**1.5, degrees=0.3 * t) for t in range(5)]
    motions = watch(view(camera) for camera in cameras)
    assert (motions[0] == IDENTITY).all()
    for last, now, motion in zip(cameras, cameras[1:], motions[1:], strict=False):
        assert largest_error(motion, truth(last, now)) < 0.3


# --- a still camera: exactly nothing ----------------------------------------------------------------------------------


@pytest.mark.parametrize("noise", [0, 2, 10, 25])
def test_noise_on_a_still_camera_is_no_motion(noise):
    motions = watch(view(pose(), noise=noise, seed=seed) for seed in range(8))
    assert all((motion == IDENTITY).all() for motion in motions)


@pytest.mark.parametrize("step", [(4, 0), (0, 3), (-9, 5)])
@pytest.mark.parametrize("half", [(40, 40), (70, 60)])
def test_an_object_over_a_still_background_is_no_motion(step, half):
    def paint_at(time):
        place = np.multiply(step, time)

        def paint(points, grey):
            inside = (np.abs(points - place - [160, 90]) < half).all(-1)
            return np.where(inside, world(points - place + 200), grey)

        return paint

    motions = watch(view(pose(), paint=paint_at(time)) for time in range(4))
    assert all((motion == IDENTITY).all() for motion in motions)


def test_an_object_before_an_empty_wall_is_no_motion():
    """All corners are the object's."""

    def paint_at(time):
        def paint(points, grey):
            inside = (np.abs(points - [150 + 5 * time, 90]) < [45, 60]).all(-1)
            return np.where(inside, world(points - [5 * time, 0]), 90)

        return paint

    motions = watch(view(pose(), paint=paint_at(time)) for time in range(4))
    assert all((motion == IDENTITY).all() for motion in motions)


@pytest.mark.parametrize("levels", [(0, 0), (80, 80), (0, 255)])
def test_flat_pictures_are_no_motion(levels):
    motions = watch(np.full((90, 160, 3), level, np.uint8) for level in levels)
    assert all((motion == IDENTITY).all() for motion in motions)


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 300, 3), (16, 16, 3)])
def test_tiny_pictures_are_no_motion(shape):
    images = np.random.default_rng(0).integers(0, 256, (3, *shape), dtype=np.uint8)
    assert all((motion == IDENTITY).all() for motion in watch(images))


# --- where a new scene starts -----------------------------------------------------------------------------------------


def test_a_cut_that_nobody_told_is_no_motion():
    there, elsewhere = view(pose()), view(pose(5000, 300, degrees=80))
    motions = watch([there, elsewhere, there])
    assert all((motion == IDENTITY).all() for motion in motions)


def test_reset_forgets_the_last_frame():
    camera = CameraMotion()
    camera(view(pose()))
    camera.reset()
    assert (camera(view(pose(5))) == IDENTITY).all()
    assert not (camera(view(pose(10))) == IDENTITY).all(), "and goes on from there"


def test_another_size_starts_anew():
    camera = CameraMotion()
    camera(view(pose()))
    assert (camera(view(pose(5))[:, :300]) == IDENTITY).all()
    assert not (camera(view(pose(10))[:, :300]) == IDENTITY).all()


def test_the_answer_is_the_callers_to_change():
    camera = CameraMotion()
    camera(view(pose()))[:] = 7
    assert (camera(view(pose())) == IDENTITY).all()


# --- into cells -------------------------------------------------------------------------------------------------------


MOTION = np.array([[1.02, -0.03, 4.0], [0.03, 1.02, -7.0]])


def moved(motion, points):
    return points @ motion[:, :2].T + motion[:, 2]


def test_cells_of_a_letterbox_move_as_the_pixels_do():
    _, where = letterbox(torch.zeros(1, 3, 720, 1280), 512)
    points = np.random.default_rng(0).uniform(0, 700, (20, 2))

    def cells(pixels):
        boxes = torch.from_numpy(np.concatenate([pixels, pixels], axis=1))
        return where.letterboxed(boxes)[:, :2].numpy() / 4

    shift = cell_motion(MOTION, letterbox=where, stride=4)
    assert (shift.shape, shift.dtype) == ((1, 2, 3), torch.float64)
    np.testing.assert_allclose(moved(shift[0].numpy(), cells(points)), cells(moved(MOTION, points)), atol=1e-9)


def test_cells_of_a_scaled_picture_move_as_the_pixels_do():
    points, factor = np.random.default_rng(0).uniform(0, 700, (20, 2)), np.array([0.5, 0.51]) / 8
    shift = cell_motion(MOTION, scale=(0.5, 0.51), stride=8)[0].numpy()
    np.testing.assert_allclose(moved(shift, points * factor), moved(MOTION, points) * factor, atol=1e-9)


def test_the_identity_stays_exactly_the_identity():
    _, where = letterbox(torch.zeros(1, 3, 333, 777), 512)
    assert (cell_motion(IDENTITY, letterbox=where)[0].numpy() == IDENTITY).all()
    assert (cell_motion(IDENTITY, scale=(0.3, 0.7))[0].numpy() == IDENTITY).all()


# --- errors -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("image", [np.zeros((9, 9), np.uint8), np.zeros((9, 9, 4), np.uint8), np.zeros((9, 9, 3))])
def test_what_is_no_picture_is_refused(image):
    with pytest.raises(ValueError, match=r"image must have shape \(H, W, 3\) and type uint8"):
        CameraMotion()(image)


def test_a_missing_opencv_is_told(monkeypatch):
    real = builtins.__import__

    def broken(name, *arguments, **options):
        if name == "cv2":
            raise ImportError("libGL.so.1: cannot open shared object file")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", broken)
    with pytest.raises(ImportError, match=r"pip install 'heatprop\[video\]'; where it misses libGL"):
        CameraMotion()
