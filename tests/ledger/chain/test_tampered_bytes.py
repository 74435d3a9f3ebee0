"""What can be done to stored bytes without a quorum's keys; the coordinator's key is the attacker's."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from flxdr.core import dsse
from flxdr.core.keys import Algorithm
from ledger.chain.approvals import certificate_hash
from ledger.chain.block import block_hash, index_columns, parse_header
from ledger.chain.entries import COORDINATOR
from ledger.chain.record import ChainRecord
from tests.ledger.chains import ChainBuilder, edited, federation, hash_of, key_of, provenance, with_columns
from tests.ledger.tampering import MEMBERS, RELEASES, TIP, first_bad, honest


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


STORED = {
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
}


def _strip_then_add() -> list[ChainRecord]:
    """Block 6 is sealed by three of four; the fourth's genuine approval is added when block 7 stands on it."""
    chain = federation(*MEMBERS, releases=1)
    header = chain.release_header(provenance(2, orgs=MEMBERS))
    chain.append(header, [COORDINATOR, "org-a", "org-b", "org-c"])
    chain.release(3, orgs=MEMBERS)
    sealed = chain.records[6]
    chain.records[6] = replace(sealed, approvals=[*sealed.approvals, chain.approval(sealed.header, "org-d")])
    return chain.records


@pytest.mark.parametrize("name", STORED)
def test_stored_bytes(name: str) -> None:
    tamper, height, code = STORED[name]
    chain = honest()
    assert first_bad(tamper(chain))[:2] == (height, code)
    assert chain.verified().report.chain_valid or name == "a genuine approval added below the tip"


@pytest.mark.parametrize("column", ["height", "type", "timestamp", "block_hash", "prev_hash", "model_hash", "round_id"])
@pytest.mark.parametrize("height", [0, 3, TIP])
def test_a_column_that_differs(column: str, height: int) -> None:
    records = [with_columns(record) for record in honest().records]
    assert records[height].columns is not None
    records[height] = replace(records[height], columns={**(records[height].columns or {}), column: "x"})
    assert first_bad(records) == (height, "column_mismatch", column)


def test_an_edit_is_seen_by_its_columns_first() -> None:
    records = [with_columns(record) for record in honest().records]
    records[6] = replace(records[6], header=edited(records[6].header, model_hash=hash_of("evil")))
    assert first_bad(records) == (6, "column_mismatch", "block_hash")
    columns = index_columns(parse_header(records[6].header), records[6].header)
    records[6] = replace(records[6], columns=columns)
    assert first_bad(records)[:2] == (6, "approval_signature")
