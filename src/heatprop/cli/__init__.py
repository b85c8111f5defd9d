"""The entry of the program ``heatprop``: it starts without the packages of its extra, to say what is missing."""

import sys

try:
    from heatprop.cli.app import app
except ImportError as missing:
    _missing: ImportError | None = missing
else:
    _missing = None

_OWN_PACKAGES = ("typer", "rich")  # the others are asked for where they are imported

__all__ = ["app", "main"]


def main() -> None:
    """Run the program; where a package is missing, say what to install and exit with 1."""
    try:
        if _missing is not None:
            raise _missing
        app(prog_name="heatprop")
    except ImportError as error:
        package = (error.name or "").partition(".")[0]
        if package in _OWN_PACKAGES:
            sys.exit(f"the program heatprop needs {package}: pip install 'heatprop[cli]'")
        if not str(error).startswith("heatprop."):  # not one of our own messages, which say what to install
            raise
        sys.exit(str(error))
