"""Who decides, and about what: proposals with their votes, members with their keys, the blocks that changed both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import ledger.selectors
from flxdr.core.clock import parse_timestamp
from flxdr.dashboard.paging import Pages, Window
from ledger.documents import governance_document
from ledger.models import Approval, Proposal
from ledger.selectors.proposals import count_waiting, proposals_matching


@dataclass(frozen=True)
class Vote:
    """A proposal, who approves it, who rejects it and why, and who has not answered."""

    proposal: Proposal
    approving: Sequence[str]
    rejections: Sequence[Approval]
    missing: Sequence[str]
    late: Sequence[str]

    @property
    def is_waiting(self) -> bool:
        return self.proposal.status in {Proposal.Status.OPEN, Proposal.Status.QUEUED}

    @property
    def action(self) -> str:
        """What a governance entry does: the first word of its subject."""
        return (self.proposal.subject or "").partition(" ")[0].replace("_", " ")

    @property
    def rest(self) -> str:
        """To whom or what: the rest of it."""
        return (self.proposal.subject or "").partition(" ")[2]

    @property
    def key_id(self) -> str:
        """The key that the entry is about: the last word of its subject."""
        return self.rest.rpartition(" ")[2]


@dataclass(frozen=True)
class Proposals:
    """A page of proposals, newest first, and how many wait in all."""

    pages: Pages
    waiting: int

    @property
    def waiting_votes(self) -> Sequence[Vote]:
        return [vote for vote in self.pages.items if vote.is_waiting]

    @property
    def ended_votes(self) -> Sequence[Vote]:
        return [vote for vote in self.pages.items if not vote.is_waiting]


def read_proposals(window: Window, *, status: str, number: int | None) -> Proposals:
    """Read it in a number of queries that does not depend on how many proposals or voters there are."""
    rows, total = proposals_matching(status=status, number=number, limit=window.limit, offset=window.offset)
    answers = ledger.selectors.answers_to(rows)
    late = ledger.selectors.late_approvals_of(row.block_hash for row in rows if row.block_hash)
    votes = [
        _vote(row, answers.get(row.block_hash or "", []), [a.org_id for a in late.get(row.block_hash or "", [])])
        for row in rows
    ]
    return Proposals(Pages(votes, total, window), count_waiting())


def _vote(proposal: Proposal, answers: Sequence[Approval], late: Sequence[str]) -> Vote:
    approving = [each.org_id for each in answers if each.verdict == Approval.Verdict.APPROVE]
    answered = {each.org_id for each in answers} | set(late)
    return Vote(
        proposal=proposal,
        approving=[org_id for org_id in approving if org_id in proposal.voters],
        rejections=[each for each in answers if each.verdict == Approval.Verdict.REJECT],
        missing=[org_id for org_id in proposal.voters if org_id not in answered],
        late=sorted(late),
    )


@dataclass(frozen=True)
class Governance:
    """The policy, members and keys in force, retired keys, and a page of the entries that made them so."""

    document: dict[str, Any]
    pages: Pages


def read_governance(window: Window) -> Governance:
    """Read it from the chain's index."""
    blocks, total = ledger.selectors.governance_page(window.limit, window.offset)
    document = governance_document(blocks)
    entries = [{**entry, "moment": parse_timestamp(entry["timestamp"])} for entry in document["entries"]]
    return Governance(document, Pages(entries, total, window))
