"""What an adapter tells about the lines that it read."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

KEPT_EXAMPLES = 20
_MAX_KINDS = 50


@dataclass(frozen=True)
class BadLine:
    """A line that is no flow record: its number (from 1) and what is wrong with it."""

    number: int
    reason: str


@dataclass
class ReadReport:
    """Counts of one file; the first bad lines are kept as examples, all of them are counted.

    Args:
        skipped: sound lines that are no flows (alerts, DNS answers), counted by what they are.
        values_seen: values of all columns of the records, empty ones too.
        values_removed: those of columns that are not read, and hosts, which become pseudonyms.
    """

    source: str
    format: str
    records: int = 0
    malformed: int = 0
    skipped: dict[str, int] = field(default_factory=dict)
    values_seen: int = 0
    values_removed: int = 0
    examples: list[BadLine] = field(default_factory=list)

    def add_malformed(self, number: int, reason: str) -> None:
        self.malformed += 1
        if len(self.examples) < KEPT_EXAMPLES:
            self.examples.append(BadLine(number, reason))

    def add_skipped(self, kind: str) -> None:
        """Count a line that is something else than a flow; kinds beyond a bound count as `other`."""
        if kind not in self.skipped and len(self.skipped) >= _MAX_KINDS:
            kind = "other"
        self.skipped[kind] = self.skipped.get(kind, 0) + 1

    def count_values(self, seen: int, removed: int) -> None:
        """Count the values of one record."""
        self.values_seen += seen
        self.values_removed += removed

    def as_json(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "format": self.format,
            "records": self.records,
            "malformed": self.malformed,
            "skipped": dict(sorted(self.skipped.items())),
            "values_seen": self.values_seen,
            "values_removed": self.values_removed,
            "examples": [{"line": bad.number, "reason": bad.reason} for bad in self.examples],
        }
