"""Rounds: the list, and one of them."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from federation.models import TrainingRound
from federation.selectors import round_by_id, round_status
from federation.selectors.rounds import RoundFilter, models_with_rounds, rounds_matching
from flxdr.dashboard.access import page
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.periods import Period


@page("federation.view_traininground")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """All rounds, newest first, as far as the filters go."""
    window, period = Window.of(request), Period.of(request)
    wanted = RoundFilter(
        model_name=request.GET.get("model", ""),
        status=request.GET.get("status", ""),
        since=period.start,
        before=period.end,
    )
    rows, total = rounds_matching(wanted, limit=window.limit, offset=window.offset)
    context = {
        "pages": Pages(rows, total, window),
        "period": period,
        "wanted": wanted,
        "models": models_with_rounds(),
        "statuses": TrainingRound.Status.values,
    }
    return render(request, "dashboard/rounds/index.html", context)


@page("federation.view_traininground")
@require_GET
def detail(request: HttpRequest, round_id: str) -> HttpResponse:
    """One round."""
    training_round = round_by_id(round_id)
    context = {"round": training_round, "status": round_status(training_round)}
    return render(request, "dashboard/rounds/detail.html", context)
