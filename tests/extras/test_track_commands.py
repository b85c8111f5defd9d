"""From a video and a ground truth to numbers in two commands: `heatprop run --mot`, then `heatprop eval mot`."""

import json

import pytest
from films import make
from toy_detectors import BOX, CELL, CTRL_C, film, lossless
from typer.testing import CliRunner

from heatprop.cli import app

pytestmark = pytest.mark.usefixtures("wide_terminal")

WIDTH, HEIGHT, CELL_XY, FRAMES = 160, 96, (20, 12), 6
X, Y = ((place + 0.5) * CELL for place in CELL_XY)
LEFT, TOP = X - BOX[0] / 2, Y - BOX[1] / 2


def call(*arguments, code=0):
    result = CliRunner().invoke(app, [str(one) for one in arguments])
    assert result.exit_code == code, result.output
    return result


def run(folder, *arguments, order=None, code=0):
    images = film((0.8,) * FRAMES, cell=CELL_XY, height=HEIGHT, width=WIDTH, order=order)
    path = make(folder / "walk.mkv", images, prepare=lossless)
    options = ("--out", folder / "out", "--no-annotate", "--detector", "toy_detectors:spots")
    call("run", path, *options, *arguments, code=code)
    return folder / "out"


def sequence(folder):
    """The object stands where it is, in every frame."""
    (folder / "walk" / "gt").mkdir(parents=True)
    rows = [f"{frame},1,{LEFT},{TOP},{BOX[0]},{BOX[1]},1,1,1" for frame in range(1, FRAMES + 1)]
    (folder / "walk" / "gt" / "gt.txt").write_text("\n".join(rows))
    return folder / "walk"


def test_mot_holds_what_json_holds_with_frames_from_1(tmp_path):
    out = run(tmp_path, "--mot", "--json")
    assert sorted(path.name for path in out.iterdir()) == ["walk.jsonl", "walk.txt"]
    records = [json.loads(line) for line in (out / "walk.jsonl").read_text().splitlines()]
    rows = [line.split(",") for line in (out / "walk.txt").read_text().splitlines()]
    assert len(rows) == len(records) == FRAMES
    for row, record in zip(rows, records, strict=True):
        assert (int(row[0]), int(row[1])) == (record["frame"] + 1, record["id"])
        assert [float(side) for side in row[2:6]] == pytest.approx([LEFT, TOP, *BOX], abs=1e-3)
        assert float(row[6]) == record["score"]
        assert row[7:] == ["-1", "-1", "-1"]


@pytest.mark.parametrize(("option", "ending"), [("--mot", "txt"), ("--json", "jsonl")])
@pytest.mark.parametrize("in_folder", [False, True])
def test_from_a_video_and_a_ground_truth_to_numbers_in_two_commands(tmp_path, option, ending, in_folder):
    out = run(tmp_path, option)
    found = out if in_folder else out / f"walk.{ending}"
    figures = tmp_path / "eval.json"
    call("eval", "mot", "--root", sequence(tmp_path), "--detections", found, "--json", figures)
    document = json.loads(figures.read_text())
    assert document["per_class"] == {"pedestrian": 1.0}
    assert document["flicker"]["ghosts"]["ghosts"] == 0


def test_coco_results_have_identities_and_can_be_evaluated(tmp_path):
    out = run(tmp_path, "--coco")
    results = json.loads((out / "walk.json").read_text())
    assert [one["image_id"] for one in results] == list(range(1, FRAMES + 1))
    assert {(one["category_id"], one["track_id"]) for one in results} == {(1, 0)}
    images = [{"id": n, "width": WIDTH, "height": HEIGHT} for n in range(1, FRAMES + 1)]
    boxes = [{"id": n, "image_id": n, "category_id": 1, "bbox": [LEFT, TOP, *BOX]} for n in range(1, FRAMES + 1)]
    truth, figures = tmp_path / "truth.json", tmp_path / "eval.json"
    truth.write_text(json.dumps({"images": images, "categories": [{"id": 1}], "annotations": boxes}))
    call("eval", "coco", "--annotations", truth, "--detections", out / "walk.json", "--json", figures)
    assert json.loads(figures.read_text())["mAP50"] == 1


def test_a_video_without_objects_gives_an_empty_list(tmp_path):
    out = run(tmp_path, "--coco", "--mot", "--score", "0.99")
    assert json.loads((out / "walk.json").read_text()) == []
    assert (out / "walk.txt").read_text() == ""


def test_after_ctrl_c_the_part_is_whole_json(tmp_path):
    out = run(tmp_path, "--coco", order={3: CTRL_C}, code=130)
    assert [path.name for path in out.iterdir()] == ["walk.partial.json"]
    assert len(json.loads((out / "walk.partial.json").read_text())) >= 3


def test_fgfas_rule_has_a_name_on_the_command_line(tmp_path):
    out = run(tmp_path, "--mot")
    (sequence(tmp_path) / "seqinfo.ini").write_text(
        f"[Sequence]\nframeRate=25\nseqLength={FRAMES}\nimWidth={WIDTH}\nimHeight={HEIGHT}\n"
    )
    figures = tmp_path / "eval.json"
    arguments = ("--root", tmp_path / "walk", "--detections", out / "walk.txt", "--rule", "fgfa", "--json", figures)
    call("eval", "mot", *arguments)
    assert json.loads(figures.read_text())["motion_iou"]["slow"]["mAP50"] == 1
