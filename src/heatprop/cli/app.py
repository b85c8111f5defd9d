"""The program ``heatprop``: its commands, each in a file of its name."""

from typing import Annotated

import typer

from heatprop import __version__
from heatprop.cli.demo import demo
from heatprop.cli.eval import eval_app
from heatprop.cli.export import export
from heatprop.cli.make_benchmark import make_benchmark
from heatprop.cli.reproduce import reproduce
from heatprop.cli.run import TakesFiles, run
from heatprop.cli.suggest_radius import suggest_radius_for
from heatprop.cli.train import train
from heatprop.cli.tune import tune

app = typer.Typer(name="heatprop", add_completion=False, pretty_exceptions_enable=False)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"heatprop {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def heatprop(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Show the version and stop.")
    ] = False,
) -> None:
    """Find faces in videos, or whatever your heatmap detector finds, with a memory that bridges blurred frames."""
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command(cls=TakesFiles)(run)
app.command()(demo)
app.add_typer(eval_app, name="eval")
app.command()(tune)
app.command()(export)
app.command("suggest-radius")(suggest_radius_for)
app.command()(make_benchmark)
app.command()(reproduce)
app.command()(train)
