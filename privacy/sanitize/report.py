"""What the sanitiser did: counts only, never a value that it saw."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from privacy.sanitize.kinds import Kind

MAX_NAMES = 1000
OTHER = "(other fields)"


@dataclass
class Report:
    """Counts over records.

    Args:
        seen: values looked at; a list counts each of its values, an object those of its fields.
        dropped: values of fields that are not allowed, by field.
        replaced: values that were replaced or held something that was, by field.
        kinds: identifiers replaced, by kind.
    """

    records: int = 0
    seen: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    replaced: Counter[str] = field(default_factory=Counter)
    kinds: Counter[Kind] = field(default_factory=Counter)

    @property
    def sanitization_rate(self) -> float:
        """Share of the values seen that were dropped or changed; 0 where none was seen."""
        return (self.dropped.total() + self.replaced.total()) / self.seen if self.seen else 0.0

    def count_dropped(self, name: str) -> None:
        """Count a dropped value; fields beyond `MAX_NAMES` names share one count, so that memory stays bounded."""
        self.dropped[name if name in self.dropped or len(self.dropped) < MAX_NAMES else OTHER] += 1

    def as_json(self) -> dict[str, Any]:
        return {
            "records": self.records,
            "values_seen": self.seen,
            "values_dropped": self.dropped.total(),
            "values_replaced": self.replaced.total(),
            "sanitization_rate": round(self.sanitization_rate, 6),
            "identifiers": {kind.value: count for kind, count in sorted(self.kinds.items())},
            "replaced_fields": dict(self.replaced.most_common()),
            "dropped_fields": dict(self.dropped.most_common()),
        }
