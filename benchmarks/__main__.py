"""`python -m benchmarks [GROUP]`: measure, print one table, write `benchmarks/results.json`.

A run of one group replaces its rows and keeps the others. The exit code is 1 when a target is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

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
    "page": "benchmarks.pages",
    "paillier": "benchmarks.paillier",
    "payload": "benchmarks.payload",
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
    arguments = parser.parse_args()
    rows: list[Row] = []
    for group, module in GROUPS.items():
        if arguments.only in {None, group}:
            rows += measured(module)
    keep(rows, arguments.results)
    Console(width=None if sys.stdout.isatty() else 160).print(table(rows))
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


def keep(rows: list[Row], path: Path) -> None:
    """Write `rows` into the file of results, in place of earlier rows of the same groups."""
    measured = {group_of(row.name) for row in rows}
    earlier: list[dict[str, Any]] = json.loads(path.read_text()) if path.exists() else []
    kept = [row for row in earlier if group_of(row["name"]) not in measured]
    document = sorted([*kept, *(row.as_json() for row in rows)], key=lambda row: str(row["name"]))
    path.write_text(json.dumps(document, indent=2) + "\n")


def group_of(name: str) -> str:
    """The group that a row belongs to."""
    return name.partition(".")[0]


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
            target_of(row),
            verdict if row.has_target else "-",
            row.note,
        )
    return result


def target_of(row: Row) -> str:
    """The target for people; `-` for a row without one."""
    if row.limit is not None:
        return f"<= {row.limit:g} {row.unit}"
    return "-" if row.limit_ratio is None else f"ratio >= {row.limit_ratio:g}"


if __name__ == "__main__":
    sys.exit(main())
