"""What operators do to rounds and campaigns that run."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from federation.models import ConfirmationRequest
from federation.services.confirmations import request_action
from flxdr.core.errors import FlxdrError, Missing
from flxdr.dashboard.access import CLOCK, page
from flxdr.dashboard.rounds.forms import AbortForm
from flxdr.platform.auth.principal import actor_of

Action = ConfirmationRequest.Action


@page("federation.change_traininground")
@require_POST
def abort(request: HttpRequest, round_id: str) -> HttpResponse:
    """Ask for a round to be stopped; a second operator confirms."""
    _ask(request, Action.ABORT_ROUND, round_id)
    return redirect("rounds:detail", round_id)


@page("federation.change_campaign")
@require_POST
def abort_campaign(request: HttpRequest, campaign_id: int) -> HttpResponse:
    """Ask for a campaign and its open round to be stopped; a second operator confirms."""
    _ask(request, Action.ABORT_CAMPAIGN, str(campaign_id))
    return redirect("rounds:index")


def _ask(request: HttpRequest, action: ConfirmationRequest.Action, subject: str) -> None:
    form = AbortForm(request.POST)
    if not form.is_valid():
        messages.error(request, _("Say why: the second operator decides by the reason."))
        return
    reason = form.cleaned_data["reason"]
    try:
        asked = request_action(action=action, subject=subject, reason=reason, actor=actor_of(request), clock=CLOCK)
    except Missing:
        raise
    except FlxdrError as error:
        messages.error(request, str(error))
        return
    if asked is None:
        messages.success(request, _("Stopped."))
    else:
        messages.success(request, _("Asked for. Nothing happens until a second operator confirms it."))
