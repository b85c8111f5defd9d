"""The packages that exporting needs, and what to say where they are not installed."""

import importlib


def need(*names: str) -> None:
    """Import packages of the extra ``onnx``.

    Args:
        names: The packages.

    Raises:
        ImportError: If one is not installed; it says what to install.
    """
    for name in names:
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise ImportError(
                f"heatprop.export needs {name} ({error}): pip install 'heatprop[onnx]'", name=error.name
            ) from error
