"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.platform.models import AuditEvent


def recent_events(limit: int) -> Sequence[AuditEvent]:
    """The newest events, newest first."""
    return list(AuditEvent.objects.order_by("-id")[:limit])


def newest_event(kind: str) -> AuditEvent | None:
    """The newest event of one kind."""
    return AuditEvent.objects.filter(kind=kind).order_by("-id").first()
