"""One organisation's page, read from the apps' selectors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils.safestring import SafeString
from django.utils.translation import gettext as _

import ledger.selectors
import privacy.selectors
from federation.models import ConfirmationRequest, Organization
from federation.selectors import waiting_confirmation
from federation.selectors.organization_list import organization_by_id
from federation.selectors.overview import OrganizationGlance, glance_of
from federation.selectors.parts_of_organization import OwnPart, parts_of_organization
from flxdr.dashboard.audit.wording import sentence_of
from flxdr.dashboard.charts.participation import Bar, participation_chart
from flxdr.platform.audit.selectors import newest_events_about
from flxdr.platform.models import AuditEvent
from ledger.models import Proposal, SignerKey
from ledger.selectors.standing import Vote, Witnessing

ROUNDS_DRAWN = 50
ROUNDS_LISTED = 10
VOTES_LISTED = 10
EVENTS_LISTED = 20
_GUARDED = (ConfirmationRequest.Action.SUSPEND, ConfirmationRequest.Action.READMIT)


@dataclass(frozen=True)
class Standing:
    """What an organisation and an operator both see of it: keys, rounds, budget, votes, witness.

    Attributes:
        parts: in the newest rounds; `drawn` is the chart of more of them, None before the first round.
        rounds: how many it was asked in.
    """

    organization: Organization
    glance: OrganizationGlance
    keys: Sequence[SignerKey]
    proposals: Sequence[Proposal]
    parts: Sequence[OwnPart]
    drawn: SafeString | None
    rounds: int
    budget: dict[str, Any]
    votes: Sequence[Vote]
    witness: Witnessing | None
    detections: int


@dataclass(frozen=True)
class ToldEvent:
    """An event, what it says after the actor's name, and the reason that was given."""

    event: AuditEvent
    text: str
    reason: str


@dataclass(frozen=True)
class OrganizationPage:
    """Everything that an operator's page of an organisation shows."""

    standing: Standing
    events: Sequence[ToldEvent]
    waiting: ConfirmationRequest | None


def read_standing(org_id: str, now: datetime) -> Standing:
    """Read it; the number of queries does not depend on how many rounds, blocks or organisations there are.

    Raises:
        OrganizationMissing: there is none of that id.
    """
    organization = organization_by_id(org_id)
    parts, rounds = parts_of_organization(org_id, limit=ROUNDS_DRAWN, offset=0)
    return Standing(
        organization=organization,
        glance=glance_of(organization, now),
        keys=ledger.selectors.keys_of(org_id),
        proposals=ledger.selectors.proposals_about(org_id),
        parts=parts[:ROUNDS_LISTED],
        drawn=_chart(organization, parts) if parts else None,
        rounds=rounds,
        budget=privacy.selectors.budget(org_id),
        votes=ledger.selectors.votes_of(org_id, newest=VOTES_LISTED),
        witness=ledger.selectors.witnessing_of(org_id),
        detections=organization.shared_detections.count(),
    )


def read_organization(org_id: str, now: datetime) -> OrganizationPage:
    """As `read_standing`, with what operators decided and what waits for a second one."""
    standing = read_standing(org_id, now)
    requests = (waiting_confirmation(action, org_id, now) for action in _GUARDED)
    return OrganizationPage(
        standing=standing,
        events=[_told(event) for event in newest_events_about(org_id, limit=EVENTS_LISTED)],
        waiting=next((request for request in requests if request is not None), None),
    )


def _told(event: AuditEvent) -> ToldEvent:
    said = sentence_of(event.kind, event.data)
    return ToldEvent(event, f"{said.before}{event.subject}{said.after}", str(event.data.get("reason") or ""))


def _chart(organization: Organization, parts: Sequence[OwnPart]) -> SafeString:
    bars = [Bar(part.training_round.round_id, part.outcome, part.participant.update_norm) for part in reversed(parts)]
    title = _("Parts of %(name)s in the newest rounds") % {"name": organization.name}
    return participation_chart(bars, title=title)
