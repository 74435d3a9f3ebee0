"""Where one organisation stands on the chain: its keys, what is proposed about them, its votes, its witness."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from ledger.models import Approval, Cosignature, LateApproval, Proposal, SignerKey, WitnessKey

MOST_KEYS = 20
_WAITING = (Proposal.Status.QUEUED, Proposal.Status.OPEN)


@dataclass(frozen=True)
class Vote:
    """An organisation's answer to a proposal on which it has a vote.

    Attributes:
        verdict: `approve`, `reject`, `late` (approved after the block was sealed), or `unanswered`.
    """

    proposal: Proposal
    verdict: str
    reason: str


@dataclass(frozen=True)
class Witnessing:
    """An organisation's witness: its key, and the newest checkpoint that it cosigned."""

    key: WitnessKey
    newest: Cosignature | None


def keys_of(org_id: str) -> Sequence[SignerKey]:
    """The keys that the chain admitted for an organisation, the newest first."""
    return list(SignerKey.objects.filter(org_id=org_id).order_by("-admitted_height", "key_id")[:MOST_KEYS])


def proposals_about(org_id: str) -> Sequence[Proposal]:
    """The proposals about an organisation's keys that wait or are open, oldest first."""
    waiting = Proposal.objects.filter(status__in=_WAITING, org_id=org_id, type=Proposal.Type.GOVERNANCE)
    return list(waiting.defer("content", "header").order_by("pk")[:MOST_KEYS])


def votes_of(org_id: str, *, newest: int) -> Sequence[Vote]:
    """How an organisation answered the newest proposals, as far as it has a vote on them; newest first."""
    opened = Proposal.objects.filter(block_hash__isnull=False).defer("content", "header").order_by("-pk")[:newest]
    asked = [proposal for proposal in opened if org_id in proposal.voters]
    hashes = [proposal.block_hash for proposal in asked]
    answers = {row.block_hash: row for row in Approval.objects.filter(org_id=org_id, block_hash__in=hashes)}
    late = set(LateApproval.objects.filter(org_id=org_id, block_hash__in=hashes).values_list("block_hash", flat=True))
    return [_vote(proposal, answers, late) for proposal in asked]


def witnessing_of(org_id: str) -> Witnessing | None:
    """An organisation's witness, if it has one."""
    key = WitnessKey.objects.filter(org_id=org_id).order_by("-pk").first()
    if key is None:
        return None
    return Witnessing(key, Cosignature.objects.filter(org_id=org_id).order_by("-size").first())


def _vote(proposal: Proposal, answers: dict[str, Approval], late: set[str]) -> Vote:
    assert proposal.block_hash is not None
    answer = answers.get(proposal.block_hash)
    if answer is not None:
        return Vote(proposal, answer.verdict, answer.reason)
    return Vote(proposal, "late" if proposal.block_hash in late else "unanswered", "")
