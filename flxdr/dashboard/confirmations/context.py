"""How many requests wait for a second operator, for the navigation of every page."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.functional import SimpleLazyObject

from federation.selectors.confirmations import waiting_count
from flxdr.core.clock import SystemClock

_CLOCK = SystemClock()


def waiting(request: HttpRequest) -> dict[str, object]:
    """`waiting_confirmation_count`; read once, and only by a page that shows it."""
    return {"waiting_confirmation_count": SimpleLazyObject(lambda: waiting_count(_CLOCK.now()))}
