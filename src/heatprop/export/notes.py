"""What an exported file says about itself: which options, stride and classes it was made with, and by what."""

import json
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from heatprop import __version__
from heatprop.options import PropagatorOptions

_PREFIX = "heatprop."


class Notes(NamedTuple):
    """What is written into a file.

    Attributes:
        kind: ``"propagator"`` for maps in, ``"detector"`` for frames in.
        options: The propagator's.
        class_names: Name of each class; empty where nobody gave any.
        version: Of heatprop.
    """

    kind: str
    options: PropagatorOptions
    class_names: tuple[str, ...] = ()
    version: str = __version__

    def to_text(self) -> dict[str, str]:
        """The notes as keys and values of text, which every format keeps; infinity is the word ``"inf"``."""
        options = {
            name: str(value) if isinstance(value, float) and math.isinf(value) else value
            for name, value in self.options.as_keywords().items()
        }
        return {
            f"{_PREFIX}kind": self.kind,
            f"{_PREFIX}version": self.version,
            f"{_PREFIX}stride": f"{self.options.stride:g}",
            f"{_PREFIX}options": json.dumps(options),
            f"{_PREFIX}class_names": json.dumps(list(self.class_names)),
        }

    @classmethod
    def from_text(cls, text: Mapping[str, str]) -> "Notes":
        """Read what `to_text` wrote.

        Raises:
            ValueError: If something is missing, or was written by a version that had other options.
        """
        try:
            options: dict[str, Any] = json.loads(text[f"{_PREFIX}options"])
            options = {name: math.inf if value == "inf" else value for name, value in options.items()}
            if options.get("remember"):  # JSON has no pairs
                options["remember"] = {name: tuple(rule) for name, rule in options["remember"].items()}
            names = tuple(json.loads(text[f"{_PREFIX}class_names"]))
            return cls(text[f"{_PREFIX}kind"], PropagatorOptions(**options), names, text[f"{_PREFIX}version"])
        except (KeyError, TypeError) as error:
            raise ValueError(
                f"the file was not exported by heatprop {__version__} ({error}); export it again with export_onnx"
            ) from error


def check_class_names(class_names: Sequence[str], channels: int) -> tuple[str, ...]:
    """Require one name for each class, or none at all.

    Raises:
        TypeError: If they are no names.
        ValueError: If their number is wrong.
    """
    names = tuple(class_names)
    if isinstance(class_names, str) or not all(isinstance(name, str) for name in names):
        raise TypeError(f"class_names must be a list of names, got {class_names!r}")
    if names and len(names) != channels:
        raise ValueError(f"class_names must have one name for each of the {channels} classes, got {len(names)}")
    return names
