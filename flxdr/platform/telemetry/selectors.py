"""Reading the telemetry outbox."""

from __future__ import annotations

from django.db.models import QuerySet

from flxdr.platform.models import OutboxEvent


def waiting() -> QuerySet[OutboxEvent]:
    """The events that the sink has not confirmed and may still take, oldest first."""
    return OutboxEvent.objects.filter(sent_at=None, refused_at=None).select_related("event").order_by("id")


def oldest_waiting() -> OutboxEvent | None:
    """The oldest event that the sink has not confirmed yet."""
    return waiting().first()


def count_waiting() -> int:
    """How many events the sink has not confirmed yet."""
    return waiting().count()


def refused() -> QuerySet[OutboxEvent]:
    """The events that were set aside because the sink would not have them, oldest first."""
    return OutboxEvent.objects.filter(refused_at__isnull=False).select_related("event").order_by("id")
