"""What every template may ask of the notifications."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.http import HttpRequest

from flxdr.notifications import selectors


def open_notifications(request: HttpRequest) -> dict[str, Any]:
    """`open_notification_count`: how many conditions hold, to staff; 0 to others.

    A function: the template engine calls it where a template uses it, so other pages ask the database nothing.
    """

    @cache
    def count() -> int:
        user = getattr(request, "user", None)  # a request that failed early has none
        return selectors.open_count() if user is not None and user.is_staff else 0

    return {"open_notification_count": count}
