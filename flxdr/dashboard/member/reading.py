"""An organisation's own page, read from the apps' selectors: nothing of it is another organisation's."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings

import ledger.selectors
from federation.models import ModelVersion, Organization
from federation.selectors import current_round_for, own_submission
from flxdr.dashboard.organizations.reading import Standing, read_standing
from ledger.models import Block, VerificationPass


@dataclass(frozen=True)
class ChainEvidence:
    """What the coordinator says of the chain, and on what; an organisation's own agent says it for sure.

    Attributes:
        newer: blocks above the last one that a pass found good.
    """

    chain_id: str
    head: Block
    last: VerificationPass | None
    newer: int
    state: str


@dataclass(frozen=True)
class MemberPage:
    """Everything that the page shows."""

    standing: Standing
    waiting: dict[str, Any]
    chain: ChainEvidence


def read_member(organization: Organization, now: datetime) -> MemberPage:
    """Read it; the number of queries does not depend on how many rounds, blocks or organisations there are."""
    return MemberPage(
        standing=read_standing(organization.org_id, now),
        waiting=current_round_for(organization.org_id),
        chain=_read_chain(now),
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


def _read_chain(now: datetime) -> ChainEvidence:
    head, last = ledger.selectors.head(), ledger.selectors.last_pass()
    newer = head.height + 1 if last is None or last.verified_to is None else max(0, head.height - last.verified_to)
    return ChainEvidence(
        chain_id=ledger.selectors.chain_id(), head=head, last=last, newer=newer, state=_state_of(last, newer, now)
    )


def _state_of(last: VerificationPass | None, newer: int, now: datetime) -> str:
    """`unknown`, `invalid`, `stale`, `behind` or `valid`; nothing is valid that was not looked at lately."""
    if last is None or last.began_at is None:
        return "unknown"
    if not last.valid:
        return "invalid"
    if last.began_at + 2 * timedelta(seconds=settings.FLXDR.verify_interval) < now:
        return "stale"
    return "behind" if newer else "valid"
