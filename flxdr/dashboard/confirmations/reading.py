"""A request as the page shows it: in words, with where it leads, and whether the reader may confirm it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from federation.models import ConfirmationRequest

Action = ConfirmationRequest.Action
Status = ConfirmationRequest.Status
_WORDS = {
    Action.SUSPEND: gettext_noop("Suspend the organisation"),
    Action.READMIT: gettext_noop("Readmit the organisation"),
    Action.ABORT_ROUND: gettext_noop("Abort the round"),
    Action.ABORT_CAMPAIGN: gettext_noop("Abort the campaign"),
}


@dataclass(frozen=True)
class Asked:
    """A request for a reader.

    Attributes:
        what: the action in words, without its subject.
        address: the page of what it is about.
        state: as in `states`; a request whose time is over is expired, whether or not its row says so yet.
        is_own: whether the reader asked for it, who then cannot confirm it.
    """

    request: ConfirmationRequest
    what: str
    address: str
    state: str
    is_own: bool


def asked(request: ConfirmationRequest, *, by: str, now: datetime) -> Asked:
    """The request as `by`, named as in the audit trail, sees it."""
    overdue = request.status == Status.WAITING and request.expires_at <= now
    return Asked(
        request=request,
        what=_(_WORDS[Action(request.action)]),
        address=_address(Action(request.action), request.subject),
        state=Status.EXPIRED.value if overdue else request.status,
        is_own=request.requested_by == by,
    )


def _address(action: Action, subject: str) -> str:
    match action:
        case Action.SUSPEND | Action.READMIT:
            return reverse("organizations:detail", args=[subject])
        case Action.ABORT_ROUND:
            return reverse("rounds:detail", args=[subject])
        case Action.ABORT_CAMPAIGN:
            return reverse("admin:federation_campaign_change", args=[subject])
