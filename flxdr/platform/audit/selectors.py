"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.platform.models import AuditEvent


def recent_events(limit: int) -> Sequence[AuditEvent]:
    """The newest events, newest first."""
    return list(AuditEvent.objects.order_by("-id")[:limit])


def newest_event_number() -> int:
    """The number of the newest event; 0 before the first. It grows with every change of the federation."""
    return AuditEvent.objects.order_by("-id").values_list("id", flat=True).first() or 0


def events_about(subject: str, *, kinds: Sequence[str], newest: int) -> Sequence[AuditEvent]:
    """The newest events of those kinds about one subject, oldest first."""
    rows = AuditEvent.objects.filter(subject=subject, kind__in=kinds).order_by("-id")
    return list(reversed(rows[:newest]))


def newest_events_about(subject: str, *, limit: int) -> Sequence[AuditEvent]:
    """The newest events about one subject, newest first."""
    return list(AuditEvent.objects.filter(subject=subject).order_by("-id")[:limit])
