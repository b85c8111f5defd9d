"""The table of `heatprop run`, and what it warns of."""

import pytest
import torch
from films import make
from toy_detectors import film, lossless, spots
from typer.testing import CliRunner

from heatprop import HeadMaps
from heatprop.cli import app
from heatprop.cli.terminal import Terminal
from heatprop.running import Summary


def run(*arguments, detector="toy_detectors:spots", columns=80):
    words = ["run", *map(str, arguments), "--detector", detector]
    return CliRunner().invoke(app, words, env={"COLUMNS": str(columns)})


def clip(path, scores=(0.8,) * 3):
    return make(path, film(scores, height=96, width=160), prepare=lossless)


def test_a_long_name_is_whole_in_80_columns(tmp_path):
    long = "a video with a really long name, from the summer party of 2026, second part.mp4"
    sources = [clip(tmp_path / name) for name in (long, "short.mp4")]
    table = run(*sources, "--out", tmp_path / "out").stdout.splitlines()
    assert table.count(long) == 1
    assert table[table.index(long) + 1].split()[:2] == ["3", "3"]
    assert [line.split()[:2] for line in table if line.startswith("short")] == [["short.mp4", "3"]]


@pytest.mark.parametrize("columns", [40, 80, 200])
def test_numbers_stand_under_their_heads(capsys, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", str(columns))
    long, short = Summary("x"), Summary("x")
    for summary, name in ((long, "n" * 60 + ".mp4"), (short, "b.mp4")):
        summary.path = type("P", (), {"name": name})()
        summary.frames, summary.best = 1234, 0.9
    Terminal().table([long, short])
    lines = capsys.readouterr().out.splitlines()
    end = next(line for line in lines if "frames/s" in line).index("frames") + len("frames")
    for line in lines:
        if "1234" in line:
            assert line.index("1234") + 4 == end


def test_what_was_not_read_has_no_zeros(tmp_path):
    result = run(tmp_path / "missing.mp4", clip(tmp_path / "a.mp4"), "--out", tmp_path / "out")
    assert result.exit_code == 1
    (line,) = [line for line in result.stdout.splitlines() if line.startswith("missing")]
    assert set(line.split()[1:]) == {"-"}


def nothing_but_nan(frames):
    maps = spots(frames)
    return maps._replace(heatmap=torch.full_like(maps.heatmap, torch.nan))


def boxes_of_nan(frames):
    maps = spots(frames)
    return maps._replace(size=torch.full_like(maps.size, torch.nan))


def faint(frames):
    maps = spots(frames)
    return HeadMaps(0.03 * maps.heatmap, None, maps.size)


@pytest.mark.parametrize("two_pass", [False, True])
@pytest.mark.parametrize(
    ("detector", "said"),
    [
        ("nothing_but_nan", "gives no score that can be read"),
        ("boxes_of_nan", "gives no score that can be read"),
        ("faint", "never scores above 0.02"),
    ],
)
def test_a_detector_that_sees_nothing_is_no_anonymiser(tmp_path, monkeypatch, detector, said, two_pass):
    import toy_detectors

    monkeypatch.setattr(toy_detectors, detector, globals()[detector], raising=False)
    words = (clip(tmp_path / "a.mp4"), "--out", tmp_path / "out", *(["--two-pass"] if two_pass else []))
    shown = run(*words, detector=f"toy_detectors:{detector}", columns=250)
    assert shown.exit_code == 0
    assert f"warning: a.mp4: the detector {said}" in shown.stdout
    blurred = run(*words, "--blur", detector=f"toy_detectors:{detector}", columns=250)
    assert blurred.exit_code == 1
    assert "so nothing is blurred" in blurred.stderr


def test_one_score_above_the_noise_is_enough(tmp_path):
    source = clip(tmp_path / "a.mp4", (0.0, 0.06, 0.0))
    result = run(source, "--out", tmp_path / "out", "--blur")
    assert (result.exit_code, "warning" in result.output) == (0, False)
    assert not Summary("x", frames=1, best=0.05).warning
