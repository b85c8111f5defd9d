"""``heatprop tune`` on tiny saved maps: choice and cross-validation by hand, search that goes on after a stop."""

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from commands import run

pytest.importorskip("typer", reason="needs the extra cli")
pytest.importorskip("optuna", reason="needs the extra tune")
import typer

from heatprop.cli.tune import tune
from heatprop.evaluation.columns import GroundTruth
from heatprop.formats.bad_rows import Skipped
from heatprop.maps.detecting import HP, PER_FRAME, Setting
from heatprop.maps.saved import SavedMaps, write_saved_maps
from heatprop.maps.table1 import FLAT
from heatprop.tuning import clips as clips_module
from heatprop.tuning import search as search_module
from heatprop.tuning.choosing import advise, choose
from heatprop.tuning.clips import Clips
from heatprop.tuning.measuring import SettingMeasures, measure_setting
from heatprop.tuning.search import search
from heatprop.tuning.space import first_settings, from_parameters, to_parameters
from heatprop.tuning.tables import tuning_document

app = typer.Typer()
app.command()(tune)


def video(name="a", scores=(0.9, 0.0, 0.9, 0.9), ghost=0.0):
    """A ball of 4 x 4 cells at cell (8, 8) with a score per frame; a ghost at (2, 2) in frame 2."""
    frames = len(scores)
    heatmap = np.zeros((frames, 1, 16, 16))
    heatmap[:, 0, 8, 8] = scores
    heatmap[2, 0, 2, 2] = ghost
    size, offset = np.full((frames, 2, 16, 16), 4.0), np.zeros((frames, 2, 16, 16))
    truth = GroundTruth([name] * frames, range(frames), [0] * frames, [0] * frames, [(24, 24, 40, 40)] * frames)
    return SavedMaps(name, heatmap, offset, size, 4.0, (64, 64), ("ball",), truth)


@pytest.fixture
def folder(tmp_path):
    for maps in (video("a"), video("b", ghost=0.5), video("c", scores=(0.9, 0.9, 0.0, 0.9))):
        write_saved_maps(tmp_path / "maps" / f"{maps.name}.npz", maps, compact=False)
    return tmp_path / "maps"


def measures(precision, gaps=0, ghosts=0):
    return SettingMeasures(precision, gaps, gaps, ghosts, 9, 0.1)


# --- one setting on one video -----------------------------------------------------------------------------------------


def test_the_detector_alone_has_the_gap_and_the_ghost_that_were_drawn():
    """0.9, 0.9, 0.9 right, 0.5 wrong, one of 4 missed; scores change in one pair: 0."""
    alone = measure_setting(video(ghost=0.5), PER_FRAME, FLAT)
    assert alone == SettingMeasures(precision=0.75, gaps=1, missed=1, ghosts=1, boxes=4, jitter=0.0)


def test_hp_closes_the_gap_and_keeps_the_ghost_one_frame_longer():
    """Frame 1 comes back at 0.98 * 0.9 / 1.5 = 0.588; the ghost of 0.5 stays at 0.98 * 0.5 / 1.5 = 0.327."""
    found = measure_setting(video(ghost=0.5), HP, FLAT)
    assert (found.precision, found.gaps, found.ghosts, found.boxes) == (1, 0, 2, 6)


def test_a_video_without_ground_truth_is_refused():
    maps = video()
    nothing = maps._replace(truth=maps.truth.select(slice(0, 0)))
    with pytest.raises(ValueError, match="a must have ground truth"):
        measure_setting(nothing, HP, FLAT)


# --- choice -----------------------------------------------------------------------------------------------------------


def test_the_highest_mean_wins_and_of_equals_the_one_with_fewer_gaps_then_ghosts():
    one, two, three = Setting(radius=1), Setting(radius=2), Setting(radius=3)
    results = {
        one: {"x": measures(0.5, gaps=1), "y": measures(0.7)},
        two: {"x": measures(0.6, ghosts=3), "y": measures(0.6)},
        three: {"x": measures(0.6, ghosts=2), "y": measures(0.6)},
    }
    assert choose(results, ["x", "y"]) == three
    assert choose(results, ["y"]) == one


def test_cross_validation_measures_each_video_with_what_the_others_chose():
    one, two = Setting(radius=1), Setting(radius=2)
    results = {
        one: {"x": measures(0.9), "y": measures(0.8), "z": measures(0.1)},
        two: {"x": measures(0.5), "y": measures(0.6), "z": measures(0.8)},
    }
    baseline = {name: measures(0.4, gaps=2) for name in "xyz"}
    advice = advise(results, baseline)
    assert advice.setting == two, "0.6 against 0.633"
    # without x: (0.8 + 0.1) against (0.6 + 0.8): two; without y: 1.0 against 1.3: two; without z: 1.7 against 1.1: one
    assert [(fold.videos, fold.chosen) for fold in advice.folds] == [(("x",), two), (("y",), two), (("z",), one)]
    assert advice.held_out.precision == pytest.approx((0.5 + 0.6 + 0.1) / 3)
    assert (advice.baseline.precision, advice.baseline.gaps) == (pytest.approx(0.4), 6)
    assert advice.tuned.precision == pytest.approx(1.9 / 3)


def test_many_videos_share_folds_and_each_is_held_out_once():
    names = [f"{n:02d}" for n in range(25)]
    results = {HP: {name: measures(0.5) for name in names}}
    folds = advise(results, results[HP], folds=4).folds
    assert len(folds) == 4
    assert sorted(name for fold in folds for name in fold.videos) == names


def test_one_video_cannot_be_held_out():
    advice = advise({HP: {"x": measures(0.5)}}, {"x": measures(0.4)})
    assert (advice.folds, advice.held_out) == ([], None)


def test_no_results_and_a_single_fold_are_refused():
    with pytest.raises(ValueError, match="at least one setting"):
        advise({}, {})
    with pytest.raises(ValueError, match="folds must be at least 2, got 1"):
        advise({HP: {"x": measures(0.5), "y": measures(0.5)}}, {"x": measures(0.4), "y": measures(0.4)}, folds=1)


@pytest.mark.parametrize("setting", first_settings())
def test_the_papers_settings_survive_optuna(setting):
    assert from_parameters(to_parameters(setting)) == setting


# --- search -----------------------------------------------------------------------------------------------------------


def counted(monkeypatch, *, stop_after=math.inf):
    """Count what is measured, and press Ctrl-C at some point."""
    calls = []

    def measure_and_count(maps, setting, rule):
        if len(calls) >= stop_after:
            raise KeyboardInterrupt
        calls.append((maps.name, setting))
        return measure_setting(maps, setting, rule)

    monkeypatch.setattr(search_module, "measure_setting", measure_and_count)
    return calls


def test_search_tries_the_papers_settings_first_and_measures_every_video(folder, tmp_path):
    outcome = search(Clips(folder), tmp_path / "out", trials=21, rule=FLAT)
    assert list(outcome.results)[:19] == first_settings()
    assert len(outcome.results) == 21
    assert all(list(videos) == ["a", "b", "c"] for videos in outcome.results.values())
    assert outcome.results[HP]["b"] == measure_setting(next(m for m in Clips(folder) if m.name == "b"), HP, FLAT)
    assert outcome.baseline["b"] == SettingMeasures(0.75, 1, 1, 1, 4, 0.0)


def test_search_started_again_goes_on_and_measures_nothing_twice(folder, tmp_path, monkeypatch):
    first = search(Clips(folder), tmp_path / "out", trials=4, rule=FLAT)
    calls = counted(monkeypatch)
    second = search(Clips(folder), tmp_path / "out", trials=6, rule=FLAT)
    assert len(calls) == 2 * 3, "two more settings on three videos"
    assert {setting: second.results[setting] for setting in first.results} == first.results
    assert second.baseline == first.baseline
    search(Clips(folder), tmp_path / "out", trials=6, rule=FLAT)
    assert len(calls) == 2 * 3


def test_an_interrupted_search_ends_where_an_uninterrupted_one_does(folder, tmp_path, monkeypatch):
    """The stop comes in the middle of the fourth setting: after the baseline, three settings and one video."""
    whole = search(Clips(folder), tmp_path / "whole", trials=19, rule=FLAT)
    counted(monkeypatch, stop_after=3 + 3 * 3 + 1)
    with pytest.raises(KeyboardInterrupt):
        search(Clips(folder), tmp_path / "out", trials=19, rule=FLAT)
    calls = counted(monkeypatch)
    resumed = search(Clips(folder), tmp_path / "out", trials=19, rule=FLAT)
    assert resumed.results == whole.results
    assert len(calls) == (19 - 3) * 3


def test_a_journal_whose_last_line_was_cut_off_is_gone_on_from(folder, tmp_path):
    search(Clips(folder), tmp_path / "out", trials=2, rule=FLAT)
    with open(tmp_path / "out" / "study.journal", "a") as file:
        file.write('{"op_code": 8, "worker')
    assert len(search(Clips(folder), tmp_path / "out", trials=3, rule=FLAT).results) == 3


def test_a_journal_of_other_videos_or_options_is_refused(folder, tmp_path):
    search(Clips(folder), tmp_path / "out", trials=1, rule=FLAT)
    with pytest.raises(ValueError, match=r"got other options, rule; choose another --out"):
        search(Clips(folder), tmp_path / "out", trials=2, rule=FLAT._replace(plus_one=True), base=Setting(top_k=5))
    write_saved_maps(folder / "a.npz", video("a", ghost=0.7), compact=False)
    with pytest.raises(ValueError, match="got other videos"):
        search(Clips(folder), tmp_path / "out", trials=2, rule=FLAT)


def test_the_threshold_of_the_nms_is_searched_on_demand(folder, tmp_path):
    outcome = search(Clips(folder), tmp_path / "out", trials=30, rule=FLAT, search_nms=True)
    assert len({setting.nms_threshold for setting in outcome.results}) > 1


def test_maps_beyond_the_memory_are_read_again(folder, monkeypatch):
    kept = [maps.heatmap.sum() for maps in Clips(folder)]
    monkeypatch.setattr(clips_module, "KEPT_BYTES", 1)
    assert [maps.heatmap.sum() for maps in Clips(folder)] == kept


# --- the command ------------------------------------------------------------------------------------------------------


def test_tune_prints_the_papers_tables_and_writes_the_advice(folder, tmp_path):
    result = run(app, folder, "--out", tmp_path / "out", "--trials", 19)
    for text in (
        "Table 2: P",
        "Table 4: alpha",
        "Table 5: beta",
        "Recommended: radius=",
        "held out",
        "Held out, tuning",
    ):
        assert text in result.stdout
    document = json.loads((tmp_path / "out" / "tune.json").read_text())
    assert document["recommended"].keys() == {"radius", "alpha", "beta", "nms_threshold"}
    assert document["baseline"]["mAP50"] == 0.75
    assert document["tuned"]["mAP50"] >= max(one["mAP50"] for one in document["settings"]) - 1e-9
    assert [fold["videos"] for fold in document["folds"]] == [["a"], ["b"], ["c"]]
    assert document["uncovered"]["0"] == 0, "nothing moves"


def test_tune_says_that_one_video_is_too_few(folder, tmp_path):
    for name in ("b", "c"):
        (folder / f"{name}.npz").unlink()
    result = run(app, folder, "--out", tmp_path / "out", "--trials", 1)
    assert "One video" in result.stdout
    assert json.loads((tmp_path / "out" / "tune.json").read_text())["held_out"] is None


def test_bad_input_is_named_with_exit_code_1(folder, tmp_path):
    assert "must hold saved maps with ground truth" in run(app, tmp_path, "--out", tmp_path / "out", code=1).stderr
    nothing = video("d")._replace(truth=video("d").truth.select(slice(0, 0)))
    write_saved_maps(folder / "d.npz", nothing)
    assert "d.npz must have ground truth" in run(app, folder, "--out", tmp_path / "out", code=1).stderr


def test_bad_videos_are_left_out_on_demand(folder, tmp_path):
    (folder / "d.npz").write_text("no archive")
    result = run(app, folder, "--out", tmp_path / "out", "--trials", 1, "--skip-bad")
    assert "1 malformed row skipped" in result.stderr
    assert Clips(folder, skipped=Skipped()).names == ["a", "b", "c"]


def test_ctrl_c_says_how_to_go_on(folder, tmp_path, monkeypatch):
    counted(monkeypatch, stop_after=5)
    result = run(app, folder, "--out", tmp_path / "out", code=130)
    assert f"--out {tmp_path / 'out'} to go on" in result.stderr


def test_the_program_starts_without_optuna_and_says_what_to_install(folder, tmp_path):
    code = f"""
import sys
sys.path.insert(0, {str(Path(search_module.__file__).parents[2])!r})
sys.modules["optuna"] = None
from pathlib import Path
from heatprop.cli.tune import tune
tune(Path({str(folder)!r}), Path({str(tmp_path / "out")!r}))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "heatprop.tuning.search needs optuna" in result.stderr
    assert "pip install 'heatprop[tune]'" in result.stderr


def test_undefined_figures_are_null_in_the_document():
    advice = advise({HP: {"x": SettingMeasures(0.5, 0, 0, 0, 0, math.nan)}}, {"x": measures(0.4)})
    document = tuning_document(advice, {}, {0: math.nan})
    assert (document["tuned"]["jitter"], document["uncovered"]["0"], document["held_out"]) == (None, None, None)
