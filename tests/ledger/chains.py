"""Chains in memory: honest ones, and ones whose signers break the rules."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from flxdr.core import dsse
from flxdr.core.clock import ManualClock, format_timestamp
from flxdr.core.keys import Algorithm, PrivateKey
from ledger.chain import export
from ledger.chain.approvals import SignedApproval, certificate_hash
from ledger.chain.block import ZERO_HASH, Governance, Header, Provenance, block_hash, index_columns, parse_header
from ledger.chain.entries import (
    COORDINATOR,
    Action,
    Admit,
    Endorsement,
    Found,
    PolicyEntry,
    RegistrationStatement,
    Revoke,
    Rotate,
    RotationStatement,
    WithdrawRelease,
    encode_statement,
)
from ledger.chain.membership import key_entry
from ledger.chain.record import ChainRecord
from ledger.chain.verify import Verification, verify_chain

POLICY = PolicyEntry(method="multisig", numerator=2, denominator=3, minimum=2)


def key_of(name: str, algorithm: Algorithm = Algorithm.ED25519) -> PrivateKey:
    """The same key for the same name, in every run."""
    return PrivateKey(algorithm, sha256(name.encode()).digest())


def hash_of(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def provenance(number: int = 1, *, orgs: Sequence[str] = ("org-a",), **changes: Any) -> Provenance:
    """A release's provenance; by default the first of `global`."""
    fields: dict[str, Any] = {
        "round_id": f"round-{number}-abc",
        "round_number": number,
        "config_hash": hash_of(f"configuration {number}"),
        "model_name": "global",
        "model_version": number,
        "parent_model_hash": hash_of(f"global {number - 1}"),
        "aggregation_method": "FedAvg",
        "aggregation_params": {},
        "weighting": "samples",
        "optimizer_state_hash": None,
        "protection": "plain",
        "training_orgs": tuple(sorted(orgs)),
        "samples_total": 1000,
        "submissions_root": hash_of("submissions"),
        "privacy": {"mechanism": "none"},
        "metrics_ppm": {"accuracy": 900_000},
    }
    return Provenance(**{**fields, **changes})


class ChainBuilder:
    """Appends blocks as a coordinator and its members would, checking nothing.

    `state` follows from the honest verifier, so an honest header is one that it accepts.
    """

    def __init__(self, *, policy: PolicyEntry = POLICY, algorithm: Algorithm = Algorithm.ED25519) -> None:
        self.clock = ManualClock()
        self.algorithm = algorithm
        self.coordinator = key_of(COORDINATOR, algorithm)
        self.keys: dict[str, PrivateKey] = {COORDINATOR: self.coordinator}
        self.records: list[ChainRecord] = []
        action = Found(coordinator=key_entry(self.coordinator.public), policy=policy, predecessor=None)
        self.append(
            Header(
                v=1,
                type="genesis",
                chain_id=ZERO_HASH,
                height=0,
                timestamp=format_timestamp(self.clock.now()),
                prev_hash=ZERO_HASH,
                prev_cert=ZERO_HASH,
                model_hash=None,
                provenance=None,
                governance=Governance(rule="genesis", voters=(), threshold=0, actions=(action,)),
            ),
            [COORDINATOR],
        )

    @property
    def chain_id(self) -> str:
        return block_hash(self.records[0].header)

    @property
    def tip(self) -> ChainRecord:
        return self.records[-1]

    def verified(self, **options: Any) -> Verification:
        return verify_chain(iter(self.records), **options)

    def admission(self, org_id: str, key: PrivateKey, *, endorser: PrivateKey | None = None, **changes: Any) -> Admit:
        statement = RegistrationStatement(
            v=1, org_id=org_id, org_name=f"{org_id} SOC", key_id=key.public.key_id, chain_id=self.chain_id
        )
        signed = encode_statement(statement)
        action = Admit(
            org_id=org_id,
            key=key_entry(key.public),
            statement=statement,
            proof=dsse.encode_base64(dsse.sign(key, dsse.REGISTRATION_TYPE, signed)),
            endorsement=Endorsement(
                key_id=endorser.public.key_id,
                signature=dsse.encode_base64(dsse.sign(endorser, dsse.REGISTRATION_TYPE, signed)),
            )
            if endorser
            else None,
        )
        return msgspec.structs.replace(action, **changes)

    def rotation(self, holder: str, new: PrivateKey, *, endorser: PrivateKey | None = None, **changes: Any) -> Rotate:
        """The holder's key gives way to `new`; `changes` of the statement are signed."""
        old = self.keys[holder]
        endorser = endorser or old
        fields = {"key_id": new.public.key_id, "retires": old.public.key_id, "chain_id": self.chain_id, **changes}
        statement = RotationStatement(v=1, **{"org_id": holder, **fields})
        signed = encode_statement(statement)
        return Rotate(
            key=key_entry(new.public),
            statement=statement,
            proof=dsse.encode_base64(dsse.sign(new, dsse.ROTATION_TYPE, signed)),
            endorsement=Endorsement(
                key_id=endorser.public.key_id,
                signature=dsse.encode_base64(dsse.sign(endorser, dsse.ROTATION_TYPE, signed)),
            ),
        )

    def revocation(self, member: str, /, *, since: int | None = None, **changes: Any) -> Revoke:
        key_id = self.keys[member].public.key_id
        return Revoke(**{"org_id": member, "key_id": key_id, "compromised_since": since, "reason": "stolen", **changes})

    def withdrawal(self, version: int, **changes: Any) -> WithdrawRelease:
        fields = {
            "model_name": "global",
            "model_version": version,
            "model_hash": hash_of(f"global {version}"),
            "reason": "it misses a family",
        }
        return WithdrawRelease(**{**fields, **changes})

    def govern(self, action: Action, signers: Sequence[str] | None = None) -> None:
        """Append a governance block of that entry."""
        self.append(self.governance_header(action), signers)

    def governance_header(self, *actions: Action, **changes: Any) -> Header:
        return self._header(None, None, actions, changes)

    def release_header(self, release: Provenance, model_hash: str | None = None, **changes: Any) -> Header:
        return self._header(release, model_hash or hash_of(f"global {release.model_version}"), (), changes)

    def admit(self, *org_ids: str) -> None:
        """Admit organisations one block each, approved by every voter."""
        for org_id in org_ids:
            key = key_of(org_id, self.algorithm)
            self.append(self.governance_header(self.admission(org_id, key)))
            self.keys[org_id] = key

    def release(self, number: int, **options: Any) -> None:
        self.append(self.release_header(provenance(number, **options)))

    def append(self, header: Header, signers: Sequence[str] | None = None) -> ChainRecord:
        """Sign by the coordinator and every voter (or by `signers`) and append, whatever the header says."""
        names = signers if signers is not None else [COORDINATOR, *header.governance.voters]
        record = self.sign(header.encode(), names)
        self.records.append(record)
        self.clock.advance(timedelta(seconds=1))
        return record

    def sign(self, header: bytes, signers: Sequence[str]) -> ChainRecord:
        approvals = [self.approval(header, name) for name in signers]
        return ChainRecord(header, approvals)

    def approval(self, header: bytes, org_id: str, key: PrivateKey | None = None) -> SignedApproval:
        key = key or self.keys[org_id]
        return SignedApproval(org_id, key.public.key_id, dsse.sign(key, dsse.BLOCK_TYPE, header))

    def _header(
        self, release: Provenance | None, model_hash: str | None, actions: Sequence[Action], changes: dict[str, Any]
    ) -> Header:
        state = self.verified().state
        assert state is not None
        rule = state.keys.rule_for(
            training_orgs=release.training_orgs if release else None, action=actions[0] if actions else None
        )
        header = Header(
            v=1,
            type="release" if release else "governance",
            chain_id=state.chain_id,
            height=state.height + 1,
            timestamp=format_timestamp(self.clock.now()),
            prev_hash=state.block_hash,
            prev_cert=certificate_hash(self.tip.approvals),
            model_hash=model_hash,
            provenance=release,
            governance=Governance(rule=rule.rule, voters=rule.voters, threshold=rule.threshold, actions=tuple(actions)),
        )
        return msgspec.structs.replace(header, **changes)


def federation(*org_ids: str, releases: int = 0, algorithm: Algorithm = Algorithm.ED25519) -> ChainBuilder:
    """A chain with those members, and releases that all of them trained."""
    chain = ChainBuilder(algorithm=algorithm)
    chain.admit(*org_ids)
    for number in range(1, releases + 1):
        chain.release(number, orgs=org_ids)
    return chain


def edited(header: bytes, **changes: Any) -> bytes:
    """Header bytes with other fields, canonical again."""
    return msgspec.structs.replace(parse_header(header), **changes).encode()


def with_columns(record: ChainRecord) -> ChainRecord:
    """The record as a database would give it."""
    columns = index_columns(parse_header(record.header), block_hash(record.header))
    return ChainRecord(record.header, record.approvals, columns)


def write_export(file: Path, chain: ChainBuilder, records: Sequence[ChainRecord] | None = None) -> bytes:
    """The chain, or other records under its name, as a file that can be restored and verified."""
    data = b"".join(export.lines(chain.chain_id, chain.records if records is None else records))
    file.write_bytes(data)
    return data
