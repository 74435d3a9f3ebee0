"""Proposals that change keys, the policy, or the standing of a release: one entry each.

Who may propose what is checked here: an organisation speaks for its own keys only, and nobody rotates another's key.
"""

from __future__ import annotations

from typing import Any

import msgspec
from django.db import transaction

from flxdr.core import canonical, dsse
from flxdr.core.clock import Clock
from flxdr.core.keys import PrivateKey, PublicKey
from flxdr.platform.audit import record_event
from flxdr.platform.identity import coordinator_key
from ledger import selectors
from ledger.chain.checks import check_entry
from ledger.chain.entries import (
    COORDINATOR,
    Action,
    Admit,
    Endorsement,
    PolicyEntry,
    Revoke,
    Rotate,
    RotationStatement,
    SetPolicy,
    WithdrawRelease,
    encode_statement,
    index_entry,
    parse_rotation,
    parse_statement,
    subject_of,
)
from ledger.chain.fields import convert
from ledger.chain.membership import key_entry
from ledger.errors import EntryForbidden, ProposalConflict
from ledger.models import Proposal
from ledger.services.headers import model_concerned
from ledger.services.locking import lock_chain
from ledger.services.proposals import open_next

_WAITING = (Proposal.Status.QUEUED, Proposal.Status.OPEN)
_LIVE = (*_WAITING, Proposal.Status.SEALED)


def propose_admission(
    *,
    org_id: str,
    public_key: PublicKey,
    proof: bytes,
    statement: bytes,
    clock: Clock,
    endorsement: tuple[str, bytes] | None = None,
) -> Proposal:
    """Propose that a key becomes the organisation's on the chain.

    Proposing the same key again returns the proposal that is waiting or sealed.

    Args:
        statement: canonical bytes of the registration statement, `proof` the new key's signature over it.
        endorsement: key id and signature over the statement by a key that the organisation already has; needed only
            for a further key.

    Raises:
        ledger.chain.failures.BlockInvalid: the statement, the proof or the endorsement does not hold.
        ProposalConflict: the key is proposed or sealed for another organisation.
    """
    action = Admit(
        org_id=org_id,
        key=key_entry(public_key),
        statement=parse_statement(statement),
        proof=dsse.encode_base64(proof),
        endorsement=_endorsement(endorsement) if endorsement else None,
    )
    return propose_entry(action=action, actor=org_id, clock=clock)


def propose_rotation(
    *,
    org_id: str,
    public_key: PublicKey,
    proof: bytes,
    statement: bytes,
    endorsement: tuple[str, bytes],
    clock: Clock,
) -> Proposal:
    """Propose that an organisation's new key takes the place of one that it has.

    Proposing the same key again returns the proposal that is waiting or sealed.

    Args:
        org_id: the organisation that asks.
        statement: canonical bytes of the rotation statement, `proof` the new key's signature over it.
        endorsement: key id and signature over the statement by a key in force of the organisation.

    Raises:
        EntryForbidden: the statement is about another holder's key.
        ledger.chain.failures.BlockInvalid: the statement, the proof or the endorsement does not hold.
        ProposalConflict: another rotation of that key waits, or the new key is somebody else's.
    """
    stated = parse_rotation(statement)
    _require_own(org_id, stated.org_id)
    action = Rotate(
        key=key_entry(public_key),
        statement=stated,
        proof=dsse.encode_base64(proof),
        endorsement=_endorsement(endorsement),
    )
    return propose_entry(action=action, actor=org_id, clock=clock)


def propose_coordinator_rotation(*, new_key: PrivateKey, actor: str, clock: Clock) -> Proposal:
    """Propose that `new_key` takes the place of the coordinator's key.

    Raises:
        ledger.chain.failures.BlockInvalid: the key was on the chain before.
        ProposalConflict: another rotation of the coordinator's key waits.
    """
    old_key = coordinator_key()
    statement = RotationStatement(
        v=1,
        org_id=COORDINATOR,
        key_id=new_key.public.key_id,
        retires=old_key.public.key_id,
        chain_id=selectors.chain_id(),
    )
    signed = encode_statement(statement)
    action = Rotate(
        key=key_entry(new_key.public),
        statement=statement,
        proof=dsse.encode_base64(dsse.sign(new_key, dsse.ROTATION_TYPE, signed)),
        endorsement=_endorsement((old_key.public.key_id, dsse.sign(old_key, dsse.ROTATION_TYPE, signed))),
    )
    return propose_entry(action=action, actor=actor, clock=clock)


def propose_revocation(
    *,
    org_id: str,
    key_id: str,
    compromised_since: int | None,
    reason: str,
    proposer: str | None,
    actor: str,
    clock: Clock,
) -> Proposal:
    """Propose that an organisation's key is taken from it. The organisation has no vote on that.

    Args:
        compromised_since: height from which on the key's signatures are in doubt; null if none are.
        proposer: the organisation that asks, which may name its own keys only; None for an operator.

    Raises:
        EntryForbidden: an organisation asks for another one's key.
        ledger.chain.failures.BlockInvalid: no such key is in force, or too few members would be left.
        ProposalConflict: another revocation of that key waits.
    """
    if proposer is not None:
        _require_own(proposer, org_id)
    action = Revoke(org_id=org_id, key_id=key_id, compromised_since=compromised_since, reason=reason)
    return propose_entry(action=action, actor=actor, clock=clock)


def propose_withdrawal(
    *, model_name: str, model_version: int, reason: str, proposer: str | None, actor: str, clock: Clock
) -> Proposal:
    """Propose that a release, and every later one of its model, is used no more.

    Args:
        proposer: the organisation that asks, which must be a member; None for an operator.

    Raises:
        EntryForbidden: the organisation is no member.
        ledger.errors.ModelUnknown: no such release.
        ledger.chain.failures.BlockInvalid: it does not stand, or lies too far back.
        ProposalConflict: another withdrawal of that release waits.
    """
    if proposer is not None and not selectors.is_member(proposer):
        raise EntryForbidden(f"{proposer} is no member", expected="an organisation with a key on the chain")
    model_hash = selectors.release_hash(model_name, model_version)
    action = WithdrawRelease(model_name=model_name, model_version=model_version, model_hash=model_hash, reason=reason)
    return propose_entry(action=action, actor=actor, clock=clock)


def propose_policy(
    *, method: str, numerator: int, denominator: int, minimum: int, actor: str, clock: Clock
) -> Proposal:
    """Propose another approval policy.

    Raises:
        flxdr.core.errors.Malformed: a value of another type, or out of range.
        ledger.chain.failures.BlockInvalid: the policy could not be met, or the members have no say in it.
        ProposalConflict: another change of the policy waits, or this policy is in force.
    """
    document = {"method": method, "numerator": numerator, "denominator": denominator, "minimum": minimum}
    policy = convert(document, PolicyEntry)
    if policy == selectors.quorum_policy():
        raise ProposalConflict("this policy is in force already", expected="another policy")
    return propose_entry(action=SetPolicy(policy), actor=actor, clock=clock)


@transaction.atomic
def propose_entry(*, action: Action, actor: str, clock: Clock) -> Proposal:
    """Propose a governance entry; opens at once unless another proposal is open.

    Proposing the same again returns the proposal that waits or, where the entry can be made only once, the sealed one.

    Raises:
        flxdr.core.errors.Malformed: a field that no block can hold.
        ledger.chain.failures.BlockInvalid: the entry does not hold now.
        ProposalConflict: something else is proposed about the same.
    """
    lock_chain()
    # What came from outside has the types that it claims only after this.
    document: dict[str, Any] = msgspec.to_builtins(action)
    action = convert(document, type(action))
    content = {"actions": [document]}
    content_hash = canonical.digest(canonical.encode(_unsigned(document)))
    subject = subject_of(action)
    existing = _same_or_conflict(action, subject, content_hash)
    if existing is not None:
        return existing
    check_entry(selectors.chain_state(model_concerned(None, (action,))), action)
    proposal = Proposal.objects.create(
        type=Proposal.Type.GOVERNANCE,
        content=content,
        content_hash=content_hash,
        subject=subject,
        org_id=index_entry(action)["org_id"],
        key_id=_new_key(action),
    )
    record_event(
        kind="governance.proposed",
        actor=actor,
        subject=f"proposal {proposal.pk}",
        data={"entry": subject},
        stream=proposal.stream,
        clock=clock,
    )
    open_next(clock=clock)
    proposal.refresh_from_db()
    return proposal


def _same_or_conflict(action: Action, subject: str, content_hash: str) -> Proposal | None:
    new_key = _new_key(action)
    if new_key is not None:
        live = Proposal.objects.filter(key_id=new_key, status__in=_LIVE).first()
        if live is not None and selectors.is_retired(new_key):
            return None  # the checks of the entry say so
        if live is not None and live.subject != subject:
            raise ProposalConflict(
                f"key {new_key[:16]} is the one of another proposal ({live.subject})",
                expected="a new key",
                proposal_id=live.pk,
            )
        if live is not None:
            return live
    elif not isinstance(action, SetPolicy):
        done = Proposal.objects.filter(
            subject=subject, content_hash=content_hash, status=Proposal.Status.SEALED
        ).first()
        if done is not None:
            return done
    waiting = Proposal.objects.filter(subject=subject, status__in=_WAITING).first()
    if waiting is not None and waiting.content_hash != content_hash:
        raise ProposalConflict(
            f"proposal {waiting.pk} says another thing about the same ({subject})",
            expected="the content of that proposal, or that it ends first",
            proposal_id=waiting.pk,
        )
    return waiting


def _unsigned(document: dict[str, Any]) -> dict[str, Any]:
    """An entry without its signatures: those of ML-DSA are randomised, and the same entry may come with others."""
    return {name: value for name, value in document.items() if name not in ("proof", "endorsement")}


def _new_key(action: Action) -> str | None:
    return action.key.key_id if isinstance(action, Admit | Rotate) else None


def _endorsement(signed: tuple[str, bytes]) -> Endorsement:
    key_id, signature = signed
    return Endorsement(key_id=key_id, signature=dsse.encode_base64(signature))


def _require_own(org_id: str, holder: str) -> None:
    if org_id != holder:
        raise EntryForbidden(f"{org_id} asks for a key of {holder}", expected="a key of its own")
