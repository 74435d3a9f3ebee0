"""The operator's pages: read, render, and one button."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import conditional_page, require_GET, require_POST

from flxdr.core.clock import SystemClock
from flxdr.dashboard.access import page
from flxdr.dashboard.overview.reading import read_overview
from flxdr.platform.auth.principal import actor_of
from ledger.services.verified import verify_stored


@page("ledger.view_block")
@require_GET
def overview(request: HttpRequest) -> HttpResponse:
    """The round in progress, the organisations, the budget and the chain."""
    context = {"overview": read_overview(SystemClock().now()), "development": not settings.FLXDR.is_production}
    return render(request, "dashboard/overview/index.html", context)


@page("ledger.view_block")
@require_GET
@conditional_page
def overview_panels(request: HttpRequest) -> HttpResponse:
    """The overview's panels alone, for the page that refreshes itself: a 304 while nothing changed."""
    return render(request, "dashboard/overview/panels.html", {"overview": read_overview(SystemClock().now())})


@page("ledger.view_block")
@require_POST
def verify_chain(request: HttpRequest) -> HttpResponse:
    """Have the whole chain verified: now, or in the background if it is long."""
    verified = verify_stored(clock=SystemClock(), actor=actor_of(request), full=True)
    bad = verified.report["first_bad"]
    if verified.is_pending:
        messages.info(
            request,
            _("The whole chain is being verified in the background (%(state)s).") % {"state": verified.full_pass},
        )
    elif bad is None:
        messages.success(request, _("All %(count)d blocks verify.") % {"count": verified.report["blocks_verified"]})
    else:
        messages.error(request, _("Block %(height)s does not verify: %(code)s (%(field)s).") % bad)
    return redirect("ledger:index" if request.POST.get("next") == "ledger" else "overview")
