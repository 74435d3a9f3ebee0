"""Votes on the open proposal, the coordinator's signature, and the seal."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from django.db import transaction

from flxdr.core import dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import PublicKey
from flxdr.platform.audit import record_event
from flxdr.platform.identity import coordinator_key, coordinator_keys
from ledger import selectors
from ledger.chain.approvals import SignedApproval, rejection_statement
from ledger.chain.block import parse_header
from ledger.chain.entries import COORDINATOR, Action, Rotate
from ledger.chain.quorum import SealRule
from ledger.errors import AlreadyAnswered, CoordinatorKeyMismatch, KeyNotAdmitted, NotAVoter, ProposalClosed
from ledger.models import Approval, Block, LateApproval, Proposal
from ledger.services import listeners
from ledger.services.appending import append_block
from ledger.services.headers import model_concerned
from ledger.services.locking import lock_chain
from ledger.services.proposals import end_proposal, open_next


@transaction.atomic
def approve(*, proposal_id: int, org_id: str, key_id: str, signature: bytes, clock: Clock) -> Proposal:
    """Record an organisation's approval; seals the block if it was the last one missing.

    Approving again changes nothing and returns the proposal as it is, sealed or not. An approval that comes after the
    seal is kept beside the chain: it changes no certificate and is counted nowhere.

    Args:
        signature: DSSE signature over the proposal's header bytes, type `application/vnd.flxdr.block+json`.

    Raises:
        ledger.errors.ProposalMissing: no such proposal.
        ProposalClosed: it ended without a seal, or its deadline has passed.
        NotAVoter: the organisation has no vote on it.
        KeyNotAdmitted: the key is not the organisation's on the chain (of a sealed block: was not at its height).
        AlreadyAnswered: the organisation rejected it before.
        flxdr.core.keys.SignatureInvalid: the signature is not over this header by this key.
    """
    lock_chain()
    proposal = selectors.proposal_by_id(proposal_id)
    if _answered(proposal, org_id, Approval.Verdict.APPROVE):
        return proposal
    if proposal.status == Proposal.Status.SEALED:
        _record_late(proposal, SignedApproval(org_id, key_id, signature), clock)
        return proposal
    if not _takes_answers(proposal, clock):
        raise _closed(proposal, expected="an open proposal before its deadline")
    key = _voter_key(proposal, org_id, key_id)
    dsse.verify(key, signature, dsse.BLOCK_TYPE, _header(proposal))
    _record(proposal, SignedApproval(org_id, key_id, signature), Approval.Verdict.APPROVE, clock)
    _seal_if_met(proposal, clock)
    proposal.refresh_from_db()
    return proposal


@transaction.atomic
def reject(*, proposal_id: int, org_id: str, key_id: str, signature: bytes, reason: str, clock: Clock) -> Proposal:
    """Record an organisation's refusal; ends the proposal once the quorum is out of reach.

    A proposal that ended without a seal takes refusals still: enough of them prove to those who had approved it that
    it can never be sealed, so they are free to approve another block at its height.

    Args:
        signature: DSSE signature over `ledger.chain.approvals.rejection_statement`, type
            `application/vnd.flxdr.rejection+json`.

    Raises:
        As `approve`; AlreadyAnswered if the organisation approved it before.
    """
    lock_chain()
    proposal = selectors.proposal_by_id(proposal_id)
    if _answered(proposal, org_id, Approval.Verdict.REJECT):
        return proposal
    if proposal.block_hash is None or proposal.status == Proposal.Status.SEALED:
        raise _closed(proposal, expected="a proposal with a header that is not sealed")
    key = _voter_key(proposal, org_id, key_id)
    statement = rejection_statement(block_hash=proposal.block_hash, org_id=org_id, reason=reason)
    dsse.verify(key, signature, dsse.REJECTION_TYPE, statement)
    _record(proposal, SignedApproval(org_id, key_id, signature), Approval.Verdict.REJECT, clock, reason)
    rejecting = _organizations(proposal, Approval.Verdict.REJECT)
    if proposal.status == Proposal.Status.OPEN and _rule(proposal).is_lost(rejecting):
        end_proposal(
            proposal=proposal,
            status=Proposal.Status.REJECTED,
            actor=org_id,
            reason=f"rejected by {', '.join(sorted(rejecting))}: {reason}",
            clock=clock,
        )
        open_next(clock=clock)
    proposal.refresh_from_db()
    return proposal


@transaction.atomic
def countersign(*, proposal_id: int, clock: Clock) -> Proposal:
    """Add the coordinator's signature to an open proposal; it never counts towards the quorum.

    Idempotent: a proposal that has it, or is not open any more, stays as it is.

    Raises:
        ledger.errors.ProposalMissing: no such proposal.
        CoordinatorKeyMismatch: the key at hand is not the one on the chain, or the block would put one there that is
            not at hand.
    """
    lock_chain()
    proposal = selectors.proposal_by_id(proposal_id)
    if not _takes_answers(proposal, clock) or _answered(proposal, COORDINATOR, Approval.Verdict.APPROVE):
        return proposal
    key = coordinator_key()
    recorded = selectors.key_set().coordinator
    if key.public.key_id != recorded.key_id:
        raise CoordinatorKeyMismatch(
            f"the coordinator's key is {key.public.key_id[:16]}, the chain records {recorded.key_id[:16]}",
            expected="the key that the chain records",
            action="Restore the key (PQC_SK_B64, or the keys folder of FL_DATA_DIR) that belongs to this database.",
        )
    _require_next_key(parse_header(_header(proposal)).governance.actions)
    signature = dsse.sign(key, dsse.BLOCK_TYPE, _header(proposal))
    _record(proposal, SignedApproval(COORDINATOR, recorded.key_id, signature), Approval.Verdict.APPROVE, clock)
    _seal_if_met(proposal, clock)
    proposal.refresh_from_db()
    return proposal


def conclude(*, proposal: Proposal, block: Block, approved_by: Collection[str], clock: Clock) -> None:
    """Mark an open proposal as sealed by `block`, which was appended, and tell the listeners.

    Called inside the caller's transaction, which holds the chain.
    """
    sealed = Proposal.objects.filter(pk=proposal.pk, status=Proposal.Status.OPEN).update(
        status=Proposal.Status.SEALED, ended_at=clock.now()
    )
    assert sealed == 1, "the chain is locked, so nobody else ended it"
    proposal.refresh_from_db()
    record_event(
        kind="block.sealed",
        actor=COORDINATOR,
        subject=f"block {block.height}",
        data={
            "height": block.height,
            "type": block.type,
            "block_hash": block.block_hash,
            "model_hash": block.model_hash,
            "round_id": block.round_id,
            "approved_by": sorted(approved_by),
            "rule": proposal.rule,
        },
        stream=proposal.stream,
        clock=clock,
    )
    if block.type == Block.Type.RELEASE:
        for listener in listeners.registered():
            listener.release_sealed(proposal=proposal, block=block)
    listeners.tell_entries(block, clock)


def _require_next_key(actions: Sequence[Action]) -> None:
    """Nobody could seal anything after the rotation to a key that this process does not hold."""
    held = {key.public.key_id for key in coordinator_keys()}
    for action in actions:
        if isinstance(action, Rotate) and action.statement.org_id == COORDINATOR and action.key.key_id not in held:
            raise CoordinatorKeyMismatch(
                f"the coordinator does not hold the key {action.key.key_id[:16]} that is to take its key's place",
                expected="both keys until the block is sealed",
                action="Give every process of the coordinator PQC_NEXT_SK_B64, or the keys folder of FL_DATA_DIR.",
            )


def _answered(proposal: Proposal, org_id: str, verdict: Approval.Verdict) -> bool:
    """Whether the organisation gave this answer already.

    Raises:
        AlreadyAnswered: it gave the other one.
    """
    if proposal.block_hash is None:
        return False
    answer = Approval.objects.filter(block_hash=proposal.block_hash, org_id=org_id).first()
    if answer is None:
        return False
    if answer.verdict != verdict:
        raise AlreadyAnswered(
            f"{org_id} answered proposal {proposal.pk} with {answer.verdict}", expected="one answer per organisation"
        )
    return True


def _closed(proposal: Proposal, expected: str) -> ProposalClosed:
    return ProposalClosed(
        f"proposal {proposal.pk} is {proposal.status}",
        expected=expected,
        action="Ask for the open proposals again.",
        proposal_status=proposal.status,
    )


def _record_late(proposal: Proposal, signed: SignedApproval, clock: Clock) -> None:
    assert proposal.block_hash is not None
    assert proposal.height is not None
    _check_voter(proposal, signed.org_id)
    if LateApproval.objects.filter(block_hash=proposal.block_hash, org_id=signed.org_id).exists():
        return
    key = selectors.key_at(signed.org_id, signed.key_id, proposal.height)
    if key is None:
        raise KeyNotAdmitted(
            f"key {signed.key_id[:16]} was not on the chain for {signed.org_id} before block {proposal.height}",
            expected="a key that was in force when the block was proposed",
        )
    dsse.verify(key, signed.signature, dsse.BLOCK_TYPE, _header(proposal))
    LateApproval.objects.create(
        block_hash=proposal.block_hash, org_id=signed.org_id, key_id=signed.key_id, signature=signed.signature
    )
    record_event(
        kind="approval.late",
        actor=signed.org_id,
        subject=f"proposal {proposal.pk}",
        data={"key_id": signed.key_id, "block_hash": proposal.block_hash, "height": proposal.height},
        stream=proposal.stream,
        clock=clock,
    )


def _check_voter(proposal: Proposal, org_id: str) -> None:
    if org_id not in proposal.voters:
        raise NotAVoter(
            f"{org_id} has no vote on proposal {proposal.pk}", expected=", ".join(proposal.voters) or COORDINATOR
        )


def _voter_key(proposal: Proposal, org_id: str, key_id: str) -> PublicKey:
    _check_voter(proposal, org_id)
    key = next((key for key in selectors.members().get(org_id, []) if key.key_id == key_id), None)
    if key is None:
        raise KeyNotAdmitted(
            f"key {key_id[:16]} is not on the chain for {org_id}", expected="a key that an admission block records"
        )
    return key


def _takes_answers(proposal: Proposal, clock: Clock) -> bool:
    return proposal.status == Proposal.Status.OPEN and proposal.deadline is not None and clock.now() < proposal.deadline


def _record(
    proposal: Proposal, signed: SignedApproval, verdict: Approval.Verdict, clock: Clock, reason: str = ""
) -> None:
    assert proposal.block_hash is not None
    Approval.objects.create(
        block_hash=proposal.block_hash,
        org_id=signed.org_id,
        key_id=signed.key_id,
        signature=signed.signature,
        verdict=verdict,
        reason=reason,
    )
    record_event(
        kind="approval.recorded",
        actor=signed.org_id,
        subject=f"proposal {proposal.pk}",
        data={
            "verdict": verdict.value,
            "key_id": signed.key_id,
            "block_hash": proposal.block_hash,
            "reason": reason,
        },
        stream=proposal.stream,
        clock=clock,
    )


def _seal_if_met(proposal: Proposal, clock: Clock) -> None:
    assert proposal.block_hash is not None
    approvals = selectors.approvals_of([proposal.block_hash])[proposal.block_hash]
    signers = {approval.org_id for approval in approvals}
    if COORDINATOR not in signers or not _rule(proposal).is_met(signers):
        return
    header = parse_header(_header(proposal))
    state = selectors.chain_state(model_concerned(header.provenance, header.governance.actions))
    block = append_block(header=_header(proposal), approvals=approvals, state=state)
    conclude(proposal=proposal, block=block, approved_by=signers - {COORDINATOR}, clock=clock)
    open_next(clock=clock)


def _header(proposal: Proposal) -> bytes:
    assert proposal.header is not None
    return bytes(proposal.header)


def _rule(proposal: Proposal) -> SealRule:
    governance = parse_header(_header(proposal)).governance
    return SealRule(governance.rule, governance.voters, governance.threshold)


def _organizations(proposal: Proposal, verdict: Approval.Verdict) -> set[str]:
    answers = Approval.objects.filter(block_hash=proposal.block_hash, verdict=verdict)
    return set(answers.values_list("org_id", flat=True))
