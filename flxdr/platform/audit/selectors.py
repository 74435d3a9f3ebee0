"""Reading the audit trail."""

from __future__ import annotations

from collections.abc import Sequence

from flxdr.platform.models import AuditEvent


def recent_events(limit: int) -> Sequence[AuditEvent]:
    """The newest events, newest first."""
    return list(AuditEvent.objects.order_by("-id")[:limit])
