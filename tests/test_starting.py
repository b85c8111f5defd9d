"""Ctrl-C before torch is there: the program ends, a script is left alone."""

import runpy
import signal
import sys

import pytest

from heatprop import starting


@pytest.mark.parametrize(
    ("arguments", "program"),
    [
        (["python", "-m", "heatprop", "run", "film.mp4"], True),
        (["python", "-X", "utf8", "-m", "heatprop"], True),
        (["python", "/usr/bin/heatprop", "run"], True),
        (["C:/Scripts/heatprop.exe", "run"], True),
        (["python", "mine.py", "heatprop"], False),
        (["python", "-m", "pytest", "heatprop"], False),
        (["python"], False),
        ([], False),
    ],
)
def test_the_program_is_told_from_scripts_by_how_the_process_was_started(arguments, program):
    assert starting.is_program(arguments) is program


@pytest.mark.parametrize(
    ("arguments", "handler", "changes"),
    [
        (["python", "-m", "heatprop"], signal.default_int_handler, [(signal.SIGINT, signal.SIG_DFL)]),
        (["python", "-m", "heatprop"], signal.SIG_IGN, []),  # as nohup starts it
        (["python", "mine.py"], signal.default_int_handler, []),
    ],
)
def test_only_the_program_changes_what_ctrl_c_does(arguments, handler, changes, monkeypatch):
    changed = []
    monkeypatch.setattr(sys, "orig_argv", arguments)
    monkeypatch.setattr(signal, "getsignal", lambda number: handler)
    monkeypatch.setattr(signal, "signal", lambda number, action: changed.append((number, action)))
    runpy.run_path(starting.__file__)
    assert changed == changes
