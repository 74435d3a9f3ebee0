"""Approvals that come after the seal: kept and shown, and nothing that is hashed or counted knows of them."""

from __future__ import annotations

from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.dsse import decode_base64
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import SignatureInvalid
from flxdr.platform.models import AuditEvent
from ledger import documents, selectors
from ledger.chain.entries import COORDINATOR
from ledger.errors import AlreadyAnswered, KeyNotAdmitted, NotAVoter, ProposalClosed
from ledger.models import Approval, Block, LateApproval, Proposal, SignerKey
from ledger.services.verification import verify_ledger
from tests.ledger.chains import key_of
from tests.ledger.members import Consortium, header_of, statement_for

FOUR = ["org-a", "org-b", "org-c", "org-d"]


@pytest.fixture
def sealed(consortium: Consortium) -> Proposal:
    """A release that three of four approved; the fourth, org-d, comes late."""
    consortium.admit(*FOUR)
    return consortium.release(1, FOUR)


def _everything() -> Any:
    return (
        list(Block.objects.values_list("block_hash", "header")),
        list(Approval.objects.values_list("org_id", "block_hash", "signature")),
        [record.as_json(height) for height, record in enumerate(selectors.chain_records())],
        selectors.chain_state("global"),
    )


def test_it_is_kept_and_changes_nothing(consortium: Consortium, sealed: Proposal) -> None:
    before, report = _everything(), verify_ledger(clock=consortium.clock)
    assert consortium.approve(sealed, "org-d").status == Proposal.Status.SEALED
    assert _everything() == before
    after = verify_ledger(clock=consortium.clock)
    assert after.chain_valid
    assert (after.blocks_verified, after.last_block_hash) == (report.blocks_verified, report.last_block_hash)
    # The next block's certificate is over the approvals that sealed this one.
    consortium.release(2, FOUR)
    assert verify_ledger(clock=consortium.clock).chain_valid


def test_it_is_shown_so_that_anybody_can_verify_it(consortium: Consortium, sealed: Proposal) -> None:
    consortium.approve(sealed, "org-d")
    block = documents.block_documents([selectors.head()])[0]
    assert sorted(block["signatures"]) == [COORDINATOR, "org-a", "org-b", "org-c"]
    (late,) = block["late_approvals"]
    assert (late["org_id"], late["key_id"]) == ("org-d", key_of("org-d").public.key_id)
    signature = decode_base64(late["signature"], "signature")
    dsse.verify(key_of("org-d").public, signature, dsse.BLOCK_TYPE, bytes(selectors.head().header))
    proposal = documents.proposal_document(sealed)
    assert proposal["late_approvals"] == ["org-d"]
    assert "org-d" not in proposal["approvals"]


def test_again_changes_nothing(consortium: Consortium, sealed: Proposal) -> None:
    for _ in range(2):
        consortium.approve(sealed, "org-d")
        consortium.approve(sealed, "org-a")
    assert list(LateApproval.objects.values_list("org_id", flat=True)) == ["org-d"]
    events = AuditEvent.objects.filter(kind="approval.late").values_list("actor", "subject")
    assert list(events) == [("org-d", f"proposal {sealed.pk}")]


def _signed_something_else(consortium: Consortium, sealed: Proposal) -> None:
    genesis = bytes(selectors.block_at(0).header)
    consortium.approve(sealed, "org-d", signature=dsse.sign(key_of("org-d"), dsse.BLOCK_TYPE, genesis))


@pytest.mark.parametrize(
    ("attempt", "refusal"),
    [
        (_signed_something_else, SignatureInvalid),
        (lambda c, p: c.approve(p, "org-d", key=key_of("stranger")), KeyNotAdmitted),
        (lambda c, p: c.approve(p, "org-d", key=key_of("org-a")), KeyNotAdmitted),
        (lambda c, p: c.approve(p, "stranger"), NotAVoter),
        (lambda c, p: c.reject(p, "org-d"), ProposalClosed),
    ],
)
def test_what_is_refused_leaves_nothing(
    consortium: Consortium, sealed: Proposal, attempt: Any, refusal: type[FlxdrError]
) -> None:
    events = AuditEvent.objects.count()
    with pytest.raises(refusal):
        attempt(consortium, sealed)
    assert not LateApproval.objects.exists()
    assert AuditEvent.objects.count() == events


def test_who_rejected_does_not_approve_later(consortium: Consortium) -> None:
    consortium.admit(*FOUR)
    proposal = consortium.propose_release(1, FOUR)
    consortium.reject(proposal, "org-d")
    proposal = consortium.seal(proposal)
    with pytest.raises(AlreadyAnswered):
        consortium.approve(proposal, "org-d")


def test_the_key_has_to_be_one_of_before_the_block(consortium: Consortium, sealed: Proposal) -> None:
    second = key_of("org-d second")
    statement = statement_for("org-d", second)
    endorsement = (key_of("org-d").public.key_id, dsse.sign(key_of("org-d"), dsse.REGISTRATION_TYPE, statement))
    consortium.seal(consortium.propose_admission("org-d", key=second, statement=statement, endorsement=endorsement))
    with pytest.raises(KeyNotAdmitted):
        consortium.approve(sealed, "org-d", key=second)
    consortium.approve(sealed, "org-d")
    assert LateApproval.objects.get().key_id == key_of("org-d").public.key_id


@pytest.mark.parametrize(("revoked", "in_force"), [(-1, False), (0, True), (1, True)])
def test_a_key_serves_up_to_the_block_that_revokes_it(
    consortium: Consortium, sealed: Proposal, revoked: int, in_force: bool
) -> None:
    assert sealed.height is not None
    SignerKey.objects.filter(org_id="org-d").update(revoked_height=sealed.height + revoked)
    key = selectors.key_at("org-d", key_of("org-d").public.key_id, sealed.height)
    assert (key is not None) is in_force


def test_a_late_approval_is_of_the_sealed_bytes(consortium: Consortium, sealed: Proposal) -> None:
    consortium.approve(sealed, "org-d")
    kept = LateApproval.objects.get()
    assert kept.block_hash == selectors.head().block_hash
    dsse.verify(key_of("org-d").public, bytes(kept.signature), dsse.BLOCK_TYPE, header_of(sealed))
