"""Detections with identities: MOTChallenge's results, COCO's results, and JSON Lines that eval mot reads, too."""

import json

import numpy as np
import pytest

from heatprop.evaluation import Predictions, average_precision
from heatprop.formats import (
    DetectionLine,
    coco_result_rows,
    mot_track_rows,
    read_coco,
    read_coco_results,
    read_json_tracks,
    read_mot_detections,
    read_mot_tracks,
    write_coco_results,
    write_json_lines,
    write_mot_tracks,
)
from heatprop.reports import load_mot

SEQINFO = "[Sequence]\nname=a\nframeRate=30\nseqLength=2\nimWidth=64\nimHeight=48\n"
BOXES = np.array([[10.0, 20, 30.5, 60], [1, 2, 3, 4]])
FOUND = Predictions(["a", "a"], [0, 1], [1, 1], [0.9, 0.25], BOXES)


def test_tracks_are_written_as_motchallenge_has_results(tmp_path):
    write_mot_tracks(tmp_path / "a.txt", FOUND, [7, 2**53 + 1])
    lines = (tmp_path / "a.txt").read_text().splitlines()
    assert lines == ["1,7,10.0,20.0,20.5,40.0,0.9,-1,-1,-1", f"2,{2**53 + 1},1.0,2.0,2.0,2.0,0.25,-1,-1,-1"]


def test_tracks_written_are_read_back_as_detections(tmp_path):
    write_mot_tracks(tmp_path / "a.txt", FOUND, [7, 8])
    again = read_mot_detections(tmp_path / "a.txt")
    assert again.frame.tolist() == [0, 1]
    assert again.score.tolist() == [0.9, 0.25]
    assert np.array_equal(again.box, BOXES)


def test_rows_of_a_frame_are_those_of_a_file(tmp_path):
    write_mot_tracks(tmp_path / "a.txt", FOUND.select(np.array([1])), [8])
    assert list(mot_track_rows(1, BOXES[1:], np.array([0.25]), np.array([8]))) == [
        (tmp_path / "a.txt").read_text().strip()
    ]


@pytest.mark.parametrize(("track", "fault"), [([1], r"track must have shape \(2,\)"), (["a", "b"], "whole numbers")])
def test_tracks_must_be_a_number_for_each_box(tmp_path, track, fault):
    with pytest.raises(ValueError, match=fault):
        write_mot_tracks(tmp_path / "a.txt", FOUND, track)
    assert not list(tmp_path.iterdir())


def test_coco_results_hold_identities_and_are_read_back(tmp_path):
    data = {"images": [{"id": 1}, {"id": 2}], "categories": [{"id": 1}], "annotations": []}
    (tmp_path / "a.json").write_text(json.dumps(data))
    images = read_coco(tmp_path / "a.json").images
    found = Predictions([1, 2], [0, 0], [1, 1], [0.9, 0.25], BOXES)
    write_coco_results(tmp_path / "b.json", found, images, track=[7, 8])
    written = json.loads((tmp_path / "b.json").read_text())
    assert written[0] == {"image_id": 1, "category_id": 1, "bbox": [10, 20, 20.5, 40], "score": 0.9, "track_id": 7}
    assert written[1] == next(coco_result_rows(2, np.array([0]), BOXES[1:], np.array([0.25]), np.array([8])))
    for column, again in zip(found, read_coco_results(tmp_path / "b.json", images), strict=True):
        np.testing.assert_array_equal(column, again)
    write_coco_results(tmp_path / "c.json", found, images)
    assert "track_id" not in json.loads((tmp_path / "c.json").read_text())[0]


@pytest.fixture
def sequence(tmp_path):
    folder = tmp_path / "a"
    (folder / "gt").mkdir(parents=True)
    (folder / "gt" / "gt.txt").write_text("1,1,10,20,20.5,40,1,1,1\n2,1,1,2,2,2,1,1,1\n")
    (folder / "seqinfo.ini").write_text(SEQINFO)
    return folder


def write_lines(path):
    lines = [
        DetectionLine(frame, frame / 30, tuple(box), score, id=3, label=0)
        for frame, (box, score) in enumerate(zip(BOXES.tolist(), (0.9, 0.25), strict=True))
    ]
    write_json_lines(path, lines)
    return path


def test_identities_are_read_back_from_both_files(tmp_path):
    write_mot_tracks(tmp_path / "a.txt", FOUND, [7, -1])
    found, track = read_mot_tracks(tmp_path / "a.txt")
    assert track.tolist() == [7, -1]
    np.testing.assert_array_equal(found.box, read_mot_detections(tmp_path / "a.txt").box)
    write_json_lines(
        tmp_path / "a.jsonl",
        [DetectionLine(0, None, tuple(BOXES[0]), 0.9, id=7), DetectionLine(1, None, tuple(BOXES[1]), 0.25)],
    )
    found, track = read_json_tracks(tmp_path / "a.jsonl")
    assert (found.frame.tolist(), track.tolist()) == ([0, 1], [7, -1])


@pytest.mark.parametrize("in_folder", [False, True])
def test_eval_mot_takes_json_lines_for_what_the_text_says(sequence, tmp_path, in_folder):
    lines = write_lines(tmp_path / "found" / "a.jsonl")
    write_mot_tracks(tmp_path / "text" / "a.txt", FOUND, [3, 3])
    by_lines, by_text = (
        load_mot(sequence, path.parent if in_folder else path, quantize=False, skipped=None)
        for path in (lines, tmp_path / "text" / "a.txt")
    )
    for column, other in zip(by_lines.predictions, by_text.predictions, strict=True):
        np.testing.assert_array_equal(column, other)
    assert average_precision(by_lines.truth, by_lines.predictions).mean == 1
    assert by_lines.track.tolist() == by_text.track.tolist() == [3, 3]


def test_a_folder_with_both_files_of_a_sequence_is_refused(sequence, tmp_path):
    write_lines(tmp_path / "found" / "a.jsonl")
    write_mot_tracks(tmp_path / "found" / "a.txt", FOUND, [3, 3])
    with pytest.raises(ValueError, match=r"must hold a\.txt or a\.jsonl, got both"):
        load_mot(sequence, tmp_path / "found", quantize=False, skipped=None)


def test_lines_of_several_videos_are_no_sequence(sequence, tmp_path):
    lines = [DetectionLine(0, None, (1, 2, 3, 4), 0.5, video=name) for name in ("a", "b")]
    write_json_lines(tmp_path / "found.jsonl", lines)
    with pytest.raises(ValueError, match=r"found\.jsonl must hold the detections of one sequence, got 2 videos"):
        load_mot(sequence, tmp_path / "found.jsonl", quantize=False, skipped=None)


def test_a_sequence_without_seqinfo_has_precision_and_no_displacement(sequence, tmp_path):
    (sequence / "seqinfo.ini").unlink()
    material = load_mot(sequence, write_lines(tmp_path / "a.jsonl"), quantize=False, skipped=None)
    assert material.picture_size is None
    assert np.isnan(material.displacement).all()
    assert average_precision(material.truth, material.predictions).mean == 1
