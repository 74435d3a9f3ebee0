"""Detections that organisations chose to share: the list, one with what vouches for it, and both as STIX."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from federation.detections.reports import MEDIA_TYPE
from federation.models import DetectionReview
from federation.selectors.detection_pages import (
    detection_by_id,
    detections_matching,
    detections_stix,
    technique_choices,
)
from federation.selectors.detections import bundle_of
from federation.services.detection_reviews import review_detection
from flxdr.core.errors import FlxdrError, Missing
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.detections.filters import SEVERITIES, filter_of, least_score_of
from flxdr.dashboard.detections.reading import read_detection, read_summary
from flxdr.dashboard.paging import Pages, Window
from flxdr.dashboard.periods import Period
from flxdr.dashboard.wanted import wanted
from flxdr.platform.auth.principal import actor_of


@page("federation.view_shareddetection")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """Shared detections, newest first, as far as the filters go."""
    window, period, asked = Window.of(request), Period.of(request), filter_of(request)
    rows, total = detections_matching(asked, limit=window.limit, offset=window.offset)
    context = {
        "pages": Pages(rows, total, window),
        "period": period,
        "wanted": asked,
        "least_asked": least_score_of(request),
        "severities": SEVERITIES,
        "states": DetectionReview.State.values,
        "techniques": technique_choices(),
        "summary": read_summary(asked),
    }
    return render(request, "dashboard/detections/index.html", context)


@page("federation.view_shareddetection")
@require_GET
def detail(request: HttpRequest, pk: int) -> HttpResponse:
    """One detection, its signature verified now, and the chain behind its model."""
    context = {"found": read_detection(pk), "states": DetectionReview.State.values, "note": wanted(request, "note")}
    return render(request, "dashboard/detections/detail.html", context)


@page("federation.change_shareddetection")
@require_POST
def review(request: HttpRequest, pk: int) -> HttpResponse:
    """Say what state a detection is in."""
    try:
        review_detection(
            detection_id=pk,
            state=request.POST.get("state", ""),
            note=request.POST.get("note", "").replace("\x00", "").strip(),
            actor=actor_of(request),
            clock=CLOCK,
        )
    except Missing:
        raise
    except FlxdrError as error:
        messages.error(request, f"{error.detail}. {error.expected or ''}".strip())
        return render(request, "dashboard/detections/detail.html", _again(request, pk), status=400)
    messages.success(request, _("Written down."))
    return redirect("detections:detail", pk=pk)


@page("federation.view_shareddetection")
@require_GET
def page_as_stix(request: HttpRequest) -> HttpResponse:
    """The page of the list that the same filters show, as a STIX bundle."""
    window, asked = Window.of(request), filter_of(request)
    return _stix(request, "detections", lambda: detections_stix(asked, limit=window.limit, offset=window.offset))


@page("federation.view_shareddetection")
@require_GET
def one_as_stix(request: HttpRequest, pk: int) -> HttpResponse:
    """One detection as a STIX bundle."""
    detection = detection_by_id(pk)
    return _stix(request, f"detection-{detection.alert_id}", lambda: bundle_of([detection]))


def _again(request: HttpRequest, pk: int) -> dict[str, object]:
    """The page with what was typed still in its form."""
    return {
        "found": read_detection(pk),
        "states": DetectionReview.State.values,
        "note": request.POST.get("note", ""),
        "chosen": request.POST.get("state", ""),
    }


def _stix(request: HttpRequest, name: str, make: Callable[[], str]) -> HttpResponse:
    """The bundle as a file; no bundle is made of a statement that somebody changed here, which is said instead."""
    try:
        bundle = make()
    except FlxdrError as error:
        messages.error(request, _("No bundle: a detection's stored statement cannot be read. %s") % error.detail)
        return redirect("detections:index")
    disposition = f'attachment; filename="{name}.stix.json"'
    return HttpResponse(bundle, content_type=MEDIA_TYPE, headers={"Content-Disposition": disposition})
