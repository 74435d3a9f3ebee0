"""Models: their versions."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.selectors import models_page
from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window


@page("federation.view_modelversion")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All versions of all models, newest first."""
    window = Window.of(request)
    found = models_page(limit=window.limit, offset=window.offset)
    context = {"pages": Pages(found["models"], found["total"], window)}
    return render(request, "dashboard/models/index.html", context)
