"""Governance entries: what a block can change of the keys, the policy and the standing of releases.

The fields stand from the first block on: later versions of the software add checks and kinds of entries, never fields.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from flxdr.core import canonical
from ledger.chain.fields import Count, Hash, Name, Ordinal, Part, Reason, convert

COORDINATOR = "coordinator"


class KeyEntry(Part, frozen=True):
    """A verification key: `spki` is base64 of the DER SubjectPublicKeyInfo, `key_id` its SHA-256."""

    algorithm: Literal["ML-DSA-65", "Ed25519"]
    key_id: Hash
    spki: str


class PolicyEntry(Part, frozen=True):
    """How releases and governance are approved: more than numerator/denominator of the voters, `minimum` at least."""

    method: Literal["multisig", "operator"]
    numerator: Ordinal
    denominator: Ordinal
    minimum: Ordinal


class Found(Part, frozen=True, tag_field="action", tag="found"):
    """Genesis: the coordinator's key, the approval policy, and the chain that this one replaces (or null)."""

    coordinator: KeyEntry
    policy: PolicyEntry
    predecessor: Hash | None


class RegistrationStatement(Part, frozen=True):
    """What an organisation signs with the key that it registers."""

    v: Literal[1]
    org_id: Name
    org_name: Annotated[str, Meta(min_length=1, max_length=200)]
    key_id: Hash
    chain_id: Hash


class Endorsement(Part, frozen=True):
    """The same statement signed by a key that its holder already has on the chain."""

    key_id: Hash
    signature: str


class Admit(Part, frozen=True, tag_field="action", tag="admit"):
    """A key becomes an organisation's key. `proof` is the new key's signature over `statement`.

    A further key of an organisation that is a member already needs its `endorsement`, so that nobody else can vote
    under its name.
    """

    org_id: Name
    key: KeyEntry
    statement: RegistrationStatement
    proof: str
    endorsement: Endorsement | None


class RotationStatement(Part, frozen=True):
    """What the new key and a key in force sign: key `key_id` takes the place of `retires`."""

    v: Literal[1]
    org_id: Name
    key_id: Hash
    retires: Hash
    chain_id: Hash


class Rotate(Part, frozen=True, tag_field="action", tag="rotate"):
    """A key of an organisation, or the coordinator's (`org_id` is `coordinator`), is replaced by a new one.

    `proof` is the new key's signature over `statement`, `endorsement` that of a key in force of the same holder.
    """

    key: KeyEntry
    statement: RotationStatement
    proof: str
    endorsement: Endorsement


class Revoke(Part, frozen=True, tag_field="action", tag="revoke"):
    """An organisation's key is taken from it; with its last key it stops being a member.

    `compromised_since` is the height from which on its earlier signatures are in doubt (null: none are). They stay
    valid all the same; verification warns.
    """

    org_id: Name
    key_id: Hash
    compromised_since: Count | None
    reason: Reason


class SetPolicy(Part, frozen=True, tag_field="action", tag="set_policy"):
    """Another approval policy, from the next block on."""

    policy: PolicyEntry


class WithdrawRelease(Part, frozen=True, tag_field="action", tag="withdraw_release"):
    """A release is bad: it and every later one of its model, which were trained from it, are to be used no more."""

    model_name: Name
    model_version: Ordinal
    model_hash: Hash
    reason: Reason


Action = Found | Admit | Rotate | Revoke | SetPolicy | WithdrawRelease


def parse_statement(data: bytes) -> RegistrationStatement:
    """Read the canonical bytes of a registration statement.

    Raises:
        flxdr.core.canonical.NotCanonical: the bytes are not in canonical form.
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    return convert(canonical.decode(data), RegistrationStatement)


def parse_rotation(data: bytes) -> RotationStatement:
    """Read the canonical bytes of a rotation statement.

    Raises:
        flxdr.core.canonical.NotCanonical: the bytes are not in canonical form.
        HeaderMalformed: a field is missing, unknown, or of another type.
    """
    return convert(canonical.decode(data), RotationStatement)


def encode_statement(statement: RegistrationStatement | RotationStatement) -> bytes:
    """The bytes that a statement's proof and endorsement sign."""
    return canonical.encode(msgspec.to_builtins(statement))


def index_entry(action: Action) -> dict[str, str | int | None]:
    """What the database indexes of an entry: its kind, and whom or what it is about."""
    columns: dict[str, str | int | None] = {
        "action": str(action.__struct_config__.tag),
        "org_id": None,
        "key_id": None,
        "model_name": None,
        "model_version": None,
    }
    match action:
        case Found():
            columns |= {"org_id": COORDINATOR, "key_id": action.coordinator.key_id}
        case Admit():
            columns |= {"org_id": action.org_id, "key_id": action.key.key_id}
        case Rotate():
            columns |= {"org_id": action.statement.org_id, "key_id": action.key.key_id}
        case Revoke():
            columns |= {"org_id": action.org_id, "key_id": action.key_id}
        case WithdrawRelease():
            columns |= {"model_name": action.model_name, "model_version": action.model_version}
    return columns


def subject_of(action: Action) -> str:
    """What an entry does to whom or what, in one line; one proposal about it waits at a time."""
    match action:
        case Admit():
            about = f"{action.org_id} {action.key.key_id}"
        case Rotate():
            about = f"{action.statement.org_id} {action.statement.retires}"
        case Revoke():
            about = f"{action.org_id} {action.key_id}"
        case WithdrawRelease():
            about = f"{action.model_name} v{action.model_version}"
        case _:
            about = ""
    return f"{index_entry(action)['action']} {about}".rstrip()
