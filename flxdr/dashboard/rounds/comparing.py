"""Two rounds side by side: what was fixed differently, who took part, how their updates and metrics differ."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from federation.models import Participant, TrainingRound
from federation.round_config import RoundConfig
from federation.selectors import round_by_id
from federation.selectors.round_parts import parts_of
from flxdr.core import canonical
from flxdr.dashboard.states import word_of

ORGANIZATIONS_SHOWN = 100
_OWN = frozenset({"round_id", "round_number", "participants", "deadline", "model_schema", "chain_id", "v"})
"""What every round has of its own, or what is shown elsewhere."""


@dataclass(frozen=True)
class Line:
    """One property of both rounds; `delta` where both are numbers of the same meaning."""

    name: str
    a: Any
    b: Any
    delta: float | None = None

    @property
    def differs(self) -> bool:
        return bool(self.a != self.b)


@dataclass(frozen=True)
class Sides:
    """One organisation's parts in the two rounds; None where it was not asked."""

    org_id: str
    name: str
    a: Participant | None
    b: Participant | None


@dataclass(frozen=True)
class Pair:
    """Two rounds and what tells them apart."""

    a: TrainingRound
    b: TrainingRound
    outcome: Sequence[Line]
    configuration: Sequence[Line]
    metrics: Sequence[Line]
    organizations: Sequence[Sides]
    only_a: Sequence[str]
    only_b: Sequence[str]
    is_cut: bool

    @property
    def differing(self) -> int:
        return sum(line.differs for line in self.configuration)


def read_pair(first: str, second: str) -> Pair:
    """Read two rounds.

    Raises:
        RoundMissing: one of them is unknown.
    """
    a, b = round_by_id(first), round_by_id(second)
    configs = [RoundConfig.decode(bytes(each.config)) for each in (a, b)]
    members = [frozenset(config.participants) for config in configs]
    sides = _sides(a, b)
    return Pair(
        a=a,
        b=b,
        outcome=[
            Line("status", word_of(a.status), word_of(b.status)),
            Line("failure", a.failure_code or None, b.failure_code or None),
            _numbers("convergence", a.convergence_metric, b.convergence_metric),
            Line("organizations", len(members[0]), len(members[1]), len(members[1]) - len(members[0])),
        ],
        configuration=_configuration(a, b),
        metrics=[_numbers(name, a.metrics.get(name), b.metrics.get(name)) for name in sorted({*a.metrics, *b.metrics})],
        organizations=sides[:ORGANIZATIONS_SHOWN],
        only_a=sorted(members[0] - members[1]),
        only_b=sorted(members[1] - members[0]),
        is_cut=len(members[0] | members[1]) > ORGANIZATIONS_SHOWN,
    )


def _configuration(a: TrainingRound, b: TrainingRound) -> Sequence[Line]:
    """Every property that was fixed at the start, the differing ones first."""
    left, right = (dict(_flat(canonical.decode(bytes(each.config)))) for each in (a, b))
    lines = [Line(name, left.get(name), right.get(name)) for name in sorted({*left, *right})]
    return sorted(lines, key=lambda line: (not line.differs, line.name))


def _flat(fields: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in fields.items():
        if not prefix and name in _OWN:
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", value


def _numbers(name: str, a: float | None, b: float | None) -> Line:
    return Line(name, a, b, None if a is None or b is None else b - a)


def _sides(a: TrainingRound, b: TrainingRound) -> list[Sides]:
    found: dict[str, dict[str, Participant]] = {}
    for side, training_round in (("a", a), ("b", b)):
        parts, _ = parts_of(training_round, limit=ORGANIZATIONS_SHOWN, offset=0)
        for part in parts:
            found.setdefault(part.participant.organization.org_id, {})[side] = part.participant
    return [
        Sides(org_id, next(iter(parts.values())).organization.name, parts.get("a"), parts.get("b"))
        for org_id, parts in sorted(found.items())
    ]
