"""What the user sees of a command: progress, problems as they come, tables, and the exit code."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from heatprop.running.detectors import DetectorError
from heatprop.running.summary import Summary
from heatprop.running.videos import OnFrame

FAILED = 1
INTERRUPTED = 130  # what a shell expects after Ctrl-C
WIDTH = 110
"""Columns of the tables where the output is no terminal."""


def make_console() -> Console:
    """Make the console that tables are printed on; wide enough where the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


@contextmanager
def reporting(command: str, *, resume: str = "") -> Iterator[None]:
    """Say what ended a command, and exit: with 1 after a problem with its input, with 130 after Ctrl-C.

    Args:
        command: Its name.
        resume: What an interrupted command is started with to go on; empty where it starts from the beginning.
    """
    try:
        yield
    except (ValueError, OSError, DetectorError) as problem:
        typer.echo(f"heatprop {command}: {problem}", err=True)
        raise typer.Exit(FAILED) from problem
    except KeyboardInterrupt as stop:
        again = f"interrupted; start it again with {resume} to go on" if resume else "interrupted"
        typer.echo(str(stop) or again, err=True)
        raise typer.Exit(INTERRUPTED) from None


@contextmanager
def progress(title: str, total: int | None = None) -> Iterator[OnFrame]:
    """Show a bar on the standard error, if that is a terminal, until the block ends.

    Args:
        title: What is being done.
        total: How many steps there are; ``None`` if nobody knows yet.

    Yields:
        The function to call after each step.
    """
    columns = (
        TextColumn("{task.description}", markup=False),
        BarColumn(),
        MofNCompleteColumn(),
        _Speed(),
        TimeRemainingColumn(elapsed_when_finished=True),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(title, total=total)

        def show(done: int, total: int | None, stage: str = "") -> None:
            description = f"{title}, {stage}" if stage else title
            if bar.tasks[0].description != description:
                bar.reset(task, description=description)
            bar.update(task, completed=done, total=total)

        yield show


class Terminal:
    """Problems of a run on the standard error, the table on the standard output."""

    def __init__(self) -> None:
        self._out = Console()
        self._err = Console(stderr=True)

    def tell(self, text: str, *, style: str = "") -> None:
        """Write a line to the standard error, as it is."""
        self._err.print(Text(text, style=style), soft_wrap=True)

    def outcome(self, summary: Summary) -> None:
        """Say what became of a video: its problem, what is left of it, and its files."""
        if summary.problem:
            self.tell(f"error: {summary.problem}", style="red")
        for note in summary.notes:
            self.tell(f"note: {note}", style="yellow")
        if summary.interrupted:
            kept = "" if summary.files else ", nothing is kept of it"
            self.tell(f"interrupted: {summary.path} after {summary.frames} frames{kept}", style="yellow")
        elif summary.problem and summary.frames:
            kept = f"the {summary.frames} frames before are kept" if summary.files else "nothing was written for it"
            self.tell(f"{summary.path}: {kept}")
        for path in summary.files:
            self.tell(f"wrote {path}")

    def table(self, summaries: Sequence[Summary]) -> None:
        """Print the figures of all videos."""
        table = Table(box=SIMPLE_HEAD)
        table.add_column("video", overflow="fold")
        columns: dict[str, Callable[[Summary], int]] = {
            "frames": lambda one: one.frames,
            "not\nlooked at": lambda one: one.coasted,
            "detections": lambda one: one.detections,
            "carried": lambda one: one.carried,
            "masked\nonly": lambda one: one.masked_only,
            "gaps\nclosed": lambda one: one.gaps_closed,
            "scene\ncuts": lambda one: one.cuts,
            "not\nreadable": lambda one: one.unreadable,
            "scores not\n0 to 1": lambda one: one.outside,
        }
        for name in ("not\nlooked at", "masked\nonly", "not\nreadable", "scores not\n0 to 1"):
            if not any(columns[name](one) for one in summaries):  # what most runs have not
                del columns[name]
        for name in (*columns, "frames/s"):
            table.add_column(name, justify="right", no_wrap=True)
        names = [one.path.name for one in summaries]
        unique = len(set(names)) == len(names)  # else only the folders tell them apart
        for one in summaries:
            counts = (str(count(one)) for count in columns.values())
            table.add_row(Text(one.path.name if unique else str(one.path)), *counts, f"{one.frames_per_second:.1f}")
        self._out.print(table)
        failed = sum(bool(one.problem) for one in summaries)
        if failed and len(summaries) > 1:
            self.tell(
                f"{failed} of {len(summaries)} videos could not be processed to their end, see above", style="red"
            )


class _Speed(ProgressColumn):
    """Steps a second, of the last seconds."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")
