"""Proposals and the answers to them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from django.db.models import Count, Q, QuerySet

from ledger.chain.entries import COORDINATOR
from ledger.errors import ProposalMissing
from ledger.models import Approval, Proposal


def proposal_by_id(proposal_id: int) -> Proposal:
    """One proposal.

    Raises:
        ProposalMissing: no such number.
    """
    proposal = Proposal.objects.filter(pk=proposal_id).first()
    if proposal is None:
        raise ProposalMissing(f"no proposal {proposal_id}", proposal_id=proposal_id)
    return proposal


def proposals_page(limit: int, offset: int, *, open_only: bool = False) -> tuple[list[Proposal], int]:
    """Proposals, newest first, and how many there are."""
    rows = Proposal.objects.order_by("-id")
    if open_only:
        rows = rows.filter(status=Proposal.Status.OPEN)
    return list(rows[offset : offset + limit]), rows.count()


def proposal_of_round(round_id: str) -> Proposal | None:
    """The newest proposal to release a round's model."""
    return Proposal.objects.filter(round_id=round_id).order_by("-id").first()


def proposals_for(org_id: str) -> list[Proposal]:
    """The open proposals on which the organisation has a vote that it has not given."""
    proposals = [p for p in Proposal.objects.filter(status=Proposal.Status.OPEN) if org_id in p.voters]
    answered = Approval.objects.filter(org_id=org_id, block_hash__in=[p.block_hash for p in proposals])
    done = set(answered.values_list("block_hash", flat=True))
    return [proposal for proposal in proposals if proposal.block_hash not in done]


def revocations_against(org_id: str) -> list[Proposal]:
    """The open proposals to revoke a key of that organisation."""
    return list(Proposal.objects.filter(status=Proposal.Status.OPEN, subject__startswith=f"revoke {org_id} "))


def answers_to(proposals: Sequence[Proposal]) -> dict[str, list[Approval]]:
    """Every answer to those proposals by block hash, in the order given."""
    answers: dict[str, list[Approval]] = defaultdict(list)
    hashes = [proposal.block_hash for proposal in proposals if proposal.block_hash is not None]
    for answer in Approval.objects.filter(block_hash__in=hashes).order_by("id"):
        answers[answer.block_hash].append(answer)
    return answers


def unsigned_by_coordinator() -> QuerySet[Proposal]:
    """Open proposals that wait for the coordinator's signature."""
    signed = Approval.objects.filter(org_id=COORDINATOR).values("block_hash")
    return Proposal.objects.filter(Q(status=Proposal.Status.OPEN) & ~Q(block_hash__in=signed))


def count_waiting() -> int:
    """How many proposals are open or queued."""
    return Proposal.objects.filter(status__in=(Proposal.Status.OPEN, Proposal.Status.QUEUED)).count()


def proposals_matching(
    *, status: str = "", number: int | None = None, limit: int, offset: int
) -> tuple[list[Proposal], int]:
    """Proposals without their headers, newest first, and how many match; what is empty does not restrict."""
    rows = Proposal.objects.order_by("-id").defer("header", "content")
    if status:
        rows = rows.filter(status=status)
    if number is not None:
        rows = rows.filter(pk=number)
    return list(rows[offset : offset + limit]), rows.count()


def waiting_by_status() -> dict[str, int]:
    """How many proposals are queued, and how many are open."""
    waiting = (Proposal.Status.QUEUED, Proposal.Status.OPEN)
    rows = Proposal.objects.filter(status__in=waiting).order_by().values_list("status").annotate(Count("pk"))
    return {status.value: 0 for status in waiting} | dict(rows)
