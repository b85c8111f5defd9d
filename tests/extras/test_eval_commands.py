"""``heatprop eval`` on tiny data sets laid out as on disk; figures by hand."""

import json
import math

import numpy as np
import pytest
from commands import run

pytest.importorskip("typer", reason="needs the extra cli")
pytest.importorskip("rich", reason="needs the extra cli")

from heatprop.cli.eval import eval_app
from heatprop.evaluation.columns import GroundTruth, Predictions
from heatprop.evaluation.matching import COCO, VID
from heatprop.formats.imagenet_xml import AnnotatedObject, Annotation, write_annotation
from heatprop.formats.mot import write_mot_detections, write_mot_truth
from heatprop.formats.mot_tracks import write_mot_tracks
from heatprop.maps.saved import SavedMaps, write_saved_maps
from heatprop.reports.documents import to_document, write_json
from heatprop.reports.report import evaluate

VIDEO = "val/ILSVRC2015_val_00000000"
BOXES = [(100, 100, 199, 199), (125, 100, 224, 199), (125, 100, 224, 199)]
ELSEWHERE = (600, 400, 699, 499)
SEEN = [(0, 0.9, BOXES[0]), (1, 0.8, ELSEWHERE), (2, 0.7, BOXES[2])]
"""Found, missed with a ghost, found: AP = 1/3 * 1 + 1/3 * 2/3."""
PRECISION = 5 / 9


@pytest.fixture
def imagenet(tmp_path):
    """A dog in three frames of 1280 x 720 pixels, one move of 25 px: 25 * 512 / 1280 / 4 = 2.5 cells."""
    for frame, box in enumerate(BOXES):
        path = tmp_path / "Annotations" / "VID" / VIDEO / f"{frame:06d}.xml"
        write_annotation(path, Annotation(1280, 720, [AnnotatedObject("n02084071", box, track=0)]))
    rows = [f"{frame + 1} 9 {score} {' '.join(map(str, box))}" for frame, score, box in SEEN]
    (tmp_path / "detections.txt").write_text("\n".join(rows) + "\n")
    return tmp_path


def vid(root, *more, code=0):
    return run(eval_app, "vid", "--root", root, "--detections", root / "detections.txt", *more, code=code)


@pytest.fixture
def document(imagenet):
    vid(imagenet, "--json", imagenet / "out" / "eval.json")
    return json.loads((imagenet / "out" / "eval.json").read_text())


def test_vid_writes_the_mean_and_each_class(document):
    assert document["mAP50"] == pytest.approx(PRECISION)
    assert document["per_class"] == {"dog": pytest.approx(PRECISION)}


def test_vid_splits_by_displacement_in_cells_of_the_letterbox(document):
    """The first box is no pair; the second moves 2.5 cells and is missed; the ghost lies nearest to it."""
    slow, median = document["displacement"]["slow"], document["displacement"]["median"]
    assert (slow["objects"], slow["mAP50"], slow["area"]) == (1, 1, 1)
    assert (median["objects"], median["mAP50"], median["share"]) == (1, 0, 0.5)
    assert document["displacement"]["uncovered"]["2"] == 0.5
    assert document["displacement"]["uncovered"]["3"] == 0
    assert document["displacement"]["suggested_radius"] == 3


def test_vid_reads_the_curves_where_table_3_does(document):
    assert document["displacement"]["slow"]["readings"]["0.75"] == {
        "ground_truth": 1,
        "false_negatives": 0,
        "false_positives": 0,
        "precision": 1,
        "score": 0.7,
    }
    assert document["displacement"]["median"]["readings"] == {"0.75": None, "0.65": None}
    assert document["displacement"]["fast"]["readings"] == {}, "no fast pair"


def test_vid_splits_by_motion_iou(document):
    """IoU of 25 px apart: 75/125 = 0.6. Means over the other two frames: 0.6, 0.8, 0.8."""
    motion = document["motion_iou"]
    assert {name: one["objects"] for name, one in motion.items()} == {"slow": 0, "medium": 2, "fast": 1}
    assert motion["fast"]["mAP50"] == 1
    assert motion["medium"]["mAP50"] == pytest.approx(1 / 2 * 1 / 2)
    assert motion["slow"]["mAP50"] is None


def test_vid_measures_flicker(document):
    """Half of 3 boxes are 2: the threshold is 0.7, and frame 1 is a gap."""
    flicker = document["flicker"]
    assert flicker["at_recall_50"]["gaps"] == {"number": 1, "missed": 1, "longest": 1}
    assert flicker["at_score_30"]["delay"] == {"mean": 0, "tracks": 1, "never": 0}
    assert flicker["at_score_30"]["score_jitter"] is None, "no two frames in a row are hit"
    assert flicker["ghosts"] == {"rate": pytest.approx(1 / 3), "ghosts": 1, "boxes": 3}
    assert flicker["ghost_age"] == {"mean": 1, "longest": 1}


def test_vid_prints_the_papers_tables(imagenet):
    output = vid(imagenet).stdout
    for text in ("Table 2", "Table 3: 75 % recall", "Table 3: 65 % recall", "Motion IoU", "Flicker", "dog", "55.6"):
        assert text in output


def test_vid_takes_a_list_of_frames(imagenet):
    """Without frame 1 there is no ghost and nothing to miss."""
    (imagenet / "frames.txt").write_text(f"{VIDEO}/000000 1\n{VIDEO}/000002 3\n")
    lines = (imagenet / "detections.txt").read_text().splitlines()
    (imagenet / "detections.txt").write_text("\n".join([lines[0], lines[2]]))
    vid(imagenet, "--frames", imagenet / "frames.txt", "--json", imagenet / "eval.json")
    assert json.loads((imagenet / "eval.json").read_text())["mAP50"] == 1


def test_a_malformed_row_is_named_and_nothing_is_written(imagenet):
    with open(imagenet / "detections.txt", "a") as file:
        file.write("3 31 0.5 1 2 3 4\n")
    result = vid(imagenet, "--json", imagenet / "eval.json", code=1)
    assert "detections.txt, line 4: class_id must be a whole number from 1 to 30, got 31" in result.stderr
    assert not (imagenet / "eval.json").exists()


def test_malformed_rows_are_skipped_and_counted_on_demand(imagenet):
    with open(imagenet / "detections.txt", "a") as file:
        file.write("3 31 0.5 1 2 3 4\n")
    result = vid(imagenet, "--skip-bad", "--json", imagenet / "eval.json", code=0)
    assert "1 malformed row skipped" in result.stderr
    document = json.loads((imagenet / "eval.json").read_text())
    assert (document["skipped"], document["mAP50"]) == (1, pytest.approx(PRECISION))


def test_files_that_are_missing_are_named(imagenet, tmp_path):
    assert "nowhere.txt" in run(eval_app, "vid", "--root", imagenet, "--detections", "nowhere.txt", code=1).stderr
    assert "must be a MOTChallenge sequence" in run(eval_app, "mot", "--root", tmp_path / "none", code=1).stderr
    missing = run(
        eval_app, "coco", "--annotations", tmp_path / "none.json", "--detections", tmp_path / "none.json", code=1
    )
    assert "none.json" in missing.stderr
    assert "must hold saved maps" in run(eval_app, "maps", tmp_path / "none", code=1).stderr


def test_pictures_of_figs_4_and_5_are_drawn(imagenet):
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    vid(imagenet, "--plots", imagenet / "pictures")
    for name in ("scores.png", "curves.png"):
        assert (imagenet / "pictures" / name).read_bytes().startswith(b"\x89PNG")


def mot_sequence(folder, name="walk"):
    truth = GroundTruth([name] * 3, range(3), [1] * 3, [1] * 3, BOXES)
    frames, scores, boxes = zip(*SEEN, strict=True)
    write_mot_truth(folder / name / "gt" / "gt.txt", truth)
    write_mot_detections(folder / name / "det" / "det.txt", Predictions([name] * 3, frames, [1] * 3, scores, boxes))
    (folder / name / "seqinfo.ini").write_text(
        "[Sequence]\nname=x\nframeRate=30\nseqLength=3\nimWidth=1280\nimHeight=720\n"
    )
    return folder / name


def test_mot_sequences_are_evaluated_together(tmp_path):
    mot_sequence(tmp_path, "a")
    mot_sequence(tmp_path, "b")
    run(eval_app, "mot", "--root", tmp_path, "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["per_class"] == {"pedestrian": pytest.approx(PRECISION)}
    assert document["displacement"]["median"]["objects"] == 2
    assert document["flicker"]["ghosts"]["ghosts"] == 2


def test_mot_takes_a_folder_of_results_but_no_single_file_for_two_sequences(tmp_path):
    for name in ("a", "b"):
        (tmp_path / f"{name}.txt").write_text((mot_sequence(tmp_path / "mot", name) / "gt" / "gt.txt").read_text())
    run(eval_app, "mot", "--root", tmp_path / "mot", "--detections", tmp_path, "--json", tmp_path / "eval.json")
    assert json.loads((tmp_path / "eval.json").read_text())["mAP50"] == 1
    result = run(eval_app, "mot", "--root", tmp_path / "mot", "--detections", tmp_path / "a.txt", code=1)
    assert "must be a folder of NAME.txt" in result.stderr


def test_mot_measures_identities_where_the_results_have_some(tmp_path):
    """Found as 5, missed, found as 6: two hits, a ghost, a switch; one hit keeps its track."""
    sequence = mot_sequence(tmp_path)
    frames, scores, boxes = zip(*SEEN, strict=True)
    found = Predictions(["walk"] * 3, frames, [1] * 3, scores, boxes)
    write_mot_tracks(tmp_path / "walk.txt", found, [5, 7, 6])
    arguments = ("mot", "--root", sequence, "--detections", tmp_path / "walk.txt", "--json", tmp_path / "eval.json")
    output = run(eval_app, *arguments).stdout
    identities = json.loads((tmp_path / "eval.json").read_text())["identities"]
    assert (identities["switches"], identities["fragmentations"], identities["score"]) == (1, 1, None)
    assert identities["MOTA"] == pytest.approx(1 - (1 + 1 + 1) / 3)
    assert identities["IDF1"] == pytest.approx(2 * 1 / (3 + 3))
    assert identities["HOTA"] == pytest.approx(math.sqrt(2 / 4 * 1 / 3))
    for text in ("Identities", "HOTA (%)", "switches", "40.8"):
        assert text in output
    output = run(eval_app, *arguments, "--track-score", "0.75").stdout
    assert "Identities, boxes from score 0.75 on" in " ".join(output.split())
    assert json.loads((tmp_path / "eval.json").read_text())["identities"]["switches"] == 0


def test_detections_without_identities_have_no_table_of_them(tmp_path):
    sequence = mot_sequence(tmp_path)
    assert "Identities" not in run(eval_app, "mot", "--root", sequence, "--json", tmp_path / "eval.json").stdout
    assert json.loads((tmp_path / "eval.json").read_text())["identities"] is None


def test_a_column_that_holds_no_identities_is_named_and_the_rest_is_reported(tmp_path):
    sequence = mot_sequence(tmp_path)
    twice = Predictions(["walk"] * 2, [0] * 2, [1] * 2, [0.9, 0.8], BOXES[:2])
    write_mot_tracks(tmp_path / "walk.txt", twice, [1, 1])
    output = run(eval_app, "mot", "--root", sequence, "--detections", tmp_path / "walk.txt").stdout
    assert "nothing is said about identities: a track must have at most one box" in " ".join(output.split())
    assert "Flicker" in output


def coco_files(folder, *, videos):
    images = [{"id": n + 1, "width": 1280, "height": 720, "file_name": f"{n}.jpg"} for n in range(3)]
    boxes = [[x1, y1, x2 - x1, y2 - y1] for x1, y1, x2, y2 in BOXES]
    found = [[x1, y1, x2 - x1, y2 - y1] for _, _, (x1, y1, x2, y2) in SEEN]
    rows = [{"id": n + 1, "image_id": n + 1, "category_id": 7, "bbox": box} for n, box in enumerate(boxes)]
    data = {"images": images, "annotations": rows, "categories": [{"id": 7, "name": "dog"}]}
    if videos:
        data["videos"] = [{"id": 1, "name": "one"}]
        for frame, (image, row) in enumerate(zip(images, rows, strict=True)):
            image |= {"video_id": 1, "frame_id": frame}
            row["instance_id"] = 5
    scores = [score for _, score, _ in SEEN]
    results = [
        {"image_id": n + 1, "category_id": 7, "bbox": box, "score": score}
        for n, (box, score) in enumerate(zip(found, scores, strict=True))
    ]
    (folder / "truth.json").write_text(json.dumps(data))
    (folder / "results.json").write_text(json.dumps(results))
    return "coco", "--annotations", folder / "truth.json", "--detections", folder / "results.json"


def test_coco_with_videos_has_motion_and_flicker(tmp_path):
    """101 points: recall 1/3 covers 0 to 0.33 (34 points), 2/3 up to 0.66 (33 points)."""
    run(eval_app, *coco_files(tmp_path, videos=True), "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["per_class"] == {"dog": pytest.approx((34 * 1 + 33 * 2 / 3) / 101)}
    assert document["displacement"]["median"]["objects"] == 1
    assert document["flicker"]["at_recall_50"]["gaps"]["number"] == 1


def test_plain_coco_has_no_pairs_and_says_so(tmp_path):
    result = run(eval_app, *coco_files(tmp_path, videos=False), "--rule", "flat", "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["mAP50"] == pytest.approx(PRECISION)
    assert document["displacement"]["suggested_radius"] is None
    assert "nothing to say about displacement" in result.stdout


def saved_maps(folder, scores=(0.9, 0.0, 0.9, 0.9), name="ball"):
    """A ball of 4 x 4 cells at cell (8, 8), lost in frame 1."""
    frames = len(scores)
    heatmap = np.zeros((frames, 1, 16, 16))
    heatmap[:, 0, 8, 8] = scores
    size, offset = np.full((frames, 2, 16, 16), 4.0), np.zeros((frames, 2, 16, 16))
    truth = GroundTruth([name] * frames, range(frames), [0] * frames, [0] * frames, [(24, 24, 40, 40)] * frames)
    maps = SavedMaps(name, heatmap, offset, size, 4.0, (64, 64), (name,), truth)
    write_saved_maps(folder / f"{name}.npz", maps, compact=False)


def test_maps_are_propagated_and_compared_with_the_detector_alone(tmp_path):
    saved_maps(tmp_path)
    result = run(eval_app, "maps", tmp_path, "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert (document["mAP50"], document["per_frame"]["mAP50"]) == (1, 0.75)
    assert document["interpolation"]["mAP50"] == 1
    assert document["flicker"]["at_score_30"]["gaps"]["number"] == 0
    assert document["per_frame"]["flicker"]["at_score_30"]["gaps"]["number"] == 1
    assert [row["method"] for row in document["table1"]] == ["per frame", "interpolation", "HP"]
    assert [row["mAP50"] for row in document["table1"]] == [0.75, 1, 1]
    for text in ("Table 1", "HP/+Seq-NMS", "per frame/HP", "75.0/100.0"):
        assert text in result.stdout


def test_maps_have_identities_where_something_is_remembered(tmp_path):
    saved_maps(tmp_path)
    output = run(eval_app, "maps", tmp_path, "--json", tmp_path / "eval.json").stdout
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["per_frame"]["identities"] is None
    names = ("HOTA", "IDF1", "MOTA", "switches", "score")
    assert [document["identities"][name] for name in names] == [1, 1, 1, 0, 0.3]
    assert "Identities, boxes from score 0.3 on" in " ".join(output.split())
    run(eval_app, "maps", tmp_path, "--track-score", "0.95", "--json", tmp_path / "eval.json")
    assert json.loads((tmp_path / "eval.json").read_text())["identities"]["HOTA"] == 0


def test_the_preset_propagates_maps_with_the_options_that_are_given(tmp_path):
    saved_maps(tmp_path)
    run(eval_app, "maps", tmp_path, "--steady", "--radius", "3", "--json", tmp_path / "eval.json")
    setting = json.loads((tmp_path / "eval.json").read_text())["setting"]
    named = ("identity", "radius", "max_radius", "alpha", "nms_threshold")
    assert [setting[name] for name in named] == ["memory", 3, 3, 0.96, 0.6]


def test_options_reach_the_propagation(tmp_path):
    """Alpha 0 keeps the network's heatmap: HP is then the detector alone."""
    saved_maps(tmp_path)
    run(eval_app, "maps", tmp_path, "--alpha", "0", "--beta", "inf", "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["mAP50"] == 0.75
    assert (document["setting"]["alpha"], document["setting"]["beta"]) == (0, "inf")


def test_nothing_at_all_is_reported_as_not_defined(tmp_path):
    empty = np.zeros(0)
    report = evaluate(GroundTruth([], [], [], [], []), Predictions([], [], [], [], []), empty)
    document = to_document(report, {})
    assert document["mAP50"] is None
    write_json(tmp_path / "empty.json", document)  # refuses NaN
    assert json.loads((tmp_path / "empty.json").read_text())["per_class"] == {}


@pytest.mark.parametrize("rule", [VID, COCO])
def test_classes_without_ground_truth_are_named_and_not_averaged(rule):
    truth = GroundTruth([0], [0], [0], [1], [BOXES[0]])
    found = Predictions([0, 0], [0, 0], [1, 2], [0.9, 0.8], [BOXES[0]] * 2)
    document = to_document(evaluate(truth, found, np.array([math.nan]), rule=rule), {1: "dog", 2: "cat"})
    assert (document["mAP50"], document["without_ground_truth"]) == (1, ["cat"])


def test_pictures_of_maps_show_all_methods(tmp_path):
    pytest.importorskip("matplotlib", reason="needs the extra plots")
    saved_maps(tmp_path)
    run(eval_app, "maps", tmp_path, "--plots", tmp_path / "pictures")
    assert sorted(path.name for path in (tmp_path / "pictures").iterdir()) == ["curves.png", "scores.png"]


def test_classes_without_ground_truth_are_printed_by_name(imagenet):
    with open(imagenet / "detections.txt", "a") as file:
        file.write("3 10 0.5 1 2 30 40\n")
    assert "without ground truth, not in the mean: domestic_cat" in vid(imagenet).stdout


def test_coco_without_picture_sizes_says_nothing_about_displacement(tmp_path):
    arguments = coco_files(tmp_path, videos=True)
    data = json.loads((tmp_path / "truth.json").read_text())
    for image in data["images"]:
        del image["width"], image["height"]
    (tmp_path / "truth.json").write_text(json.dumps(data))
    run(eval_app, *arguments, "--json", tmp_path / "eval.json")
    document = json.loads((tmp_path / "eval.json").read_text())
    assert document["displacement"]["overall"]["objects"] == 0
    assert document["flicker"]["at_recall_50"]["gaps"]["number"] == 1


def test_a_broken_annotation_is_left_out_on_demand_and_sizes_come_from_the_next(imagenet):
    (imagenet / "Annotations" / "VID" / VIDEO / "000000.xml").write_text("<annotation>")
    assert "000000.xml" in vid(imagenet, code=1).stderr
    vid(imagenet, "--skip-bad", "--json", imagenet / "eval.json")
    document = json.loads((imagenet / "eval.json").read_text())
    assert document["skipped"] == 1
    assert document["displacement"]["overall"]["objects"] == 1, "frames 1 and 2"
