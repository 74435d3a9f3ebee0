"""Votes that do not count: by whom, with which key, over which bytes."""

from __future__ import annotations

from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import SignatureInvalid
from flxdr.platform.models import AuditEvent
from ledger import selectors
from ledger.chain.entries import COORDINATOR
from ledger.errors import KeyNotAdmitted, NotAVoter, ProposalMissing
from ledger.models import Approval, Proposal
from ledger.services import approvals
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, header_of, rejection_of


def _wrong_signature(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, "org-a", signature=bytes(64))


def _other_block(consortium: Consortium, proposal: Proposal) -> None:
    genesis = bytes(selectors.block_at(0).header)
    consortium.approve(proposal, "org-a", signature=dsse.sign(key_of("org-a"), dsse.BLOCK_TYPE, genesis))


def _raw_signature(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, "org-a", signature=key_of("org-a").sign(header_of(proposal)))


def _rejection_as_approval(consortium: Consortium, proposal: Proposal) -> None:
    statement = rejection_of(proposal, "org-a", "no")
    signature = dsse.sign(key_of("org-a"), dsse.REJECTION_TYPE, statement)
    consortium.approve(proposal, "org-a", signature=signature)


def _strangers_key(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, "org-a", key=key_of("stranger"))


def _other_members_key(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, "org-a", key=key_of("org-b"))


def _stranger(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, "stranger")


def _as_coordinator(consortium: Consortium, proposal: Proposal) -> None:
    consortium.approve(proposal, COORDINATOR, key=key_of("org-a"))


def _unknown(consortium: Consortium, proposal: Proposal) -> None:
    proposal.pk = 10**6
    consortium.approve(proposal, "org-a")


@pytest.mark.parametrize(
    ("attempt", "refusal"),
    [
        (_wrong_signature, SignatureInvalid),
        (_other_block, SignatureInvalid),
        (_raw_signature, SignatureInvalid),
        (_rejection_as_approval, SignatureInvalid),
        (_strangers_key, KeyNotAdmitted),
        (_other_members_key, KeyNotAdmitted),
        (_stranger, NotAVoter),
        (_as_coordinator, NotAVoter),
        (_unknown, ProposalMissing),
    ],
)
def test_refused_votes_leave_nothing(consortium: Consortium, attempt: Any, refusal: type[FlxdrError]) -> None:
    consortium.admit("org-a", "org-b")
    proposal = consortium.propose_release(1, ["org-a", "org-b"])
    events = AuditEvent.objects.count()
    with pytest.raises(refusal):
        attempt(consortium, proposal)
    assert not Approval.objects.filter(block_hash=proposal.block_hash).exists()
    assert AuditEvent.objects.count() == events


def test_a_rejection_signs_its_reason(consortium: Consortium) -> None:
    consortium.admit("org-a", "org-b")
    proposal = consortium.propose_release(1, ["org-a", "org-b"])
    with pytest.raises(SignatureInvalid):
        approvals.reject(
            proposal_id=proposal.pk,
            org_id="org-a",
            key_id=key_of("org-a").public.key_id,
            signature=dsse.sign(key_of("org-a"), dsse.REJECTION_TYPE, rejection_of(proposal, "org-a", "one reason")),
            reason="another reason",
            clock=consortium.clock,
        )
