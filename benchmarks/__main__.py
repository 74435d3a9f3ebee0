"""`python -m benchmarks [GROUP]`: measure, print one table, write `benchmarks/results.json` and `docs/benchmarks.md`.

A run of one group replaces its rows and keeps the others. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks import document
from benchmarks.machine import Run
from benchmarks.measure import Row

RESULTS = Path(__file__).with_name("results.json")
# The group is the first part of its rows' names.
GROUPS = {
    "aggregate": "benchmarks.aggregate",
    "api": "benchmarks.api",
    "detect": "benchmarks.detect",
    "dp": "benchmarks.dp",
    "faults": "benchmarks.faults",
    "ledger": "benchmarks.ledger",
    "masked": "benchmarks.masked_round",
    "noise": "benchmarks.noise",
    "metrics": "benchmarks.monitoring",
    "page": "benchmarks.pages",
    "paillier": "benchmarks.paillier",
    "payload": "benchmarks.payload",
    "polling": "benchmarks.polling",
    "reading": "benchmarks.reading",
    "round": "benchmarks.rounds",
    "sanitize": "benchmarks.sanitize",
    "scale": "benchmarks.scale",
    "secagg": "benchmarks.secagg",
    "tgnn": "benchmarks.tgnn",
}


def main() -> int:
    """Run what the command line asks for; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("only", nargs="?", choices=sorted(GROUPS), help="one group")
    parser.add_argument("--results", type=Path, default=RESULTS, help="where the rows are kept")
    parser.add_argument("--document", action="store_true", help="only write docs/benchmarks.md")
    arguments = parser.parse_args()
    rows: list[Row] = []
    if not arguments.document:
        for group, module in GROUPS.items():
            if arguments.only in {None, group}:
                run, measured_rows = Run.here_and_now(), measured(module)
                keep(measured_rows, run, arguments.results)
                rows += measured_rows
        Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
    if arguments.results == RESULTS:
        document.write(GROUPS, document.read(RESULTS), document.read_runs(runs_beside(RESULTS)))
    return 0 if all(row.holds for row in rows) else 1


def measured(module: str) -> list[Row]:
    """The rows of a group, measured in a process of its own: what one group sets up must not slow another down.

    Raises:
        CalledProcessError: the group could not be measured.
    """
    with tempfile.TemporaryDirectory(prefix="flxdr-bench-") as folder:
        file = Path(folder) / "rows.json"
        subprocess.run([sys.executable, "-m", "benchmarks.group", module, str(file)], check=True)
        return [Row(**row) for row in json.loads(file.read_text())]


def keep(rows: list[Row], run: Run, path: Path) -> None:
    """Write `rows` into the file of results, in place of earlier rows of the same groups, and their run beside it."""
    measured = {row.group for row in rows}
    kept = [row for row in document.read(path) if row.group not in measured]
    everything = sorted([*kept, *rows], key=lambda row: row.name)
    path.write_text(json.dumps([row.as_json() for row in everything], indent=2) + "\n")
    runs = {**document.read_runs(runs_beside(path)), **dict.fromkeys(measured, run)}
    lines = {group: runs[group].as_json() for group in sorted(runs)}
    runs_beside(path).write_text(json.dumps(lines, indent=2) + "\n")


def runs_beside(path: Path) -> Path:
    """The file that says when and where each group of a file of results was measured."""
    return path.with_name(f"{path.stem}.runs.json")


def table(rows: list[Row]) -> Table:
    """The rows for people."""
    result = Table("name", "ours", "peer", "ratio", "target", "", "note", title="flxdr benchmarks")
    for row in rows:
        verdict = "[green]met[/]" if row.holds else "[red]missed[/]"
        result.add_row(
            row.name,
            f"{row.ours:.4g} {row.unit}",
            "-" if row.peer is None else f"{row.peer:.4g} {row.unit}",
            "-" if row.ratio is None else f"{row.ratio:.3g}",
            row.target,
            verdict if row.has_target else "-",
            row.note,
        )
    return result


if __name__ == "__main__":
    sys.exit(main())
