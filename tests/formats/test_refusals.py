"""What outsiders may put into a file: each is a clear error with its place, or skipped and counted."""

import io
import json
import zipfile

import numpy as np
import pytest

from heatprop.evaluation import GroundTruth
from heatprop.formats.bad_rows import Skipped, parse_path, parse_whole
from heatprop.formats.coco import read_coco, read_coco_results
from heatprop.formats.detections_file import read_detections_file
from heatprop.formats.imagenet import read_vid
from heatprop.formats.imagenet_lists import list_frames, read_frame_list, read_image_list
from heatprop.formats.imagenet_xml import read_annotation, read_annotations
from heatprop.formats.json_files import load_json
from heatprop.formats.json_lines import read_json_lines
from heatprop.formats.mot import read_mot_detections, read_mot_truth, read_seqinfo
from heatprop.maps import archives
from heatprop.maps.archives import read_archive
from heatprop.maps.saved import iterate_saved_maps, read_saved_maps, write_saved_maps
from heatprop.maps.sparse import MapPacker, sparse_arrays

DEEP = "[" * 100_000 + "]" * 100_000
OUTSIDE = ["../secret", "a/../../secret", "/etc/passwd", "..\\secret", "C:\\secret"]


def put(path, text):
    path.write_text(text)
    return path


def refused(read, fault):
    """The call stops with the fault; handed a `Skipped` it goes on and counts one."""
    with pytest.raises(ValueError, match=fault):
        read(None)
    skipped = Skipped()
    result = read(skipped)
    assert skipped.count == 1, str(skipped)
    return result


# --- MOTChallenge -----------------------------------------------------------------------------------------------------

ROWS_2015 = "1,1,100,50,20,40,1,{0},2.5,0\n2,1,101,50,20,40,1,{1},2.5,0\n"


@pytest.mark.parametrize("world", [("-1.25", "6.5"), ("7", "3"), ("1", "8"), ("-1", "-1")])
def test_ten_columns_are_2015_whose_last_three_are_no_class(tmp_path, world):
    truth = read_mot_truth(put(tmp_path / "gt.txt", ROWS_2015.format(*world)))
    assert truth.label.tolist() == [1, 1]
    assert truth.ignore.tolist() == [False, False]
    assert read_mot_truth(tmp_path / "gt.txt", classes=None).label.tolist() == [1, 1]


def test_nine_columns_have_a_class(tmp_path):
    path = put(tmp_path / "gt.txt", "1,1,1,1,5,5,1,1,1\n1,2,1,1,5,5,1,7,1\n1,3,1,1,5,5,1,3,1\n")
    assert read_mot_truth(path).ignore.tolist() == [False, True]


def test_a_row_with_the_columns_of_another_year_is_refused(tmp_path):
    path = put(tmp_path / "gt.txt", "1,1,1,1,5,5,1,3,2.5,0\n2,1,1,1,5,5,1,1,1\n3,1,1,1,5,5,1,3,2.5,0\n")
    truth = refused(
        lambda skipped: read_mot_truth(path, skipped=skipped), "line 2: a row must hold 10 columns, as most"
    )
    assert truth.frame.tolist() == [0, 2]


def test_a_short_first_row_does_not_decide_about_the_others(tmp_path):
    path = put(tmp_path / "gt.txt", "1,1,1\n1,2,1,1,5,5,1,3,1\n2,2,1,1,5,5,1,1,1\n")
    assert refused(lambda skipped: read_mot_truth(path, skipped=skipped), "line 1: a row must").frame.tolist() == [1]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("1,9007199254740993,1,1,5,5,1,1,1", "id must be below 2"),
        (f"1,{2**70},1,1,5,5,1,1,1", "id must be"),
        ("1,1,1,1,5,5,1,1e300,1", "class must be"),
        (f"{10**27},1,1,1,5,5,1,1,1", "frame must be"),
        ("1,1,1e308,1,1e308,5,1,1,1", r"left \+ width must be a finite number"),
    ],
)
def test_numbers_that_no_column_holds_are_refused(tmp_path, row, fault):
    path = put(tmp_path / "gt.txt", f"1,1,1,1,5,5,1,1,1\n{row}\n")
    truth = refused(lambda skipped: read_mot_truth(path, skipped=skipped), f"line 2: {fault}")
    assert truth.track.tolist() == [1]


def test_a_sequence_does_not_lead_out_of_its_folder(tmp_path):
    text = "[Sequence]\nname=a\nimDir=../../other\nframeRate=30\nseqLength=9\nimWidth=9\nimHeight=9\nimExt=.jpg\n"
    with pytest.raises(ValueError, match="imDir must stay below its folder"):
        read_seqinfo(put(tmp_path / "seqinfo.ini", text))
    (tmp_path / "seqinfo.ini").write_bytes(b"[Sequence]\nname=\xff\n")
    with pytest.raises(ValueError, match=r"seqinfo\.ini must be text in UTF-8"):
        read_seqinfo(tmp_path)


# --- large numbers ----------------------------------------------------------------------------------------------------


def test_identities_above_2_53_stay_apart_in_coco(tmp_path):
    large = [2**53, 2**53 + 1, 2**63 - 1]
    annotations = [
        {"id": n, "image_id": 1, "category_id": 2**60 + 1, "bbox": [0, 0, 5, 5], "instance_id": track}
        for n, track in enumerate(large)
    ]
    data = {"images": [{"id": 1}], "categories": [{"id": 2**60 + 1}], "annotations": annotations}
    truth = read_coco(put(tmp_path / "a.json", json.dumps(data))).truth
    assert truth.track.tolist() == large
    assert truth.label.tolist() == [2**60 + 1] * 3


def test_identities_above_2_63_are_refused_in_coco(tmp_path):
    one = {"id": 0, "image_id": 1, "category_id": 1, "bbox": [0, 0, 5, 5], "instance_id": 2**70}
    data = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": [one, one | {"instance_id": 3}]}
    path = put(tmp_path / "a.json", json.dumps(data))
    found = refused(lambda skipped: read_coco(path, skipped=skipped), r"annotations\[0\]: instance_id must be at most")
    assert found.truth.track.tolist() == [3]


def annotation(track, encoding="UTF-8"):
    box = "<bndbox><xmax>9</xmax><xmin>1</xmin><ymax>9</ymax><ymin>1</ymin></bndbox>"
    one = f"<object><trackid>{track}</trackid><name>n02691156</name>{box}</object>"
    size = "<size><width>10</width><height>10</height></size>"
    return f'<?xml version="1.0" encoding="{encoding}"?><annotation>{size}{one}</annotation>'


def test_identities_above_2_53_stay_apart_in_imagenet(tmp_path):
    folder = tmp_path / "Annotations" / "VID" / "val" / "v"
    folder.mkdir(parents=True)
    for frame, track in enumerate((2**53, 2**53 + 1)):
        put(folder / f"{frame:06d}.xml", annotation(track))
    assert read_vid(tmp_path, list_frames(tmp_path)).track.tolist() == [2**53, 2**53 + 1]
    put(folder / "000001.xml", annotation(2**70))
    truth = refused(
        lambda skipped: read_vid(tmp_path, list_frames(tmp_path), skipped=skipped), "object 1: trackid must be at most"
    )
    assert truth.track.tolist() == [2**53]


@pytest.mark.parametrize("value", ["9007199254740993", 9007199254740993, -(2**63) + 1])
def test_whole_numbers_are_read_to_the_last_digit(value):
    assert parse_whole("id", value) == int(value)


@pytest.mark.parametrize("value", ["9007199254740993.0", "1e300", 1e300, 2.0**53, 2**63, str(2**70), "9" * 5000])
def test_whole_numbers_that_would_be_changed_are_refused(value):
    with pytest.raises(ValueError, match="id must be") as caught:
        parse_whole("id", value)
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "track", [np.array([2.0**53, 2.0**53 + 2]), np.array([2**64 - 1, 1], np.uint64), np.array([1e300, 1])]
)
def test_tables_refuse_tracks_that_were_rounded_or_would_wrap(track):
    with pytest.raises(ValueError, match=r"GroundTruth\.track must hold whole numbers or text, got .* in row 0"):
        GroundTruth([0, 0], [0, 1], track, [1, 1], [[0, 0, 5, 5]] * 2)


def test_tables_refuse_the_lowest_int64_as_a_frame():
    with pytest.raises(ValueError, match="must count frames"):
        GroundTruth([0], np.array([-(2**63)]), [0], [1], [[0, 0, 5, 5]])


def test_frame_numbers_that_count_no_frames_are_refused(tmp_path):
    line = {"frame": 3, "box": [1, 2, 3, 4], "score": 0.5}
    path = put(tmp_path / "a.jsonl", f"{json.dumps(line)}\n{json.dumps(line | {'frame': 10**27})}\n")
    found = refused(lambda skipped: read_json_lines(path, skipped=skipped), "line 2: frame must be at most 2147483647")
    assert found.frame.tolist() == [3]
    path = put(tmp_path / "list.txt", f"val/a/000000 1\nval/a/{10**27} 2\n")
    frames = refused(lambda skipped: read_frame_list(path, skipped=skipped), "line 2: a frame's number must be at most")
    assert frames.frame.tolist() == [0]


def test_a_list_does_not_stand_for_more_frames_than_there_are(tmp_path):
    path = put(tmp_path / "list.txt", "val/a 1 0 3\nval/b 4 0 99999999999\nval/c 4 0 2\n")
    frames = refused(lambda skipped: read_frame_list(path, skipped=skipped), "line 2: column 4 must be at most")
    assert frames.videos == ["val/a", "val/c"]
    assert frames.frame.tolist() == [0, 1, 2, 0, 1]
    assert frames.frame_id.tolist() == [1, 2, 3, 4, 5]
    path = put(tmp_path / "list.txt", "val/a 1 0 3\nval/b 4 0 2000000000\n")
    refused(lambda skipped: read_frame_list(path, skipped=skipped), "line 2: a list must stand for at most 10000000")


def test_frame_ids_of_a_detection_file_are_compared_exactly(tmp_path):
    path = put(tmp_path / "list.txt", f"val/a/000000 1\nval/a/000001 {2**53}\n")
    refused(lambda skipped: read_frame_list(path, skipped=skipped), "line 2: column 2 must be at most")


def test_coordinates_whose_sum_is_infinite_are_refused(tmp_path):
    one = {"image_id": 1, "category_id": 1, "bbox": [1e308, 0, 1e308, 5], "score": 0.5}
    data = {"images": [{"id": 1}], "categories": [{"id": 1}], "annotations": []}
    images = read_coco(put(tmp_path / "a.json", json.dumps(data))).images
    path = put(tmp_path / "b.json", json.dumps([one]))
    refused(lambda skipped: read_coco_results(path, images, skipped=skipped), r"\[0\]: x \+ width must be a finite")
    path = put(tmp_path / "det.txt", "1,-1,0,1e308,5,1e308,0.5\n")
    refused(lambda skipped: read_mot_detections(path, skipped=skipped), r"line 1: top \+ height must be a finite")


# --- JSON and XML -----------------------------------------------------------------------------------------------------


def test_deep_json_is_refused(tmp_path):
    with pytest.raises(ValueError, match=r"deep\.json: must be JSON with only a few levels"):
        load_json(put(tmp_path / "deep.json", DEEP))
    line = '{"frame": 0, "box": [1, 2, 3, 4], "score": 0.5}'
    path = put(tmp_path / "a.jsonl", f"{line}\n{DEEP}\n")
    found = refused(lambda skipped: read_json_lines(path, skipped=skipped), "line 2: must be a JSON object with only")
    assert found.frame.tolist() == [0]


@pytest.mark.parametrize("depth", [300, 900, 990])
def test_brackets_that_python_can_just_read_make_no_other_error(tmp_path, depth):
    box = "[" * depth + "]" * depth
    path = put(tmp_path / "a.jsonl", f'{{"frame": 0, "box": {box}, "score": {box}}}\n')
    refused(lambda skipped: read_json_lines(path, skipped=skipped), "line 1: ")


def test_json_that_is_no_utf_8_or_has_endless_digits_is_refused_with_its_file(tmp_path):
    (tmp_path / "a.json").write_bytes(b'{"a": "\xff"}')
    with pytest.raises(ValueError, match=r"a\.json: must be JSON"):
        load_json(tmp_path / "a.json")
    with pytest.raises(ValueError, match=r"b\.json: must be JSON"):
        load_json(put(tmp_path / "b.json", "9" * 10_000))


@pytest.mark.parametrize("encoding", ["klingon", "utf-7", "utf-32"])
def test_xml_in_an_encoding_that_does_not_exist_is_refused(tmp_path, encoding):
    put(tmp_path / "a.xml", annotation(1, encoding))
    put(tmp_path / "b.xml", annotation(1))
    with pytest.raises(ValueError, match=r"a\.xml, line 1"):
        read_annotation(tmp_path / "a.xml")
    found = refused(lambda skipped: list(read_annotations(tmp_path, ["a", "b"], skipped=skipped)), r"a\.xml")
    assert [name for name, _ in found] == ["b"]


# --- names ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", OUTSIDE)
def test_names_stay_below_their_root(tmp_path, name):
    with pytest.raises(ValueError, match="must stay below its folder"):
        parse_path("name", name)
    frames = put(tmp_path / "frames.txt", f"val/a/000000 1\n{name}/000000 2\n")
    assert refused(lambda skipped: read_frame_list(frames, skipped=skipped), "line 2: a video").videos == ["val/a"]
    videos = put(tmp_path / "videos.txt", f"val/a 1 0 2\n{name} 3 0 2\n")
    assert refused(lambda skipped: read_frame_list(videos, skipped=skipped), "line 2: a video").videos == ["val/a"]
    images = put(tmp_path / "images.txt", f"train/a 1\n{name} 1\n")
    assert refused(lambda skipped: read_image_list(images, skipped=skipped), "line 2: an image") == ["train/a"]
    data = {"images": [{"id": 1, "file_name": name}, {"id": 2}], "categories": [], "annotations": []}
    path = put(tmp_path / "a.json", json.dumps(data))
    refused(lambda skipped: read_coco(path, skipped=skipped), r"images\[0\]: file_name must stay below")
    (tmp_path / "xml").mkdir()
    refused(lambda skipped: list(read_annotations(tmp_path / "xml", [name], skipped=skipped)), "an image's name must")


# --- saved maps -------------------------------------------------------------------------------------------------------


def saved(path, **changes):
    arrays = {
        "heatmap": np.full((2, 1, 4, 4), 0.5, np.float16),
        "offset": np.zeros((2, 2, 4, 4), np.float16),
        "size": np.ones((2, 2, 4, 4), np.float16),
        "stride": np.float64(4),
        "input_wh": np.array([16, 16]),
        "gt_frame": np.array([0, 1]),
        "gt_track": np.array([5, 5]),
        "gt_box": np.array([[0.0, 0, 5, 5]] * 2),
    } | changes
    np.savez_compressed(path, **arrays)
    return path


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"stride": np.float64("nan")}, "stride must be one number above 0"),
        ({"stride": np.float64(0)}, "stride must be one number above 0"),
        ({"stride": np.array("4")}, "stride must hold real numbers, got <U1"),
        ({"input_wh": np.array([np.inf, 16])}, "input_wh must be width and height"),
        ({"input_wh": np.array([np.nan, 16])}, "input_wh must be width and height"),
        ({"gt_box": np.array([["0", "0", "5", "5"]] * 2)}, "gt_box must hold real numbers, got <U1"),
        ({"heatmap": np.zeros((2, 1, 4, 4), np.complex64)}, "heatmap must hold real numbers, got complex64"),
        ({"size": np.full((2, 2, 4, 4), "x")}, "size must hold real numbers"),
        ({"gt_frame": np.array(["0", "1"])}, "gt_frame must hold whole numbers, got text"),
        ({"gt_track": np.array([1.5, 2])}, "gt_track must hold whole numbers"),
        ({"gt_track": np.array([2**64 - 1, 1], np.uint64)}, "gt_track must hold whole numbers"),
        ({"gt_label": np.array([1e300, 0])}, "gt_label must hold whole numbers"),
        ({"class_name": np.array([1, 2])}, "class_name must hold text"),
    ],
)
def test_arrays_of_the_wrong_kind_are_refused(tmp_path, changes, fault):
    saved(tmp_path / "a.npz", **changes)
    saved(tmp_path / "b.npz")
    found = refused(lambda skipped: list(iterate_saved_maps(tmp_path, skipped=skipped)), rf"a\.npz: {fault}")
    assert [maps.name for maps in found] == ["b"]


def sparse(path, **changes):
    packer = MapPacker((1, 8, 8))
    heatmap = np.zeros((1, 8, 8))
    heatmap[0, 3, 4] = 0.75
    packer.add(heatmap, np.zeros((2, 8, 8)), np.ones((2, 8, 8)))
    kept = {
        key: np.zeros((0, 4)) if key == "gt_box" else np.zeros(0, int) for key in ("gt_box", "gt_frame", "gt_track")
    }
    arrays = sparse_arrays(*packer.pack()) | kept | {"stride": np.float64(4), "input_wh": np.array([32, 32])}
    np.savez_compressed(path, **(arrays | changes))
    return path


@pytest.mark.parametrize(
    ("changes", "fault"),
    [
        ({"map_shape": np.array([1, 10**4, 10**5, 10**5])}, "a frame must have at most 134,217,728 cells"),
        ({"map_shape": np.array([99_999_999_999, 1, 8, 8])}, "score_count must be of 99999999999 frames"),
        ({"map_shape": np.array([1, 1, -8, -8])}, "map_shape must be"),
        ({"map_shape": np.array([1, 8, 8])}, "map_shape must be"),
        ({"map_fill": np.float64("nan")}, "map_fill one number"),
        ({"score_count": np.array([-1])}, "score_count must be of 1 frames"),
        ({"score_step": np.array([-5])}, "score_step must lead to cells below 64, got -5"),
        ({"score_step": np.array([2**63 + 1], np.uint64)}, "score_step must lead to cells below 64, got -"),
        ({"score": np.array(["x"])}, "score must hold real numbers"),
        ({"box": np.zeros((3, 1), np.float16)}, r"box \(4, m\), got"),
    ],
)
def test_sparse_arrays_that_lead_astray_are_refused(tmp_path, changes, fault):
    assert read_saved_maps(sparse(tmp_path / "good.npz")).heatmap[:][0, 0, 3, 4] == 0.75
    with pytest.raises(ValueError, match=rf"bad\.npz: .*{fault}"):
        read_saved_maps(sparse(tmp_path / "bad.npz", **changes))


def archive(path, header, data=b"", **kwargs):
    member = io.BytesIO()
    np.lib.format.write_array_header_1_0(member, header)
    with zipfile.ZipFile(path, "w", **kwargs) as file:
        file.writestr("a.npy", member.getvalue() + data)
    return path


def test_a_small_file_of_gigabytes_is_not_unpacked(tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "ALWAYS_READ", 1 << 20)
    np.savez_compressed(tmp_path / "a.npz", a=np.zeros(3 << 20, np.uint8))
    with pytest.raises(ValueError, match=r"a\.npz .*, got arrays of 3,1\d\d,\d\d\d bytes in a file of \d,\d\d\d;"):
        read_archive(tmp_path / "a.npz")
    np.savez(tmp_path / "b.npz", a=np.zeros(3 << 20, np.uint8))
    assert read_archive(tmp_path / "b.npz")["a"].shape == (3 << 20,)


def test_an_array_that_says_it_is_larger_than_its_file_is_refused(tmp_path):
    header = {"descr": "<f8", "fortran_order": False, "shape": (99_999_999_999,)}
    with pytest.raises(ValueError, match=r"a\.npz .*, got an array that is said to have shape \(99999999999,\)"):
        read_archive(archive(tmp_path / "a.npz", header, b"12345678"))


def problem_of(read):
    try:
        read()
    except ValueError as problem:
        return str(problem)
    return ""


@pytest.mark.parametrize("part", range(20))
def test_a_damaged_archive_raises_nothing_but_a_value_error(tmp_path, part):
    whole = saved(tmp_path / "whole.npz").read_bytes()
    problems = set()
    for at in range(part * len(whole) // 20, (part + 1) * len(whole) // 20, 5):
        damaged = bytearray(whole)
        damaged[at] ^= 0xFF
        (tmp_path / "a.npz").write_bytes(damaged)
        problems.add(problem_of(lambda: read_saved_maps(tmp_path / "a.npz")))
    problems.discard("")  # some bytes say nothing: dates, attributes
    assert problems
    assert all("a.npz" in problem for problem in problems)


def test_maps_still_come_back_as_they_were(tmp_path):
    maps = read_saved_maps(saved(tmp_path / "a.npz"))
    write_saved_maps(tmp_path / "b.npz", maps, compact=False)
    again = read_saved_maps(tmp_path / "b.npz")
    assert np.array_equal(again.heatmap, maps.heatmap)
    assert again.truth.track.tolist() == [5, 5]


def test_a_detection_file_with_a_class_of_1e300_is_refused(tmp_path):
    frames = read_frame_list(put(tmp_path / "list.txt", "val/a/000000 1\n"))
    path = put(tmp_path / "det.txt", "1 1e300 0.5 0 0 5 5\n1 3 0.5 0 0 5 5\n")
    found = refused(lambda skipped: read_detections_file(path, frames, skipped=skipped), "line 1: class_id must be")
    assert found.label.tolist() == [3]
