"""What can be done to stored bytes without a quorum's keys; the coordinator's key is the attacker's."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import msgspec

from flxdr.core import dsse
from flxdr.core.keys import Algorithm
from ledger.chain.approvals import certificate_hash
from ledger.chain.block import Header, Provenance, block_hash, parse_header
from ledger.chain.entries import COORDINATOR, Found, PolicyEntry, SetPolicy
from ledger.chain.membership import key_entry
from ledger.chain.record import ChainRecord
from tests.ledger.chains import POLICY, ChainBuilder, edited, federation, hash_of, key_of, provenance
from tests.ledger.tampering import MEMBERS, RELEASES, TIP


def _with_header(record: ChainRecord, header: bytes) -> ChainRecord:
    return replace(record, header=header)


def _bytes(height: int, change: Callable[[bytes], bytes]) -> Callable[[ChainBuilder], list[ChainRecord]]:
    def tamper(chain: ChainBuilder) -> list[ChainRecord]:
        records = list(chain.records)
        changed = change(records[height].header)
        assert changed != records[height].header
        records[height] = _with_header(records[height], changed)
        return records

    return tamper


def _approvals(height: int, change: Callable[[ChainBuilder, list[Any]], list[Any]]) -> Callable[[ChainBuilder], Any]:
    def tamper(chain: ChainBuilder) -> list[ChainRecord]:
        records = list(chain.records)
        records[height] = replace(records[height], approvals=change(chain, list(records[height].approvals)))
        return records

    return tamper


def _rehash_suffix(chain: ChainBuilder) -> list[ChainRecord]:
    """The coordinator rewrites block 6 and everything above it, with its own signature and the old approvals."""
    records = list(chain.records)
    header = edited(records[6].header, model_hash=hash_of("evil"))
    for height in range(6, len(records)):
        if height > 6:
            header = edited(
                chain.records[height].header,
                prev_hash=block_hash(records[height - 1].header),
                prev_cert=certificate_hash(records[height - 1].approvals),
            )
        kept = [approval for approval in records[height].approvals if approval.org_id != COORDINATOR]
        records[height] = ChainRecord(header, [*kept, chain.approval(header, COORDINATOR)])
    return records


def _replaced_signature(
    org_id: str, make: Callable[[ChainBuilder, Any], Any]
) -> Callable[[ChainBuilder, list[Any]], list[Any]]:
    def change(chain: ChainBuilder, approvals: list[Any]) -> list[Any]:
        return [make(chain, a) if a.org_id == org_id else a for a in approvals]

    return change


def _number(text: bytes) -> Callable[[ChainBuilder], list[ChainRecord]]:
    return _bytes(6, lambda header: header.replace(b'"samples_total":1000', b'"samples_total":' + text))


def _rehash_one(chain: ChainBuilder) -> list[ChainRecord]:
    """Block 6 is edited, and block 7 made to name its new hash."""
    records = list(chain.records)
    records[6] = _with_header(records[6], edited(records[6].header, model_hash=hash_of("evil")))
    records[7] = _with_header(records[7], edited(records[7].header, prev_hash=block_hash(records[6].header)))
    return records


def _other_genesis(chain: ChainBuilder, policy: PolicyEntry, timestamp: str | None = None) -> list[ChainRecord]:
    """The coordinator founds the chain anew under the blocks that there are."""
    found = Found(coordinator=key_entry(chain.coordinator.public), policy=policy, predecessor=None)
    genesis = parse_header(chain.records[0].header)
    governance = msgspec.structs.replace(genesis.governance, actions=(found,))
    changes = {"timestamp": timestamp} if timestamp else {}
    header = edited(chain.records[0].header, governance=governance, **changes)
    return [chain.sign(header, [COORDINATOR]), *chain.records[1:]]


def _releases(chain: ChainBuilder, first: int, last: int, signers: Sequence[str]) -> list[ChainRecord]:
    """The chain up to the release before number `first`, then other releases by those signers."""
    for number in range(first, last + 1):
        if number == first:
            chain.records = chain.records[: len(MEMBERS) + first]
        header = _header_after(chain, provenance(number, orgs=MEMBERS, samples_total=7))
        chain.append(header, signers)
    return chain.records


def _header_after(chain: ChainBuilder, release: Provenance) -> Header:
    """A header on top of the newest block, whether or not that one was sealed by enough."""
    before = parse_header(chain.tip.header)
    return msgspec.structs.replace(
        parse_header(chain.records[len(MEMBERS) + 1].header),
        height=before.height + 1,
        timestamp=before.timestamp,
        prev_hash=block_hash(chain.tip.header),
        prev_cert=certificate_hash(chain.tip.approvals),
        model_hash=hash_of(f"global {release.model_version}"),
        provenance=release,
    )


def _appended(make: Callable[[ChainBuilder], Header], signers: Sequence[str]) -> Callable[[ChainBuilder], Any]:
    def tamper(chain: ChainBuilder) -> list[ChainRecord]:
        chain.append(make(chain), signers)
        return chain.records

    return tamper


def _two_keys(chain: ChainBuilder) -> list[ChainRecord]:
    """org-a approves with both of its keys, so there are three signatures of two organisations."""
    second = key_of("org-a second")
    chain.append(chain.governance_header(chain.admission("org-a", second, endorser=chain.keys["org-a"])))
    record = chain.append(chain.release_header(provenance(5, orgs=MEMBERS)), [COORDINATOR, "org-a", "org-b"])
    return [
        *chain.records[:-1],
        replace(record, approvals=[*record.approvals, chain.approval(record.header, "org-a", second)]),
    ]


def _revoked_key(chain: ChainBuilder) -> list[ChainRecord]:
    """org-d has two keys, and approves with the one that was revoked."""
    second = key_of("org-d second")
    chain.append(chain.governance_header(chain.admission("org-d", second, endorser=chain.keys["org-d"])))
    chain.govern(chain.revocation("org-d"))
    chain.append(chain.release_header(provenance(5, orgs=MEMBERS)), [COORDINATOR, *MEMBERS])
    return chain.records


def _back_dated_key(chain: ChainBuilder) -> list[ChainRecord]:
    """The key that org-a rotates to after block 8 signs block 8."""
    new = key_of("org-a, next")
    chain.govern(chain.rotation("org-a", new))
    tip = chain.records[TIP]
    approvals = [chain.approval(tip.header, "org-a", new) if a.org_id == "org-a" else a for a in tip.approvals]
    chain.records[TIP] = replace(tip, approvals=approvals)
    return chain.records


def _with_revocation(chain: ChainBuilder) -> ChainBuilder:
    chain.govern(chain.revocation("org-d"))
    chain.release(5, orgs=MEMBERS)
    return chain


def _unrevoked(chain: ChainBuilder) -> list[ChainRecord]:
    """The coordinator takes the revocation out and closes the gap; the others' approvals stay what they were."""
    before, _, release = _with_revocation(chain).records[TIP:]
    header = edited(
        release.header,
        height=TIP + 1,
        prev_hash=block_hash(before.header),
        prev_cert=certificate_hash(before.approvals),
    )
    kept = [approval for approval in release.approvals if approval.org_id != COORDINATOR]
    return [*chain.records[: TIP + 1], ChainRecord(header, [*kept, chain.approval(header, COORDINATOR)])]


def _lower_policy(chain: ChainBuilder) -> Header:
    return chain.governance_header(SetPolicy(policy=msgspec.structs.replace(POLICY, numerator=1, denominator=3)))


def _strip_then_add() -> list[ChainRecord]:
    """Block 6 is sealed by three of four; the fourth's genuine approval is added when block 7 stands on it."""
    chain = federation(*MEMBERS, releases=1)
    header = chain.release_header(provenance(2, orgs=MEMBERS))
    chain.append(header, [COORDINATOR, "org-a", "org-b", "org-c"])
    chain.release(3, orgs=MEMBERS)
    sealed = chain.records[6]
    chain.records[6] = replace(sealed, approvals=[*sealed.approvals, chain.approval(sealed.header, "org-d")])
    return chain.records


STORED: dict[str, tuple[Callable[[ChainBuilder], list[ChainRecord]], int, str]] = {
    "edit a field": (_bytes(6, lambda h: edited(h, model_hash=hash_of("evil"))), 6, "approval_signature"),
    "edit a governance field": (
        _bytes(6, lambda h: edited(h, timestamp="2027-01-01T00:00:00.000000Z")),
        6,
        "approval_signature",
    ),
    "rewrite and re-hash the suffix": (_rehash_suffix, 6, "approval_signature"),
    "white space": (_bytes(6, lambda h: h.replace(b'"v":1', b'"v": 1')), 6, "not_canonical"),
    "another escape": (_bytes(6, lambda h: h.replace(b"plain", b"pl\\u0061in")), 6, "not_canonical"),
    "1.0 for 1": (_bytes(6, lambda h: h.replace(b'"v":1', b'"v":1.0')), 6, "not_canonical"),
    "duplicate key": (_bytes(6, lambda h: h.replace(b'"v":1', b'"v":1,"v":1')), 6, "not_canonical"),
    "key order": (
        _bytes(6, lambda h: json.dumps(dict(reversed(json.loads(h).items())), separators=(",", ":")).encode()),
        6,
        "not_canonical",
    ),
    "invalid UTF-8": (_bytes(6, lambda h: h.replace(b"plain", b"pl\xffin")), 6, "not_canonical"),
    "upper-case hash": (
        _bytes(6, lambda h: h.replace(json.loads(h)["prev_hash"].encode(), b"A" * 64)),
        6,
        "header_malformed",
    ),
    "+00:00": (_bytes(6, lambda h: h.replace(b"Z", b"+00:00")), 6, "header_malformed"),
    "empty header": (_bytes(6, lambda h: b""), 6, "not_canonical"),
    "swap two blocks": (lambda c: [*c.records[:6], c.records[7], c.records[6], c.records[8]], 6, "height_mismatch"),
    "delete a block": (lambda c: [*c.records[:6], *c.records[7:]], 6, "height_mismatch"),
    "delete and renumber": (
        lambda c: [*c.records[:6], _with_header(c.records[7], edited(c.records[7].header, height=6)), c.records[8]],
        6,
        "prev_hash_mismatch",
    ),
    "duplicate a height": (lambda c: [*c.records[:7], c.records[6], *c.records[7:]], 7, "height_mismatch"),
    "replay an old block at the tip": (
        lambda c: [*c.records, _with_header(c.records[6], edited(c.records[6].header, height=TIP + 1))],
        TIP + 1,
        "prev_hash_mismatch",
    ),
    "no blocks": (lambda c: [], 0, "chain_empty"),
    "genesis missing": (lambda c: c.records[1:], 0, "genesis_malformed"),
    "another chain spliced in": (
        lambda c: [*c.records[:5], *federation(*MEMBERS[::-1], releases=RELEASES).records[5:]],
        5,
        "prev_hash_mismatch",
    ),
    "forged signature": (
        _approvals(TIP, _replaced_signature("org-a", lambda c, a: replace(a, signature=bytes(64)))),
        TIP,
        "approval_signature",
    ),
    "signature of another block": (
        _approvals(TIP, _replaced_signature("org-a", lambda c, a: c.approval(c.records[7].header, "org-a"))),
        TIP,
        "approval_signature",
    ),
    "a stranger approves": (
        _approvals(TIP, lambda c, found: [*found, c.approval(c.tip.header, "stranger", key_of("stranger"))]),
        TIP,
        "approval_not_voter",
    ),
    "a stranger under a member's name": (
        _approvals(
            TIP, _replaced_signature("org-a", lambda c, a: c.approval(c.tip.header, "org-a", key_of("stranger")))
        ),
        TIP,
        "approval_key",
    ),
    "ML-DSA signature under an Ed25519 key's id": (
        _approvals(
            TIP,
            _replaced_signature(
                "org-a",
                lambda c, a: replace(
                    a, signature=dsse.sign(key_of("org-a", Algorithm.ML_DSA_65), dsse.BLOCK_TYPE, c.tip.header)
                ),
            ),
        ),
        TIP,
        "approval_signature",
    ),
    "the same approval twice": (_approvals(TIP, lambda c, found: [*found, found[-1]]), TIP, "approval_duplicate"),
    "stripped below the quorum": (_approvals(TIP, lambda c, found: found[:3]), TIP, "quorum_not_met"),
    "without the coordinator": (_approvals(TIP, lambda c, found: found[1:]), TIP, "coordinator_missing"),
    "without any approval": (_approvals(TIP, lambda c, found: []), TIP, "coordinator_missing"),
    "an approval above the quorum stripped below the tip": (
        _approvals(6, lambda c, found: found[:-1]),
        7,
        "prev_cert_mismatch",
    ),
    "a genuine approval added below the tip": (
        lambda c: _strip_then_add(),
        7,
        "prev_cert_mismatch",
    ),
    "edit and re-hash one block": (_rehash_one, 6, "approval_signature"),
    "1e3 for 1000": (_number(b"1e3"), 6, "not_canonical"),
    "beyond 2^53": (_number(b"9007199254740993"), 6, "not_canonical"),
    "NaN": (_number(b"NaN"), 6, "not_canonical"),
    "an astral key": (
        _bytes(6, lambda h: h.replace(b'"accuracy"', '"\U0001f600"'.encode())),
        6,
        "not_canonical",
    ),
    "genesis replaced": (lambda c: _other_genesis(c, POLICY, "2025-12-31T00:00:00.000000Z"), 1, "chain_id_mismatch"),
    "genesis quorum lowered": (
        lambda c: _other_genesis(c, msgspec.structs.replace(POLICY, numerator=1, denominator=3)),
        1,
        "chain_id_mismatch",
    ),
    "a longer fork of the coordinator": (lambda c: _releases(c, 3, 6, [COORDINATOR]), 7, "quorum_not_met"),
    "sub-quorum collusion": (lambda c: _releases(c, 3, 5, [COORDINATOR, "org-a", "org-b"]), 7, "quorum_not_met"),
    "sub-quorum admission": (
        _appended(lambda c: c.governance_header(c.admission("org-e", key_of("org-e"))), [COORDINATOR, "org-a"]),
        TIP + 1,
        "quorum_not_met",
    ),
    "two keys of one organisation": (_two_keys, TIP + 2, "quorum_not_met"),
    "a revoked key": (_revoked_key, TIP + 3, "approval_key"),
    "a back-dated new key": (_back_dated_key, TIP, "approval_key"),
    "a revocation deleted": (
        lambda c: [*_with_revocation(c).records[: TIP + 1], *c.records[TIP + 2 :]],
        TIP + 1,
        "height_mismatch",
    ),
    "a revocation deleted and the gap closed": (_unrevoked, TIP + 1, "rule_mismatch"),
    "the policy lowered by too few": (_appended(_lower_policy, [COORDINATOR, "org-a"]), TIP + 1, "quorum_not_met"),
    "a block from the future": (
        _appended(
            lambda c: c.release_header(provenance(5, orgs=MEMBERS), timestamp="2101-01-01T00:00:00.000000Z"),
            [COORDINATOR, *MEMBERS],
        ),
        TIP + 1,
        "timestamp_future",
    ),
}

REFUSED = "refused"
DIFFERENT = {
    # Its columns say which block a row is, and what is written into it says another.
    "swap two blocks": "column_mismatch",
    # Constraints: one block a height, one block behind each, one answer of an organisation.
    "duplicate a height": REFUSED,
    "replay an old block at the tip": REFUSED,
    "the same approval twice": REFUSED,
    "two keys of one organisation": REFUSED,
    "version repeated": REFUSED,
    # A release has a model and a round, nothing else has; and there is no fourth type.
    "governance with a model": REFUSED,
    "a second genesis": REFUSED,
    "release without a model": REFUSED,
    "release without provenance": REFUSED,
}
"""What a database says where it is not what an export says."""
