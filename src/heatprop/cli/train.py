"""``heatprop train``: hands its arguments over to jsonargparse; extra ``train``, loaded when it runs."""

from typing import Any

import typer

INTERRUPTED = 130  # what a shell expects after Ctrl-C
HANDED_OVER: dict[str, Any] = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def train(context: typer.Context) -> None:
    """Train CenterNet on ImageNet VID, or on a benchmark in its layout."""
    from heatprop.centernet.training import TrainingInterrupted
    from heatprop.centernet.training import train as run_training
    from heatprop.centernet.training.arguments import parse_arguments

    arguments = parse_arguments(context.args)
    try:
        result = run_training(
            arguments.config,
            data=arguments.data,
            out=arguments.out,
            resume=arguments.resume,
            stop_after=arguments.stop_after,
            progress=True,
        )
    except TrainingInterrupted as stop:
        typer.echo(str(stop), err=True)
        raise typer.Exit(INTERRUPTED) from None
    except (ValueError, OSError) as problem:
        typer.echo(f"heatprop train: {problem}", err=True)
        raise typer.Exit(1) from problem
    typer.echo(str(result))
