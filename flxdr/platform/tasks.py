"""Background work of the platform."""

from __future__ import annotations

from celery import shared_task

from flxdr.platform.auth.spent import purge_spent_tokens
from flxdr.platform.telemetry.outbox import purge_sent
from flxdr.platform.telemetry.sender import SENDER


@shared_task(name="flxdr.platform.tasks.drain_outbox")
def drain_outbox() -> None:
    """Have the worker's sender send the telemetry events that wait; returns before they are sent."""
    SENDER.wake()


@shared_task(name="flxdr.platform.tasks.purge_tokens")
def purge_tokens() -> None:
    """Forget spent tokens that have expired."""
    purge_spent_tokens()


@shared_task(name="flxdr.platform.tasks.purge_outbox")
def purge_outbox() -> None:
    """Forget telemetry events that were sent long ago."""
    purge_sent()
