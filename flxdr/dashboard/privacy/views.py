"""Privacy: how long the budgets last, what protects what, and what other settings would change."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.privacy.forms import SettingsForm
from flxdr.dashboard.privacy.reading import read_organization, read_privacy, read_what_if
from flxdr.dashboard.wanted import wanted
from privacy.selectors.spending import budgets_page, entries_page

ROWS = 25


@page("privacy.view_budgetentry")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The budget of every organisation, or with `?org=` that of one with all its lines."""
    org_id = wanted(request, "org")
    return _one(request, org_id) if org_id else _all(request)


@page("privacy.view_budgetentry")
@require_GET
def what_if(request: HttpRequest) -> HttpResponse:
    """Other settings beside those of now; nothing is saved."""
    form = SettingsForm(request.GET or None)
    found = read_what_if(form)
    context = {"form": form, "what_if": found, "rows": found.rows}
    return render(request, "dashboard/privacy/what_if.html", context)


def _all(request: HttpRequest) -> HttpResponse:
    window, search = Window.of(request, limit=ROWS), wanted(request, "q")
    rows, total = budgets_page(search=search, limit=window.limit, offset=window.offset)
    first = rows[0] if rows and not window.offset and not search else None
    context = {"pages": Pages(rows, total, window), "search": search, "privacy": read_privacy(first)}
    return render(request, "dashboard/privacy/index.html", context)


def _one(request: HttpRequest, org_id: str) -> HttpResponse:
    window = Window.of(request)
    found = read_organization(org_id)
    entries, total = entries_page(org_id, limit=window.limit, offset=window.offset)
    context = {"found": found, "pages": Pages(entries, total, window)}
    return render(request, "dashboard/privacy/organization.html", context)
