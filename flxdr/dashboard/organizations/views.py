"""Organisations: the list."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.selectors import organizations_page
from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window


@page("federation.view_organization")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All organisations by name."""
    window = Window.of(request)
    found = organizations_page(limit=window.limit, offset=window.offset)
    context = {"pages": Pages(found["organizations"], found["total"], window)}
    return render(request, "dashboard/organizations/index.html", context)
