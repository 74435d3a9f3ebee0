"""Reading the telemetry outbox."""

from __future__ import annotations

from flxdr.platform.models import OutboxEvent


def oldest_waiting() -> OutboxEvent | None:
    """The oldest event that the sink has not confirmed yet."""
    return OutboxEvent.objects.filter(sent_at=None).select_related("event").order_by("id").first()


def count_waiting() -> int:
    """How many events the sink has not confirmed yet."""
    return OutboxEvent.objects.filter(sent_at=None).count()
