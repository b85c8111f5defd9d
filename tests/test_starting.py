"""Which processes are the program, in which Ctrl-C means nothing until it has started."""

import pytest

from heatprop.starting import is_program


@pytest.mark.parametrize(
    "arguments",
    [
        ["python", "-m", "heatprop"],
        ["/usr/bin/python3", "-X", "importtime", "-m", "heatprop", "run", "a.mp4"],
        ["/venv/bin/python", "/venv/bin/heatprop", "run", "a.mp4"],
        ["C:/venv/Scripts/heatprop.exe", "run"],
    ],
)
def test_the_program_is_known(arguments):
    assert is_program(arguments)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["python"],
        ["python", "-m", "pytest", "heatprop"],
        ["python", "-c", "import heatprop"],
        ["python", "train.py", "heatprop"],
        ["python", "heatprop_benchmark.py"],
    ],
)
def test_a_script_that_imports_it_is_left_alone(arguments):
    assert not is_program(arguments)
