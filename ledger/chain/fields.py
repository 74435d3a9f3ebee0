"""What header fields are made of: spelled types, the strict base of every part, and reading them from documents."""

from __future__ import annotations

import re
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta

from flxdr.core.errors import Malformed

_HASH = re.compile(r"\A[0-9a-f]{64}\Z")
Hash = Annotated[str, Meta(pattern=_HASH.pattern)]
Name = Annotated[str, Meta(pattern=r"\A[A-Za-z0-9_.-]{1,64}\Z")]
Timestamp = Annotated[str, Meta(pattern=r"\A\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z\Z")]
Reason = Annotated[str, Meta(min_length=1, max_length=300)]
Count = Annotated[int, Meta(ge=0)]
Ordinal = Annotated[int, Meta(ge=1)]
Scalar = int | str | bool | None


class HeaderMalformed(Malformed):
    """Canonical bytes that are no header; `field` says where."""

    code = "header_malformed"
    title = "Malformed block header"


class Part(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A part of a header: exactly its fields, no others."""


def is_hash(text: str) -> bool:
    """Whether `text` is spelled as hashes are: 64 lower-case hex digits."""
    return _HASH.match(text) is not None


def parse_hash(text: str, field: str) -> str:
    """Check that a text is a SHA-256 in lower-case hex.

    Raises:
        HeaderMalformed: it is not; names `field`.
    """
    if not is_hash(text):
        raise HeaderMalformed(f"{field}: {text!r} is no hash", expected="64 lower-case hex digits", field=field)
    return text


T = TypeVar("T")


def convert(document: Any, kind: type[T]) -> T:
    """Read a part from plain values.

    Raises:
        HeaderMalformed: a field is missing, unknown, or of another type; names it.
    """
    try:
        return msgspec.convert(document, kind)
    except msgspec.ValidationError as error:
        message, _, path = str(error).partition(" - at `")
        field = path.rstrip("`").removeprefix("$.") or "$"
        raise HeaderMalformed(f"{field}: {message}", expected=message, field=field) from error
