"""Draining the outbox: events leave in batches, at least once, and a sink that is down only delays them."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import timedelta

import structlog
from django.db.models import F, Q

from flxdr.core.clock import Clock, SystemClock, format_timestamp
from flxdr.platform.models import OutboxEvent
from flxdr.platform.telemetry.sinks import Event, Sink, SinkUnavailable, configured_sink

BATCH = 200
LEASE = timedelta(seconds=60)
LONGEST_PAUSE = timedelta(minutes=5)
_SYSTEM_CLOCK = SystemClock()
_log = structlog.get_logger("flxdr.telemetry")


def drain(*, clock: Clock = _SYSTEM_CLOCK, sink: Sink | None = None) -> int:
    """Send what waits; returns how many events were sent.

    Any number of processes may drain at once: a row is claimed by compare-and-swap, and one whose process died is
    claimed again when its lease is over. Consumers recognise a repeated event by its `id`.
    """
    target = sink or configured_sink()
    sent = 0
    while rows := _claim(clock=clock):
        try:
            target.send([_event(row) for row in rows])
        except SinkUnavailable as error:
            _put_back(rows, reason=str(error), clock=clock)
            break
        sent += OutboxEvent.objects.filter(token=rows[0].token, sent_at=None).update(
            sent_at=clock.now(), token="", lease_until=None, last_error=""
        )
    return sent


def _claim(*, clock: Clock) -> Sequence[OutboxEvent]:
    """Lease the oldest waiting events to this call; a concurrent call gets others."""
    now = clock.now()
    free = Q(sent_at=None) & (Q(lease_until=None) | Q(lease_until__lt=now))
    candidates = list(OutboxEvent.objects.filter(free).order_by("id").values_list("id", flat=True)[:BATCH])
    if not candidates:
        return []
    token = secrets.token_hex(16)
    OutboxEvent.objects.filter(free, id__in=candidates).update(token=token, lease_until=now + LEASE)
    return list(OutboxEvent.objects.filter(token=token).select_related("event").order_by("id"))


def _put_back(rows: Sequence[OutboxEvent], *, reason: str, clock: Clock) -> None:
    """Let the events wait; the longer the sink is down, the longer."""
    _log.warning("telemetry sink unavailable", reason=reason, waiting=len(rows))
    pause = min(timedelta(seconds=5 * 2 ** min(rows[0].attempts, 10)), LONGEST_PAUSE)
    OutboxEvent.objects.filter(token=rows[0].token, sent_at=None).update(
        attempts=F("attempts") + 1, last_error=reason[:500], token="", lease_until=clock.now() + pause
    )


def _event(row: OutboxEvent) -> Event:
    event = row.event
    return {
        "id": event.pk,
        "kind": event.kind,
        "actor": event.actor,
        "subject": event.subject,
        "at": format_timestamp(event.at),
        "data": event.data,
    }
