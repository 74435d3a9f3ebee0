"""Canonical bytes: one spelling for every value, and every other spelling refused."""

import unicodedata
from collections.abc import Callable
from typing import Any

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from flxdr.core import canonical
from flxdr.core.canonical import MAX_INTEGER, NotCanonical

KEYS = st.text("abcdefghijklmnopqrstuvwxyz0123456789_.-", min_size=1, max_size=12)
TEXT = st.text(st.characters(codec="utf-8"), max_size=20).map(lambda text: unicodedata.normalize("NFC", text))
SCALARS = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | TEXT
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=20
)


@given(VALUES)
def test_agrees_with_rfc_8785(value: Any) -> None:
    assert canonical.encode(value) == rfc8785.dumps(value)


@given(VALUES)
def test_round_trip(value: object) -> None:
    assert canonical.decode(canonical.encode(value)) == value


@given(VALUES)
def test_no_other_spelling_is_read(value: object) -> None:
    pretty = orjson.dumps(value, option=orjson.OPT_INDENT_2)
    if pretty == canonical.encode(value):
        return
    with pytest.raises(NotCanonical):
        canonical.decode(pretty)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{",
        b"nul",
        b'{"a":1,"a":1}',
        b'{"b":1,"a":1}',
        b'{"a": 1}',
        b'{"a":1} ',
        b'{"a":1.0}',
        b'{"a":12.5}',
        b'{"a":1e1}',
        b'{"a":NaN}',
        b'{"a":"\\u0041"}',
        b'{"A":1}',
        b'{"a":9007199254740992}',
        b'{"a":18446744073709551616}',
        '{"a":"e\u0301"}'.encode(),
        '{"\U0001f600":1}'.encode(),
        b'{"a":"\xff"}',
        b"[" * 70 + b"]" * 70,
        b"[" * 1010 + b"]" * 1010,
        b"[" * 5000 + b"]" * 5000,
    ],
)
def test_decode_refuses(data: bytes) -> None:
    with pytest.raises(NotCanonical):
        canonical.decode(data)


@pytest.mark.parametrize(
    "value",
    [1.0, float("nan"), {"A": 1}, {"": 1}, {1: 1}, MAX_INTEGER + 1, -MAX_INTEGER - 1, "\ud800", b"x", {1, 2}, object()],
)
def test_encode_refuses(value: object) -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical.encode({"ok": [value]})
    assert caught.value.status == 400


@given(st.lists(st.dictionaries(KEYS, st.text(max_size=20) | st.integers() | st.none(), max_size=4), max_size=4))
def test_the_fast_form_says_the_same(value: Any) -> None:
    assert _told(canonical.encode_plain, value) == _told(canonical.encode, value)


def _told(encode: Callable[[Any], bytes], value: Any) -> object:
    """The bytes, or the fields of the refusal."""
    try:
        return encode(value)
    except NotCanonical as error:
        return error.fields


def test_error_names_the_place() -> None:
    with pytest.raises(NotCanonical) as caught:
        canonical.encode({"a": [{"b": 0.5}]})
    assert caught.value.fields["path"] == "$.a[0].b"


def test_digest_is_sha256() -> None:
    assert canonical.digest(b"abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
