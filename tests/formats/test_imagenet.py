"""ImageNet VID and DET, laid out as on disk, with the traps of the real data."""

import numpy as np
import pytest

from heatprop.evaluation.columns import Predictions
from heatprop.formats import imagenet_classes
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.detections_file import iterate_detections_file, read_detections_file, write_detections_file
from heatprop.formats.imagenet import read_det, read_vid
from heatprop.formats.imagenet_classes import VID_CLASSES, VID_WNIDS, class_ids
from heatprop.formats.imagenet_lists import list_frames, read_frame_list, read_image_list, write_frame_list
from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, read_annotation, write_annotation

DOG, BUS, PERSON = "n02084071", "n02924116", "n00007846"


def xml(*objects, width=1280, height=720, folder="ILSVRC2015_val_00000000", filename="000000"):
    """As the real files: corners as xmax, xmin, ymax, ymin; no line about what is absent."""
    return (
        f"<annotation>\n\t<folder>{folder}</folder>\n\t<filename>{filename}</filename>\n\t<source>\n"
        f"\t\t<database>ILSVRC_2015</database>\n\t</source>\n\t<size>\n\t\t<width>{width}</width>\n"
        f"\t\t<height>{height}</height>\n\t</size>\n{''.join(objects)}</annotation>\n"
    )


def vid_object(name, x1, y1, x2, y2, track=0, occluded=0, generated=0):
    return (
        f"\t<object>\n\t\t<trackid>{track}</trackid>\n\t\t<name>{name}</name>\n\t\t<bndbox>\n"
        f"\t\t\t<xmax>{x2}</xmax>\n\t\t\t<xmin>{x1}</xmin>\n\t\t\t<ymax>{y2}</ymax>\n\t\t\t<ymin>{y1}</ymin>\n"
        f"\t\t</bndbox>\n\t\t<occluded>{occluded}</occluded>\n\t\t<generated>{generated}</generated>\n\t</object>\n"
    )


def det_object(name, x1, y1, x2, y2):
    """DET's order is the other one, and it has no track, occluded or generated."""
    return (
        f"\t<object>\n\t\t<name>{name}</name>\n\t\t<bndbox>\n\t\t\t<xmin>{x1}</xmin>\n\t\t\t<xmax>{x2}</xmax>\n"
        f"\t\t\t<ymin>{y1}</ymin>\n\t\t\t<ymax>{y2}</ymax>\n\t\t</bndbox>\n\t</object>\n"
    )


def put(root, name, text):
    path = root / "Annotations" / f"{name}.xml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def put_list(tmp_path, text):
    path = tmp_path / "list.txt"
    path.write_text(text)
    return path


@pytest.fixture
def root(tmp_path):
    """Two videos of val and one of train: an empty frame, a box up to xmax = width, a class of none of the 30."""
    first, second = "VID/val/ILSVRC2015_val_00000000", "VID/val/ILSVRC2015_val_00001000"
    put(tmp_path, f"{first}/000000", xml(vid_object(DOG, 10, 20, 110, 220, track=1, occluded=1, generated=1)))
    put(tmp_path, f"{first}/000001", xml())
    put(tmp_path, f"{first}/000002", xml(vid_object(DOG, 12, 20, 1280, 720, 1), vid_object(PERSON, 0, 0, 9, 9, 2)))
    put(tmp_path, f"{second}/000000", xml(vid_object(BUS, 0, 0, 5, 5), vid_object(DOG, 1, 1, 6, 6, track=1)))
    train = "VID/train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
    for frame in range(31):
        put(tmp_path, f"{train}/{frame:06d}", xml(vid_object(BUS, frame, 0, frame + 9, 9)))
    return tmp_path


# --- classes ----------------------------------------------------------------------------------------------------------


def test_the_30_classes_are_numbered_by_the_alphabet():
    assert len(VID_WNIDS) == len(set(VID_CLASSES)) == 30
    assert list(VID_CLASSES) == sorted(VID_CLASSES)
    ids = class_ids()
    assert (ids["n02691156"], ids["n02121808"], ids[DOG], ids["n02391049"]) == (1, 10, 9, 30)


def test_classes_that_come_twice_are_refused():
    with pytest.raises(ValueError, match="names must differ, got 'a' twice"):
        imagenet_classes.class_ids(["a", "b", "a"])


# --- annotations ------------------------------------------------------------------------------------------------------


def test_boxes_are_read_by_tag_whatever_their_order(tmp_path):
    vid = read_annotation(put(tmp_path, "a", xml(vid_object(DOG, 1, 2, 30, 40, track=3, occluded=1))))
    det = read_annotation(put(tmp_path, "b", xml(det_object(DOG, 1, 2, 30, 40))))
    assert (vid.width, vid.height) == (1280, 720)
    assert vid.objects == [AnnotatedObject(DOG, (1, 2, 30, 40), 3, True, False)]
    assert det.objects == [AnnotatedObject(DOG, (1, 2, 30, 40))]


def test_a_frame_without_objects_is_no_fault(tmp_path):
    assert read_annotation(put(tmp_path, "a", xml())).objects == []


def test_an_annotation_written_is_read_back(tmp_path):
    objects = [
        AnnotatedObject(DOG, (0, 1, 1280, 720), 4, True, False),
        AnnotatedObject(BUS, (0.125, 1 / 3, 2, 3), 0),
        AnnotatedObject("toy & <ball>", (-3, -2, 5, 5)),
    ]
    path = tmp_path / "video" / "000007.xml"
    write_annotation(path, Annotation(1280, 720, objects))
    again = read_annotation(path)
    assert again.objects[0] == objects[0]
    assert [one.name for one in again.objects] == [DOG, BUS, "toy & <ball>"]
    np.testing.assert_allclose([one.box for one in again.objects], [one.box for one in objects], rtol=1e-14)
    text = path.read_text()
    tags = ["<folder>video<", "<filename>000007<", "<trackid>4<", "<xmax>1280<", "<xmin>0<", "<ymax>720<", "<ymin>1<"]
    assert sorted(tags, key=text.index) == tags, "the order of the real files"


@pytest.mark.parametrize(
    ("wrong", "right", "fault"),
    [
        ("<xmax>30</xmax>", "", "<bndbox><xmax> must be present, got nothing"),
        ("<xmin>1</xmin>", "<xmin>one</xmin>", "bndbox/xmin must be a finite number, got 'one'"),
        ("<trackid>0</trackid>", "<trackid>a</trackid>", "trackid must be a finite number, got 'a'"),
        (f"<name>{DOG}</name>", "<name> </name>", "<name> must be present, got no text"),
    ],
)
def test_a_malformed_object_is_named_and_can_be_skipped(tmp_path, wrong, right, fault):
    text = xml(vid_object(BUS, 5, 5, 9, 9), vid_object(DOG, 1, 2, 30, 40).replace(wrong, right))
    path = put(tmp_path, "a", text)
    with pytest.raises(ValueError, match=rf"a\.xml, object 2: {fault}"):
        read_annotation(path)
    skipped = Skipped()
    assert [one.name for one in read_annotation(path, skipped=skipped).objects] == [BUS]
    assert skipped.count == 1


def test_a_file_that_is_no_xml_is_named_by_line_and_column(root):
    path = put(root, "VID/val/ILSVRC2015_val_00000000/000001", "<annotation>\n<size></annotation>")
    with pytest.raises(ValueError, match=r"000001\.xml, line 2, column 8: must be XML, mismatched tag"):
        read_annotation(path)
    skipped = Skipped()
    assert len(read_vid(root, list_frames(root), skipped=skipped).box) == 4
    assert skipped.count == 1


def test_a_file_without_size_is_named(tmp_path):
    with pytest.raises(ValueError, match=r"a\.xml: <size><width> must be present, got nothing"):
        read_annotation(put(tmp_path, "a", "<annotation></annotation>"))


# --- VID --------------------------------------------------------------------------------------------------------------


def test_vid_is_read_as_columns(root):
    frames = list_frames(root, "val")
    truth = read_vid(root, frames)
    assert frames.videos == ["val/ILSVRC2015_val_00000000", "val/ILSVRC2015_val_00001000"]
    assert truth.video.tolist() == [0, 0, 1, 1]
    assert truth.frame.tolist() == [0, 2, 0, 0]
    assert truth.track.tolist() == [1, 1, 0, 1]
    assert truth.label.tolist() == [9, 9, 6, 9]
    assert truth.box[1].tolist() == [12, 20, 1280, 720], "as written, not clipped"
    assert not truth.ignore.any(), "occluded and generated boxes count"


def test_own_classes_can_be_named(root):
    truth = read_vid(root, list_frames(root), classes=[PERSON, BUS])
    assert truth.label.tolist() == [1, 2]
    with pytest.raises(ValueError, match="no object has a known class, one has 'n02084071'; pass the names"):
        read_vid(root, list_frames(root), classes=["dog"])


def test_a_listed_frame_without_annotation_is_named(root):
    frames = read_frame_list(put_list(root, "val/ILSVRC2015_val_00000000/000000 1\nval/gone/000007 2\n"))
    with pytest.raises(ValueError, match=r"val/gone/000007\.xml, listed but missing: every listed image must have"):
        read_vid(root, frames)
    skipped = Skipped()
    assert len(read_vid(root, frames, skipped=skipped).box) == 1
    assert skipped.count == 1


def test_the_wrong_folder_is_no_empty_data_set(tmp_path):
    with pytest.raises(ValueError, match=r"must hold a folder per video .* is this the root"):
        list_frames(tmp_path)


# --- lists ------------------------------------------------------------------------------------------------------------


def test_a_list_of_frames_is_read(tmp_path):
    text = "val/ILSVRC2015_val_00000000/000000 1\nval/ILSVRC2015_val_00000000/000001 2\nval/x/000000 3\n"
    frames = read_frame_list(put_list(tmp_path, text))
    assert frames.videos == ["val/ILSVRC2015_val_00000000", "val/x"]
    assert (frames.video.tolist(), frames.frame.tolist()) == ([0, 0, 1], [0, 1, 0])
    assert frames.frame_id.tolist() == [1, 2, 3]
    assert list(frames.paths())[1:] == ["val/ILSVRC2015_val_00000000/000001", "val/x/000000"]


def test_part_of_a_list_keeps_its_frame_ids(tmp_path):
    assert read_frame_list(put_list(tmp_path, "val/a/000005 465\nval/a/000006 466")).frame_id.tolist() == [465, 466]


@pytest.mark.parametrize("text", ["val/a/000000\nval/a/000001\n", "val/a/000000 1\nval/a/000001 1\n"])
def test_lists_without_frame_ids_count_their_lines(tmp_path, text):
    assert read_frame_list(put_list(tmp_path, text)).frame_id.tolist() == [1, 2]


def test_the_devkits_own_lists_leave_out_the_split(tmp_path):
    text = "ILSVRC2015_val_00000000/000000 1\nILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000003 2\n"
    paths = list(read_frame_list(put_list(tmp_path, text)).paths())
    assert paths[0] == "val/ILSVRC2015_val_00000000/000000"
    assert paths[1] == "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000/000003"


def test_a_list_of_videos_becomes_all_their_frames(tmp_path):
    frames = read_frame_list(put_list(tmp_path, "val/a 1 0 3\nval/b 4 0 2\n"))
    assert frames.videos == ["val/a", "val/b"]
    assert frames.video.tolist() == [0, 0, 0, 1, 1]
    assert frames.frame.tolist() == [0, 1, 2, 0, 1]
    assert frames.frame_id.tolist() == [1, 2, 3, 4, 5]
    assert len(read_frame_list(put_list(tmp_path, "val/a 1 0 464")).frame) == 464


def test_the_training_list_counts_frames_from_0(root):
    """The third column is the number in the file name: subtracting 1 trains on the wrong frames."""
    video = "train/ILSVRC2015_VID_train_0000/ILSVRC2015_train_00000000"
    frames = read_frame_list(put_list(root, f"{video} 1 10 31\n{video} 1 30 31\n"))
    assert frames.frame.tolist() == [10, 30]
    assert list(frames.paths()) == [f"{video}/000010", f"{video}/000030"]
    assert read_vid(root, frames).box[:, 0].tolist() == [10, 30]


def test_the_images_of_det_come_once_each(tmp_path):
    name = "train/ILSVRC2014_train_0000/ILSVRC2014_train_00000663"
    assert read_image_list(put_list(tmp_path, f"{name} 1\nval/b 1\n{name} 1\n")) == [name, "val/b"]


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("val/a/000001 2 3", "a line must have 1, 2 or 4 columns, got 3"),
        ("val/a/000001 two", "column 2 must be a finite number, got 'two'"),
        ("val/a/frame1 2", "a frame must be named video/000000, got 'val/a/frame1'"),
        ("000001 2", "a frame must be named video/000000, got '000001'"),
        ("val/a/000001 1", "frame ids must differ, got 1 again"),
        ("val/a/000001 -5", "column 2 must be at least 0, got '-5'"),
    ],
)
def test_a_malformed_line_is_named_and_can_be_skipped(tmp_path, line, fault):
    path = put_list(tmp_path, f"val/a/000000 1\n{line}\nval/a/000002 3\n")
    with pytest.raises(ValueError, match=rf"list\.txt, line 2: {fault}"):
        read_frame_list(path)
    skipped = Skipped()
    assert read_frame_list(path, skipped=skipped).frame.tolist() == [0, 2]
    assert skipped.count == 1


def test_frames_beyond_the_video_and_mixed_formats_are_refused(tmp_path):
    with pytest.raises(ValueError, match="line 2: column 3, a frame counted from 0, must be below column 4, got 300"):
        read_frame_list(put_list(tmp_path, "train/a 1 10 300\ntrain/a 1 300 300\n"))
    with pytest.raises(ValueError, match="line 2: all lines must have one format"):
        read_frame_list(put_list(tmp_path, "train/a 1 10 300\nval/a/000000 1\n"))
    with pytest.raises(ValueError, match="line 1: a line must hold an image and at most one number"):
        read_image_list(put_list(tmp_path, "train/a 1 10 300\n"))


def test_a_list_written_is_read_back(tmp_path, root):
    frames = list_frames(root)
    write_frame_list(tmp_path / "again.txt", frames)
    again = read_frame_list(tmp_path / "again.txt")
    assert again.videos == frames.videos
    for one, other in zip(again[1:], frames[1:], strict=True):
        np.testing.assert_array_equal(one, other)


# --- DET --------------------------------------------------------------------------------------------------------------


def test_in_det_the_class_is_the_objects_and_not_the_folders(tmp_path):
    """The folder is a sub-synset (a breed of dog); objects outside the 30 classes are left out."""
    name = "train/ILSVRC2013_train/n02085620/n02085620_1"
    put(tmp_path, f"DET/{name}", xml(det_object(PERSON, 0, 0, 5, 5), det_object(DOG, 1, 2, 30, 40)))
    put(tmp_path, "DET/train/empty", xml())
    truth = read_det(tmp_path, ["train/empty", name])
    assert (truth.video.tolist(), truth.frame.tolist(), truth.label.tolist()) == ([1], [0], [9])
    assert truth.box.tolist() == [[1, 2, 30, 40]]


# --- detection files --------------------------------------------------------------------------------------------------


def detections(frames, count=40):
    rng = np.random.default_rng(0)
    row = rng.integers(0, len(frames.frame), count)
    box, label = rng.random((count, 4)) * 1000, rng.integers(1, 31, count)
    return Predictions(frames.video[row], frames.frame[row], label, rng.random(count), box)


def test_a_detection_file_is_read_by_frame_id(tmp_path):
    frames = read_frame_list(put_list(tmp_path, "val/a 465 0 3\nval/b 4 0 2\n"))
    (tmp_path / "det.txt").write_text("467 9 0.875 1 2 30.5 40\n4 30 1e-3 0 0 5 5\n")
    found = read_detections_file(tmp_path / "det.txt", frames)
    assert (found.video.tolist(), found.frame.tolist(), found.label.tolist()) == ([0, 1], [2, 0], [9, 30])
    assert found.score.tolist() == [0.875, 1e-3]
    assert found.box.tolist() == [[1, 2, 30.5, 40], [0, 0, 5, 5]]


def test_a_detection_file_written_is_read_back_to_the_last_bit(root, monkeypatch):
    monkeypatch.setattr("heatprop.formats.number_rows.LINES_AT_ONCE", 7)
    frames = list_frames(root)
    found = detections(frames)
    write_detections_file(root / "det.txt", found, frames)
    again = read_detections_file(root / "det.txt", frames)
    for one, other in zip(again, found, strict=True):
        np.testing.assert_array_equal(one, other)
    assert len(list(iterate_detections_file(root / "det.txt", frames))) == 6


def test_an_empty_detection_file_holds_no_detections(root):
    (root / "det.txt").write_text("")
    assert len(read_detections_file(root / "det.txt", list_frames(root)).box) == 0


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1 9 0.5 1 2 3", "a row must hold 7 columns \\(frame_id, class_id, .*\\), got 6"),
        ("1 dog 0.5 1 2 3 4", "class_id must be a finite number, got 'dog'"),
        ("1 31 0.5 1 2 3 4", "class_id must be a whole number from 1 to 30, got 31"),
        ("1 0 0.5 1 2 3 4", "class_id must be a whole number from 1 to 30, got 0"),
        ("99 9 0.5 1 2 3 4", "frame_id must be one of the 4 in the frame list, got 99; read the list"),
        ("0 9 0.5 1 2 3 4", "frame_id must be one of the 4 in the frame list, got 0"),
        ("1.5 9 0.5 1 2 3 4", "frame_id must be one of the 4 in the frame list, got 1.5"),
    ],
)
def test_a_malformed_detection_is_named_and_can_be_skipped(root, line, fault):
    frames = list_frames(root)
    (root / "det.txt").write_text(f"1 9 0.5 1 2 3 4\n{line}\n2 9 0.5 1 2 3 4\n")
    with pytest.raises(ValueError, match=rf"det\.txt, line 2: {fault}"):
        read_detections_file(root / "det.txt", frames)
    skipped = Skipped()
    assert read_detections_file(root / "det.txt", frames, skipped=skipped).frame.tolist() == [0, 1]
    assert skipped.count == 1


def test_a_detection_outside_the_list_is_not_written(root):
    frames = list_frames(root)
    stray = Predictions([1], [5], [9], [0.5], [[0, 0, 1, 1]])
    with pytest.raises(ValueError, match="must be on a frame of the list, got video 1, frame 5 in row 0"):
        write_detections_file(root / "det.txt", stray, frames)
    with pytest.raises(ValueError, match=r"must hold indices into frames\.videos, got text"):
        write_detections_file(root / "det.txt", stray._replace(video=np.array(["b"])), frames)
    assert not (root / "det.txt").exists()
