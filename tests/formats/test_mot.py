"""MOTChallenge sequences, laid out as on disk."""

import numpy as np
import pytest

from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.mot import (
    find_mot_sequences,
    read_mot_detections,
    read_mot_truth,
    read_seqinfo,
    write_mot_detections,
    write_mot_truth,
)

SEQINFO = """[Sequence]
name=MOT17-02-SDP
imDir=img1
frameRate=30
seqLength=600
imWidth=1920
imHeight=1080
imExt=.jpg
"""


@pytest.fixture
def sequence(tmp_path):
    """Frame, id, left, top, width, height, flag, class, visibility: a pedestrian, a car, a distractor, a flag of 0."""
    folder = tmp_path / "train" / "MOT17-02-SDP"
    (folder / "gt").mkdir(parents=True)
    (folder / "det").mkdir()
    (folder / "seqinfo.ini").write_text(SEQINFO)
    (folder / "gt" / "gt.txt").write_text(
        "1,1,912,484,97,109,1,1,1\n2,1,912.5,484,97,109,1,1,0.86\n1,2,10,10,20,20,0,3,1\n"
        "1,3,50,50,20,40,0,7,0.5\n2,4,5,5,10,10,0,1,0.1\n"
    )
    (folder / "det" / "det.txt").write_text(
        "1,-1,1359.1,413.27,120.26,362.77,2.3092\n2,-1,571.03,402.13,104.56,315.68,-0.1\n"
    )
    return folder


def put_truth(sequence, text):
    (sequence / "gt" / "gt.txt").write_text(text)
    return sequence


# --- ground truth -----------------------------------------------------------------------------------------------------


def test_pedestrians_count_and_distractors_are_ignored(sequence):
    truth = read_mot_truth(sequence)
    assert truth.video.tolist() == ["MOT17-02-SDP"] * 4
    assert truth.frame.tolist() == [0, 1, 0, 1], "frames count from 0"
    assert truth.track.tolist() == [1, 1, 3, 4]
    assert truth.label.tolist() == [1, 1, 1, 1], "a distractor is ignored by detections of pedestrians"
    assert truth.ignore.tolist() == [False, False, True, True]
    assert truth.box[1].tolist() == [912.5, 484, 1009.5, 593]


def test_all_classes_can_count(sequence):
    truth = read_mot_truth(sequence, classes=None)
    assert truth.label.tolist() == [1, 1, 3, 7, 1]
    assert truth.ignore.tolist() == [False, False, True, True, True], "a flag of 0 still ignores"
    cars = read_mot_truth(sequence, classes=(3,), distractors=())
    assert cars.label.tolist() == [3]


def test_the_format_of_2015_has_no_classes(sequence):
    text = "1,1,1703,385,157,339,1,-1,-1,-1\n1,2,1293,455,83,213,0,-1,-1,-1\n"
    truth = read_mot_truth(put_truth(sequence, text))
    assert truth.label.tolist() == [1, 1]
    assert truth.ignore.tolist() == [False, True]


def test_six_columns_are_enough(sequence):
    truth = read_mot_truth(put_truth(sequence, "3, 7, 1, 2, 10, 20\n"), video="mine")
    assert (truth.video[0], truth.frame[0], truth.track[0], truth.ignore[0]) == ("mine", 2, 7, False)
    assert truth.box.tolist() == [[1, 2, 11, 22]]


def test_a_file_without_boxes_has_none(sequence):
    assert len(read_mot_truth(put_truth(sequence, "\n")).box) == 0


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("0,1,1,1,5,5,1,1,1", "frame must be at least 1, got 0"),
        ("1.5,1,1,1,5,5,1,1,1", "frame must be a whole number, got 1.5"),
        ("1,x,1,1,5,5,1,1,1", "id must be a finite number, got 'x'"),
        ("1,1.5,1,1,5,5,1,1,1", "id must be a whole number, got 1.5"),
        ("1,1,1,1,-5,5,1,1,1", "width and height must be at least 0, got -5 and 5"),
        ("1,1,1,1,5,5,1,1.5,1", "class must be a whole number, got 1.5"),
        ("1,1,1,1,5", r"a row must hold 8 columns \(frame, id, .*\), got 5: '1,1,1,1,5'"),
    ],
)
def test_a_malformed_row_is_named_and_can_be_skipped(sequence, row, fault):
    put_truth(sequence, f"1,1,1,1,5,5,1,1,1\n{row}\n2,1,1,1,5,5,1,1,1\n")
    with pytest.raises(ValueError, match=rf"gt\.txt, line 2: {fault}"):
        read_mot_truth(sequence)
    skipped = Skipped()
    assert read_mot_truth(sequence, skipped=skipped).frame.tolist() == [0, 1]
    assert skipped.count == 1


def test_a_file_of_too_few_columns_is_refused(sequence):
    with pytest.raises(ValueError, match=r"gt\.txt must hold at least 6 columns \(frame, .*\), got 2"):
        read_mot_truth(put_truth(sequence, "1,2\n"))


# --- detections -------------------------------------------------------------------------------------------------------


def test_detections_are_read(sequence):
    found = read_mot_detections(sequence)
    assert (found.video.tolist(), found.frame.tolist(), found.label.tolist()) == (["MOT17-02-SDP"] * 2, [0, 1], [1, 1])
    assert found.score.tolist() == [2.3092, -0.1]
    np.testing.assert_allclose(found.box[0], [1359.1, 413.27, 1479.36, 776.04])


def test_a_trackers_results_are_read(tmp_path):
    (tmp_path / "MOT17-02.txt").write_text("1,12,1,2,10,20,0.5,-1,-1,-1\n")
    found = read_mot_detections(tmp_path / "MOT17-02.txt", label=0)
    assert (found.video[0], found.label[0], found.score[0]) == ("MOT17-02", 0, 0.5)


# --- writing ----------------------------------------------------------------------------------------------------------


def test_ground_truth_written_is_read_back(sequence, tmp_path):
    truth = read_mot_truth(sequence, classes=None)
    write_mot_truth(tmp_path / "MOT17-02-SDP" / "gt" / "gt.txt", truth)
    again = read_mot_truth(tmp_path / "MOT17-02-SDP", classes=None)
    for one, other in zip(again, truth, strict=True):
        np.testing.assert_array_equal(one, other)


def test_detections_written_are_read_back(sequence, tmp_path):
    found = read_mot_detections(sequence)
    write_mot_detections(tmp_path / "MOT17-02-SDP" / "det" / "det.txt", found)
    again = read_mot_detections(tmp_path / "MOT17-02-SDP")
    np.testing.assert_allclose(again.box, found.box)
    assert again.score.tolist() == found.score.tolist()
    assert again.frame.tolist() == found.frame.tolist()


def test_a_file_holds_one_video_and_numbers(tmp_path):
    box = [[0, 0, 1, 1]] * 2
    with pytest.raises(ValueError, match="holds one video, got 2; select one"):
        write_mot_detections(tmp_path / "d.txt", Predictions(["a", "b"], [0, 0], [1, 1], [0.5, 0.5], box))
    with pytest.raises(ValueError, match="number the tracks and labels first, got text"):
        write_mot_truth(tmp_path / "g.txt", GroundTruth([0, 0], [0, 0], ["a", "b"], [1, 1], box))


# --- sequences --------------------------------------------------------------------------------------------------------


def test_sequences_are_found_by_name(sequence):
    train = sequence.parent
    (train / "MOT17-04" / "gt").mkdir(parents=True)
    (train / "MOT17-04" / "gt" / "gt.txt").write_text("")
    (train / "notes").mkdir()
    assert [path.name for path in find_mot_sequences(train)] == ["MOT17-02-SDP", "MOT17-04"]
    assert find_mot_sequences(sequence) == [sequence]
    with pytest.raises(ValueError, match=r"must be a MOTChallenge sequence \(gt/gt\.txt\) or hold sequences, got none"):
        find_mot_sequences(train / "notes")


def test_seqinfo_is_read(sequence):
    info = read_seqinfo(sequence)
    assert info == ("MOT17-02-SDP", 30, 600, 1920, 1080, "img1", ".jpg")
    assert read_seqinfo(sequence / "seqinfo.ini").width == 1920


@pytest.mark.parametrize(
    ("wrong", "right", "fault"),
    [
        ("[Sequence]", "[Other]", r"must hold a section \[Sequence\]"),
        ("[Sequence]\n", "", r"must hold a section \[Sequence\]"),
        ("imWidth=1920", "imWidth=wide", r"\[Sequence\]: imWidth must be a finite number, got 'wide'"),
        ("seqLength=600", "", r"\[Sequence\]: seqLength must be a finite number, got None"),
    ],
)
def test_a_malformed_seqinfo_is_named(sequence, wrong, right, fault):
    (sequence / "seqinfo.ini").write_text(SEQINFO.replace(wrong, right))
    with pytest.raises(ValueError, match=rf"seqinfo\.ini,? {fault}"):
        read_seqinfo(sequence)
