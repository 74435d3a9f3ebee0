"""The audit trail: who did what, and the same as a file."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET, require_POST

from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.audit.exporting import CONTENT_TYPES, Format, export_events
from flxdr.dashboard.audit.reading import read_trail
from flxdr.dashboard.audit.wording import SENTENCES, groups
from flxdr.dashboard.paging import cursor_of
from flxdr.dashboard.periods import Period
from flxdr.platform.audit.search import SCANNED, EventFilter
from flxdr.platform.auth.principal import actor_of


@page("platform.view_auditevent")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """The events as far as the filters go, newest first."""
    wanted, named = _wanted(request), groups()
    context = {
        "trail": read_trail(wanted, cursor_of(request)),
        "wanted": wanted,
        "period": Period.of(request),
        "groups": named,
        "kinds": SENTENCES,
        "unlisted": wanted.kind and wanted.kind not in {*SENTENCES, *dict(named)},
        "scanned": SCANNED,
    }
    return render(request, "dashboard/audit/index.html", context)


@page("platform.export_auditevent")
@require_POST
def export(request: HttpRequest) -> StreamingHttpResponse:
    """The events that the filters in the URL let through, as a file, oldest first."""
    file_format: Format = "csv" if request.POST.get("format") == "csv" else "jsonl"
    lines = export_events(wanted=_wanted(request), file_format=file_format, actor=actor_of(request), clock=CLOCK)
    name = f"flxdr-audit-{CLOCK.now():%Y%m%dT%H%M%SZ}.{file_format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return StreamingHttpResponse(lines, content_type=CONTENT_TYPES[file_format], headers=headers)


def _wanted(request: HttpRequest) -> EventFilter:
    period = Period.of(request)
    return EventFilter(
        kind=request.GET.get("kind", "").strip(),
        actor=request.GET.get("actor", "").strip(),
        subject=request.GET.get("subject", "").strip(),
        text=request.GET.get("q", "").strip(),
        since=period.start,
        before=period.end,
    )
