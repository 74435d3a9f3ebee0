"""Notifications: what asks for an operator now, and what did."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.paging import Pages, Window
from flxdr.notifications.channels.registry import configured
from flxdr.notifications.selectors import is_stale, last_review, notifications_page, open_notifications


@page("notifications.view_notification")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The open ones, the gravest first, and the history in pages."""
    window = Window.of(request)
    closed, total = notifications_page(window.limit, window.offset)
    reviewed_at = last_review()
    context = {
        "reviewed_at": reviewed_at,
        "stale": is_stale(reviewed_at, CLOCK.now()),
        "open": open_notifications(),
        "pages": Pages(closed, total, window),
        "channels": [channel.name for channel in configured()],
    }
    return render(request, "dashboard/notifications/index.html", context)
