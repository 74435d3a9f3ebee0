"""What the agent says: results on stdout (text, or JSON with `--json`), everything else on stderr."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

from federation.agent.errors import exit_code_of
from flxdr.core.errors import FlxdrError
from flxdr.core.terminal import printable

Advance = Callable[[int, int], None]


class Output:
    """The agent's voice. `machine` is set by a command's `--json`."""

    def __init__(self, *, machine: bool = False) -> None:
        self.machine = machine
        self.log = Console(stderr=True, highlight=False, soft_wrap=True)

    def result(self, document: Mapping[str, Any], *lines: str | Table) -> None:
        """The answer of a command: one JSON document, or the given lines and tables."""
        if self.machine:
            self._write_json(document)
            return
        console = Console(highlight=False, soft_wrap=True)
        for line in lines:
            console.print(printable(line), markup=False) if isinstance(line, str) else console.print(line)

    def event(self, kind: str, text: str, **fields: Any) -> None:
        """Something that happened in a running agent: a line of JSON on stdout, or a line of text on stderr."""
        if self.machine:
            self._write_json({"event": kind, **fields})
        else:
            self.log.print(printable(text), markup=False)

    def warn(self, text: str) -> None:
        self.log.print(f"Warning: {printable(text)}", style="yellow", markup=False)

    def error(self, error: FlxdrError) -> None:
        """The last word of a command that failed."""
        if self.machine:
            self._write_json({"error": describe(error)})
        self.log.print(f"Error: {printable(error.detail)}", style="red", markup=False)
        if error.expected:
            self.log.print(f"  Expected: {printable(str(error.expected))}", markup=False)
        if error.action:
            self.log.print(f"  What to do: {printable(error.action)}", markup=False)

    @contextmanager
    def progress(self, description: str) -> Iterator[Advance]:
        """A progress bar on a terminal; yields a function that takes (done, of all)."""
        columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.completed}/{task.total}"))
        hidden = self.machine or not self.log.is_terminal
        with Progress(*columns, TimeElapsedColumn(), console=self.log, disable=hidden, transient=True) as bars:
            task = bars.add_task(description, total=None)
            yield lambda done, total: bars.update(task, completed=done, total=total)

    def _write_json(self, document: Mapping[str, Any]) -> None:
        sys.stdout.write(orjson.dumps(document, default=str).decode() + "\n")
        sys.stdout.flush()


def describe(error: FlxdrError) -> dict[str, Any]:
    """An error as JSON: its problem details with the exit code in the place of an HTTP status."""
    problem = error.as_problem() | {"exit_code": int(exit_code_of(error))}
    del problem["status"]
    return problem


def table(title: str, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    """A rich table of texts."""
    drawn = Table(title=title or None, title_justify="left", show_header=any(columns))
    for column in columns:
        drawn.add_column(column, overflow="fold")  # hashes are there to be copied
    for row in rows:
        drawn.add_row(*(Text(printable(str(cell))) for cell in row))  # a plain text would be read as markup
    return drawn
