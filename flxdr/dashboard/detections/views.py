"""Detections that organisations chose to share."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.selectors import detections_page
from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window


@page("federation.view_shareddetection")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Shared detections, newest first."""
    window = Window.of(request)
    found = detections_page(limit=window.limit, offset=window.offset)
    context = {"pages": Pages(found["detections"], found["total"], window)}
    return render(request, "dashboard/detections/index.html", context)
