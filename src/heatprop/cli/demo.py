"""``heatprop demo``: what the memory does on two real clips; extra ``demo``, loaded when it runs."""

from pathlib import Path
from typing import Annotated

import typer

from heatprop.cli.terminal import progress, reporting
from heatprop.formats.whole_files import sweep


def demo(
    out: Annotated[Path, typer.Option(metavar="DIR", help="Folder for the results.")] = Path("heatprop-demo"),
    degrade: Annotated[
        bool, typer.Option("--degrade/--no-degrade", help="Degrade single frames with blur, noise and darkness.")
    ] = True,
    quick: Annotated[bool, typer.Option("--quick", help="Only the first seconds of each clip.")] = False,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Random seed of the degraded frames.")] = 0,
) -> None:
    """Show on two real clips what the memory changes: a face that flickers without it, and scene cuts."""
    from heatprop.demo import run_demo  # it needs matplotlib and the clips

    sweep(out)
    with reporting("demo"), progress("CenterFace") as on_frame:
        run_demo(out, degrade=degrade, quick=quick, seed=seed, on_frame=on_frame)
