"""What the user sees of a command: progress, problems as they come, tables, and the exit code."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from heatprop.running.detectors import DetectorError
from heatprop.running.interrupts import signal_of
from heatprop.running.summary import Summary
from heatprop.running.videos import OnFrame

FAILED = 1
SIGNALLED = 128  # added to the number of the signal, as shells do: 130 after Ctrl-C
WIDTH = 110
"""Columns of the tables where the output is no terminal."""


def make_console() -> Console:
    """Make the console that tables are printed on; wide enough where the output is no terminal."""
    console = Console()
    return console if console.is_terminal else Console(width=WIDTH)


@contextmanager
def reporting(command: str, *, resume: str = "") -> Iterator[None]:
    """Say what ended a command, and exit: 1 after a problem with its input, 130 after Ctrl-C, 143 after SIGTERM.

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
        raise typer.Exit(SIGNALLED + signal_of(stop)) from None


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
        """Print the figures of all videos; a name that is too long for its column has a line of its own."""
        names = [one.path.name for one in summaries]
        if len(set(names)) < len(names):  # only the folders tell them apart
            names = [str(one.path) for one in summaries]
        columns = dict(_COLUMNS)
        for name in _RARE:
            if all(columns[name](one) == "0" for one in summaries):
                del columns[name]
        rows = [[count(one) if one.frames else "-" for count in columns.values()] for one in summaries]
        heads = [name.split("\n") for name in columns]
        widths = [max(map(len, cells)) for cells in zip(*rows, strict=True)] if rows else [0] * len(heads)
        widths = [max(width, *map(len, head)) + 2 for width, head in zip(widths, heads, strict=True)]
        left = max(len("video"), min(max(map(len, names), default=0), self._out.width - sum(widths)))
        for line in range(2):
            above = [head[line - 2] if len(head) > 1 - line else "" for head in heads]
            self._print("video" if line else "", above, left, widths, style="bold")
        self._out.print("─" * (left + sum(widths)))
        for name, row in zip(names, rows, strict=True):
            self._print(name, row, left, widths)
        for name, one in zip(names, summaries, strict=True):
            if one.warning:
                self._out.print(Text(f"warning: {name}: {one.warning}", style="red"), soft_wrap=True)
        failed = sum(bool(one.problem) for one in summaries)
        if failed and len(summaries) > 1:
            self.tell(
                f"{failed} of {len(summaries)} videos could not be processed to their end, see above", style="red"
            )

    def _print(self, name: str, cells: Sequence[str], left: int, widths: Sequence[int], *, style: str = "") -> None:
        if len(name) > left:
            self._out.print(Text(name), soft_wrap=True)
            name = ""
        numbers = "".join(cell.rjust(width) for cell, width in zip(cells, widths, strict=True))
        self._out.print(Text(f"{name.ljust(left)}{numbers}", style=style), soft_wrap=True)


_RARE = _COASTED, _MASKED, _UNREADABLE, _OUTSIDE = (
    "not\nlooked at",
    "masked\nonly",
    "not\nreadable",
    "scores not\n0 to 1",
)
_COLUMNS: dict[str, Callable[[Summary], str]] = {
    "frames": lambda one: str(one.frames),
    _COASTED: lambda one: str(one.coasted),
    "detections": lambda one: str(one.detections),
    "carried": lambda one: str(one.carried),
    _MASKED: lambda one: str(one.masked_only),
    "gaps\nclosed": lambda one: str(one.gaps_closed),
    "scene\ncuts": lambda one: str(one.cuts),
    _UNREADABLE: lambda one: str(one.unreadable),
    _OUTSIDE: lambda one: str(one.outside),
    "frames/s": lambda one: f"{one.frames_per_second:.1f}",
}


class _Speed(ProgressColumn):
    """Steps a second, of the last seconds."""

    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if speed is None else f"{speed:.1f}/s")
