"""Writing the audit trail and the telemetry outbox."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

import structlog
from django.db import transaction

from flxdr.core.clock import Clock, SystemClock
from flxdr.platform.models import AuditEvent, OutboxEvent

_log = structlog.get_logger("flxdr.audit")
_SYSTEM_CLOCK = SystemClock()


def record_event(
    *,
    kind: str,
    actor: str,
    subject: str,
    data: Mapping[str, Any],
    stream: str = "",
    clock: Clock = _SYSTEM_CLOCK,
    level: int = logging.INFO,
) -> AuditEvent:
    """Write one audit row and one outbox row in the caller's transaction.

    Args:
        kind: dotted, the thing first: `round.transition`.
        actor: who did it: `str(principal)`, or the name of a system part.
        subject: what it was done to, such as a round's id.
        data: JSON-serialisable details, no secrets and no records of an organisation.
        stream: whose telemetry stays in order, such as the round that a block releases; the subject, if empty.
        level: of the line in the log.

    Raises:
        RuntimeError: not inside `transaction.atomic`; the event could then outlive a change that was rolled back.
    """
    if not transaction.get_connection().in_atomic_block:
        raise RuntimeError("record_event belongs into the transaction of the change that it records")
    event = AuditEvent.objects.create(kind=kind, actor=actor, subject=subject, data=dict(data), at=clock.now())
    OutboxEvent.objects.create(event=event, stream=stream or subject)
    transaction.on_commit(lambda: _log.log(level, kind, actor=actor, subject=subject, data=dict(data)))
    return event
