"""An organisation's own page, read from the apps' selectors: nothing of it is another organisation's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

import ledger.selectors
from federation.models import ModelVersion, Organization
from federation.selectors import current_round_for, own_submission
from flxdr.dashboard.ledger.evidence import Evidence, read_evidence
from flxdr.dashboard.organizations.reading import Standing, read_standing


@dataclass(frozen=True)
class MemberPage:
    """Everything that the page shows; of the chain what the coordinator says, and on what."""

    standing: Standing
    waiting: dict[str, Any]
    evidence: Evidence


def read_member(organization: Organization, now: datetime) -> MemberPage:
    """Read it; the number of queries does not depend on how many rounds, blocks or organisations there are."""
    return MemberPage(
        standing=read_standing(organization.org_id, now),
        waiting=current_round_for(organization.org_id),
        evidence=read_evidence(now, interval=timedelta(seconds=settings.FLXDR.verify_interval)),
    )


def proof_of(organization: Organization, round_id: str) -> dict[str, Any]:
    """The organisation's submission in a round, the path from it to the root in the block, and which block that is.

    Raises:
        RoundMissing, SubmissionMissing
    """
    document = own_submission(organization.org_id, round_id)
    result = ModelVersion.objects.filter(training_round__round_id=round_id, block_height__isnull=False).first()
    block = None if result is None or result.block_height is None else ledger.selectors.block_at(result.block_height)
    return {
        "chain_id": ledger.selectors.chain_id(),
        "org_id": organization.org_id,
        **document,
        "block_height": None if block is None else block.height,
        "block_hash": None if block is None else block.block_hash,
    }
