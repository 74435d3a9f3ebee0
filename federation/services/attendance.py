"""Who has submitted when a collection ends, and whether that is enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from django.conf import settings

from federation.models import Participant, TrainingRound


@dataclass(frozen=True)
class Attendance:
    """How many organisations were expected, and the names of those whose update is not there."""

    expected: int
    missing: Sequence[str]

    @classmethod
    def of(cls, training_round: TrainingRound) -> Attendance:
        """The attendance of a round that collects."""
        rows = list(training_round.participants.values_list("organization__org_id", "status"))
        return cls(len(rows), sorted(org_id for org_id, status in rows if status == Participant.Status.EXPECTED))

    def shortfall(self, *, minimum: int) -> tuple[str, str] | None:
        """Code and reason for which a collection that ends now must fail; None if it may go on."""
        submitted = self.expected - len(self.missing)
        absent = f"missing: {', '.join(self.missing)}"
        if submitted < minimum:
            return (
                "too_few_submissions",
                f"{submitted} of {self.expected} organizations submitted, {minimum} are needed; {absent}",
            )
        limit = Fraction(str(settings.FLXDR.max_org_failure_rate))
        if len(self.missing) > limit * self.expected:
            return (
                "failure_rate_exceeded",
                f"{len(self.missing)} of {self.expected} organizations are missing, "
                f"at most {float(limit):.0%} may be; {absent}",
            )
        return None
