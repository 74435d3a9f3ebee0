"""Draining the outbox: every event leaves at least once, in the order in which it was written.

One drain sends at a time (`lease`), and a batch leaves when all earlier events are confirmed or set aside. So the first
arrival of an event never comes before that of an earlier one of its stream, whatever was sent twice in between.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import timedelta

import structlog
from django.db import transaction
from django.db.models import F

from flxdr.core.clock import Clock, SystemClock, format_timestamp
from flxdr.platform.audit import record_event
from flxdr.platform.models import OutboxEvent
from flxdr.platform.telemetry import selectors
from flxdr.platform.telemetry.lease import Lease, acquire
from flxdr.platform.telemetry.sinks.interface import Event, EventsRefused, Sink, SinkUnavailable
from flxdr.platform.telemetry.sinks.registry import configured_sink

BATCH = 500
MOST_DOUBTFUL = 50
"""So many events refused in a row, and none taken: the sink is wrong, not the events."""
KEPT = timedelta(days=7)
"""How long a sent event stays in the outbox. The audit trail keeps it for ever."""
_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("flxdr.telemetry")


def drain(
    *, clock: Clock = _SYSTEM_CLOCK, sink: Sink | None = None, should_stop: Callable[[], bool] = lambda: False
) -> int:
    """Send what waits; returns how many events were sent.

    Any number of processes may call it: one sends, the others return at once. A process that died is followed by the
    next one when its lease is over. Consumers recognise a repeated event by its `id`.

    Args:
        should_stop: asked between two batches.
    """
    lease = acquire(clock=clock)
    if lease is None:
        return 0
    return _Drain(lease, sink or configured_sink(), clock).run(should_stop)


@transaction.atomic
def retry_refused(*, actor: str, clock: Clock = _SYSTEM_CLOCK) -> int:
    """Put the events that were set aside back into the outbox, marked as late; how many."""
    events = selectors.refused().update(refused_at=None, is_late=True, attempts=0)
    if events:
        record_event(kind="telemetry.retried", actor=actor, subject="telemetry", data={"events": events}, clock=clock)
    return events


def purge_sent(*, clock: Clock = _SYSTEM_CLOCK, at_once: int = 5000) -> int:
    """Forget events that were sent long ago, a few at a time so that no transaction is long; how many."""
    forgotten = 0
    while True:
        old = OutboxEvent.objects.filter(sent_at__lt=clock.now() - KEPT).order_by("id").values_list("id", flat=True)
        deleted, _ = OutboxEvent.objects.filter(id__in=list(old[:at_once])).delete()
        forgotten += deleted
        if deleted < at_once:
            return forgotten


class _Drain:
    """One run under the lease. `doubtful` are events that the sink refused and nothing was taken after yet."""

    def __init__(self, lease: Lease, sink: Sink, clock: Clock) -> None:
        self.lease = lease
        self.sink = sink
        self.clock = clock
        self.limit = BATCH
        self.doubtful: dict[int, str] = {}

    def run(self, should_stop: Callable[[], bool]) -> int:
        sent = 0
        while not should_stop() and (rows := self._next()):
            if not self.lease.renew(clock=self.clock):
                return sent  # somebody else took over
            try:
                self.sink.send([_event(row) for row in rows])
            except EventsRefused as error:
                if not self._doubt(rows, error):
                    return sent
            except SinkUnavailable as error:
                self._pause([row.pk for row in rows], error.detail)
                return sent
            else:
                sent += self._settle(rows)
        if self.doubtful:
            self._pause(list(self.doubtful), next(iter(self.doubtful.values())))
        else:
            self.lease.release()
        return sent

    def _next(self) -> list[OutboxEvent]:
        return list(selectors.waiting().exclude(pk__in=self.doubtful)[: self.limit])

    def _doubt(self, rows: Sequence[OutboxEvent], error: EventsRefused) -> bool:
        """Look for the event that is at fault by ever smaller batches; False if all seem to be."""
        if len(rows) > 1:
            self.limit = len(rows) // 2
            return True
        self.doubtful[rows[0].pk] = error.detail
        if len(self.doubtful) < MOST_DOUBTFUL:
            return True
        self._pause(list(self.doubtful), error.detail)
        return False

    def _settle(self, rows: Sequence[OutboxEvent]) -> int:
        """The sink has these; what it refused just before is at fault itself and is set aside."""
        now = self.clock.now()
        with transaction.atomic():
            for pk, reason in self.doubtful.items():
                OutboxEvent.objects.filter(pk=pk, sent_at=None).update(
                    refused_at=now, attempts=F("attempts") + 1, last_error=reason[:500]
                )
                _log.error("telemetry event refused", outbox_event=pk, reason=reason)
            sent = OutboxEvent.objects.filter(pk__in=[row.pk for row in rows], sent_at=None).update(
                sent_at=now, refused_at=None, last_error=""
            )
            self.lease.note_delivery()
        self.doubtful.clear()
        self.limit = min(self.limit * 2, BATCH)
        return sent

    def _pause(self, tried: Sequence[int], reason: str) -> None:
        """Let the events wait."""
        _log.warning("telemetry sink unavailable", reason=reason, tried=len(tried))
        with transaction.atomic():
            OutboxEvent.objects.filter(pk__in=tried, sent_at=None).update(
                attempts=F("attempts") + 1, last_error=reason[:500]
            )
            self.lease.pause(clock=self.clock)


def _event(row: OutboxEvent) -> Event:
    event = row.event
    return {
        "id": event.pk,
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "stream": row.stream or event.subject,
        "at": format_timestamp(event.at),
        "late": row.is_late,
        "data": event.data,
    }
