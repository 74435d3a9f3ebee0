"""Whether a release's model follows from its submissions: asked here, answered by whoever holds the submissions.

A signature says that organisations approved a model; recomputing says that the model is what the round's submissions
give. The ledger knows neither submissions nor strategies: the layer above registers a recomputer at start-up.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from ledger import selectors
from ledger.chain.block import Header, parse_header

Verdict = Literal["matches", "differs", "not_recomputable"]


@dataclass(frozen=True)
class Recomputation:
    """What recomputing one release found.

    Attributes:
        verdict: `not_recomputable` where something that it takes is gone, or was never in the clear; that is no fault.
        field: what differs, or what is missing.
        on_trust: organisations whose update was taken as the coordinator converted it from what they sent.
    """

    height: int
    model_hash: str
    verdict: Verdict
    field: str = ""
    expected: str = ""
    actual: str = ""
    on_trust: Sequence[str] = ()


@dataclass
class RecomputationReport:
    """All releases of a range of heights."""

    matched: int = 0
    differing: list[Recomputation] = field(default_factory=list)
    not_recomputable: list[Recomputation] = field(default_factory=list)
    on_trust: int = 0

    @property
    def holds(self) -> bool:
        return not self.differing

    def add(self, found: Recomputation) -> None:
        if found.verdict == "matches":
            self.matched += 1
            self.on_trust += bool(found.on_trust)
        elif found.verdict == "differs":
            self.differing.append(found)
        else:
            self.not_recomputable.append(found)

    def as_json(self) -> dict[str, Any]:
        """JSON-serialisable, as the command and the API answer."""
        return {
            "holds": self.holds,
            "matched": self.matched,
            "matched_with_conversions_on_trust": self.on_trust,
            "differing": [
                {"height": each.height, "field": each.field, "expected": each.expected, "actual": each.actual}
                for each in self.differing
            ],
            "not_recomputable": [{"height": each.height, "reason": each.field} for each in self.not_recomputable],
        }


class Recomputer(Protocol):
    """Recomputes releases from what is stored of their rounds."""

    def recompute(self, header: Header) -> Recomputation:
        """Recompute the release whose (verified) header this is; never raises for what is missing or damaged."""


_recomputers: list[Recomputer] = []


def register(recomputer: Recomputer) -> None:
    """Set the recomputer; there is one."""
    _recomputers[:] = [recomputer]


def recompute_releases(
    *, first: int = 0, last: int, progress: Callable[[int], None] | None = None
) -> RecomputationReport:
    """Recompute every release from height `first` to `last`; the blocks themselves must have been verified before.

    Args:
        progress: called with the height after each block.
    """
    report = RecomputationReport()
    for height, record in enumerate(selectors.chain_records(first, last), start=first):
        header = parse_header(record.header)
        if header.type == "release":
            for recomputer in _recomputers:
                report.add(recomputer.recompute(header))
        if progress is not None:
            progress(height)
    return report
