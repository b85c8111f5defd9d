"""What the program ``heatprop`` needs before torch is imported, which takes seconds: Ctrl-C ends it without a word.

A script that imports heatprop is left alone.
"""

import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import PurePath


def is_program(arguments: Sequence[str]) -> bool:
    """Tell whether a process is the program ``heatprop``, or ``python -m heatprop``.

    Args:
        arguments: How it was started, as in ``sys.orig_argv``.

    Returns:
        Whether it is.

    Examples:
        >>> is_program(["python", "-m", "heatprop", "run"]), is_program(["python", "/usr/bin/heatprop", "run"])
        (True, True)
        >>> is_program(["python", "mine.py", "heatprop"]), is_program(["python", "-m", "pytest", "heatprop"])
        (False, False)
    """
    words = list(arguments[1:])
    if "-m" in words:
        return words[words.index("-m") + 1 :][:1] == ["heatprop"]
    script = next((word for word in arguments[1:] if not word.startswith("-")), "")
    return PurePath(script).stem == "heatprop" or PurePath(next(iter(arguments), "")).stem == "heatprop"


if (
    is_program(sys.orig_argv)
    and threading.current_thread() is threading.main_thread()
    and signal.getsignal(signal.SIGINT) is signal.default_int_handler
):
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # until heatprop.cli.main() takes over
