"""Reads of the notifications."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db.models import Case, F, IntegerField, Value, When

from flxdr.notifications.kinds import Severity
from flxdr.notifications.models import LastReview, Notification

STALE_AFTER = timedelta(minutes=2)
"""Four reviews that were not made: what is shown as open may be old."""
_RANK = Case(*(When(severity=each, then=Value(each.rank)) for each in Severity), output_field=IntegerField())


def open_notifications() -> list[Notification]:
    """What asks for an operator now: the gravest first, then the newest."""
    return list(Notification.objects.filter(closed_at=None).order_by(_RANK.desc(), "-opened_at", "-id"))


def open_count() -> int:
    """How many conditions hold."""
    return Notification.objects.filter(closed_at=None).count()


def notifications_page(limit: int, offset: int) -> tuple[list[Notification], int]:
    """Closed notifications, the last closed first, and how many there are."""
    closed = Notification.objects.filter(closed_at__isnull=False).order_by(F("closed_at").desc(), "-id")
    return list(closed[offset : offset + limit]), closed.count()


def last_review() -> datetime | None:
    """When somebody last looked for what to notify of."""
    return LastReview.objects.values_list("at", flat=True).first()


def is_stale(reviewed_at: datetime | None, now: datetime) -> bool:
    """Whether nobody has looked for so long that nothing open means nothing."""
    return reviewed_at is None or now - reviewed_at > STALE_AFTER
