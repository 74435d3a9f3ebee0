"""What organisations sign: same facts, same bytes; any other fact, other bytes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation import statements
from federation.errors import MetricsInvalid, StatementMalformed
from flxdr.core import canonical, dsse
from flxdr.core.keys import Algorithm, PrivateKey, SignatureInvalid

FACTS: dict[str, Any] = {
    "chain_id": "c" * 64,
    "round_id": "round-1-abc",
    "config_hash": "d" * 64,
    "org": "org-alpha",
    "parent_hash": None,
    "kind": "delta",
    "samples": 10,
    "privacy": {"mechanism": "none"},
    "wire_digest": "e" * 64,
    "metrics": {"loss": 0.45},
}
OTHER: dict[str, Any] = {
    "chain_id": "0" * 64,
    "round_id": "round-2-abc",
    "config_hash": "0" * 64,
    "org": "org-beta",
    "parent_hash": "f" * 64,
    "kind": "weights",
    "samples": 11,
    "privacy": {"mechanism": "gaussian"},
    "wire_digest": "0" * 64,
    "metrics": {"loss": 0.46},
}


@pytest.mark.parametrize("name", sorted(FACTS))
def test_every_fact_is_bound(name: str) -> None:
    changed = FACTS | {name: OTHER[name]}
    assert statements.submission(**changed) != statements.submission(**FACTS)


def test_submission_statement_is_golden() -> None:
    fields = canonical.decode(statements.submission(**FACTS))
    assert fields == FACTS | {"v": 1, "metrics": {"loss": 450_000}}


def test_registration_statement_is_golden() -> None:
    data = statements.registration(org_id="org-alpha", org_name="Alpha SOC", key_id="a" * 64, chain_id="c" * 64)
    expected = {"v": 1, "org_id": "org-alpha", "org_name": "Alpha SOC", "key_id": "a" * 64, "chain_id": "c" * 64}
    assert canonical.decode(data) == expected


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -float("inf"), 1.1e9])
def test_metrics_without_bounds_are_refused(value: float) -> None:
    with pytest.raises(MetricsInvalid):
        statements.metrics_ppm({"loss": value})


@given(st.dictionaries(st.from_regex(r"[a-z]{1,8}", fullmatch=True), st.floats(-1e9, 1e9), max_size=5))
def test_metrics_are_within_half_a_millionth(metrics: dict[str, float]) -> None:
    scaled = statements.metrics_ppm(metrics)
    assert all(abs(scaled[name] - metrics[name] * 1e6) <= 0.5 + abs(metrics[name]) * 1e-9 for name in metrics)


@given(st.binary(max_size=200), st.binary(max_size=100))
def test_the_header_gives_back_what_it_was_made_of(statement: bytes, signature: bytes) -> None:
    signed = statements.Envelope(statement, "a" * 64, signature)
    unsigned = statements.Envelope(statement)
    assert statements.Envelope.from_compact(signed.compact()) == signed
    assert statements.Envelope.from_compact(unsigned.compact()) == unsigned


@pytest.mark.parametrize("header", ["a.b", "a.b.c.d", "!!!", "YQ==", "Y" * 5, "é"])
def test_malformed_headers_are_refused(header: str) -> None:
    with pytest.raises(StatementMalformed):
        statements.Envelope.from_compact(header)


@pytest.mark.parametrize("data", [b"", b"[]", b'{"a": 1}', b'{"a":1.5}', b"\xff"])
def test_statements_are_canonical_objects(data: bytes) -> None:
    with pytest.raises(StatementMalformed):
        statements.Envelope(data).fields()


@pytest.mark.parametrize("algorithm", Algorithm)
def test_a_signature_covers_type_and_bytes(algorithm: Algorithm) -> None:
    key = PrivateKey(algorithm, b"s" * 32)
    statement = statements.submission(**FACTS)
    signature = dsse.sign(key, dsse.SUBMISSION_TYPE, statement)
    dsse.verify(key.public, signature, dsse.SUBMISSION_TYPE, statement)
    with pytest.raises(SignatureInvalid):
        dsse.verify(key.public, signature, dsse.REGISTRATION_TYPE, statement)
    with pytest.raises(SignatureInvalid):
        dsse.verify(key.public, signature, dsse.SUBMISSION_TYPE, statement + b" ")
