"""Organisations that propose and vote through the services."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import msgspec
from django.db import connection

from flxdr.core import dsse
from flxdr.core.clock import ManualClock
from flxdr.core.keys import Algorithm, PrivateKey
from ledger import selectors
from ledger.chain.approvals import rejection_statement
from ledger.chain.entries import RegistrationStatement, RotationStatement, encode_statement
from ledger.models import Proposal
from ledger.services import approvals, governance, proposals
from tests.ledger.chains import hash_of, key_of, provenance


def statement_for(org_id: str, key: PrivateKey, /, **changes: Any) -> bytes:
    statement = RegistrationStatement(
        v=1, org_id=org_id, org_name=f"{org_id} SOC", key_id=key.public.key_id, chain_id=selectors.chain_id()
    )
    return encode_statement(msgspec.structs.replace(statement, **changes))


def rotation_for(org_id: str, key: PrivateKey, old: PrivateKey, /, **changes: Any) -> bytes:
    statement = RotationStatement(
        v=1, org_id=org_id, key_id=key.public.key_id, retires=old.public.key_id, chain_id=selectors.chain_id()
    )
    return encode_statement(msgspec.structs.replace(statement, **changes))


class Consortium:
    """Members by name; their keys follow from their names, until they are rotated."""

    def __init__(self, clock: ManualClock, algorithm: Algorithm = Algorithm.ED25519) -> None:
        self.clock = clock
        self.algorithm = algorithm
        self.rotated: dict[str, PrivateKey] = {}

    def key(self, name: str) -> PrivateKey:
        return self.rotated.get(name) or key_of(name, self.algorithm)

    def propose_admission(self, org_id: str, *, key: PrivateKey | None = None, **options: Any) -> Proposal:
        key = key or self.key(org_id)
        statement = options.pop("statement", None) or statement_for(org_id, key)
        proof = options.pop("proof", None) or dsse.sign(key, dsse.REGISTRATION_TYPE, statement)
        return governance.propose_admission(
            org_id=org_id, public_key=key.public, proof=proof, statement=statement, clock=self.clock, **options
        )

    def admit(self, *org_ids: str) -> None:
        """Admit organisations, every member approving."""
        for org_id in org_ids:
            self.seal(self.propose_admission(org_id))

    def propose_rotation(self, org_id: str, key: PrivateKey, **options: Any) -> Proposal:
        old = options.pop("old", None) or self.key(org_id)
        statement = options.pop("statement", None) or rotation_for(org_id, key, old)
        return governance.propose_rotation(
            org_id=options.pop("caller", org_id),
            public_key=key.public,
            statement=statement,
            proof=options.pop("proof", None) or dsse.sign(key, dsse.ROTATION_TYPE, statement),
            endorsement=options.pop("endorsement", None)
            or (old.public.key_id, dsse.sign(old, dsse.ROTATION_TYPE, statement)),
            clock=self.clock,
            **options,
        )

    def rotate(self, org_id: str, key: PrivateKey) -> Proposal:
        """Every member approves, the organisation itself with its old key."""
        sealed = self.seal(self.propose_rotation(org_id, key))
        self.rotated[org_id] = key
        return sealed

    def propose_revocation(self, org_id: str, *, proposer: str | None = None, **options: Any) -> Proposal:
        return governance.propose_revocation(
            org_id=org_id,
            key_id=options.pop("key_id", None) or self.key(org_id).public.key_id,
            compromised_since=options.pop("compromised_since", None),
            reason=options.pop("reason", "the laptop was stolen"),
            proposer=proposer,
            actor=proposer or "olivia",
            clock=self.clock,
        )

    def propose_withdrawal(self, version: int, *, proposer: str | None = None, **options: Any) -> Proposal:
        return governance.propose_withdrawal(
            model_name=options.pop("model_name", "global"),
            model_version=version,
            reason=options.pop("reason", "it misses half of the scans"),
            proposer=proposer,
            actor=proposer or "olivia",
            clock=self.clock,
        )

    def propose_policy(self, **changes: Any) -> Proposal:
        policy = {"method": "multisig", "numerator": 2, "denominator": 3, "minimum": 2, **changes}
        return governance.propose_policy(**policy, actor="olivia", clock=self.clock)

    def propose_release(self, number: int, orgs: Sequence[str], **changes: Any) -> Proposal:
        release = provenance(number, orgs=orgs, **changes)
        return proposals.propose_release(
            provenance=msgspec.to_builtins(release),
            model_hash=hash_of(f"{release.model_name} {release.model_version}"),
            training_orgs=orgs,
            clock=self.clock,
        )

    def release(self, number: int, orgs: Sequence[str], **changes: Any) -> Proposal:
        return self.seal(self.propose_release(number, orgs, **changes))

    def approve(self, proposal: Proposal, org_id: str, *, key: PrivateKey | None = None, **options: Any) -> Proposal:
        key = key or self.key(org_id)
        signature = options.pop("signature", None) or dsse.sign(key, dsse.BLOCK_TYPE, header_of(proposal))
        return approvals.approve(
            proposal_id=proposal.pk, org_id=org_id, key_id=key.public.key_id, signature=signature, clock=self.clock
        )

    def reject(self, proposal: Proposal, org_id: str, reason: str = "worse than its parent") -> Proposal:
        key = self.key(org_id)
        return approvals.reject(
            proposal_id=proposal.pk,
            org_id=org_id,
            key_id=key.public.key_id,
            signature=dsse.sign(key, dsse.REJECTION_TYPE, rejection_of(proposal, org_id, reason)),
            reason=reason,
            clock=self.clock,
        )

    def countersign(self, proposal: Proposal) -> Proposal:
        return approvals.countersign(proposal_id=proposal.pk, clock=self.clock)

    def seal(self, proposal: Proposal) -> Proposal:
        """The coordinator signs, then as many voters as it takes."""
        proposal = self.countersign(proposal)
        for org_id in proposal.voters[: proposal.threshold]:
            proposal = self.approve(proposal, org_id)
        assert proposal.status == Proposal.Status.SEALED
        self.clock.advance(timedelta(seconds=1))
        return proposal


def header_of(proposal: Proposal) -> bytes:
    assert proposal.header is not None
    return bytes(proposal.header)


def rejection_of(proposal: Proposal, org_id: str, reason: str) -> bytes:
    assert proposal.block_hash is not None
    return rejection_statement(block_hash=proposal.block_hash, org_id=org_id, reason=reason)


def tamper(statement: str, *values: Any) -> None:
    """Change rows as somebody with the database's password would: the table's trigger first."""
    named = re.match(r"(?:UPDATE|DELETE FROM|INSERT INTO) (\w+)", statement)
    assert named, statement
    table = named[1]
    with connection.cursor() as cursor:
        on_table = f" ON {table}" if connection.vendor == "postgresql" else ""
        cursor.execute(f"DROP TRIGGER IF EXISTS {table}_append_only{on_table}")
        cursor.execute(statement, values)
