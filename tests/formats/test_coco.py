"""COCO's JSON, plain and with videos."""

import json

import numpy as np
import pytest

from heatprop.evaluation.columns import Predictions
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.coco import read_coco, read_coco_results, write_coco, write_coco_results


def video_data():
    """As mmtracking writes ImageNet VID with DET beside it: video_id -1 and instance_id -1 for single images."""
    return {
        "categories": [{"id": 1, "name": "airplane"}, {"id": 9, "name": "dog"}],
        "videos": [{"id": 1, "name": "val/a"}, {"id": 2, "name": "val/b"}],
        "images": [
            {"id": 1, "file_name": "a/0.JPEG", "width": 100, "height": 80, "video_id": 1, "frame_id": 0},
            {"id": 2, "file_name": "a/1.JPEG", "width": 100, "height": 80, "video_id": 1, "frame_id": 1},
            {"id": 3, "file_name": "b/0.JPEG", "width": 100, "height": 80, "video_id": 2, "frame_id": 0},
            {"id": 4, "file_name": "det.JPEG", "width": 60, "height": 50, "video_id": -1},
        ],
        "annotations": [
            {"id": 1, "image_id": 1, "category_id": 9, "bbox": [1, 2, 10, 20], "iscrowd": False, "instance_id": 5},
            {"id": 2, "image_id": 2, "category_id": 9, "bbox": [2, 2, 10.5, 20], "iscrowd": 0, "instance_id": 5},
            {"id": 3, "image_id": 3, "category_id": 1, "bbox": [0, 0, 100, 80], "iscrowd": 1, "instance_id": 6},
            {"id": 4, "image_id": 4, "category_id": 1, "bbox": [0, 0, 5, 5], "instance_id": -1},
            {"id": 5, "image_id": 4, "category_id": 1, "bbox": [9, 9, 5, 5], "instance_id": -1},
        ],
    }


def plain_data():
    return {
        "info": {},
        "images": [{"id": 42, "file_name": "42.jpg", "width": 10, "height": 10}, {"id": 139, "file_name": "139.jpg"}],
        "annotations": [{"id": 7, "image_id": 139, "category_id": 18, "bbox": [1, 1, 2, 3], "iscrowd": 0, "area": 6}],
        "categories": [{"id": 18, "name": "dog", "supercategory": "animal"}],
    }


def put(tmp_path, data):
    path = tmp_path / "a.json"
    path.write_text(json.dumps(data))
    return path


# --- annotations ------------------------------------------------------------------------------------------------------


def test_videos_are_read(tmp_path):
    truth, images = read_coco(put(tmp_path, video_data()))
    assert truth.video.tolist() == [1, 1, 2, -5, -5]
    assert truth.frame.tolist() == [0, 1, 0, 0, 0]
    assert truth.label.tolist() == [9, 9, 1, 1, 1]
    assert truth.box[1].tolist() == [2, 2, 12.5, 22]
    assert truth.ignore.tolist() == [False, False, True, False, False]
    assert images.video_names == {1: "val/a", 2: "val/b"}
    assert images.categories == {1: "airplane", 9: "dog"}
    assert images.file_names[3] == "det.JPEG"
    assert (images.width.tolist(), images.height.tolist()) == ([100, 100, 100, 60], [80, 80, 80, 50])


def test_boxes_without_a_track_are_an_object_each(tmp_path):
    track = read_coco(put(tmp_path, video_data())).truth.track
    assert track[0] == track[1] == 5
    assert len(set(track.tolist())) == 4


def test_other_names_of_frame_and_track_are_read(tmp_path):
    """TAO calls them frame_index and track_id."""
    data = video_data()
    for image in data["images"][:3]:
        image["frame_index"] = image.pop("frame_id")
    for one in data["annotations"][:3]:
        one["track_id"] = one.pop("instance_id")
    truth = read_coco(put(tmp_path, data)).truth
    assert truth.frame.tolist() == [0, 1, 0, 0, 0]
    assert truth.track[:3].tolist() == [5, 5, 6]


def test_in_plain_coco_each_image_is_a_video(tmp_path):
    truth, images = read_coco(put(tmp_path, plain_data()))
    assert (truth.video.tolist(), truth.frame.tolist(), truth.label.tolist()) == ([139], [0], [18])
    assert truth.box.tolist() == [[1, 1, 3, 4]]
    assert images.image_id.tolist() == [42, 139], "images without boxes too"
    assert images.width.tolist() == [10, 0]


def test_a_data_set_without_boxes_is_read(tmp_path):
    truth, images = read_coco(put(tmp_path, plain_data() | {"annotations": []}))
    assert truth.box.shape == (0, 4)
    assert len(images.image_id) == 2


@pytest.mark.parametrize("data", [video_data(), plain_data()])
def test_annotations_written_are_read_back(tmp_path, data):
    before = read_coco(put(tmp_path, data))
    write_coco(tmp_path / "b.json", before)
    after = read_coco(tmp_path / "b.json")
    for one, other in zip(after.truth[:2] + after.truth[3:], before.truth[:2] + before.truth[3:], strict=True):
        np.testing.assert_array_equal(one, other)
    tracked = before.truth.track >= 0
    np.testing.assert_array_equal(after.truth.track[tracked], before.truth.track[tracked])
    for one, other in zip(after.images, before.images, strict=True):
        np.testing.assert_array_equal(one, other)
    assert ("videos" in json.loads((tmp_path / "b.json").read_text())) == ("videos" in data)


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"image_id": 77}, "image_id must be one of the 4 in the annotation file, got 77"),
        ({"category_id": 2}, "category_id must be one of the 2 in the annotation file, got 2"),
        ({"bbox": [1, 2, 3]}, r"bbox must be \[x, y, width, height\], got \[1, 2, 3\]"),
        ({"bbox": [1, 2, -3, 4]}, "bbox must have a width and height of at least 0, got -3 and 4"),
        ({"bbox": [1, 2, None, 4]}, "bbox must be a finite number, got None"),
        ({"instance_id": "x"}, "instance_id must be a finite number, got 'x'"),
    ],
)
def test_a_malformed_annotation_is_named_and_can_be_skipped(tmp_path, change, fault):
    data = video_data()
    data["annotations"][1] |= change
    path = put(tmp_path, data)
    with pytest.raises(ValueError, match=rf"a\.json, annotations\[1\]: {fault}"):
        read_coco(path)
    skipped = Skipped()
    assert read_coco(path, skipped=skipped).truth.frame.tolist() == [0, 0, 0, 0]
    assert skipped.count == 1


@pytest.mark.parametrize(
    ("member", "value", "fault"),
    [
        ("images", [{"file_name": "a"}], r"images\[0\]: must have 'id', got only 'file_name'"),
        ("images", [{"id": 1}, {"id": 1}], r"images\[1\]: ids must differ, got 1 again"),
        ("images", [{"id": 1, "video_id": 1}], r"images\[0\]: must have 'frame_id'"),
        ("images", [{"id": 1, "video_id": 9, "frame_id": 0}], r"images\[0\]: video_id must be one of the 2"),
        ("images", {}, "top level: images must be a list, got dict"),
        ("categories", [3], r"categories\[0\]: must be an object with 'id', got 3"),
    ],
)
def test_malformed_images_and_categories_are_named(tmp_path, member, value, fault):
    with pytest.raises(ValueError, match=rf"a\.json, {fault}"):
        read_coco(put(tmp_path, video_data() | {member: value}))


def test_files_that_are_no_data_set_are_refused(tmp_path):
    with pytest.raises(ValueError, match="top level: must have 'categories', got only 'a'"):
        read_coco(put(tmp_path, {"a": 1}))
    with pytest.raises(ValueError, match="top level: must be an object with 'categories'"):
        read_coco(put(tmp_path, []))
    (tmp_path / "a.json").write_text("{")
    with pytest.raises(ValueError, match="line 1, column 2: must be JSON"):
        read_coco(tmp_path / "a.json")


# --- results ----------------------------------------------------------------------------------------------------------


def test_results_are_read_by_image_id(tmp_path):
    images = read_coco(put(tmp_path, video_data())).images
    path = tmp_path / "r.json"
    path.write_text(json.dumps([{"image_id": 2, "category_id": 9, "bbox": [1, 2, 3.5, 4], "score": 0.25}]))
    found = read_coco_results(path, images)
    assert (found.video.tolist(), found.frame.tolist(), found.label.tolist()) == ([1], [1], [9])
    assert (found.score.tolist(), found.box.tolist()) == ([0.25], [[1, 2, 4.5, 6]])


def test_results_written_are_read_back(tmp_path):
    images = read_coco(put(tmp_path, video_data())).images
    rng = np.random.default_rng(0)
    row = rng.integers(0, 4, 20)
    corner = rng.random((20, 2)) * 50
    box = np.concatenate([corner, corner + rng.random((20, 2)) * 30], axis=1)
    found = Predictions(images.video[row], images.frame[row], rng.choice([1, 9], 20), rng.random(20), box)
    for table in (found, found.select(slice(0, 0))):
        write_coco_results(tmp_path / "r.json", table, images)
        again = read_coco_results(tmp_path / "r.json", images)
        for one, other in zip(again[:4], table[:4], strict=True):
            np.testing.assert_array_equal(one, other)
        np.testing.assert_allclose(again.box, table.box, rtol=1e-14)


def test_a_malformed_result_is_named_and_can_be_skipped(tmp_path):
    images = read_coco(put(tmp_path, video_data())).images
    good = {"image_id": 2, "category_id": 9, "bbox": [1, 2, 3, 4], "score": 0.25}
    (tmp_path / "r.json").write_text(json.dumps([good, good | {"score": "high"}, good]))
    with pytest.raises(ValueError, match=r"r\.json, \[1\]: score must be a finite number, got 'high'"):
        read_coco_results(tmp_path / "r.json", images)
    skipped = Skipped()
    assert len(read_coco_results(tmp_path / "r.json", images, skipped=skipped).box) == 2
    assert skipped.count == 1


def test_boxes_outside_the_images_are_not_written(tmp_path):
    data = read_coco(put(tmp_path, video_data()))
    stray = Predictions([1], [9], [9], [0.5], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="every box must lie in an image, got video 1, frame 9 in row 0"):
        write_coco_results(tmp_path / "r.json", stray, data.images)
