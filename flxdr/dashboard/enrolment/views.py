"""Enrolment tokens: the list, giving one out, taking one back."""

from __future__ import annotations

from datetime import timedelta

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_POST

from federation.selectors.enrolment_tokens import enrolment_tokens_page
from federation.services.enrolment_tokens import create_enrolment_token, revoke_enrolment_token
from flxdr.core.errors import FlxdrError
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.enrolment.forms import TokenForm
from flxdr.dashboard.paging import Pages, Window
from flxdr.platform.auth.principal import actor_of

MAY_GIVE = "federation.add_enrolmenttoken"


@page("federation.view_enrolmenttoken")
@require_http_methods(["GET", "POST"])
@never_cache
def index(request: HttpRequest) -> HttpResponse:
    """All tokens; a POST makes one, and its answer is the only one that ever shows the secret."""
    form, secret = TokenForm(request.POST or None), None
    if request.method == "POST":
        if not request.user.has_perm(MAY_GIVE):
            raise PermissionDenied
        if form.is_valid():
            secret = _made(request, form)
    window = Window.of(request)
    rows, total = enrolment_tokens_page(CLOCK.now(), limit=window.limit, offset=window.offset)
    context = {"pages": Pages(rows, total, window), "form": form, "secret": secret}
    return render(request, "dashboard/enrolment/index.html", context)


@page(MAY_GIVE)
@require_POST
def revoke(request: HttpRequest, token_id: int) -> HttpResponse:
    """Make a token worthless that nobody used."""
    try:
        org_id = revoke_enrolment_token(token_id=token_id, actor=actor_of(request), clock=CLOCK)
    except FlxdrError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _("The token of %(org)s is worthless now.") % {"org": org_id})
    return redirect("enrolment:index")


def _made(request: HttpRequest, form: TokenForm) -> str | None:
    """The secret of a new token; None if it was refused, and then the form says why."""
    lifetime = timedelta(days=form.cleaned_data["days"])
    try:
        return create_enrolment_token(
            org_id=form.cleaned_data["org_id"], lifetime=lifetime, actor=actor_of(request), clock=CLOCK
        )
    except FlxdrError as error:
        form.add_error("org_id", str(error))
        return None
