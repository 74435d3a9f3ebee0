"""The checks of one block against the chain before it, in the order in which they are made."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import msgspec

from flxdr.core.clock import format_timestamp
from flxdr.core.dsse import BLOCK_TYPE, verify
from flxdr.core.errors import FlxdrError
from flxdr.core.keys import SignatureInvalid
from ledger.chain import membership
from ledger.chain.approvals import SignedApproval, certificate_hash
from ledger.chain.block import ZERO_HASH, Header, block_hash, index_columns, parse_header
from ledger.chain.entries import COORDINATOR, Action, WithdrawRelease
from ledger.chain.failures import BlockInvalid, require
from ledger.chain.lineage import Lineage, Release, check_lineage, extended, withdrawn
from ledger.chain.membership import KeySet
from ledger.chain.quorum import SealRule
from ledger.chain.record import ChainRecord
from ledger.chain.state import ChainState

CLOCK_TOLERANCE = timedelta(minutes=5)
GENESIS_RULE = SealRule("genesis", (), 0)


class Extension(msgspec.Struct, frozen=True):
    """What a block means to the chain before it: who seals it, and the keys and releases after it."""

    rule: SealRule
    keys: KeySet
    releases: Mapping[str, Lineage]


def advance(
    state: ChainState | None,
    record: ChainRecord,
    *,
    genesis: str | None = None,
    check_signatures: bool = True,
    now: datetime | None = None,
) -> tuple[ChainState, Header]:
    """The chain after `record` and the record's header, or why the record does not extend it.

    Args:
        state: the chain before; None if `record` is genesis.
        genesis: the pinned genesis hash, where the caller has one.
        check_signatures: False skips the public-key operations (a structural pass).
        now: refuses blocks from the future where given.

    Raises:
        BlockInvalid: the first check that does not hold.
    """
    header = read_header(record.header)
    hash_ = block_hash(record.header)
    if record.columns is not None:
        _check_columns(record.columns, index_columns(header, hash_))
    _check_not_future(header, now)
    if state is None:
        keys = _check_genesis(header, hash_, genesis)
        extension, chain_id, before = Extension(GENESIS_RULE, keys, {}), hash_, keys
    else:
        extension = check_extension(state, header, check_signatures=check_signatures)
        before, chain_id = state.keys, state.chain_id
    check_approvals(before, extension.rule, record.header, record.approvals, check_signatures=check_signatures)
    after = ChainState(
        chain_id=chain_id,
        height=header.height,
        block_hash=hash_,
        cert_hash=certificate_hash(record.approvals),
        timestamp=header.timestamp,
        keys=extension.keys,
        releases=extension.releases,
    )
    return after, header


def read_header(data: bytes) -> Header:
    """Parse header bytes.

    Raises:
        BlockInvalid: they are not canonical, or no header.
    """
    try:
        return parse_header(data)
    except FlxdrError as error:
        field = str(error.fields.get("field", error.fields.get("path", "$")))
        raise BlockInvalid(
            error.code, field, expected=error.expected or "canonical bytes", actual=error.detail
        ) from error


def check_extension(state: ChainState, header: Header, *, check_signatures: bool = True) -> Extension:
    """Check a header against the chain before it, approvals aside; a signer does this before it signs.

    Args:
        check_signatures: False skips the public-key operations of governance entries.

    Raises:
        BlockInvalid: the first check that does not hold.
    """
    for field, expected, actual in (
        ("height", state.height + 1, header.height),
        ("chain_id", state.chain_id, header.chain_id),
        ("prev_hash", state.block_hash, header.prev_hash),
        ("prev_cert", state.cert_hash, header.prev_cert),
    ):
        if actual != expected:
            raise BlockInvalid(f"{field}_mismatch", field, expected=expected, actual=actual)
    if header.timestamp < state.timestamp:
        raise BlockInvalid(
            "timestamp_regression", "timestamp", expected=f"not before {state.timestamp}", actual=header.timestamp
        )
    if header.type == "release":
        return _check_release(state, header)
    return _check_governance(state, header, check_signatures=check_signatures)


def check_entry(state: ChainState, action: Action, *, check_signatures: bool = True) -> Extension:
    """Check a governance entry as the only one of the next block.

    Raises:
        BlockInvalid: it does not hold under the keys in force and the releases that stand.
    """
    rule = state.keys.rule_for(action=action)
    keys = membership.apply(
        state.keys,
        action,
        chain_id=state.chain_id,
        height=state.height + 1,
        rule=rule.rule,
        check_signatures=check_signatures,
    )
    releases = state.releases
    if isinstance(action, WithdrawRelease):
        name = action.model_name
        releases = {**releases, name: withdrawn(releases.get(name), action, "governance.actions[0]")}
    return Extension(rule, keys, releases)


def check_approvals(
    keys: KeySet,
    rule: SealRule,
    header: bytes,
    approvals: Sequence[SignedApproval],
    *,
    check_signatures: bool = True,
) -> None:
    """Check that the approvals seal the header under `rule` and the keys in force before it.

    Raises:
        BlockInvalid: a signer that may not sign, a signature that does not verify, or too few of them.
    """
    seen: set[tuple[str, str]] = set()
    for approval in approvals:
        org_id, key_id = signer = (approval.org_id, approval.key_id)
        if signer in seen:
            raise BlockInvalid(
                "approval_duplicate", f"approvals.{org_id}", expected="one approval by this key", actual="two"
            )
        seen.add(signer)
        if org_id != COORDINATOR and org_id not in rule.voters:
            raise BlockInvalid(
                "approval_not_voter",
                f"approvals.{org_id}",
                expected=", ".join(rule.voters) or COORDINATOR,
                actual=org_id,
            )
        key = keys.key(org_id, key_id)
        if key is None:
            raise BlockInvalid(
                "approval_key",
                f"approvals.{org_id}",
                expected=f"a key of {org_id} at this height",
                actual=key_id,
            )
        if check_signatures:
            try:
                verify(key, approval.signature, BLOCK_TYPE, header)
            except SignatureInvalid as error:
                raise BlockInvalid(
                    "approval_signature",
                    f"approvals.{org_id}",
                    expected=f"a signature by key {key.key_id}",
                    actual=error.detail,
                ) from error
    signers = {org_id for org_id, _ in seen}
    if COORDINATOR not in signers:
        raise BlockInvalid("coordinator_missing", "approvals", expected=COORDINATOR, actual=sorted(signers))
    if not rule.is_met(signers):
        raise BlockInvalid(
            "quorum_not_met",
            "approvals",
            expected=f"{rule.threshold} of {', '.join(rule.voters)}",
            actual=sorted(signers - {COORDINATOR}),
        )


def _check_columns(columns: Mapping[str, str | int | None], implied: Mapping[str, str | int | None]) -> None:
    if columns == implied:
        return
    for name, expected in implied.items():
        actual = columns.get(name)
        require(actual == expected, "column_mismatch", name, expected=expected, actual=actual)


def _check_genesis(header: Header, hash_: str, pinned: str | None) -> KeySet:
    for field, expected, actual in (
        ("type", "genesis", header.type),
        ("height", 0, header.height),
        ("chain_id", ZERO_HASH, header.chain_id),
        ("prev_hash", ZERO_HASH, header.prev_hash),
        ("prev_cert", ZERO_HASH, header.prev_cert),
        ("model_hash", None, header.model_hash),
        ("provenance", None, header.provenance),
        ("governance.rule", GENESIS_RULE.rule, header.governance.rule),
        ("governance.voters", GENESIS_RULE.voters, header.governance.voters),
        ("governance.threshold", GENESIS_RULE.threshold, header.governance.threshold),
    ):
        require(actual == expected, "genesis_malformed", field, expected=expected, actual=actual)
    require(pinned in (None, hash_), "genesis_mismatch", "block_hash", expected=pinned, actual=hash_)
    return membership.found(header.governance)


def _check_not_future(header: Header, now: datetime | None) -> None:
    if now is None:
        return
    latest = format_timestamp(now + CLOCK_TOLERANCE)
    if header.timestamp > latest:  # texts of one width sort like the times that they spell
        raise BlockInvalid("timestamp_future", "timestamp", expected=f"not after {latest}", actual=header.timestamp)


def _check_rule(rule: SealRule, header: Header) -> None:
    stated = header.governance
    for field, expected, actual in (
        ("rule", rule.rule, stated.rule),
        ("voters", rule.voters, stated.voters),
        ("threshold", rule.threshold, stated.threshold),
    ):
        if actual != expected:
            raise BlockInvalid("rule_mismatch", f"governance.{field}", expected=expected, actual=actual)


def _check_governance(state: ChainState, header: Header, *, check_signatures: bool) -> Extension:
    require(header.type == "governance", "type_mismatch", "type", expected="release or governance", actual=header.type)
    require(header.model_hash is None, "governance_malformed", "model_hash", expected=None, actual=header.model_hash)
    require(header.provenance is None, "governance_malformed", "provenance", expected=None, actual="a provenance")
    actions = header.governance.actions
    # One entry, so that nobody loses a vote on one thing because another stands beside it.
    require(
        len(actions) == 1,
        "governance_malformed",
        "governance.actions",
        expected="one entry",
        actual=len(actions),
    )
    extension = check_entry(state, actions[0], check_signatures=check_signatures)
    _check_rule(extension.rule, header)
    return extension


def _check_release(state: ChainState, header: Header) -> Extension:
    provenance = header.provenance
    if provenance is None or header.model_hash is None:
        raise BlockInvalid(
            "release_malformed",
            "provenance" if provenance is None else "model_hash",
            expected="a model hash and its provenance",
            actual=None,
        )
    if header.governance.actions:
        raise BlockInvalid(
            "release_malformed",
            "governance.actions",
            expected="no entries",
            actual=len(header.governance.actions),
        )
    orgs = provenance.training_orgs
    if not orgs or list(orgs) != sorted(set(orgs)):
        raise BlockInvalid(
            "release_malformed",
            "provenance.training_orgs",
            expected="distinct organisations in order, at least one",
            actual=list(orgs),
        )
    lineage = state.releases.get(provenance.model_name)
    check_lineage(lineage, provenance)
    rule = state.keys.rule_for(training_orgs=orgs)
    _check_rule(rule, header)
    release = Release(provenance.model_version, header.model_hash, provenance.round_number)
    return Extension(rule, state.keys, {**state.releases, provenance.model_name: extended(lineage, release)})
