"""What an operator decides about an organisation with a reason: decline, and what takes two persons."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from django.conf import settings
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from federation.models import ConfirmationRequest, Organization
from federation.services import confirmations, enrolment
from flxdr.core.clock import Clock

Status = Organization.Status


@dataclass(frozen=True)
class Decision:
    """A decision as a page asks for it.

    Attributes:
        source: the state in which it is possible.
        act: does it, or asks for it, given `org_id`, `reason`, `actor` and `clock`; returns what to say then.
        two_person: whether another operator has to confirm it, unless the rule is off.
    """

    title: Promise
    consequence: Promise
    button: Promise
    source: Status
    act: Callable[..., str]
    two_person: bool

    @property
    def needs_another(self) -> bool:
        """Whether a second operator has to confirm it, as the settings are now."""
        return self.two_person and settings.FLXDR.two_person


def _decline(*, org_id: str, reason: str, actor: str, clock: Clock) -> str:
    enrolment.decline(org_id=org_id, reason=reason, actor=actor, clock=clock)
    return _("%(org)s was declined.") % {"org": org_id}


def _guarded(
    *, action: ConfirmationRequest.Action, done: Promise, org_id: str, reason: str, actor: str, clock: Clock
) -> str:
    request = confirmations.request_action(action=action, subject=org_id, reason=reason, actor=actor, clock=clock)
    if request is None:
        return str(done) % {"org": org_id}
    return _("Asked for. A second operator confirms it, or it expires after 24 hours.")


DECISIONS = {
    "decline": Decision(
        title=gettext_lazy("Decline the registration"),
        consequence=gettext_lazy(
            "The registration goes, and its name is free again. The audit trail keeps what was declared. An "
            "organisation that was a member before is suspended instead."
        ),
        button=gettext_lazy("Decline"),
        source=Status.PENDING,
        act=_decline,
        two_person=False,
    ),
    "suspend": Decision(
        title=gettext_lazy("Suspend the organisation"),
        consequence=gettext_lazy(
            "It is shut out at once: its tokens are refused, and no round asks it. Its key stays on the chain, and "
            "with it its vote, until the members revoke it. It can be readmitted."
        ),
        button=gettext_lazy("Ask for the suspension"),
        source=Status.ACTIVE,
        act=partial(_guarded, action=ConfirmationRequest.Action.SUSPEND, done=gettext_lazy("%(org)s is suspended.")),
        two_person=True,
    ),
    "readmit": Decision(
        title=gettext_lazy("Readmit the organisation"),
        consequence=gettext_lazy("Its tokens are taken again, and the next round asks it."),
        button=gettext_lazy("Ask for the readmission"),
        source=Status.SUSPENDED,
        act=partial(_guarded, action=ConfirmationRequest.Action.READMIT, done=gettext_lazy("%(org)s is readmitted.")),
        two_person=True,
    ),
}
