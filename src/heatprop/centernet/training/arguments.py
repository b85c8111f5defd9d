"""A configuration from a YAML file and the command line, by jsonargparse."""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Literal, NamedTuple, get_origin, get_type_hints

from docstring_parser import parse as parse_docstring
from jsonargparse import ArgumentParser

from heatprop.centernet.training.configuration import PRESETS, TrainingConfig, from_plain, to_plain

CONFIG_FILE = "config.yaml"
"""What a training leaves in its folder, and goes on from."""

DESCRIPTION = """Train CenterNet on ImageNet VID (and DET), or on a benchmark in its layout (heatprop make-benchmark).

Without options it is the paper's training. A file given by --config holds options by name, as the config.yaml that
every training leaves in its folder; options of the command line count more than the file, the file more than --preset.
Press Ctrl-C to stop; --resume goes on from the last whole epoch, with equal results."""

SECTIONS = {
    "classes": "data",
    "optimizer": "optimisation",
    "precision": "precision and stability",
    "accelerator": "machine",
    "validate_every": "validation and the rest",
}
"""First option of a section of the help -> its title."""


class Arguments(NamedTuple):
    """What the command line says.

    Attributes:
        data: The ``ILSVRC2015`` folder.
        out: Folder of the results.
        resume: Whether to go on with the training in ``out``.
        stop_after: Epochs after which to stop for now; ``None``: at the end.
        config: All else.
    """

    data: Path
    out: Path
    resume: bool
    stop_after: int | None
    config: TrainingConfig


def parse_arguments(words: Sequence[str]) -> Arguments:
    """Read a command line.

    Args:
        words: What stands behind ``heatprop train``.

    Returns:
        It.

    Raises:
        SystemExit: After the help (0), or if something is wrong (2), said on the standard error.
    """
    first = _first_look(words)
    parser = make_parser(first.preset if first.preset in PRESETS else "paper")
    if first.resume and first.out and (Path(first.out) / CONFIG_FILE).exists():
        words = ["--config", str(Path(first.out) / CONFIG_FILE), *words]
    found = parser.parse_args(words or ["--help"])
    values = {name: getattr(found, name) for name in get_type_hints(TrainingConfig)}
    try:
        config = from_plain(values, "the command line")
    except (TypeError, ValueError) as problem:
        parser.error(str(problem))
    return Arguments(Path(found.data), Path(found.out), found.resume, found.stop_after, config)


def make_parser(preset: str = "paper") -> ArgumentParser:
    """Make the parser, an option per field of `TrainingConfig`.

    Args:
        preset: What the defaults are, of `PRESETS`.

    Returns:
        The parser.
    """
    parser = ArgumentParser(
        prog="heatprop train",
        usage="heatprop train --data DIR --out DIR [--preset NAME] [--config FILE] [options]",
        description=DESCRIPTION,
        allow_abbrev=False,
    )
    parser.add_argument("--data", required=True, metavar="DIR", help="The ILSVRC2015 folder, or a benchmark.")
    parser.add_argument("--out", required=True, metavar="DIR", help="Folder for weights, logs and pictures.")
    parser.add_argument("--resume", action="store_true", help="Go on with the training in --out, with its options.")
    parser.add_argument("--stop-after", type=int | None, metavar="EPOCHS", help="Stop for now after so many epochs.")
    parser.add_argument("--preset", choices=list(PRESETS), default=preset, help="What the defaults are.")
    parser.add_argument("--config", action="config", metavar="FILE", help="YAML file of options.")
    defaults = to_plain(PRESETS[preset]())
    texts = _descriptions()
    group = parser.add_argument_group("network")
    for name, kind in get_type_hints(TrainingConfig).items():
        if name in SECTIONS:
            group = parser.add_argument_group(SECTIONS[name])
        metavar = None if kind is bool or get_origin(kind) is Literal else "VALUE"  # None lists the choices
        option = f"--{name.replace('_', '-')}"
        group.add_argument(option, type=kind, default=defaults[name], help=texts[name], metavar=metavar)
    return parser


def _descriptions() -> dict[str, str]:
    """What the docstring says about each option."""
    described = parse_docstring(TrainingConfig.__doc__ or "")
    return {one.arg_name: " ".join((one.description or "").split()) for one in described.params}


def _first_look(words: Sequence[str]) -> argparse.Namespace:
    """What decides the defaults has to be known before all else; what is wrong is left to the parser."""
    first = argparse.ArgumentParser(add_help=False, exit_on_error=False, allow_abbrev=False)
    first.add_argument("--preset", nargs="?")
    first.add_argument("--out", nargs="?")
    first.add_argument("--resume", action="store_true")
    return first.parse_known_args(words)[0]
