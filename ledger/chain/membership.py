"""Which keys may sign at which height: derived from the chain's governance entries alone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import PublicKey
from ledger.chain.block import Governance
from ledger.chain.entries import COORDINATOR, Admit, Found, KeyEntry, PolicyEntry, encode_statement
from ledger.chain.failures import BlockInvalid, require


@dataclass(frozen=True)
class KeySet:
    """The keys in force after a block: the coordinator's, and every member's by organisation and key id."""

    coordinator: PublicKey
    policy: PolicyEntry
    members: Mapping[str, Mapping[str, PublicKey]] = field(default_factory=dict)
    bootstrap_over: bool = False

    def key(self, org_id: str, key_id: str) -> PublicKey | None:
        """The key under that id if it is this organisation's (or the coordinator's) now."""
        if org_id == COORDINATOR:
            return self.coordinator if key_id == self.coordinator.key_id else None
        return self.members.get(org_id, {}).get(key_id)

    def holder(self, key_id: str) -> str | None:
        """Who holds that key."""
        if key_id == self.coordinator.key_id:
            return COORDINATOR
        return next((org_id for org_id, keys in self.members.items() if key_id in keys), None)


def found(governance: Governance) -> KeySet:
    """The key set that genesis declares.

    Raises:
        BlockInvalid: genesis does not hold exactly one founding entry with a valid key and policy.
    """
    actions = governance.actions
    require(
        len(actions) == 1 and isinstance(actions[0], Found),
        "genesis_malformed",
        "governance.actions",
        expected="one `found` entry",
        actual=[type(action).__name__ for action in actions],
    )
    entry = actions[0]
    assert isinstance(entry, Found)
    policy = entry.policy
    require(
        policy.numerator < policy.denominator,
        "genesis_malformed",
        "governance.actions[0].policy",
        expected="a fraction below one",
        actual=f"{policy.numerator}/{policy.denominator}",
    )
    return KeySet(coordinator=read_key(entry.coordinator, "governance.actions[0].coordinator"), policy=policy)


def apply(keys: KeySet, governance: Governance, *, chain_id: str, check_signatures: bool = True) -> KeySet:
    """The key set after a block's governance entries.

    Raises:
        BlockInvalid: an entry founds a second chain, or an admission lacks its proof of possession.
    """
    for number, action in enumerate(governance.actions):
        where = f"governance.actions[{number}]"
        if isinstance(action, Found):
            raise BlockInvalid("second_founding", where, expected="founding in genesis only", actual="found")
        keys = _admit(keys, action, where, chain_id=chain_id, check_signatures=check_signatures)
    return keys


def check_admission(keys: KeySet, action: Admit, where: str, *, chain_id: str, check_signatures: bool = True) -> None:
    """Check one admission under the keys in force before it.

    Raises:
        BlockInvalid: names the field that does not hold.
    """
    public_key = read_key(action.key, f"{where}.key")
    statement = action.statement
    for field_name, expected, actual in (
        ("org_id", action.org_id, statement.org_id),
        ("key_id", action.key.key_id, statement.key_id),
        ("chain_id", chain_id, statement.chain_id),
    ):
        require(
            actual == expected,
            "admission_statement",
            f"{where}.statement.{field_name}",
            expected=expected,
            actual=actual,
        )
    require(
        action.org_id != COORDINATOR,
        "admission_reserved_name",
        f"{where}.org_id",
        expected="an organisation",
        actual=action.org_id,
    )
    holder = keys.holder(action.key.key_id)
    require(holder is None, "admission_key_reused", f"{where}.key.key_id", expected="a new key", actual=holder)
    signed = encode_statement(statement)
    if check_signatures:
        _check_signature(public_key, action.proof, signed, f"{where}.proof")
    own_keys = keys.members.get(action.org_id)
    if own_keys is None:
        require(
            action.endorsement is None,
            "admission_endorsement",
            f"{where}.endorsement",
            expected=None,
            actual="an endorsement of an organisation without a key",
        )
        return
    endorsement = action.endorsement
    endorser = own_keys.get(endorsement.key_id) if endorsement else None
    if endorsement is None or endorser is None:
        raise BlockInvalid(
            "admission_endorsement",
            f"{where}.endorsement",
            expected=f"a signature by a key that {action.org_id} already has",
            actual=endorsement.key_id if endorsement else None,
        )
    if check_signatures:
        _check_signature(endorser, endorsement.signature, signed, f"{where}.endorsement")


def key_entry(key: PublicKey) -> KeyEntry:
    """A key as the chain records it."""
    return KeyEntry(algorithm=key.algorithm.value, key_id=key.key_id, spki=key.to_base64())


def read_key(entry: KeyEntry, where: str) -> PublicKey:
    """The key of an entry.

    Raises:
        BlockInvalid: the SPKI is no key, or its algorithm or id is not the one stated.
    """
    try:
        key = PublicKey.from_spki(dsse.decode_base64(entry.spki, "spki"))
    except FlxdrError as error:
        raise BlockInvalid("key_malformed", f"{where}.spki", expected="DER SPKI in base64", actual=error) from error
    require(
        key.algorithm.value == entry.algorithm,
        "key_malformed",
        f"{where}.algorithm",
        expected=key.algorithm.value,
        actual=entry.algorithm,
    )
    require(key.key_id == entry.key_id, "key_malformed", f"{where}.key_id", expected=key.key_id, actual=entry.key_id)
    return key


def _admit(keys: KeySet, action: Admit, where: str, *, chain_id: str, check_signatures: bool) -> KeySet:
    check_admission(keys, action, where, chain_id=chain_id, check_signatures=check_signatures)
    own_keys = {**keys.members.get(action.org_id, {}), action.key.key_id: read_key(action.key, f"{where}.key")}
    members = {**keys.members, action.org_id: own_keys}
    over = keys.bootstrap_over or len(members) >= keys.policy.minimum
    return replace(keys, members=members, bootstrap_over=over)


def _check_signature(key: PublicKey, signature: str, statement: bytes, where: str) -> None:
    try:
        dsse.verify(key, dsse.decode_base64(signature, "signature"), dsse.REGISTRATION_TYPE, statement)
    except FlxdrError as error:
        raise BlockInvalid(
            "admission_signature", where, expected=f"a signature by key {key.key_id}", actual=error.detail
        ) from error
