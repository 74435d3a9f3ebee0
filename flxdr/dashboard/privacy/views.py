"""Privacy: the budget and what is in force."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from flxdr.dashboard.access import page
from privacy.selectors import budget, configuration


@page("privacy.view_budgetentry")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The budget of every organisation."""
    context = {"budget": budget(), "configuration": configuration()}
    return render(request, "dashboard/privacy/index.html", context)
