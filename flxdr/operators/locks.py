"""Accounts that are locked because somebody guessed, as the audit trail tells."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from django.conf import settings

from flxdr.platform.models import AuditEvent

LOCKED_OUT = "operator.locked_out"


def standing_locks(now: datetime) -> Sequence[AuditEvent]:
    """The locks that have not ended by themselves, oldest first: one for an account and an address."""
    since = now - timedelta(hours=settings.AXES_COOLOFF_TIME)
    return list(AuditEvent.objects.filter(kind=LOCKED_OUT, at__gt=since).order_by("id"))
