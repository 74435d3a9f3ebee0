"""DSSE: the encoding as its specification prints it, and envelopes."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core import dsse
from flxdr.core.errors import Malformed
from flxdr.core.keys import Algorithm, SignatureInvalid
from tests.ledger.chains import federation, key_of


def test_pae_of_the_specification() -> None:
    assert dsse.pae("http://example.com/HelloWorld", b"hello world") == (
        b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_lengths_are_in_bytes() -> None:
    assert dsse.pae("é", "ü".encode()) == b"DSSEv1 2 \xc3\xa9 2 \xc3\xbc"


@pytest.mark.parametrize("algorithm", list(Algorithm))
def test_signature_covers_type_and_payload(algorithm: Algorithm) -> None:
    key = key_of("signer", algorithm)
    signature = dsse.sign(key, dsse.BLOCK_TYPE, b"payload")
    dsse.verify(key.public, signature, dsse.BLOCK_TYPE, b"payload")
    for kind, payload in ((dsse.REJECTION_TYPE, b"payload"), (dsse.BLOCK_TYPE, b"Payload")):
        with pytest.raises(SignatureInvalid):
            dsse.verify(key.public, signature, kind, payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.just("AAAA"),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
MEMBERS = ("payloadType", "payload", "signatures")


@given(
    document=st.fixed_dictionaries({}, optional=dict.fromkeys(MEMBERS, JSON))
    | st.fixed_dictionaries(
        {
            "payloadType": st.just(dsse.BLOCK_TYPE),
            "payload": st.text(),
            "signatures": st.lists(st.fixed_dictionaries({}, optional={"keyid": JSON, "sig": JSON})),
        }
    )
    | st.dictionaries(st.text(), JSON)
)
def test_any_document_is_an_envelope_or_malformed(document: dict[str, Any]) -> None:
    try:
        envelope = dsse.Envelope.from_json(document)
    except Malformed:
        return
    assert dsse.Envelope.from_json(envelope.as_json()) == envelope


@given(text=st.text() | st.binary().map(lambda data: data.decode("latin-1")))
def test_any_text_is_base64_or_malformed(text: str) -> None:
    try:
        data = dsse.decode_base64(text, "text")
    except Malformed:
        return
    assert dsse.encode_base64(data) == text


def test_block_as_an_envelope() -> None:
    chain = federation("org-a", "org-b", releases=1)
    envelope = chain.tip.envelope()
    document = envelope.as_json()
    assert document["payloadType"] == dsse.BLOCK_TYPE
    assert dsse.Envelope.from_json(document) == envelope
    for key_id, signature in envelope.signatures:
        key = next(key for key in chain.keys.values() if key.public.key_id == key_id)
        dsse.verify(key.public, signature, envelope.payload_type, envelope.payload)


@pytest.mark.parametrize(
    "document",
    [
        {},
        {"payloadType": "t", "payload": "AA==", "signatures": [{}]},
        {"payloadType": "t", "payload": "A", "signatures": []},
        {"payloadType": "t", "payload": "AA==", "signatures": None},
        {"payloadType": "t", "payload": 7, "signatures": []},
    ],
)
def test_what_is_no_envelope(document: dict[str, object]) -> None:
    with pytest.raises(Malformed):
        dsse.Envelope.from_json(document)


@pytest.mark.parametrize("text", ["AB==", "AA", "AA= =", "A-==", "é", "AA==\n"])
def test_base64_has_one_spelling(text: str) -> None:
    with pytest.raises(Malformed):
        dsse.decode_base64(text, "signature")
