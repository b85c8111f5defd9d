"""Boxes and labels on pictures, and pictures that hide what was under a box."""

import numpy as np
import pytest

from heatprop.video.drawing import CARRIED, SEEN, annotate, blur, side_by_side, title_height

GREY = 127


def plain(height=120, width=160):
    return np.full((height, width, 3), GREY, np.uint8)


def noise(height=120, width=160):
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), dtype=np.uint8)


def changed(before, after):
    """Rows and columns that differ, as (left, top, right, bottom); None if nothing does."""
    rows, columns = np.nonzero((before != after).any(axis=2))
    return (columns.min(), rows.min(), columns.max() + 1, rows.max() + 1) if len(rows) else None


def count(picture, colour):
    return int((picture == np.array(colour, np.uint8)).all(axis=2).sum())


# --- annotate ---------------------------------------------------------------------------------------------------------


def test_seen_and_carried_boxes_have_different_colours_on_their_edges():
    picture = annotate(plain(), [[20, 30, 60, 80], [90, 30, 130, 80]], texts=["", ""], carried=[False, True])
    for x in (20, 60):
        assert tuple(picture[55, x]) == SEEN
    for x in (90, 130):
        assert tuple(picture[55, x]) == CARRIED
    assert (picture[40:70, 30:50] == GREY).all(), "the inside is free"


def test_the_argument_is_left_alone():
    image = plain()
    annotate(image, [[20, 30, 60, 80]], texts=["#1"], carried=[False])
    blur(image, [[20, 30, 60, 80]])
    assert (image == GREY).all()


def test_a_read_only_picture_is_fine():
    image = noise()
    image.flags.writeable = False
    annotate(image, [[20, 30, 60, 80]], texts=["#1"], carried=[False])[0, 0] = 0
    blur(image, [[20, 30, 60, 80]])[0, 0] = 0
    assert (image == noise()).all()


def test_lines_and_letters_grow_with_the_picture():
    small, large = (
        annotate(
            plain(height, height * 4 // 3),
            [np.array([0.3, 0.4, 0.6, 0.8]) * height],
            texts=["#12 0.97"],
            carried=[True],
        )
        for height in (480, 1920)
    )
    assert count(large, CARRIED) > 10 * count(small, CARRIED)


def test_lines_stay_visible_in_a_small_picture():
    picture = annotate(plain(96, 128), [[30, 30, 70, 70]], texts=[""], carried=[True])
    assert count(picture[45:55, 25:35], CARRIED) == 2 * 10


def test_the_label_stands_above_the_box_in_dark_letters_on_its_colour():
    picture = annotate(plain(), [[40, 50, 80, 90]], texts=["#7 0.51"], carried=[False])
    label = picture[34:47, 40:80]
    assert count(label, SEEN) > 0.4 * label[..., 0].size
    assert (label.max(axis=2) < 60).sum() > 20, "letters"


@pytest.mark.parametrize("box", [[-20, -20, 30, 30], [150, 100, 200, 140], [0, 0, 160, 120], [-50, 40, 300, 60]])
def test_the_label_of_a_box_at_the_border_is_whole(box):
    inside = annotate(plain(), [[40, 50, 120, 90]], texts=["#7 0.51"], carried=[False])
    at_border = annotate(plain(), [box], texts=["#7 0.51"], carried=[False])
    letters = [((picture.max(axis=2) < 60) & (picture.max(axis=2) > 0)).sum() for picture in (inside, at_border)]
    assert letters[0] == letters[1]


@pytest.mark.parametrize("box", [[-90, 10, -40, 60], [200, 10, 260, 60], [10, 200, 60, 260], [10, -90, 60, -40]])
def test_a_box_outside_of_the_picture_changes_nothing(box):
    assert changed(plain(), annotate(plain(), [box], texts=["#7 0.51"], carried=[True])) is None
    assert changed(noise(), blur(noise(), [box])) is None


def test_a_box_without_area_is_a_cross():
    picture = annotate(plain(), [[80, 60, 80, 60]], texts=[""], carried=[False])
    left, top, right, bottom = changed(plain(), picture)
    assert (left + right - 1) / 2 == pytest.approx(80, abs=1)
    assert (top + bottom - 1) / 2 == pytest.approx(60, abs=1)
    assert tuple(picture[60, 80]) == SEEN


def test_no_boxes_give_an_equal_copy():
    image = noise()
    for picture in (annotate(image, [], texts=[], carried=[]), blur(image, np.zeros((0, 4)))):
        assert (picture == image).all()
        assert picture is not image


@pytest.mark.parametrize("call", [lambda *rest: annotate(*rest, texts=[""], carried=[True]), blur])
@pytest.mark.parametrize(
    ("image", "boxes", "message"),
    [
        (plain().astype(float), [[1, 2, 3, 4]], r"image must have shape \(H, W, 3\) and type uint8, got .* float64"),
        (plain()[..., 0], [[1, 2, 3, 4]], r"image must have shape \(H, W, 3\)"),
        (plain(), [1, 2, 3, 4], r"boxes must have shape \(n, 4\)"),
        (plain(), [[1, 2, 3, np.nan]], "be finite"),
    ],
)
def test_wrong_arguments_are_told(call, image, boxes, message):
    with pytest.raises(ValueError, match=message):
        call(image, boxes)


def test_lengths_must_agree():
    with pytest.raises(ValueError, match="one length, got 1, 2 and 1"):
        annotate(plain(), [[1, 2, 3, 4]], texts=["a", "b"], carried=[True])


# --- blur -------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scale", [1.0, 1.3, 2.0])
def test_the_blur_changes_its_area_and_nothing_else(scale):
    image, box = noise(), np.array([60, 40, 90, 80])
    picture = blur(image, [box], scale=scale)
    width, height = scale * 30, scale * 40
    left, top, right, bottom = changed(image, picture)
    assert [left, top] == [int(np.floor(75 - width / 2)), int(np.floor(60 - height / 2))]
    assert [right, bottom] == [int(np.ceil(75 + width / 2)), int(np.ceil(60 + height / 2))]
    assert (image == picture).all(axis=2)[top:bottom, left:right].mean() < 0.01


@pytest.mark.parametrize("side", [8, 12, 20, 40, 80, 160, 320])
def test_fine_detail_leaves_no_trace(side):
    detail = np.full((2 * side, 2 * side, 3), GREY, np.uint8)
    detail[::2], detail[1::2] = GREY - 100, GREY + 100  # stripes of one pixel
    blurred = inside(blur(detail, middle(side)), side).astype(int)
    assert np.abs(blurred - GREY).max() <= 2 + 110 / max(4, 1.3 * side / 5), "half a stripe in one average"


@pytest.mark.parametrize("side", [20, 80, 160])
def test_only_about_25_numbers_are_left_of_a_box_of_any_size(side):
    """So many dimensions have the blurred pictures of 100 different ones, apart from rounding."""
    blurred = np.stack(
        [inside(blur(blocks(side, seed), middle(side)), side)[::2, ::2, 0].ravel() for seed in range(100)]
    )
    rounding = 0.5 * (np.sqrt(blurred.shape[1]) + np.sqrt(100))
    dimensions = (np.linalg.svd(blurred.astype(float), compute_uv=False) > 2 * rounding).sum()
    assert 9 <= dimensions <= 30


def middle(side):
    """A box of this side in the middle of a picture twice as large."""
    return [[side / 2, side / 2, 1.5 * side, 1.5 * side]]


def inside(picture, side):
    """What `blur` covers of it at its default scale, without the outermost pixels."""
    area = slice(int(np.floor(0.35 * side)) + 1, int(np.ceil(1.65 * side)) - 1)
    return picture[area, area]


def blocks(side, seed):
    """Black and white squares, ten along a box, so that averages differ by much more than rounding."""
    coarse = np.random.default_rng(seed).integers(0, 2, (20, 20), dtype=np.uint8) * 255
    return np.repeat(np.kron(coarse, np.ones((side // 10, side // 10), np.uint8))[..., None], 3, axis=2)


def test_the_strength_follows_the_size_of_the_box():
    spread = [
        blur(noise(size, size), [[size / 4, size / 4, 3 * size / 4, 3 * size / 4]])[size // 3 : 2 * size // 3].std()
        for size in (40, 160, 640)
    ]
    assert spread[0] > spread[1] > spread[2]


@pytest.mark.parametrize("box", [[-20, -30, 25, 30], [140, 90, 190, 160], [-500, -500, 600, 600], [150, 50, 400, 51]])
def test_a_box_that_reaches_over_the_border_is_blurred_as_far_as_it_is_there(box):
    image = noise()
    left, top, right, bottom = np.clip(box, 0, [160, 120, 160, 120]).astype(int)
    before, after = image[top:bottom, left:right], blur(image, [box])[top:bottom, left:right]
    assert after.std() < 0.6 * before.std()


def test_every_one_of_several_boxes_is_blurred():
    image, boxes = noise(), np.array([[10, 10, 40, 40], [30, 30, 60, 60], [100, 70, 140, 110]])
    picture = blur(image, boxes)
    for left, top, right, bottom in boxes:
        assert picture[top:bottom, left:right].std() < 0.5 * image[top:bottom, left:right].std()


@pytest.mark.parametrize("scale", [0, -1, np.inf, np.nan])
def test_a_scale_that_is_none_is_told(scale):
    with pytest.raises(ValueError, match="scale must be a finite number above 0"):
        blur(plain(), [[1, 2, 3, 4]], scale=scale)


# --- side by side -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("height", "width"), [(120, 160), (33, 65), (1080, 1920)])
def test_two_pictures_stand_side_by_side_under_their_titles(height, width):
    left, right = plain(height, width), noise(height, width)
    picture = side_by_side(left, right, titles=("without", "with"))
    margin = title_height(height, width)
    assert picture.shape == (height + margin, 2 * width, 3)
    assert (picture[margin:, :width] == left).all()
    assert (picture[margin:, width:] == right).all()
    for half in (picture[:margin, :width], picture[:margin, width:]):
        assert half.max() > 200
        assert half.mean() < 100


def test_pictures_of_two_sizes_do_not_go_side_by_side():
    with pytest.raises(ValueError, match="one shape"):
        side_by_side(plain(), plain(60, 80), titles=("", ""))
