"""Which keys may sign at which height: derived from the chain's governance entries alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from flxdr.core import dsse
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import PublicKey
from ledger.chain.block import Governance, Rule
from ledger.chain.entries import (
    COORDINATOR,
    Action,
    Admit,
    Endorsement,
    Found,
    KeyEntry,
    PolicyEntry,
    RegistrationStatement,
    Revoke,
    Rotate,
    RotationStatement,
    SetPolicy,
    WithdrawRelease,
    encode_statement,
)
from ledger.chain.failures import BlockInvalid, require
from ledger.chain.quorum import SealRule, seal_rule

_Keys = Mapping[str, PublicKey]


@dataclass(frozen=True)
class KeySet:
    """The keys in force after a block: the coordinator's, and every member's by organisation and key id.

    A retired key never comes back, under no name. `bootstrap_over`: whether the chain ever had as many
    members at once as the policy in force then asked for.
    """

    coordinator: PublicKey
    policy: PolicyEntry
    members: Mapping[str, _Keys] = field(default_factory=dict)
    bootstrap_over: bool = False
    retired: frozenset[str] = frozenset()

    def keys_of(self, holder: str) -> _Keys:
        """An organisation's keys, or the coordinator's, by key id."""
        if holder == COORDINATOR:
            return {self.coordinator.key_id: self.coordinator}
        return self.members.get(holder, {})

    def key(self, org_id: str, key_id: str) -> PublicKey | None:
        """The key under that id if it is this organisation's (or the coordinator's) now."""
        return self.keys_of(org_id).get(key_id)

    def holder(self, key_id: str) -> str | None:
        """Who holds that key."""
        if key_id == self.coordinator.key_id:
            return COORDINATOR
        return next((org_id for org_id, keys in self.members.items() if key_id in keys), None)

    def rule_for(self, *, training_orgs: Sequence[str] | None = None, action: Action | None = None) -> SealRule:
        """Who votes on the next block: a release of `training_orgs`, or the governance entry `action`."""
        return seal_rule(
            self.policy,
            members=self.members,
            bootstrap_over=self.bootstrap_over,
            training_orgs=training_orgs,
            concerned=action.org_id if isinstance(action, Revoke) and action.org_id in self.members else None,
        )


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
    _check_fraction(entry.policy, "genesis_malformed", "governance.actions[0].policy")
    return KeySet(coordinator=read_key(entry.coordinator, "governance.actions[0].coordinator"), policy=entry.policy)


def apply(
    keys: KeySet, action: Action, *, chain_id: str, height: int, rule: Rule, check_signatures: bool = True
) -> KeySet:
    """The key set after a governance entry, which is checked under the keys in force before it.

    Args:
        height: of the block that holds the entry.
        rule: the rule by which that block is sealed.
        check_signatures: False skips the public-key operations.

    Raises:
        BlockInvalid: the entry does not hold; names its field.
    """
    where = "governance.actions[0]"
    match action:
        case Found():
            raise BlockInvalid("second_founding", where, expected="founding in genesis only", actual="found")
        case Admit():
            return _admit(keys, action, where, chain_id=chain_id, check_signatures=check_signatures)
        case Rotate():
            return _rotate(keys, action, where, chain_id=chain_id, check_signatures=check_signatures)
        case Revoke():
            return _revoke(keys, action, where, height=height)
        case SetPolicy():
            return _set_policy(keys, action, where, rule=rule)
        case WithdrawRelease():
            return keys


def _admit(keys: KeySet, action: Admit, where: str, *, chain_id: str, check_signatures: bool) -> KeySet:
    statement = action.statement
    new_key = _new_key(keys, action.key, where)
    _check_statement(statement, where, org_id=action.org_id, key_id=new_key.key_id, chain_id=chain_id)
    require(
        action.org_id != COORDINATOR,
        "admission_reserved_name",
        f"{where}.org_id",
        expected="an organisation",
        actual=action.org_id,
    )
    own_keys = keys.keys_of(action.org_id)
    if check_signatures:
        _check_signature(new_key, action.proof, statement, f"{where}.proof")
    if own_keys:
        _check_endorsement(own_keys, action.endorsement, statement, where, check_signatures=check_signatures)
    else:
        require(
            action.endorsement is None,
            "admission_endorsement",
            f"{where}.endorsement",
            expected=None,
            actual="an endorsement of an organisation without a key",
        )
    members = {**keys.members, action.org_id: {**own_keys, new_key.key_id: new_key}}
    over = keys.bootstrap_over or len(members) >= keys.policy.minimum
    return replace(keys, members=members, bootstrap_over=over)


def _rotate(keys: KeySet, action: Rotate, where: str, *, chain_id: str, check_signatures: bool) -> KeySet:
    statement = action.statement
    new_key = _new_key(keys, action.key, where)
    holder, retires = statement.org_id, statement.retires
    _check_statement(statement, where, org_id=holder, key_id=new_key.key_id, chain_id=chain_id)
    own_keys = keys.keys_of(holder)
    _check_in_force(own_keys, holder, retires, f"{where}.statement.retires")
    if check_signatures:
        _check_signature(new_key, action.proof, statement, f"{where}.proof")
    _check_endorsement(own_keys, action.endorsement, statement, where, check_signatures=check_signatures)
    retired = keys.retired | {retires}
    if holder == COORDINATOR:
        return replace(keys, coordinator=new_key, retired=retired)
    remaining = {key_id: key for key_id, key in own_keys.items() if key_id != retires}
    members = {**keys.members, holder: {**remaining, new_key.key_id: new_key}}
    return replace(keys, members=members, retired=retired)


def _revoke(keys: KeySet, action: Revoke, where: str, *, height: int) -> KeySet:
    own_keys = keys.members.get(action.org_id, {})
    _check_in_force(own_keys, action.org_id, action.key_id, f"{where}.key_id")
    since = action.compromised_since
    require(
        since is None or since < height,
        "revocation_height",
        f"{where}.compromised_since",
        expected=f"a height below {height}, or null",
        actual=since,
    )
    remaining = {key_id: key for key_id, key in own_keys.items() if key_id != action.key_id}
    members = {org_id: held for org_id, held in keys.members.items() if org_id != action.org_id}
    if remaining:
        members = {**keys.members, action.org_id: remaining}
    require(
        len(members) >= keys.policy.minimum or not keys.bootstrap_over or bool(remaining),
        "revocation_below_minimum",
        f"{where}.key_id",
        expected=f"at least {keys.policy.minimum} members left",
        actual=f"{len(members)} left",
    )
    return replace(keys, members=members, retired=keys.retired | {action.key_id})


def _set_policy(keys: KeySet, action: SetPolicy, where: str, *, rule: Rule) -> KeySet:
    policy = action.policy
    # What the coordinator seals alone may give the members a say, and never take one from them.
    require(
        rule == "quorum" or (rule == "operator" and policy.method == "multisig"),
        "policy_without_quorum",
        f"{where}.policy.method",
        expected="a change that the members approve",
        actual=f"{policy.method}, sealed by the rule {rule}",
    )
    _check_fraction(policy, "policy_malformed", f"{where}.policy")
    require(
        policy.minimum <= len(keys.members),
        "policy_unreachable",
        f"{where}.policy.minimum",
        expected=f"at most the {len(keys.members)} members there are",
        actual=policy.minimum,
    )
    # There are members enough for it, so from here on they are asked; under genesis' minimum they might never be.
    return replace(keys, policy=policy, bootstrap_over=True)


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


def _new_key(keys: KeySet, entry: KeyEntry, where: str) -> PublicKey:
    key = read_key(entry, f"{where}.key")
    held = "retired" if key.key_id in keys.retired else keys.holder(key.key_id)
    require(held is None, "admission_key_reused", f"{where}.key.key_id", expected="a new key", actual=held)
    return key


def _check_statement(
    statement: RegistrationStatement | RotationStatement, where: str, *, org_id: str, key_id: str, chain_id: str
) -> None:
    for name, expected, actual in (
        ("org_id", org_id, statement.org_id),
        ("key_id", key_id, statement.key_id),
        ("chain_id", chain_id, statement.chain_id),
    ):
        require(
            actual == expected, "admission_statement", f"{where}.statement.{name}", expected=expected, actual=actual
        )


def _check_in_force(own_keys: _Keys, holder: str, key_id: str, field_name: str) -> None:
    require(
        key_id in own_keys,
        "key_not_in_force",
        field_name,
        expected=f"a key in force of {holder}",
        actual=key_id,
    )


def _check_endorsement(
    own_keys: _Keys,
    endorsement: Endorsement | None,
    statement: RegistrationStatement | RotationStatement,
    where: str,
    *,
    check_signatures: bool,
) -> None:
    endorser = own_keys.get(endorsement.key_id) if endorsement else None
    if endorsement is None or endorser is None:
        raise BlockInvalid(
            "admission_endorsement",
            f"{where}.endorsement",
            expected=f"a signature by a key that {statement.org_id} already has",
            actual=endorsement.key_id if endorsement else None,
        )
    if check_signatures:
        _check_signature(endorser, endorsement.signature, statement, f"{where}.endorsement")


def _check_signature(
    key: PublicKey, signature: str, statement: RegistrationStatement | RotationStatement, where: str
) -> None:
    kind = dsse.ROTATION_TYPE if isinstance(statement, RotationStatement) else dsse.REGISTRATION_TYPE
    try:
        dsse.verify(key, dsse.decode_base64(signature, "signature"), kind, encode_statement(statement))
    except FlxdrError as error:
        raise BlockInvalid(
            "admission_signature", where, expected=f"a signature by key {key.key_id}", actual=error.detail
        ) from error


def _check_fraction(policy: PolicyEntry, code: str, field_name: str) -> None:
    require(
        policy.numerator < policy.denominator,
        code,
        field_name,
        expected="a fraction below one",
        actual=f"{policy.numerator}/{policy.denominator}",
    )
