"""``heatprop train``: an option for each field of `TrainingConfig`; extra ``train``, loaded when it runs."""

import inspect
from enum import StrEnum
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin, get_type_hints

import typer

from heatprop.centernet.configuration import CONFIG_FILE, PRESETS, TrainingConfig, from_plain, to_plain
from heatprop.cli.terminal import reporting
from heatprop.formats.whole_files import sweep

_SECTIONS = {  # first option of a section of the help -> its title
    "backbone": "Network",
    "classes": "Data",
    "optimizer": "Optimisation",
    "precision": "Precision and stability",
    "accelerator": "Machine",
    "validate_every": "Validation and the rest",
}
_KINDS: dict[str, Any] = get_type_hints(TrainingConfig)
_Preset: Any = StrEnum("_Preset", {name: name for name in PRESETS})  # type: ignore[misc] # its names are data
_FIXED: dict[str, Any] = {
    "data": Annotated[Path | None, typer.Option(metavar="DIR", help="The ILSVRC2015 folder, or a benchmark.")],
    "out": Annotated[Path | None, typer.Option(metavar="DIR", help="Folder for weights, logs and pictures.")],
    "resume": Annotated[bool | None, typer.Option("--resume", help="Resume the training in --out, with its options.")],
    "stop_after": Annotated[
        int | None, typer.Option(min=1, metavar="EPOCHS", help="Stop for now after this many epochs.")
    ],
    "preset": Annotated[_Preset | None, typer.Option(help="Which defaults to use; paper unless you choose.")],
    "config": Annotated[
        list[Path] | None,
        typer.Option(metavar="FILE", help="YAML file of options by name; later files override earlier ones."),
    ],
}


class _Wanted(NamedTuple):
    """What files and command line say together."""

    data: Path
    out: Path
    config: TrainingConfig


def train(**options: Any) -> None:
    """Train CenterNet on ImageNet VID (and DET), or on a benchmark in its layout (heatprop make-benchmark).

    Without options it is the paper's training. A file given with --config holds options by name, like the config.yaml
    that every training leaves in its folder. Options on the command line override the file, and the file overrides
    --preset.

    Press Ctrl-C to stop; --resume goes on from the last whole epoch, with equal results.
    """
    try:
        wanted = _settle(options)
    except (ValueError, TypeError, OSError) as problem:
        raise typer.BadParameter(str(problem)) from problem
    from heatprop.centernet.training import train as run_training

    with reporting("train"):
        sweep(wanted.out, deep=True)
        result = run_training(
            wanted.config,
            data=wanted.data,
            out=wanted.out,
            resume=bool(options["resume"]),
            stop_after=options["stop_after"],
            progress=True,
        )
        typer.echo(str(result))


def _settle(options: dict[str, Any]) -> _Wanted:
    """Put presets, files and the command line together, the later above the earlier.

    Args:
        options: Name -> what the command line says; ``None`` where it says nothing.

    Returns:
        What is wanted.

    Raises:
        TypeError: If a value is of another type.
        ValueError: If a value is out of its range, or a file holds something else than options.
        OSError: If a file cannot be read.
    """
    kept = None if options["out"] is None else options["out"] / CONFIG_FILE
    resumed = [kept] if options["resume"] and kept is not None and kept.exists() else []
    values: dict[str, Any] = to_plain(PRESETS[options["preset"] or "paper"]())
    places: dict[str, Any] = {}
    for path in [*resumed, *(options["config"] or [])]:
        found = _read(path)
        places |= {name: found.pop(name) for name in ("data", "out") if name in found}
        from_plain(found, path)  # names the file
        values |= found
    given = {name: value for name, value in options.items() if value is not None}
    values |= {name: parse_option(name, value) for name, value in given.items() if name in _KINDS}
    places |= {name: given[name] for name in ("data", "out") if name in given}
    if missing := [f"--{name}" for name in ("data", "out") if name not in places]:
        raise ValueError(f"{' and '.join(missing)} must be given")
    wanted = _Wanted(Path(places["data"]), Path(places["out"]), from_plain(values, "the command line"))
    if wanted.config.weights is not None and Path(wanted.config.weights).resolve().parent == wanted.out.resolve():
        raise ValueError(f"weights must not lie in --out, where they would be replaced, got {wanted.config.weights}")
    return wanted


def _read(path: Path) -> dict[str, Any]:
    import yaml  # Lightning brings it

    try:
        found = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as problem:
        raise ValueError(f"{path} must be YAML: {problem}") from problem
    if not isinstance(found, dict):
        raise ValueError(f"{path} must hold options by name, like 'epochs: 20', got {type(found).__name__}")
    return {str(name): parse_option(name, value) if name in _KINDS else value for name, value in found.items()}


def parse_option(name: str, value: Any) -> Any:
    """Read an option as it is typed, or stands in a YAML file.

    Args:
        name: A field of `TrainingConfig`.
        value: Text: a number, a list like ``40,60`` or ``[40, 60]``, or ``null``; other values stay as they are.

    Returns:
        The value, for `from_plain`.

    Raises:
        ValueError: If the text is no such value.

    Examples:
        >>> parse_option("milestones", "40,60"), parse_option("clip_norm", "null"), parse_option("flip", "5e-1")
        ([40, 60], None, 0.5)
    """
    kind = _KINDS[name]
    if get_origin(kind) is Literal and type(value) is int:  # YAML takes 32 for a number
        return str(value)
    if not isinstance(value, str):
        return value
    kinds = get_args(kind) if NoneType in get_args(kind) else (kind,)
    if NoneType in kinds and value.strip().lower() in ("null", "none"):
        return None
    try:
        if get_origin(kinds[0]) is tuple:
            parts = [part.strip(" '\"") for part in value.strip("[]() ").split(",")]
            return [get_args(kinds[0])[0](part) for part in parts if part]
        return kinds[0](value) if kinds[0] in (int, float) else str(value)
    except ValueError:
        raise ValueError(f"{name} must be {_described(kinds)}, got {value!r}") from None


def _described(kinds: tuple[Any, ...]) -> str:
    words = {int: "a whole number", float: "a number"}
    text = words.get(kinds[0], "whole numbers with commas between them")
    return f"{text} or null" if NoneType in kinds else text


def option_texts() -> dict[str, str]:
    """Tell what the docstring of `TrainingConfig` says about each option, one line each."""
    lines = (TrainingConfig.__doc__ or "").partition("Attributes:")[2].partition("Raises:")[0].splitlines()
    return dict(line.strip().replace("``", "").split(": ", 1) for line in lines if ": " in line)


def _annotation(name: str, kind: Any, text: str, panel: str) -> Any:
    """The option of a field: a switch, a choice, a number, or text that may be a list or null."""
    option = f"--{name.replace('_', '-')}"
    default = to_plain(TrainingConfig())[name]
    shown = "null" if default is None else str(default)
    details: dict[str, Any] = {"help": text, "rich_help_panel": panel, "show_default": shown}
    if kind is bool:
        return Annotated[bool | None, typer.Option(f"{option}/--no-{option[2:]}", **details)]
    if get_origin(kind) is Literal:
        choice: Any = StrEnum(name, {one: one for one in get_args(kind)})  # type: ignore[misc] # its names are data
        return Annotated[choice | None, typer.Option(option, **details)]
    if kind in (int, float):
        return Annotated[kind | None, typer.Option(option, **details)]
    return Annotated[str | None, typer.Option(option, metavar="VALUE", **details)]


def _signature() -> inspect.Signature:
    panel, annotations, texts = "", dict(_FIXED), option_texts()
    for name, kind in _KINDS.items():
        panel = _SECTIONS.get(name, panel)
        annotations[name] = _annotation(name, kind, texts[name], panel)
    by_name = inspect.Parameter.KEYWORD_ONLY
    return inspect.Signature(
        [inspect.Parameter(name, by_name, default=None, annotation=kind) for name, kind in annotations.items()]
    )


train.__signature__ = _signature()  # type: ignore[attr-defined] # what Typer makes options of
train.__annotations__ = {name: one.annotation for name, one in inspect.signature(train).parameters.items()}
