"""Canonical bytes: the one serialisation that flxdr hashes and signs.

A profile of RFC 8785 (JSON Canonicalization Scheme) on which every serialiser agrees: keys match `[a-z0-9_.-]+`,
integers lie within +-(2^53 - 1), there are no floats (scale them: `epsilon_ppm`), strings are NFC. Within this profile
sorted keys and minimal separators already are RFC 8785, so `orjson` produces it directly.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

import orjson

from flxdr.core.errors import Malformed

MAX_INTEGER = 2**53 - 1
MAX_DEPTH = 64
_KEY = re.compile(r"[a-z0-9_.-]+\Z")


class NotCanonical(Malformed):
    """A value or byte string outside the canonical profile; `path` says where."""

    code = "not_canonical"
    title = "Not in canonical form"


def encode(value: Any) -> bytes:
    """Serialise `value` to its only canonical byte string.

    Raises:
        NotCanonical: a float, a key outside the profile, an integer beyond 2^53 - 1, a string that is not NFC, more
            than 64 levels, or a type that JSON does not have.
    """
    if not _is_plain(value, MAX_DEPTH):
        _check(value, "$", MAX_DEPTH)
    return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)


def encode_plain(value: Any) -> bytes:
    """`encode`, fast for ASCII; the caller vouches for what `is_encoding` asks for, and that `value` is not deep.

    Raises:
        NotCanonical: as `encode`.
    """
    try:
        data = orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER)
    except orjson.JSONEncodeError:
        return encode(value)
    return data if data.isascii() else encode(value)


def decode(data: bytes) -> Any:
    """Parse canonical bytes, refusing every byte string that `encode` would not have written.

    Raises:
        NotCanonical: not JSON, or JSON in another spelling (spaces, key order, escapes, duplicate keys, `1.0`).
    """
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise NotCanonical(f"not JSON: {error}", path="$") from error
    if encode(value) != data:
        raise NotCanonical(
            "the bytes are JSON in another than the canonical spelling",
            expected="sorted keys, no white space, no escapes beyond RFC 8785, no duplicate keys",
            path="$",
        )
    return value


def is_encoding(value: Any, data: bytes) -> bool:
    """Whether `data` is `encode(value)`, found out fast for ASCII; False may also mean that it takes `encode` to tell.

    The caller vouches that `value` holds no floats and that its keys fit the profile.
    """
    try:
        return data.isascii() and orjson.dumps(value, option=orjson.OPT_SORT_KEYS | orjson.OPT_STRICT_INTEGER) == data
    except orjson.JSONEncodeError:
        return False


@lru_cache(maxsize=1024)
def is_key(key: str) -> bool:
    """Whether the profile allows `key` as a key."""
    return _KEY.match(key) is not None


def digest(data: bytes) -> str:
    """SHA-256 of `data` in lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def _is_plain(value: Any, depth: int) -> bool:
    """Whether `value` obviously fits the profile: `_check` decides about the rest, slowly, and says what is wrong.

    ASCII is NFC and valid Unicode. Types are compared exactly, so subclasses are left to `_check`.
    """
    kind = type(value)
    if kind is str:
        return bool(value.isascii())
    if kind is int:
        return bool(-MAX_INTEGER <= value <= MAX_INTEGER)
    if kind is dict:
        return depth > 0 and _are_keys(value) and all(_is_plain(item, depth - 1) for item in value.values())
    if kind is list or kind is tuple:
        return depth > 0 and all(_is_plain(item, depth - 1) for item in value)
    return value is None or kind is bool


def _are_keys(names: Iterable[Any]) -> bool:
    return all(type(name) is str and is_key(name) for name in names)


def _check(value: Any, path: str, depth: int) -> None:
    if isinstance(value, dict | list | tuple):
        if depth == 0:
            raise NotCanonical(f"{path}: nested deeper than {MAX_DEPTH} levels", path=path)
        for child_path, child in _children(value, path):
            _check(child, child_path, depth - 1)
    elif isinstance(value, str):
        _check_text(value, path)
    elif isinstance(value, int):  # a boolean is an int and always within bounds
        if abs(value) > MAX_INTEGER:
            raise NotCanonical(f"{path}: {value} is beyond 2^53 - 1", path=path)
    elif value is not None:
        raise NotCanonical(
            f"{path}: {type(value).__name__} has no canonical form",
            expected="null, boolean, integer, string, list or object (scale floats to integers)",
            path=path,
        )


def _children(value: dict[Any, Any] | list[Any] | tuple[Any, ...], path: str) -> Iterator[tuple[str, Any]]:
    if not isinstance(value, dict):
        yield from ((f"{path}[{index}]", item) for index, item in enumerate(value))
        return
    for key, item in value.items():
        if not isinstance(key, str) or not is_key(key):
            raise NotCanonical(f"{path}: key {key!r} is outside [a-z0-9_.-]+", path=path)
        yield f"{path}.{key}", item


def _check_text(text: str, path: str) -> None:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotCanonical(f"{path}: the string is not valid Unicode", path=path) from error
    if not unicodedata.is_normalized("NFC", text):
        raise NotCanonical(f"{path}: the string is not in NFC", path=path)
