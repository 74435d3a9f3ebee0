"""One sender at a time: the lease under which the outbox is drained, and the pause after a failure."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db.models import Q, QuerySet

from flxdr.core.clock import Clock
from flxdr.platform.models import TelemetrySender

LEASE = timedelta(seconds=30)
"""Three times what a sink may take for a batch: a process that died holds the others up for no longer."""
FIRST_PAUSE = timedelta(seconds=5)
LONGEST_PAUSE = timedelta(minutes=1)
_ROW = 1


@dataclass(frozen=True)
class Lease:
    """The right to send. It can be lost to a clock that jumps or a process that stood still; every use says so."""

    token: str
    failures: int

    def renew(self, *, clock: Clock) -> bool:
        """Begin the lease anew; False if another drain has taken over."""
        return self._held().update(lease_until=clock.now() + LEASE) == 1

    def note_delivery(self) -> None:
        """The sink took something: the next pause is a short one again."""
        if self.failures:
            self._held().update(failures=0)

    def pause(self, *, clock: Clock) -> None:
        """Let nobody send for a while; the longer, the more often nothing was taken."""
        held = self._held()
        failures = held.values_list("failures", flat=True).first() or 0
        pause = min(FIRST_PAUSE * 2 ** min(failures, 10), LONGEST_PAUSE)
        held.update(token="", lease_until=clock.now() + pause, failures=failures + 1)

    def release(self) -> None:
        """Let the next one send at once."""
        self._held().update(token="", lease_until=None)

    def _held(self) -> QuerySet[TelemetrySender]:
        return TelemetrySender.objects.filter(pk=_ROW, token=self.token)


def acquire(*, clock: Clock) -> Lease | None:
    """The lease, or None while another drain holds it or the pause after a failure lasts."""
    row, _ = TelemetrySender.objects.get_or_create(pk=_ROW)
    now = clock.now()
    token = secrets.token_hex(16)
    free = Q(lease_until=None) | Q(lease_until__lte=now)
    taken = TelemetrySender.objects.filter(free, pk=_ROW).update(token=token, lease_until=now + LEASE)
    return Lease(token, row.failures) if taken else None


def end_pause() -> bool:
    """Let the next drain try at once, if nobody sends now; whether there was a pause."""
    paused = TelemetrySender.objects.filter(pk=_ROW, token="", lease_until__isnull=False)
    return paused.update(lease_until=None) == 1
