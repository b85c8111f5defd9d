"""heatprop's JSON Lines: one detection per line."""

import json

import numpy as np
import pytest

from heatprop.formats import json_lines
from heatprop.formats.bad_rows import Skipped
from heatprop.formats.json_lines import DetectionLine, iterate_json_lines, read_json_lines, write_json_lines

LINE = {
    "frame": 3,
    "time": 0.1,
    "box": [1.5, 2.0, 30.0, 40.0],
    "score": 0.875,
    "network_score": 0.04,
    "age": 7,
    "id": 2,
    "carried": True,
    "label": 0,
}


def put(tmp_path, *lines):
    path = tmp_path / "found.jsonl"
    path.write_text("".join((line if isinstance(line, str) else json.dumps(line)) + "\n" for line in lines))
    return path


def test_a_line_is_read_with_all_it_says(tmp_path):
    [line] = iterate_json_lines(put(tmp_path, LINE))
    assert line == DetectionLine(3, 0.1, (1.5, 2, 30, 40), 0.875, 0.04, 7, 2, True, 0)


def test_frame_box_and_score_are_enough_and_unknown_members_are_left_alone(tmp_path):
    [line] = iterate_json_lines(put(tmp_path, {"frame": 0, "box": [0, 0, 1, 1], "score": 1, "colour": "red"}))
    assert line == DetectionLine(0, None, (0, 0, 1, 1), 1, None, None, None, None, 0)


def test_lines_become_columns(tmp_path, monkeypatch):
    monkeypatch.setattr(json_lines, "ROWS_AT_ONCE", 2)
    path = put(tmp_path, LINE, "", LINE | {"frame": 4, "score": 0.5}, LINE | {"label": 2})
    found = read_json_lines(path, video="walk")
    assert found.video.tolist() == ["walk"] * 3
    assert (found.frame.tolist(), found.label.tolist()) == ([3, 4, 3], [0, 0, 2])
    assert found.score.tolist() == [0.875, 0.5, 0.875]
    assert found.box[0].tolist() == [1.5, 2, 30, 40]
    assert read_json_lines(path).video.tolist() == [0, 0, 0]


def test_labels_and_videos_may_be_names(tmp_path):
    found = read_json_lines(
        put(tmp_path, LINE | {"label": "face", "video": "a"}, LINE | {"label": "dog", "video": "b"})
    )
    assert found.label.tolist() == ["face", "dog"]
    assert found.video.tolist() == ["a", "b"]


def test_an_empty_file_holds_no_detections(tmp_path):
    assert len(read_json_lines(put(tmp_path)).box) == 0


def test_lines_written_are_read_back(tmp_path):
    lines = [
        DetectionLine(0, 0.0, (0.1, 0.2, 0.3, 1 / 3), 0.7, 0.6, 1, 0, False, "face"),
        DetectionLine(1, None, (0.0, 0.0, 1.0, 1.0), 1.0, video="b"),
    ]
    write_json_lines(tmp_path / "a.jsonl", iter(lines))
    assert list(iterate_json_lines(tmp_path / "a.jsonl")) == lines
    first, second = map(json.loads, (tmp_path / "a.jsonl").read_text().splitlines())
    assert list(first) == list(LINE), "members in the order of heatprop run --json"
    assert list(second) == ["frame", "box", "score", "label", "video"], "what is unknown is not written"


def test_numpy_numbers_can_be_written(tmp_path):
    box = np.array([0, 0, 1, 1], dtype=np.float32)
    line = DetectionLine(np.int64(3), np.float32(0.5), box, np.float64(0.25), carried=np.bool_(True))
    write_json_lines(tmp_path / "a.jsonl", [line])
    assert next(iterate_json_lines(tmp_path / "a.jsonl")) == DetectionLine(3, 0.5, (0, 0, 1, 1), 0.25, carried=True)


def test_what_json_cannot_hold_is_not_written(tmp_path):
    for score, error in ((float("nan"), ValueError), (object(), TypeError)):
        with pytest.raises(error):
            write_json_lines(tmp_path / "a.jsonl", [DetectionLine(0, 0.0, (0, 0, 1, 1), score)])
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ('{"frame": 3', "must be a JSON object, Expecting ',' delimiter"),
        ("[1, 2]", r"must be an object with 'box', got \[1, 2\]"),
        ({"frame": 0, "score": 1}, "must have 'box', got only 'frame', 'score'"),
        (LINE | {"box": [1, 2, 3]}, r"box must be \[x1, y1, x2, y2\], got \[1, 2, 3\]"),
        (LINE | {"box": [1, 2, 3, "x"]}, "box must be a finite number, got 'x'"),
        (LINE | {"score": float("nan")}, "score must be a finite number, got nan"),
        (LINE | {"frame": -1}, "frame must be at least 0, got -1"),
        (LINE | {"frame": 1.5}, "frame must be a whole number, got 1.5"),
        (LINE | {"carried": "no"}, 'carried must be true or false, got "no"'),
        (LINE | {"label": 1.5}, "label must be a whole number, got 1.5"),
    ],
)
def test_a_malformed_line_is_named_and_can_be_skipped(tmp_path, line, fault):
    path = put(tmp_path, LINE, line, LINE)
    with pytest.raises(ValueError, match=rf"found\.jsonl, line 2: {fault}"):
        read_json_lines(path)
    skipped = Skipped()
    assert len(read_json_lines(path, skipped=skipped).box) == 2
    assert skipped.count == 1


@pytest.mark.parametrize("rows", [1, 10])
def test_names_among_numbers_are_refused(tmp_path, monkeypatch, rows):
    monkeypatch.setattr(json_lines, "ROWS_AT_ONCE", rows)
    with pytest.raises(
        ValueError, match=r"found\.jsonl.*label must be .*every|found\.jsonl: label must be a name in all"
    ):
        read_json_lines(put(tmp_path, LINE, LINE | {"label": "face"}))
