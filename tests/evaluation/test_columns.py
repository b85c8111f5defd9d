"""The tables: what they take, what they refuse and in which words; numpy alone is needed."""

import ast
import copy
import pickle
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import heatprop.evaluation
from heatprop.evaluation import GroundTruth, Predictions, average_precision, join

BOX = [[0, 0, 9, 9]]


def found(**columns):
    return Predictions(**{"video": [0], "frame": [0], "label": [1], "score": [0.5], "box": BOX, **columns})


@pytest.mark.parametrize(
    ("columns", "error", "words"),
    [
        ({"box": [0, 0, 9, 9]}, ValueError, r"Predictions.box must have shape \(n, 4\), one .* per row, got \(4,\)"),
        ({"box": [[0, 0, np.nan, 9]]}, ValueError, "Predictions.box must be finite, got .* in row 0"),
        ({"box": [["a"] * 4]}, TypeError, "Predictions.box must hold real numbers, got <U1"),
        ({"score": [np.inf]}, ValueError, "Predictions.score must be finite, got inf in row 0"),
        ({"score": [0.5, 0.6]}, ValueError, r"Predictions.score must have shape \(1,\), one value per box, got \(2,\)"),
        ({"video": [0.5]}, ValueError, "Predictions.video must hold whole numbers or text, got 0.5 in row 0"),
        ({"label": [None]}, TypeError, "Predictions.label must hold whole numbers or text, got object"),
        ({"frame": ["a"]}, TypeError, "Predictions.frame must hold whole numbers, got <U1"),
        ({"frame": [1_700_000_000_000]}, ValueError, r"Predictions.frame must count frames \(below 2\*\*31\), got 17"),
    ],
)
def test_wrong_columns_are_refused(columns, error, words):
    with pytest.raises(error, match=words):
        found(**columns)


def test_flags_that_are_no_flags_are_refused():
    with pytest.raises(ValueError, match=r"GroundTruth\.ignore must hold True and False, got 2"):
        GroundTruth([0], [0], [0], [1], BOX, ignore=[2])


def test_whole_numbers_written_as_floats_are_taken_as_a_text_file_gives_them():
    table = found(video=np.array([3.0]), frame=np.array([7.0]), label=np.array([1.0]))
    assert (table.video.dtype, table.frame.dtype, table.label.dtype) == (np.int64,) * 3


def test_text_may_come_as_objects_as_pandas_keeps_it():
    assert found(video=np.array(["a"], dtype=object)).video.dtype.kind == "U"


def test_torch_tensors_are_taken():
    table = found(score=torch.tensor([0.5]), box=torch.tensor(BOX), label=torch.tensor([1]))
    assert table.score.dtype == np.float64
    assert table.box.tolist() == [[0.0, 0.0, 9.0, 9.0]]


def test_the_callers_arrays_are_not_kept():
    box = np.zeros((1, 4))
    table = found(box=box)
    box += 1
    assert table.box.sum() == 0


def test_tables_can_be_pickled_and_copied():
    table = found()
    for twin in (pickle.loads(pickle.dumps(table)), copy.deepcopy(table)):
        assert type(twin) is Predictions
        assert all(np.array_equal(one, other) for one, other in zip(twin, table, strict=True))


def test_join_puts_videos_one_after_the_other_and_leaves_out_empty_ones():
    empty = Predictions([], [], [], [], [])
    table = join([empty, found(video=["a"]), found(video=["b"])])
    assert table.video.tolist() == ["a", "b"]
    assert type(table) is Predictions
    assert len(join([empty, empty]).box) == 0


def test_join_refuses_nothing_and_names_beside_numbers():
    with pytest.raises(ValueError, match="tables must hold at least one table, got none"):
        join([])
    with pytest.raises(ValueError, match="label must be text everywhere or numbers everywhere"):
        join([found(), found(label=["car"])])


def test_of_video_takes_what_unpad_returns():
    frames = [
        {
            "boxes": torch.tensor([[0.0, 0, 9, 9], [1, 1, 5, 5]]),
            "scores": torch.ones(2),
            "labels": torch.tensor([1, 2]),
        },
        {"boxes": torch.zeros(0, 4), "scores": torch.zeros(0), "labels": torch.zeros(0, dtype=torch.int64)},
        {"boxes": torch.ones(1, 4), "scores": torch.ones(1), "labels": torch.tensor([0]), "ages": torch.ones(1)},
    ]
    table = Predictions.of_video("clip", frames, first_frame=10)
    assert table.frame.tolist() == [10, 10, 12]
    assert table.label.tolist() == [1, 2, 0]
    assert len(Predictions.of_video("clip", []).box) == 0


def test_frames_may_be_huge_and_labels_far_apart():
    truth = GroundTruth([2**62], [2**31 - 1], None, [-(2**62)], BOX)
    hit = Predictions([2**62], [2**31 - 1], [-(2**62)], [0.5], BOX)
    assert average_precision(truth, hit).mean == 1


def test_the_package_needs_numpy_and_the_standard_library_only():
    allowed = {"numpy", *sys.stdlib_module_names}
    for path in Path(heatprop.evaluation.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            names = [a.name for a in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) else []
            for name in names:
                assert name.startswith("heatprop.evaluation") or name.split(".")[0] in allowed


def test_all_public_names_exist_and_are_documented():
    for name in heatprop.evaluation.__all__:
        assert getattr(heatprop.evaluation, name).__doc__
