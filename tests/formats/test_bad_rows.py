"""What all readers share: faults with their places, skipping, tables of numbers, files that appear when whole."""

import json
import os

import numpy as np
import pytest

from heatprop.formats import bad_rows, number_rows
from heatprop.formats.bad_rows import Skipped, located, parse_number, parse_whole
from heatprop.formats.json_files import load_json, require
from heatprop.formats.number_rows import read_number_rows
from heatprop.formats.whole_files import replacing


def write(path, text):
    path.write_text(text)
    return path


# --- places -----------------------------------------------------------------------------------------------------------


def test_a_fault_is_raised_with_file_and_place():
    message = r"^a/b\.txt, line 7: x must be a finite number, got '\?'$"
    with pytest.raises(ValueError, match=message), located("a/b.txt", "line 7", None):
        parse_number("x", "?")


def test_skipped_counts_and_lists_instead():
    skipped = Skipped()
    assert not skipped
    assert str(skipped) == "no malformed rows"
    for line in (3, 5):
        with located("b.txt", f"line {line}", skipped):
            parse_whole("frame", "1.5")
    assert skipped.count == 2
    assert skipped.messages[1] == "b.txt, line 5: frame must be a whole number, got '1.5'"
    assert str(skipped).splitlines()[0] == "2 malformed rows skipped:"


def test_skipped_lists_the_first_and_counts_all(monkeypatch):
    monkeypatch.setattr(bad_rows, "LISTED", 2)
    skipped = Skipped()
    for line in range(5):
        skipped.add(f"line {line}")
    assert skipped.count == 5
    assert skipped.messages == ["line 0", "line 1"]
    assert str(skipped).endswith("... and 3 more")


def test_other_errors_pass_unchanged():
    with pytest.raises(KeyError), located("b.txt", "line 1", Skipped()):
        raise KeyError("no malformed row")


@pytest.mark.parametrize("value", ["", "x", None, True, float("nan"), "inf", "-Infinity", [1], 10**400])
def test_what_is_no_finite_number_is_refused(value):
    with pytest.raises(ValueError, match="score must be a finite number, got "):
        parse_number("score", value)


def test_whole_numbers_may_be_written_as_floats():
    written = (3, "3", " 3.0 ", 3.0, "-2", 2**60 + 1)
    assert [parse_whole("id", value) for value in written] == [3, 3, 3, 3, -2, 2**60 + 1]
    with pytest.raises(ValueError, match="id must be at least 0, got '-2'"):
        parse_whole("id", "-2", low=0)


# --- tables of numbers ------------------------------------------------------------------------------------------------


def test_rows_come_with_their_line_numbers_and_blank_lines_do_not_count(tmp_path):
    path = write(tmp_path / "t.txt", "1 2 3\n\n  \n4 5 6 extra\r\n7 8 9")
    [(lines, values)] = read_number_rows(path, ("a", "b"))
    assert lines.tolist() == [1, 4, 5]
    assert values.tolist() == [[1, 2], [4, 5], [7, 8]]


def test_numbers_are_read_to_the_last_bit(tmp_path):
    numbers = np.random.default_rng(0).random((50, 3)) * 10.0 ** np.arange(-20, 21, 20)
    path = write(tmp_path / "t.txt", "".join(" ".join(map(repr, row)) + "\n" for row in numbers.tolist()))
    [(_, values)] = read_number_rows(path, "abc")
    np.testing.assert_array_equal(values, numbers)


def test_large_files_come_in_pieces_with_running_line_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(number_rows, "LINES_AT_ONCE", 4)
    path = write(tmp_path / "t.txt", "".join(f"{i} 0\n" for i in range(10)))
    pieces = list(read_number_rows(path, "ab"))
    assert [len(lines) for lines, _ in pieces] == [4, 4, 2]
    assert np.concatenate([lines for lines, _ in pieces]).tolist() == list(range(1, 11))


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("1,2", "a row must hold 3 columns \\(frame, x, y\\), got 2: '1,2'"),
        ("1,2,three", "y must be a finite number, got 'three'"),
        ("1,nan,3", "x must be a finite number, got 'nan'"),
        ("1,,3", "x must be a finite number, got ''"),
        ("1,2,\ufffd", "y must be a finite number"),
    ],
)
def test_a_malformed_row_is_named_by_its_line(tmp_path, line, fault):
    path = write(tmp_path / "t.txt", f"1,2,3\n\n{line}\n4,5,6\n")
    with pytest.raises(ValueError, match=rf"t\.txt, line 3: {fault}"):
        list(read_number_rows(path, ("frame", "x", "y"), separator=","))
    skipped = Skipped()
    [(lines, values)] = read_number_rows(path, ("frame", "x", "y"), separator=",", skipped=skipped)
    assert lines.tolist() == [1, 4]
    assert values.tolist() == [[1, 2, 3], [4, 5, 6]]
    assert skipped.count == 1


def test_empty_files_and_a_byte_order_mark_pass(tmp_path):
    assert list(read_number_rows(write(tmp_path / "t.txt", ""), "ab")) == []
    (tmp_path / "b.txt").write_bytes(b"\xef\xbb\xbf1 2\n")
    [(_, values)] = read_number_rows(tmp_path / "b.txt", "ab")
    assert values.tolist() == [[1, 2]]


# --- files that appear when whole -------------------------------------------------------------------------------------


def test_a_file_appears_only_when_it_is_whole(tmp_path):
    path = write(tmp_path / "out.txt", "old")
    with replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert [one.name for one in tmp_path.iterdir()] == ["out.txt"]


def test_an_error_leaves_the_former_file_and_nothing_else(tmp_path):
    path = write(tmp_path / "out.txt", "old")

    def rows():
        yield "new"
        raise RuntimeError("half way")

    def write_rows():
        with replacing(path) as file:
            file.writelines(rows())

    with pytest.raises(RuntimeError, match="half way"):
        write_rows()
    assert path.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == ["out.txt"]


def test_files_get_the_usual_permissions_and_folders_are_made(tmp_path):
    with replacing(tmp_path / "a" / "b.bin", "wb") as file:
        file.write(b"\x00\n")
    usual = write(tmp_path / "usual", "")
    assert os.stat(tmp_path / "a" / "b.bin").st_mode == os.stat(usual).st_mode
    assert (tmp_path / "a" / "b.bin").read_bytes() == b"\x00\n"


# --- JSON -------------------------------------------------------------------------------------------------------------


def test_broken_json_is_named_by_line_and_column(tmp_path):
    path = write(tmp_path / "a.json", '{"a": 1,\n "b": }')
    with pytest.raises(ValueError, match=r"a\.json, line 2, column 7: must be JSON"):
        load_json(path)
    assert load_json(write(path, json.dumps({"a": [1]}))) == {"a": [1]}


def test_missing_members_are_named():
    with pytest.raises(ValueError, match="must have 'box', got only 'a', 'b'"):
        require({"a": 1, "b": 2}, "box")
    with pytest.raises(ValueError, match=r"must be an object with 'box', got \[1\]"):
        require([1], "box")
