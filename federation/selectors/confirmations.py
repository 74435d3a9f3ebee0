"""What operators asked for: what waits for a second one, and what became of the rest."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from federation.models import ConfirmationRequest
from flxdr.core.clock import format_timestamp


def waiting_confirmations(now: datetime, *, at_most: int = 100) -> Sequence[ConfirmationRequest]:
    """Requests that a second operator may still confirm, the oldest first."""
    return list(_open(now).order_by("pk")[:at_most])


def waiting_count(now: datetime) -> int:
    """How many requests wait for a second operator."""
    return _open(now).count()


def decided_confirmations(now: datetime, *, limit: int, offset: int) -> tuple[Sequence[ConfirmationRequest], int]:
    """Requests that wait no more, newest first, and how many there are."""
    rows = ConfirmationRequest.objects.exclude(status=ConfirmationRequest.Status.WAITING, expires_at__gt=now)
    return list(rows[offset : offset + limit]), rows.count()


def waiting_confirmation(action: ConfirmationRequest.Action, subject: str, now: datetime) -> ConfirmationRequest | None:
    """The request for this very action that may still be confirmed, if there is one."""
    return _open(now).filter(action=action, subject=subject).first()


def confirmations_page(*, limit: int, offset: int) -> dict[str, Any]:
    """All requests, newest first."""
    rows = ConfirmationRequest.objects.all()
    return {
        "confirmations": [confirmation_entry(row) for row in rows[offset : offset + limit]],
        "total": rows.count(),
        "limit": limit,
        "offset": offset,
    }


def confirmation_entry(row: ConfirmationRequest) -> dict[str, Any]:
    """One request, as the API shows it."""
    return {
        "id": row.pk,
        "action": row.action,
        "subject": row.subject,
        "reason": row.reason,
        "status": row.status,
        "requested_by": row.requested_by,
        "requested_at": format_timestamp(row.requested_at),
        "expires_at": format_timestamp(row.expires_at),
        "decided_by": row.decided_by or None,
        "decided_at": format_timestamp(row.decided_at) if row.decided_at else None,
    }


def _open(now: datetime) -> QuerySet[ConfirmationRequest]:
    return ConfirmationRequest.objects.filter(status=ConfirmationRequest.Status.WAITING, expires_at__gt=now)
