"""From the bytes of a submission to a parsed update, or a refusal that says why."""

from __future__ import annotations

import base64
import hashlib
import json
import tracemalloc
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rest_framework.request import Request
from rest_framework.test import APIRequestFactory

from federation import statements
from federation.api.documents import GradientDocument, UpdateDocument
from federation.api.errors import EmptyBody, MalformedJson, MalformedTensors, ShapeMismatch, UnreadableBody
from federation.api.parsers import JsonUpdateParser, RawUpdateParser, SafetensorsUpdateParser, received_update
from federation.api.statement_header import META_KEY
from federation.api.update_json import MAX_LIST_BYTES, Gradient, SubmissionDocument
from federation.errors import StatementMalformed
from federation.services.received import FlatValues, NamedTensors, ReceivedUpdate
from flxdr.core import dsse
from flxdr.core.errors import FlxdrError, TooLarge
from flxdr.core.keys import PrivateKey
from models_ml import codec

JSON, SAFETENSORS, RAW = "application/json", "application/vnd.safetensors", "application/octet-stream"
PARSERS = (JsonUpdateParser(), SafetensorsUpdateParser(), RawUpdateParser())


def receive(body: Any, content_type: str = JSON, **headers: Any) -> ReceivedUpdate:
    request = APIRequestFactory().generic("POST", "/", body, content_type, **headers)
    return received_update(Request(request, parsers=PARSERS))


def document(**changes: Any) -> dict[str, Any]:
    """The guide's body, changed."""
    gradient = {"model_weights": [[0.1, 0.2], [0.3, 0.4]], "shape": [2, 2], "samples_seen": 1024}
    base = {
        "round_id": "round-1-abc123",
        "org_id": "org-alpha",
        "gradient": gradient | changes.pop("gradient", {}),
        "metrics": {"loss": 0.45, "accuracy": 0.92},
    }
    return {name: value for name, value in (base | changes).items() if value is not ...}


def as_json(value: Any) -> bytes:
    return json.dumps(value).encode()


def statement(**changes: Any) -> bytes:
    fields: dict[str, Any] = {
        "chain_id": "c" * 64,
        "round_id": "round-1-abc123",
        "config_hash": "d" * 64,
        "org": "org-alpha",
        "parent_hash": None,
        "kind": "delta",
        "samples": 7,
        "privacy": {"mechanism": "none"},
        "wire_digest": "e" * 64,
        "metrics": {"loss": 0.25},
    }
    return statements.submission(**(fields | changes))


def header(signed: bytes | None = None, key: PrivateKey | None = None) -> dict[str, str]:
    signed = statement() if signed is None else signed
    if key is None:
        return {META_KEY: statements.Envelope(signed).compact()}
    signature = dsse.sign(key, dsse.SUBMISSION_TYPE, signed)
    return {META_KEY: statements.Envelope(signed, key.public.key_id, signature).compact()}


def array_of(received: ReceivedUpdate) -> np.ndarray[Any, Any]:
    assert isinstance(received.payload, FlatValues)
    return received.payload.values


def test_the_guides_body_is_read_as_weights() -> None:
    body = as_json(document())
    received = receive(body)
    assert (received.round_id, received.org_id, received.kind) == ("round-1-abc123", "org-alpha", "weights")
    assert received.samples == 1024
    assert received.metrics == {"loss": 0.45, "accuracy": 0.92}
    assert received.privacy == {"mechanism": "none"}
    assert (received.statement, received.signature, received.key_id) == (None, None, None)
    assert received.wire_digest == hashlib.sha256(body).hexdigest()
    assert received.body == body
    np.testing.assert_array_equal(array_of(received), [[0.1, 0.2], [0.3, 0.4]])


def test_a_charset_parameter_changes_nothing() -> None:
    assert array_of(receive(as_json(document()), "application/json; charset=utf-8")).shape == (2, 2)


@pytest.mark.parametrize(("name", "dtype"), [("float32", "<f4"), ("float64", "<f8"), ("int32", "<i4")])
def test_base64_arrays_keep_their_type(name: str, dtype: str) -> None:
    values = np.array([[1, -2, 3]], dtype=dtype)
    gradient = {"data": base64.b64encode(values.tobytes()).decode(), "dtype": name, "shape": [1, 3], "samples_seen": 1}
    array = array_of(receive(as_json(document() | {"gradient": gradient, "kind": "delta"})))
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, values)


@given(st.lists(st.integers(1, 4), min_size=1, max_size=4), st.randoms(use_true_random=False))
@settings(max_examples=50)
def test_lists_of_any_shape_survive(shape: list[int], random: Any) -> None:
    values = np.array([random.uniform(-8, 8) for _ in range(int(np.prod(shape)))]).reshape(shape)
    received = receive(as_json(document(gradient={"model_weights": values.tolist(), "shape": shape})))
    np.testing.assert_array_equal(array_of(received), values)


def refusal(body: bytes, content_type: str) -> int | None:
    """The status with which a body is refused; None where it is read."""
    try:
        receive(body, content_type, **header())
    except FlxdrError as error:
        return error.status
    return None


@given(st.binary(max_size=300), st.sampled_from([JSON, SAFETENSORS, RAW]))
def test_arbitrary_bytes_are_refused_or_read_but_never_break(body: bytes, content_type: str) -> None:
    assert refusal(body, content_type) in {None, 400, 411, 422}


@pytest.mark.parametrize(
    "text",
    [
        b"{",
        b"not json",
        b'{"round_id": NaN}',
        b'{"round_id": Infinity}',
        b'\xff\xfe{"round_id": 1}',
        b'{"gradient": ' * 100_000,
        b"[" * 1_000_000,
        b'{"gradient": {"model_weights": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    ],
    ids=["cut", "words", "nan", "infinity", "utf-16", "deep-objects", "deep-lists", "deep-weights"],
)
def test_malformed_json_is_refused(text: bytes) -> None:
    with pytest.raises((MalformedJson, UnreadableBody)) as caught:
        receive(text)
    assert caught.value.status == 400


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999", "-1e999", "nan", "0x10", "1_0"])
def test_numbers_that_json_does_not_have_are_refused(literal: str) -> None:
    body = as_json(document()).replace(b"0.3", literal.encode())
    with pytest.raises(FlxdrError) as caught:
        receive(body)
    assert caught.value.status in {400, 422}


@pytest.mark.parametrize(
    ("body", "naming"),
    [
        (document(round_id=...), "round_id"),
        (document(org_id=...), "org_id"),
        (document() | {"gradient": ["x"]}, "gradient"),
        (document(surprise=1), "surprise"),
        (document(gradient={"surprise": 1}), "surprise"),
        (document(round_id=5), "round_id"),
        (document(round_id="x" * 65), "round_id"),
        (document(round_id="round\x00"), "round_id"),
        (document(org_id="org alpha"), "org_id"),
        (document(kind="gradients"), "kind"),
        (document(metrics={"loss": "low"}), "metrics"),
        (document(metrics={f"m{number}": 0.0 for number in range(65)}), "metrics"),
        (document(gradient={"samples_seen": 1.5}), "samples_seen"),
        (document(gradient={"samples_seen": True}), "samples_seen"),
        (document(gradient={"shape": []}), "shape"),
        (document(gradient={"shape": [0]}), "shape"),
        (document(gradient={"shape": [-1, 2]}), "shape"),
        (document(gradient={"shape": [1] * 9}), "shape"),
        (document(gradient={"dtype": "float32"}), "dtype"),
        (document(gradient={"data": "AAAA", "dtype": "float32"}), "model_weights"),
        (document(gradient={"data": "AAAA"}), "model_weights"),
        ({"round_id": "r", "org_id": "o", "gradient": {"shape": [1], "samples_seen": 1}}, "model_weights"),
        ([], "array"),
    ],
)
def test_wrong_fields_are_named(body: Any, naming: str) -> None:
    with pytest.raises(UnreadableBody) as caught:
        receive(as_json(body))
    assert naming in f"{caught.value.detail} {caught.value.expected}"


@pytest.mark.parametrize(
    "gradient",
    [
        {"shape": [4]},
        {"shape": [2, 3]},
        {"shape": [2, 2, 1]},
        {"model_weights": [[0.1, 0.2], [0.3]]},
        {"model_weights": [[0.1, 0.2], []]},
        {"model_weights": []},
        {"model_weights": "0.1"},
        {"model_weights": None},
        {"model_weights": [[0.1, "0.2"], [0.3, 0.4]]},
        {"model_weights": [[0.1, True], [0.3, 0.4]]},
        {"model_weights": [[0.1, None], [0.3, 0.4]]},
    ],
)
def test_numbers_that_do_not_fill_the_shape_are_refused(gradient: dict[str, Any]) -> None:
    with pytest.raises(ShapeMismatch) as caught:
        receive(as_json(document(gradient=gradient)))
    assert caught.value.status == 422
    assert "[" in str(caught.value.expected)


def test_lists_that_would_fill_the_memory_are_refused_unread() -> None:
    numbers = b"[" + b"1," * (MAX_LIST_BYTES // 2) + b"1]"
    body = as_json(document(gradient={"model_weights": "HERE", "shape": [MAX_LIST_BYTES // 2 + 1]}))
    tracemalloc.start()
    with pytest.raises(TooLarge, match="model_weights"):
        receive(body.replace(b'"HERE"', numbers))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 8 * MAX_LIST_BYTES


def test_base64_of_another_length_is_refused_before_anything_is_allocated() -> None:
    gradient = {"data": "AAAAAA==", "dtype": "float32", "shape": [2**31 - 1] * 8, "samples_seen": 1}
    with pytest.raises(ShapeMismatch):
        receive(as_json(document() | {"gradient": gradient}))


@pytest.mark.parametrize("text", ["AAAAAA", "AAA*AAA=", "====", "AAAAAA==\n "])
def test_bad_base64_is_refused(text: str) -> None:
    gradient = {"data": text, "dtype": "float32", "shape": [1], "samples_seen": 1}
    with pytest.raises(FlxdrError) as caught:
        receive(as_json(document() | {"gradient": gradient}))
    assert caught.value.status in {400, 422}


@pytest.mark.parametrize("content_type", [JSON, SAFETENSORS, RAW])
def test_an_empty_body_is_refused(content_type: str) -> None:
    with pytest.raises(EmptyBody):
        receive(b"", content_type, CONTENT_LENGTH="0", **header())


def test_safetensors_are_described_by_the_signed_header() -> None:
    key = PrivateKey.generate()
    tensors = {"b": np.array([1, -2], dtype=np.int32), "a": np.array([[3]], dtype=np.int32)}
    body = codec.encode(tensors)
    signed = statement()
    received = receive(body, SAFETENSORS, **header(signed, key))
    assert isinstance(received.payload, NamedTensors)
    assert {name: array.tolist() for name, array in received.payload.tensors.items()} == {"a": [[3]], "b": [1, -2]}
    assert (received.round_id, received.org_id, received.kind, received.samples) == (
        "round-1-abc123",
        "org-alpha",
        "delta",
        7,
    )
    assert received.metrics == {"loss": 0.25}
    assert received.privacy == {"mechanism": "none"}
    assert received.statement == signed
    assert received.key_id == key.public.key_id
    assert received.signature is not None
    dsse.verify(key.public, received.signature, dsse.SUBMISSION_TYPE, signed)


@pytest.mark.parametrize(
    "damage",
    [
        lambda body: body[:-1],
        lambda body: body + b"\0",
        lambda body: body[:8],
        lambda body: b"\xff" * 8 + body[8:],
        lambda body: body[:8] + b"[" + body[9:],
        lambda body: body.replace(b"I32", b"F32"),
        lambda body: body.replace(b"[2]", b"[3]"),
    ],
)
def test_damaged_safetensors_are_refused(damage: Any) -> None:
    body = codec.encode({"a": np.array([1, 2], dtype=np.int32)})
    with pytest.raises(MalformedTensors) as caught:
        receive(damage(body), SAFETENSORS, **header())
    assert caught.value.status == 400
    assert caught.value.expected


@pytest.mark.parametrize(("parameter", "dtype"), [("", "<f4"), ("; dtype=f4", "<f4"), ('; dtype="i4"', "<i4")])
def test_raw_vectors_have_a_declared_type(parameter: str, dtype: str) -> None:
    values = np.array([1, -2, 3], dtype=dtype)
    array = array_of(receive(values.tobytes(), RAW + parameter, **header()))
    assert array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(array, values)


@pytest.mark.parametrize(("body", "parameter"), [(b"12345", ""), (b"12345678", "; dtype=f8"), (b"1234", "; dtype=")])
def test_other_raw_bodies_are_refused(body: bytes, parameter: str) -> None:
    with pytest.raises(MalformedTensors):
        receive(body, RAW + parameter, **header())


@pytest.mark.parametrize("content_type", [SAFETENSORS, RAW])
def test_a_binary_body_needs_the_header(content_type: str) -> None:
    with pytest.raises(StatementMalformed, match="Submission-Statement"):
        receive(b"1234", content_type)


@pytest.mark.parametrize(
    "value",
    [
        "",
        ".",
        "a.b",
        "a.b.c.d",
        "%%%",
        statements.Envelope(b"{").compact(),
        statements.Envelope(b"[]").compact(),
        statements.Envelope(b'{"round_id": "r"}').compact(),
        statements.Envelope(b'{"round_id":"r"}').compact(),
        statements.Envelope(b"[" * 900 + b"]" * 900).compact(),
        statements.Envelope(statement()).compact() + "\u00e9",
    ],
)
def test_unreadable_headers_are_refused(value: str) -> None:
    with pytest.raises(StatementMalformed) as caught:
        receive(b"1234", RAW, **{META_KEY: value})
    assert caught.value.status == 400


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"round_id": "round-2"}, "round_id"),
        ({"org": "org-beta"}, "org"),
        ({"kind": "delta"}, "kind"),
        ({"samples": 1}, "samples"),
    ],
)
def test_a_statement_about_another_body_is_refused(changes: dict[str, Any], field: str) -> None:
    about_this = {"kind": "weights", "samples": 1024, "metrics": {"loss": 0.45, "accuracy": 0.92}}
    assert receive(as_json(document()), **header(statement(**about_this))).statement == statement(**about_this)
    with pytest.raises(StatementMalformed, match=field):
        receive(as_json(document()), **header(statement(**(about_this | changes))))


def test_the_documented_gradient_has_the_parsed_fields() -> None:
    for serializer, form in ((GradientDocument, Gradient), (UpdateDocument, SubmissionDocument)):
        fields = msgspec.structs.fields(form)
        assert set(serializer().fields) == {field.name for field in fields}
        required = {name for name, field in serializer().fields.items() if field.required}
        assert required == {field.name for field in fields if field.required}
