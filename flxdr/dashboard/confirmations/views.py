"""What one operator asked for and another one has to confirm."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET, require_POST

from federation.models import ConfirmationRequest
from federation.selectors.confirmations import decided_confirmations, waiting_confirmations
from federation.services import confirmations
from flxdr.core.errors import FlxdrError
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.confirmations.reading import asked
from flxdr.dashboard.paging import Pages, Window
from flxdr.platform.auth.principal import actor_of

MAY_DECIDE = "federation.change_confirmationrequest"


@page("federation.view_confirmationrequest")
@require_GET
def index(request: HttpRequest) -> HttpResponse:
    """What waits, the oldest first, and what was decided, the newest first."""
    window, now = Window.of(request), CLOCK.now()
    decided, total = decided_confirmations(now, limit=window.limit, offset=window.offset)
    context = {
        "waiting": [asked(each, by=actor_of(request), now=now) for each in waiting_confirmations(now)],
        "pages": Pages([asked(each, by=actor_of(request), now=now) for each in decided], total, window),
        "two_person": settings.FLXDR.two_person,
        "hours": int(confirmations.LIFETIME.total_seconds()) // 3600,
    }
    return render(request, "dashboard/confirmations/index.html", context)


@page(MAY_DECIDE)
@require_POST
def confirm(request: HttpRequest, request_id: int) -> HttpResponse:
    """Have it done."""
    return _decided(request, request_id, confirmations.confirm, _("Confirmed and done: %(what)s."))


@page(MAY_DECIDE)
@require_POST
def cancel(request: HttpRequest, request_id: int) -> HttpResponse:
    """Give it up."""
    return _decided(request, request_id, confirmations.cancel, _("Cancelled: %(what)s."))


def _decided(
    request: HttpRequest, request_id: int, service: Callable[..., ConfirmationRequest], done: str
) -> HttpResponse:
    try:
        decided = service(request_id=request_id, actor=actor_of(request), clock=CLOCK)
    except FlxdrError as error:
        messages.error(request, str(error))
    else:
        what = f"{asked(decided, by='', now=CLOCK.now()).what} {decided.subject}"
        messages.success(request, done % {"what": what})
    return redirect("confirmations:index")
