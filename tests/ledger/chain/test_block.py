"""Headers: one byte string, every field checked."""

from __future__ import annotations

import hashlib
import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core.canonical import NotCanonical
from flxdr.core.errors import FlxdrError, Malformed
from ledger.chain import block, merkle
from ledger.chain.block import (
    SubmissionEntry,
    block_hash,
    index_columns,
    parse_header,
    parse_provenance,
    submission_leaf,
    submission_leaves,
    submissions_root,
)
from ledger.chain.entries import parse_statement
from ledger.chain.fields import HeaderMalformed
from tests.ledger.chains import federation, hash_of, provenance

CHAIN = federation("org-a", "org-b", releases=1)
HEADERS = [record.header for record in CHAIN.records]
RELEASE = HEADERS[-1]

entries = st.lists(
    st.builds(
        SubmissionEntry,
        org_id=st.from_regex(r"[a-z][a-z0-9-]{0,20}", fullmatch=True),
        submission_digest=st.from_regex(r"[0-9a-f]{64}", fullmatch=True),
        samples=st.integers(0, 10**9),
    ),
    min_size=1,
    max_size=12,
    unique_by=lambda entry: entry.org_id,
)


@pytest.mark.parametrize("header", HEADERS, ids=["genesis", "admission", "admission", "release"])
def test_parse_and_encode_are_inverse(header: bytes) -> None:
    assert parse_header(header).encode() == header
    assert block_hash(header) == hashlib.sha256(header).hexdigest()


def test_every_header_has_every_field() -> None:
    fields = {"v", "type", "chain_id", "height", "timestamp", "prev_hash", "prev_cert", "model_hash", "provenance"}
    for header in HEADERS:
        assert set(json.loads(header)) == fields | {"governance"}


@pytest.mark.parametrize(
    "respell",
    [
        lambda b: b.replace(b'"v":1', b'"v": 1'),
        lambda b: b.replace(b'"v":1', b'"v":1.0'),
        lambda b: b.replace(b'"v":1', b'"v":1e0'),
        lambda b: b.replace(b'"v":1', b'"v":1,"v":1'),
        lambda b: b.replace(b'"plain"', b'"pl\\u0061in"'),
        lambda b: b.replace(b'"samples_total":1000', b'"samples_total":9007199254740993'),
        lambda b: b.replace(b'"samples_total":1000', b'"samples_total":NaN'),
        lambda b: b.replace(b'"plain"', b'"pl\xff"'),
        lambda b: b.replace(b'"plain"', '"e\u0301"'.encode()),
        lambda b: b + b"\n",
        lambda b: b"\xef\xbb\xbf" + b,
        lambda b: json.dumps(dict(reversed(json.loads(b).items())), separators=(",", ":")).encode(),
        lambda b: b"",
    ],
)
def test_other_spellings_are_refused(respell: object) -> None:
    changed = respell(RELEASE)  # type: ignore[operator]
    assert changed != RELEASE
    with pytest.raises(NotCanonical):
        parse_header(changed)


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("v", 2),
        ("type", "checkpoint"),
        ("height", -1),
        ("height", "1"),
        ("prev_hash", "A" * 64),
        ("prev_hash", "a" * 63),
        ("prev_cert", None),
        ("model_hash", ""),
        ("timestamp", "2026-01-01T00:00:00Z"),
        ("timestamp", "2026-01-01T00:00:00.000000+00:00"),
        ("provenance.round_number", 0),
        ("provenance.model_version", True),
        ("provenance.training_orgs", "org-a"),
        ("provenance.model_name", "a b"),
        ("provenance.config_hash", None),
        ("provenance.weighting", ""),
        ("provenance.optimizer_state_hash", ""),
        ("provenance.extra", 1),
        ("governance.rule", "majority"),
        ("governance.actions", [{"action": "revoke"}]),
        ("extra", 1),
    ],
)
def test_each_field_is_checked(path: str, value: object) -> None:
    document = json.loads(RELEASE)
    target = document
    *parents, last = path.split(".")
    for name in parents:
        target = target[name]
    target[last] = value
    encoded = json.dumps(document, sort_keys=True, separators=(",", ":")).encode()
    with pytest.raises(HeaderMalformed) as refused:
        parse_header(encoded)
    assert refused.value.fields["field"].split("[")[0] in {path, ".".join(parents) or "$"}


@pytest.mark.parametrize("timestamp", ["2026-02-30T00:00:00.000000Z", "2026-01-01T24:00:00.000000Z"])
def test_a_timestamp_names_a_moment(timestamp: str) -> None:
    document = json.loads(RELEASE) | {"timestamp": timestamp}
    with pytest.raises(Malformed):
        parse_header(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


@pytest.mark.parametrize("missing", ["v", "prev_cert", "governance", "provenance"])
def test_no_field_may_be_missing(missing: str) -> None:
    document = json.loads(RELEASE)
    del document[missing]
    with pytest.raises(HeaderMalformed):
        parse_header(json.dumps(document, sort_keys=True, separators=(",", ":")).encode())


def test_columns_are_the_headers_words() -> None:
    header = parse_header(RELEASE)
    columns = index_columns(header, block_hash(RELEASE))
    assert columns["block_hash"] == block_hash(RELEASE)
    assert columns["model_version"] == 1
    assert columns["round_id"] == "round-1-abc"
    assert index_columns(parse_header(HEADERS[0]), block_hash(HEADERS[0]))["model_hash"] is None


def test_floats_have_no_place_in_a_provenance() -> None:
    document = msgspec.to_builtins(provenance()) | {"metrics_ppm": {"accuracy": 0.9}}
    with pytest.raises(HeaderMalformed):
        parse_provenance(document)


def test_a_statement_is_canonical_and_complete() -> None:
    with pytest.raises(NotCanonical):
        parse_statement(b'{"v": 1}')
    with pytest.raises(HeaderMalformed):
        parse_statement(b'{"v":1}')


def test_submission_leaf_bytes() -> None:
    digest = hash_of("update")
    assert submission_leaf("org-a", digest, 12) == (
        b'{"org_id":"org-a","samples":12,"submission_digest":"' + digest.encode() + b'"}'
    )


@given(entries, st.randoms(use_true_random=False))
def test_root_does_not_depend_on_arrival(submissions: list[SubmissionEntry], rng: object) -> None:
    shuffled = list(submissions)
    rng.shuffle(shuffled)  # type: ignore[attr-defined]
    assert submissions_root(shuffled) == submissions_root(submissions)


@given(entries, st.data())
def test_every_submission_is_provable(submissions: list[SubmissionEntry], data: st.DataObject) -> None:
    leaves = submission_leaves(submissions)
    index = data.draw(st.integers(0, len(leaves) - 1))
    proof = merkle.inclusion_proof(leaves, index)
    root = bytes.fromhex(submissions_root(submissions))
    assert merkle.verify_inclusion(leaves[index], index, len(leaves), proof, root)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"", b""),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":9007199254740991}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":9007199254740992}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":900000.0}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":9e5}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":-0}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"Accuracy":900000}'),
        (b'"metrics_ppm":{"accuracy":900000}', b'"metrics_ppm":{"accuracy":900000,"accuracy":900000}'),
        (b'"privacy":{"mechanism":"none"}', '"privacy":{"mechanism":"é"}'.encode()),
        (b'"privacy":{"mechanism":"none"}', '"privacy":{"mechanism":"e\u0301"}'.encode()),
        (b'"privacy":{"mechanism":"none"}', b'"privacy":{"mechanism":"\\u00e9"}'),
        (b'"privacy":{"mechanism":"none"}', b'"privacy":{"mechanism":"\\ud800"}'),
        (b'"privacy":{"mechanism":"none"}', b'"privacy":{"mechanism":"\\n"}'),
        (b'"privacy":{"mechanism":"none"}', b'"privacy":{"mechanism":"\\u000a"}'),
        (b'"privacy":{"mechanism":"none"}', b'"privacy":{"mechanism":1.5}'),
        (b',"v":1}', b"}"),
        (b',"v":1}', b',"v":1,"w":1}'),
        (b',"v":1}', b',"v":true}'),
    ],
)
def test_the_fast_reading_is_the_thorough_one(old: bytes, new: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    data = federation("org-a", "org-b", releases=1).tip.header
    assert old in data
    data = data.replace(old, new)
    fast = _outcome(data)
    monkeypatch.setattr(block, "_read_plain", lambda data: None)
    assert fast == _outcome(data)


def _outcome(data: bytes) -> object:
    try:
        return parse_header(data)
    except FlxdrError as error:
        return error.code, error.detail, error.fields
