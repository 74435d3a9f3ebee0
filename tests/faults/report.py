"""What the faults showed, in figures: each test notes its own, a whole run adds them up into `docs/reliability.md`."""

from __future__ import annotations

import json
import platform
import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

import pytest

BEGIN, END = "<!-- faults: begin -->", "<!-- faults: end -->"
KINDS = {
    "test_kills": "`kill -9` at every step of a plain round",
    "test_kills_masked": "`kill -9` at every step of a masked round",
    "test_kills_paillier": "`kill -9` while encrypted sums are made and opened",
    "test_kills_sharded": "`kill -9` while a round is shared by shards",
    "test_kills_campaign": "`kill -9` between the rounds of a campaign",
    "test_random_kills": "six `kill -9` at random moments of a campaign",
    "test_broker": "queue flushed, killed, frozen, silent",
    "test_database": "database restarted, killed, frozen, locked",
    "test_disk_full": "disk full",
    "test_hostile_clients": "idle, slow and oversized clients",
    "test_crowds": "many at once",
    "test_clock": "clock jumps",
}


class Note(Protocol):
    """Notes figures of the present test."""

    def __call__(self, **figures: float) -> None: ...


@dataclass
class Kind:
    """The faults of one file."""

    tried: int = 0
    survived: int = 0
    figures: dict[str, list[float]] = field(default_factory=dict)

    def add(self, outcome: str, properties: Sequence[tuple[str, Any]]) -> None:
        self.tried += 1
        self.survived += outcome == "passed"
        for name, value in properties:
            self.figures.setdefault(name, []).append(float(value))

    def total(self, name: str) -> int:
        return round(sum(self.figures.get(name, [])))

    def seconds(self, name: str) -> str:
        values = self.figures.get(name)
        return f"{statistics.median(values):.1f} / {max(values):.1f}" if values else ""


def write(stats: Mapping[str, Sequence[Any]], page: Path, kept: Path, *, seed: int) -> None:
    """Put the figures of this run between the page's marks; `kept` holds those of files that it did not run."""
    kinds: dict[str, Kind] = {}
    for each in _calls(stats):
        kinds.setdefault(Path(each.location[0]).stem, Kind()).add(each.outcome, each.user_properties)
    if kept.exists():
        kinds = {name: Kind(**figures) for name, figures in json.loads(kept.read_text()).items()} | kinds
    kept.parent.mkdir(exist_ok=True)
    kept.write_text(json.dumps({name: asdict(kind) for name, kind in kinds.items()}))
    kinds = {name: kinds[name] for name in KINDS if name in kinds}
    text = page.read_text(encoding="utf-8")
    before, _, rest = text.partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n{table(kinds, seed)}\n{END}{after}", encoding="utf-8")


def table(kinds: Mapping[str, Kind], seed: int) -> str:
    """The figures as a table."""
    lines = [
        f"Measured {datetime.now(UTC):%Y-%m-%d}, FAULTS_SEED={seed}, Python {platform.python_version()}, "
        f"{platform.machine()}.",
        "",
        "| Fault | survived / tried | requests | of them disturbed | bytes lost | recovery s, p50 / max "
        "| others' latency s, p50 / max |",
        "|---|---|---|---|---|---|---|",
    ]
    lines += [
        f"| {KINDS[name]} | {kind.survived} / {kind.tried} | {kind.total('requests')} | {kind.total('disturbed')} "
        f"| {kind.total('bytes_lost')} | {kind.seconds('recovery_seconds')} | {kind.seconds('latency_max')} |"
        for name, kind in kinds.items()
    ]
    every = [kind.figures.get("recovery_seconds", []) for kind in kinds.values()]
    total = Kind(sum(kind.tried for kind in kinds.values()), sum(kind.survived for kind in kinds.values()))
    total.figures["recovery_seconds"] = [value for values in every for value in values]
    sums = {name: sum(kind.total(name) for kind in kinds.values()) for name in ("requests", "disturbed", "bytes_lost")}
    lines.append(
        f"| **all** | **{total.survived} / {total.tried}** | {sums['requests']} | {sums['disturbed']} "
        f"| **{sums['bytes_lost']}** | {total.seconds('recovery_seconds')} | |"
    )
    return "\n".join(lines)


def _calls(stats: Mapping[str, Sequence[Any]]) -> Iterator[Any]:
    """The outcome of every test: of its body, or of what failed before it."""
    for outcome in ("passed", "failed", "error"):
        for each in stats.get(outcome, ()):
            if isinstance(each, pytest.TestReport) and Path(each.location[0]).stem in KINDS:
                yield each
