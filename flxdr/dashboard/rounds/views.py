"""Rounds: the list, one of them, and two side by side."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import conditional_page, require_GET

from federation.models import TrainingRound
from federation.selectors import round_by_id
from federation.selectors.rounds import (
    RoundFilter,
    models_with_rounds,
    newest_rounds,
    rounds_matching,
    running_campaigns,
)
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.periods import Period
from flxdr.dashboard.rounds.comparing import read_pair
from flxdr.dashboard.rounds.forms import AbortForm
from flxdr.dashboard.rounds.reading import PARTS_PER_PAGE, read_round

CANDIDATES = 200
"""Rounds that a comparison offers to choose from."""


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
        "campaigns": running_campaigns(),
        "abort_form": AbortForm(),
    }
    return render(request, "dashboard/rounds/index.html", context)


@page("federation.view_traininground")
@require_GET
def detail(request: HttpRequest, round_id: str) -> HttpResponse:
    """One round, at whatever point of its life."""
    return render(request, "dashboard/rounds/detail.html", _content(request, round_id) | {"abort_form": AbortForm()})


@page("federation.view_traininground")
@require_GET
@conditional_page
def body(request: HttpRequest, round_id: str) -> HttpResponse:
    """What changes of the page while a round is open: a 304 while nothing did."""
    return render(request, "dashboard/rounds/body.html", _content(request, round_id))


@page("federation.view_traininground")
@require_GET
def compare(request: HttpRequest) -> HttpResponse:
    """Two rounds side by side, `?a=` and `?b=`; without a second one, a choice of rounds of the same model."""
    chosen = [request.GET.get("a", ""), request.GET.get("b", "")]
    pair = read_pair(*chosen) if all(chosen) else None
    model = round_by_id(chosen[0] or chosen[1]).model_name if any(chosen) else ""
    context = {"pair": pair, "a": chosen[0], "b": chosen[1], "candidates": newest_rounds(model, at_most=CANDIDATES)}
    return render(request, "dashboard/rounds/compare.html", context)


def _content(request: HttpRequest, round_id: str) -> dict[str, object]:
    return {"shown": read_round(round_id, Window.of(request, limit=PARTS_PER_PAGE), CLOCK.now())}
