"""Background work of the platform."""

from __future__ import annotations

from celery import shared_task

from flxdr.platform.auth.spent import purge_spent_tokens
from flxdr.platform.telemetry.outbox import drain


@shared_task(name="flxdr.platform.tasks.drain_outbox")
def drain_outbox() -> None:
    """Send the telemetry events that wait."""
    drain()


@shared_task(name="flxdr.platform.tasks.purge_tokens")
def purge_tokens() -> None:
    """Forget spent tokens that have expired."""
    purge_spent_tokens()
