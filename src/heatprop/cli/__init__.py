"""The entry of the program ``heatprop``: it starts without the packages of its extra, to say what is missing."""

import errno
import os
import sys
from contextlib import suppress
from typing import Any

try:  # Ctrl-C ends this without a word, see heatprop.starting
    from heatprop.cli.app import app
    from heatprop.running.interrupts import stop_on_signals
except ImportError as missing:
    _missing: ImportError | None = missing
else:
    _missing = None

_OWN_PACKAGES = ("typer", "rich")  # the others are asked for where they are imported
_INTERRUPTED = 130  # what a shell expects after Ctrl-C

__all__ = ["app", "main"]


def main() -> None:
    """Run the program and exit; no traceback for a missing package, a signal, or an output that is full or gone."""
    code = _outcome()
    try:
        sys.stdout.flush()
    except OSError as error:
        code = code or _written(error)
        with suppress(OSError):  # or Python tries once more, and complains
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(code)


def _outcome() -> Any:
    """Run the program; give what `sys.exit` takes."""
    try:
        if _missing is not None:
            raise _missing
        stop_on_signals()
        app(prog_name="heatprop")
    except ImportError as error:
        return _advice(error)
    except SystemExit as end:
        return end.code
    except KeyboardInterrupt:
        return _INTERRUPTED
    except OSError as error:
        return _written(error)
    return 0


def _advice(error: ImportError) -> str:
    package = (error.name or "").partition(".")[0]
    if package in _OWN_PACKAGES:
        return f"the program heatprop needs {package}: pip install 'heatprop[cli]'"
    if not str(error).startswith("heatprop."):  # not one of our own messages, which say what to install
        raise error
    return str(error)


def _written(error: OSError) -> Any:
    """Say what is wrong with an output; nothing if its reader has gone, as `head` does."""
    return 1 if error.errno == errno.EPIPE else f"heatprop: {error.strerror or error}"
