"""Runs of the program that are killed, starved or tricked: whole files or none, and no input touched."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from films import decoded, make
from toy_detectors import film, lossless
from typer.testing import CliRunner

import heatprop
from heatprop.cli import app
from heatprop.formats.whole_files import WholeFile, replacing, sweep
from heatprop.maps.saved import read_saved_maps
from heatprop.video import VideoWriter

SOURCES = Path(heatprop.__file__).parents[1]
HELPERS = Path(__file__).parents[1] / "helpers"
FRAMES, LONG = 60, 600
TEMPORARY = re.compile(r"\.heatprop-[0-9a-f]{32}\.part")
DETECTORS = """
import os, pathlib, sys, time
from toy_detectors import spots

def slow(frames):
    pathlib.Path("started").touch()
    time.sleep(0.02)
    return spots(frames)

def rude(frames):
    sys.exit("I have had enough")

def spoiled(frames):
    raise MemoryError
"""


@pytest.fixture(autouse=True)
def _wide_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "250")


def clip(path, count=FRAMES):
    return make(path, film((0.8,) * count, cell=(6, 5), height=96, width=160), prepare=lossless)


@pytest.fixture
def folder(tmp_path):
    clip(tmp_path / "clip.mp4")
    (tmp_path / "mine.py").write_text(DETECTORS)
    return tmp_path


def environment():
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(SOURCES), str(HELPERS), "."])} | FIXED


FIXED = {"OMP_NUM_THREADS": "1", "COLUMNS": "250"}


def start(folder, *arguments, detector="mine:slow", **options):
    """The program in a process of its own, in which Ctrl-C means what it means in a shell."""
    command = [sys.executable, "-m", "heatprop", "run", *map(str, arguments), "--detector", detector]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True} | options
    return subprocess.Popen(command, cwd=folder, env=environment(), preexec_fn=_listen, **pipes)


def _listen():
    """Also where the tests run under nohup, or in the background."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)


def wait_for(path, process, seconds=60):
    deadline = time.monotonic() + seconds
    while not path.exists() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert path.exists(), process.communicate()


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def temporary_files(folder):
    return [name for name in names(folder) if TEMPORARY.fullmatch(name)]


def run(*arguments, detector="toy_detectors:spots"):
    return CliRunner().invoke(app, ["run", *map(str, arguments), "--detector", detector])


def plain(text):
    return re.sub(r"[\s│]+", " ", text)


# --- killed -----------------------------------------------------------------------------------------------------------


FORKS = """
import os, shlex, sys
from heatprop.cli import main
for line in sys.stdin:
    child = os.fork()
    if not child:
        os.dup2(2, 1)
        sys.argv = ["heatprop", *shlex.split(line)]
        main()
    print(child, flush=True)
    os.waitpid(child, 0)
    print("ended", flush=True)
"""  # it imports torch once for all runs


def test_eleven_kills_leave_no_partial_file_and_the_next_start_no_stale_one(folder):
    """Each is killed at a random moment of its work; then one run is left alone."""
    chance, out, left = random.Random(0), folder / "out", 0
    words = "run clip.mp4 --out out --json --blur --save-maps --detector mine:slow"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "text": True}
    with subprocess.Popen([sys.executable, "-c", FORKS], cwd=folder, env=environment(), **pipes) as server:
        for number in range(11):
            (folder / "started").unlink(missing_ok=True)
            print(words, *(["--two-pass"] if number % 2 else []), file=server.stdin, flush=True)
            child = int(server.stdout.readline())
            wait_for(folder / "started", server)
            time.sleep(chance.uniform(0, 1.2))
            os.kill(child, signal.SIGKILL)
            assert server.stdout.readline() == "ended\n"
            assert len(temporary_files(out)) <= 3, "those of the kills before are gone"
            left += bool(temporary_files(out))
            assert all(whole(path) for path in out.iterdir() if path.name not in temporary_files(out))
        assert left > 5, "the kills came while files were being written"
        print(words, file=server.stdin, flush=True)
        assert server.stdout.readline()
        assert server.stdout.readline() == "ended\n"
        server.stdin.close()
    assert names(out) == ["clip.jsonl", "clip.npz", "clip_blurred.mp4"]
    assert all(whole(path) for path in out.iterdir())


def whole(path):
    if path.suffix == ".mp4":
        return len(decoded(path)) == FRAMES
    if path.suffix == ".npz":
        return len(read_saved_maps(path).heatmap) == FRAMES
    return len(path.read_text().splitlines()) == FRAMES


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM", "SIGHUP", "SIGTERM twice"])
def test_a_signal_to_end_leaves_playable_parts_of_equal_length(folder, name):
    number = getattr(signal, name.split()[0])
    clip(folder / "clip.mp4", LONG)
    process = start(folder, "clip.mp4", "--out", "out", "--json")
    wait_for(folder / "started", process)
    time.sleep(0.3)
    process.send_signal(number)
    if name.endswith("twice"):
        process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 128 + number, errors
    assert "Traceback" not in errors
    assert names(folder / "out") == ["clip.partial.jsonl", "clip_annotated.partial.mp4"]
    assert "wrote out/clip_annotated.partial.mp4" in errors
    frames = len(decoded(folder / "out" / "clip_annotated.partial.mp4"))
    assert 0 < frames < LONG
    assert len((folder / "out" / "clip.partial.jsonl").read_text().splitlines()) == frames


@pytest.mark.parametrize("delay", [0.1, 0.3, 0.6, 1.2])
def test_ctrl_c_while_the_program_starts_prints_no_traceback(folder, delay):
    process = start(folder, "clip.mp4", "--out", "out")
    wait_for(Path(f"/proc/{process.pid}/maps"), process)
    deadline = time.monotonic() + 60
    while "numpy" not in Path(f"/proc/{process.pid}/maps").read_text() and time.monotonic() < deadline:
        time.sleep(0.01)  # Python itself has started, and heatprop's imports have begun
    time.sleep(delay)
    process.send_signal(signal.SIGINT)
    output = "".join(process.communicate(timeout=60))
    assert process.returncode in (-signal.SIGINT, 130), output
    assert "Traceback" not in output


def test_a_script_that_imports_heatprop_keeps_its_ctrl_c():
    code = "import signal, heatprop; print(signal.getsignal(signal.SIGINT) is signal.default_int_handler)"
    command = [sys.executable, "-c", code]
    result = subprocess.run(command, env=environment(), preexec_fn=_listen, capture_output=True, text=True, check=True)
    assert result.stdout == "True\n"


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@pytest.mark.parametrize("arguments", [("clip.mp4", "--out", "out"), ("--help",)])
def test_a_full_output_is_told_without_a_traceback(folder, arguments):
    with open("/dev/full", "w") as full:
        process = start(folder, *arguments, detector="toy_detectors:spots", stdout=full)
        _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "No space left on device" in errors
    assert "Traceback" not in errors
    assert "Exception ignored" not in errors


def test_the_tests_end_where_ctrl_c_is_ignored():
    """Under nohup, in the background, in some CI: they hung for ever there."""
    tests = [str(Path(__file__).with_name(name)) for name in ("test_running.py", "test_video_writer.py")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", "ctrl_c", *tests]
    root = Path(__file__).parents[2]
    result = subprocess.run(command, cwd=root, preexec_fn=_ignore, capture_output=True, text=True, timeout=300)
    assert result.returncode == 0, result.stdout
    assert " passed" in result.stdout


def _ignore():
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- two processes ----------------------------------------------------------------------------------------------------


def test_two_processes_with_one_folder_give_whole_files(folder):
    (folder / "short").mkdir()
    clip(folder / "short" / "clip.mp4", 20)
    runs = [start(folder, path, "--out", "out", "--json", "--blur") for path in ("clip.mp4", "short/clip.mp4")]
    ends = [process.communicate(timeout=120) for process in runs]
    assert [process.returncode for process in runs] == [0, 0], ends
    assert names(folder / "out") == ["clip.jsonl", "clip_blurred.mp4"]
    for path, count in (("clip_blurred.mp4", lambda path: len(decoded(path))), ("clip.jsonl", _count_lines)):
        assert count(folder / "out" / path) in (20, FRAMES)


def _count_lines(path):
    return len(path.read_text().splitlines())


def test_a_living_process_keeps_its_files_when_another_one_sweeps(folder):
    process = start(folder, "clip.mp4", "--out", "out", "--blur")
    wait_for(folder / "started", process)
    (living,) = temporary_files(folder / "out")
    assert run(folder / "clip.mp4", "--out", folder / "out", "--json", "--no-annotate").exit_code == 0
    assert {living, "clip_blurred.mp4"} & set(names(folder / "out"))
    process.communicate(timeout=60)
    assert names(folder / "out") == ["clip.jsonl", "clip_blurred.mp4"]


# --- tricked ----------------------------------------------------------------------------------------------------------


def writers(path):
    yield lambda: replacing(path.with_suffix(".txt"))
    yield lambda: VideoWriter(path.with_suffix(".mp4"), width=64, height=48, rate=25)


@pytest.mark.parametrize("kind", [0, 1])
def test_temporary_files_are_private_and_their_names_are_not_known_before(tmp_path, kind):
    seen = set()
    for _ in range(3):
        with list(writers(tmp_path / "a"))[kind]():
            (path,) = tmp_path.iterdir()
            assert TEMPORARY.fullmatch(path.name)
            assert path.stat().st_mode & 0o777 == 0o600
            seen.add(path.name)
        for path in tmp_path.iterdir():
            path.unlink()
    assert len(seen) == 3


def test_a_planted_link_is_replaced_and_what_it_names_stays(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    out = tmp_path / "out"
    out.mkdir()
    for name in (".clip_annotated.partial.mp4", "clip_annotated.mp4", "clip.jsonl", ".clip.partial.jsonl"):
        (out / name).symlink_to(victim)
    assert run(clip(tmp_path / "clip.mp4", 8), "--out", out, "--json").exit_code == 0
    assert victim.read_text() == "precious"
    assert len(decoded(out / "clip_annotated.mp4")) == 8
    assert not (out / "clip_annotated.mp4").is_symlink()


def test_a_name_that_is_taken_is_not_followed(tmp_path, monkeypatch):
    """Even if somebody guesses it."""
    tokens = iter(["0" * 32, "1" * 32])
    monkeypatch.setattr("secrets.token_hex", lambda count: next(tokens))
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / f".heatprop-{'0' * 32}.part").symlink_to(victim)
    with pytest.raises(FileExistsError), replacing(tmp_path / "a.txt"):
        pass
    assert victim.read_text() == "precious"


@pytest.mark.parametrize(
    "name",
    [
        ".clip_annotated.partial.mp4",
        ".clip.npz.part",
        f".heatprop-{'a' * 32}.part",
        "clip_annotated.partial.mp4",
        "clip_annotated.mp4",
        "clip.partial.jsonl",
    ],
)
def test_an_input_is_never_touched_whatever_its_name(tmp_path, name):
    first, second = clip(tmp_path / "clip.mp4", 8), clip(tmp_path / "b.mp4", 8).rename(tmp_path / name)
    second.chmod(0o600)  # as a temporary file is
    before = second.read_bytes()
    result = run(first, second, "--out", tmp_path, "--json", "--save-maps")
    assert second.read_bytes() == before
    assert (
        result.exit_code == (2 if name in ("clip_annotated.mp4",) or ".partial." in name[1:] else 0) or name[0] == "."
    )


def test_a_hard_link_to_an_input_is_an_input(tmp_path):
    source = clip(tmp_path / "clip.mp4", 8)
    (tmp_path / "clip_annotated.mp4").hardlink_to(source)
    result = run(source, "--out", tmp_path)
    assert result.exit_code == 2
    assert "would be replaced" in plain(result.output)


def test_only_private_files_of_dead_processes_are_swept(tmp_path):
    stale, living = tmp_path / f".heatprop-{'1' * 32}.part", WholeFile(tmp_path / "a.txt")
    stale.touch(0o600)
    others = {
        tmp_path / f".heatprop-{'2' * 31}.part": "another name",
        tmp_path / f".heatprop-{'3' * 32}.part.mp4": "another ending",
    }
    for path, text in others.items():
        path.write_text(text)
    public = tmp_path / f".heatprop-{'4' * 32}.part"
    public.write_text("not ours")
    public.chmod(0o644)
    link = tmp_path / f".heatprop-{'5' * 32}.part"
    link.symlink_to(public)
    deep = tmp_path / "below" / f".heatprop-{'6' * 32}.part"
    deep.parent.mkdir()
    deep.touch(0o600)
    spared = tmp_path / f".heatprop-{'7' * 32}.part"
    spared.touch(0o600)
    assert sweep(tmp_path, spare=[spared]) == [stale]
    assert sweep(tmp_path, deep=True, spare=[spared]) == [deep]
    assert living.keep().exists()
    assert public.exists()
    assert link.is_symlink()
    assert sweep(tmp_path / "nowhere") == []


def test_a_kept_file_has_the_usual_permissions(tmp_path):
    mask = os.umask(0o027)
    try:
        with replacing(tmp_path / "a.txt") as file:
            file.write("a")
    finally:
        os.umask(mask)
    assert (tmp_path / "a.txt").stat().st_mode & 0o777 == 0o640


# --- one video never ends the batch -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("detector", "message"), [("rude", "I have had enough"), ("spoiled", "MemoryError")])
def test_whatever_a_detector_does_the_other_videos_go_on(folder, monkeypatch, detector, message):
    monkeypatch.chdir(folder)
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    sys.modules.pop("mine", None)
    result = run(
        clip(folder / "a.mp4", 3), clip(folder / "b.mp4", 3), "--out", folder / "out", detector=f"mine:{detector}"
    )
    assert result.exit_code == 1
    assert result.stderr.count(message) == 2
    assert "2 of 2 videos could not be processed" in result.stderr


def test_an_error_of_our_own_is_the_videos_problem_too(tmp_path, monkeypatch):
    from heatprop.running import videos

    good = videos.VideoReader

    def reader(path):
        if path.name == "a.mp4":
            raise ZeroDivisionError("we have made a mistake")
        return good(path)

    monkeypatch.setattr(videos, "VideoReader", reader)
    result = run(clip(tmp_path / "a.mp4", 3), clip(tmp_path / "b.mp4", 3), "--out", tmp_path / "out")
    assert result.exit_code == 1
    assert "ZeroDivisionError: we have made a mistake" in result.stderr
    assert names(tmp_path / "out") == ["b_annotated.mp4"]


def test_a_rerun_does_what_is_missing(tmp_path):
    sources = [clip(tmp_path / f"{name}.mp4", 3) for name in "abc"]
    assert run(*sources[:2], "--out", tmp_path / "out", "--json").exit_code == 0
    (tmp_path / "out" / "b.jsonl").unlink()
    old = (tmp_path / "out" / "a_annotated.mp4").stat().st_mtime_ns
    result = run(*sources, "--out", tmp_path / "out", "--json", "--skip-existing")
    assert result.exit_code == 0
    assert "1 of 3 videos are finished already and skipped" in result.stderr
    assert (tmp_path / "out" / "a_annotated.mp4").stat().st_mtime_ns == old
    assert len(names(tmp_path / "out")) == 6
    again = run(*sources, "--out", tmp_path / "out", "--json", "--skip-existing")
    assert again.exit_code == 0
    assert "3 of 3 videos are finished already" in again.stderr


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--radius", "1000000"), "radius must be at most 100, got 1000000"),
        (("--top-k", "100000000"), "Invalid value for '--top-k'"),
        (("--mask-scale", "inf"), "--mask-scale must be from 0.1 to 100, got inf; areas that are larger"),
        (("--mask-scale", "nan"), "--mask-scale must be from 0.1 to 100, got nan"),
        (("--score", "nan"), "--score must be from 0 to 1, got nan"),
        (("--stride", "1e9"), "--stride must be at most 1024, got 1000000000; one cell"),
        (("--detector-size", "1000000"), "--detector-size"),
    ],
)
def test_absurd_options_are_refused_with_a_reason(tmp_path, words, message):
    result = run(clip(tmp_path / "clip.mp4", 2), "--out", tmp_path / "out", *words)
    assert result.exit_code == 2
    assert message in plain(result.output)
    assert names(tmp_path) == ["clip.mp4"]


@pytest.mark.parametrize("name", ["-dash.mp4", "--out.mp4", "a:b.mp4", "[red]x[end].mp4", "concat:a.mp4"])
def test_names_that_mean_something_elsewhere_are_names_here(tmp_path, monkeypatch, name):
    clip(tmp_path / "plain.mp4", 3).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    result = run(name, "--out", "out")
    assert result.exit_code == 0, result.output
    assert names(tmp_path / "out") == [f"{name[:-4]}_annotated.mp4"]
    assert len(decoded((tmp_path / "out" / f"{name[:-4]}_annotated.mp4").absolute())) == 3


def test_eval_replaces_no_input(tmp_path):
    for name in ("annotations.json", "found.json"):
        (tmp_path / name).write_text("[]")
        arguments = ["--annotations", tmp_path / "annotations.json", "--detections", tmp_path / "found.json"]
        result = CliRunner().invoke(app, ["eval", "coco", *map(str, arguments), "--json", str(tmp_path / name)])
        assert result.exit_code == 2
        assert "is read, and would be replaced" in plain(result.output)
        assert (tmp_path / name).read_text() == "[]"
