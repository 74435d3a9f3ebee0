"""The actions that no operator carries out alone: whether each is possible now, and doing it."""

from __future__ import annotations

from typing import assert_never

from federation.errors import CampaignMissing
from federation.models import ConfirmationRequest
from federation.services import campaigns, enrolment, rounds
from flxdr.core.clock import Clock

Action = ConfirmationRequest.Action
NO_REASON = "no reason given"


def require_possible(*, action: Action, subject: str) -> None:
    """Refuse what the action itself would refuse now, without doing anything.

    Raises:
        OrganizationMissing, OrganizationStateConflict, RoundMissing, RoundStateConflict, CampaignMissing,
        CampaignStateConflict
    """
    match action:
        case Action.SUSPEND:
            enrolment.require_suspendable(org_id=subject)
        case Action.READMIT:
            enrolment.require_readmittable(org_id=subject)
        case Action.ABORT_ROUND:
            rounds.require_abortable(round_id=subject)
        case Action.ABORT_CAMPAIGN:
            campaigns.require_abortable(campaign_id=_campaign_id(subject))
        case _:
            assert_never(action)


def carry_out(*, action: Action, subject: str, reason: str, actor: str, clock: Clock) -> None:
    """Do it; raises what `require_possible` does."""
    why = reason or NO_REASON
    match action:
        case Action.SUSPEND:
            enrolment.suspend(org_id=subject, actor=actor, clock=clock)
        case Action.READMIT:
            enrolment.readmit(org_id=subject, actor=actor, clock=clock)
        case Action.ABORT_ROUND:
            rounds.abort_round(round_id=subject, actor=actor, reason=why, clock=clock)
        case Action.ABORT_CAMPAIGN:
            campaigns.abort_campaign(campaign_id=_campaign_id(subject), actor=actor, reason=why, clock=clock)
        case _:
            assert_never(action)


def audit_subject(*, action: Action, subject: str) -> str:
    """How the audit trail names what the action is about, as the action's own events do."""
    return f"campaign {subject}" if action == Action.ABORT_CAMPAIGN else subject


def _campaign_id(subject: str) -> int:
    if not (subject.isascii() and subject.isdecimal()) or len(subject) > 18:
        raise CampaignMissing(f"no campaign {subject!r}")
    return int(subject)
