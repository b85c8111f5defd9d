"""Where a package of an extra is not installed: one line says what to install."""

import os
import subprocess
import sys

import pytest

COMMANDS = {
    "make-benchmark": ("--out", "{folder}/benchmark", "--train", "1", "--val", "0", "--frames", "1"),
    "run": ("{folder}/a.mp4", "--out", "{folder}/out", "--detector", "{folder}/net.onnx", "--head", "yolo"),
    "train": ("--data", "{folder}", "--out", "{folder}/out"),
}


@pytest.mark.parametrize(
    ("package", "command", "extra"),
    [
        ("skimage", "make-benchmark", "benchmark"),
        ("onnxruntime", "run", "onnx"),
        ("lightning", "train", "train"),
        ("tensorboard", "train", "train"),
        ("yaml", "train", "train"),
    ],
)
def test_a_missing_package_says_what_to_install(tmp_path, package, command, extra):
    """``None`` in ``sys.modules`` is how Python itself marks what cannot be imported."""
    (tmp_path / "net.onnx").touch()
    words = ["heatprop", command, *(word.format(folder=tmp_path) for word in COMMANDS[command])]
    code = f"import sys; sys.modules[{package!r}] = None; sys.argv = {words!r}; from heatprop.cli import main; main()"
    result = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)},
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert f"pip install 'heatprop[{extra}]'" in result.stderr.strip().splitlines()[-1]
