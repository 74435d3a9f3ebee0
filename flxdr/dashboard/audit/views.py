"""The audit trail: who did what."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window
from flxdr.platform.audit.selectors import events_page


@page("platform.view_auditevent")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All events, newest first."""
    window = Window.of(request)
    events, total = events_page(limit=window.limit, offset=window.offset)
    return render(request, "dashboard/audit/index.html", {"pages": Pages(events, total, window)})
