"""Background work of the notifications."""

from __future__ import annotations

from celery import shared_task

from flxdr.notifications.services.deliveries import deliver
from flxdr.notifications.services.review import review


@shared_task(name="flxdr.notifications.tasks.notify")
def notify() -> None:
    """See what asks for an operator, then tell."""
    review()
    deliver()
