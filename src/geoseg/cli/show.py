"""Show progress on standard error, and tables on standard output."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from geoseg.domain.ports import NullProgress
from geoseg.domain.ports import Progress as ProgressPort
from geoseg.errors import StoppedError

LINE_EVERY_S = 10.0


@contextmanager
def progress_bars(quiet: bool) -> Iterator[ProgressPort]:
    """Show progress: bars in a terminal, otherwise a line every few seconds; with ``quiet``, only warnings.

    Standard output is for results, so the output of libraries goes to standard error.

    Raises:
        StoppedError: The user pressed Ctrl-C.
    """
    try:
        with redirect_stdout(sys.stderr), _shown(quiet) as progress:
            yield progress
    except KeyboardInterrupt as error:
        raise StoppedError("stopped") from error


@contextmanager
def _shown(quiet: bool) -> Iterator[ProgressPort]:
    if quiet:
        yield Quiet()
    elif sys.stderr.isatty():
        with _bars() as bars:
            yield Bars(bars)
    else:
        yield Lines()


def print_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print a table with the first column aligned left and the others aligned right."""
    table = Table(box=None, pad_edge=False)
    for position, name in enumerate(header):
        table.add_column(name, justify="left" if position == 0 else "right", no_wrap=True)
    for row in rows:
        # As Text, so that brackets in a cell are not read as markup.
        table.add_row(*map(Text, row))
    width = None if sys.stdout.isatty() else 200
    Console(width=width, highlight=False).print(table)


class Quiet(NullProgress):
    """Progress that shows only warnings."""

    def warn(self, text: str) -> None:
        """Print a warning."""
        _write(f"Warning: {text}")


class Bars:
    """Progress as one bar per task."""

    def __init__(self, bars: Progress) -> None:
        self._bars = bars
        self._task: TaskID | None = None

    def start(self, what: str, total: int) -> None:
        """Start a bar."""
        self._task = self._bars.add_task(what, total=total, note="")

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Advance the current bar."""
        if self._task is None:
            return
        self._bars.advance(self._task, steps)
        if note:
            self._bars.update(self._task, note=note)

    def say(self, text: str) -> None:
        """Print a line above the bars."""
        self._bars.console.print(text, highlight=False, markup=False)

    def warn(self, text: str) -> None:
        """Print a warning above the bars."""
        self._bars.console.print(f"Warning: {text}", style="yellow", highlight=False, markup=False)


class Lines:
    """Progress as lines: one every few seconds, and one at the end of each task."""

    def __init__(self) -> None:
        self._what, self._done, self._total = "", 0, 0
        self._began = self._spoke = 0.0

    def start(self, what: str, total: int) -> None:
        """Start a task."""
        self._what, self._done, self._total = what, 0, total
        self._began = self._spoke = time.monotonic()

    def advance(self, steps: int = 1, note: str = "") -> None:
        """Count steps, and print a line every few seconds."""
        self._done += steps
        now = time.monotonic()
        is_finished = self._done >= self._total
        if is_finished or now - self._spoke >= LINE_EVERY_S:
            self._spoke = now
            left = (now - self._began) / max(self._done, 1) * (self._total - self._done)
            rest = f"{now - self._began:.0f} s" if is_finished else f"{left:.0f} s left"
            state = f", {note}" if note else ""
            self.say(f"{self._what}: {self._done}/{self._total}{state}, {rest}")

    def say(self, text: str) -> None:
        """Print a line."""
        _write(text)

    def warn(self, text: str) -> None:
        """Print a warning."""
        _write(f"Warning: {text}")


def _write(line: str) -> None:
    sys.stderr.write(line + "\n")
    sys.stderr.flush()


def _bars() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        TextColumn("{task.completed}/{task.total}"),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    )
