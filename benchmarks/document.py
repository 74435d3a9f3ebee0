"""`docs/benchmarks.md`: every kept row, with what it was measured on. Written by `make bench` and `make docs`."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.machine import Run
from benchmarks.measure import Row
from benchmarks.reasons import REASONS

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.md"
_INTRODUCTION = """\
# Benchmarks

Written by `make bench` from `benchmarks/results.json`; do not edit. `make bench ONLY=group` measures one group anew and
keeps the others. Ours and the peer run in turns in one process, or in pairs of processes, on the same inputs; figures
are medians. A ratio above 1 means that ours is better. A row without a target informs. Times are of the machine that
stands under each heading: compare ratios, not times, with those of another machine. The yardstick there is a fixed
loop of Python that was timed just before: beside a longer one all times are longer, by about as much.

Figures that are no such rows, because they are no times: [the attacks on every aggregation strategy](aggregation.md),
[the utility of noise](privacy.md), [how good the detection is](models.md) and [what that was tested
on](evaluation.md), [what operations a federation survives](reliability.md) and [how it grows](scaling.md).
"""


def write(groups: dict[str, str], rows: Sequence[Row], runs: dict[str, Run], path: Path = DOCUMENT) -> None:
    """Write the page.

    Args:
        groups: modules by the name of their group.
        runs: by the name of the group.
    """
    path.write_text("\n".join(_lines(groups, rows, runs)))


def _lines(groups: dict[str, str], rows: Sequence[Row], runs: dict[str, Run]) -> Iterator[str]:
    yield _INTRODUCTION
    yield from _verdict(rows)
    for group, module in sorted(groups.items()):
        own = [row for row in rows if row.group == group]
        if not own:
            continue
        title, _, body = (import_module(module).__doc__ or "").partition("\n")
        yield f"## `{group}`\n"
        yield f"{title}\n"
        if body.strip():
            yield f"{body.strip()}\n"
        if group in runs:
            yield f"Measured {runs[group]}.\n"
        yield from _table(own)


def _verdict(rows: Sequence[Row]) -> Iterator[str]:
    targets = [row for row in rows if row.has_target]
    missed = [row for row in targets if not row.holds]
    yield f"{len(rows)} rows, {len(targets)} with a target, {len(targets) - len(missed)} met.\n"
    if missed:
        yield "| missed | is | wanted | why |\n|---|---|---|---|"
        for row in missed:
            yield f"| `{row.name}` | {row.result} | {row.target} | {REASONS.get(row.name, 'not known yet')} |"
        yield ""


def _table(rows: Sequence[Row]) -> Iterator[str]:
    yield "| row | ours | peer | ratio | target | |\n|---|---|---|---|---|---|"
    for row in rows:
        peer = "" if row.peer is None else _number(row.peer)
        ratio = "" if row.ratio is None else _number(row.ratio)
        verdict = ("met" if row.holds else "**missed**") if row.has_target else ""
        yield f"| `{row.name}` | {_number(row.ours)} {row.unit} | {peer} | {ratio} | {row.target} | {verdict} |"
    yield ""
    yield from (f"- `{row.name}`: {row.note}" for row in rows)
    yield ""


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def read(path: Path) -> list[Row]:
    """The rows of a file of results."""
    return [Row(**row) for row in json.loads(path.read_text())] if path.exists() else []


def read_runs(path: Path) -> dict[str, Run]:
    """When and where each group was measured."""
    kept: dict[str, dict[str, Any]] = json.loads(path.read_text()) if path.exists() else {}
    return {group: Run(**run) for group, run in kept.items()}
