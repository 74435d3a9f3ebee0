"""Reading a request body once: bounded, hashed on the way, on disk when it is large."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from django.conf import settings
from django.http import UnreadablePostError

from federation.api import large_bodies
from federation.api.connections import give_connection_back
from federation.api.errors import BodyTruncated, EncodedBody
from flxdr.core.errors import LengthRequired, Malformed, TooLarge

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

CHUNK_BYTES = 256 * 1024
IN_MEMORY_BYTES = 1024 * 1024


class Readable(Protocol):
    """The one method of a request that matters here."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True)
class Body:
    """A whole body: its bytes and their SHA-256 in hex."""

    data: bytes
    digest: str


def declared_length(meta: Mapping[str, str], *, limit: int) -> int:
    """The body's length as its sender declares it.

    Raises:
        LengthRequired: no Content-Length (chunked bodies have none).
        Malformed: a Content-Length that is no number.
        TooLarge: more than `limit` bytes; nothing was read.
        EncodedBody: a Content-Encoding.
    """
    if meta.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise EncodedBody(
            "the body is compressed", expected="no Content-Encoding", action="Send the bytes as they are."
        )
    text = meta.get("CONTENT_LENGTH") or ""
    if not text or "chunked" in meta.get("HTTP_TRANSFER_ENCODING", "").lower():
        raise LengthRequired(
            "the body's length is not declared",
            expected="a Content-Length header",
            action="Send the body with its length, not chunked.",
        )
    if not (text.isascii() and text.isdigit()) or len(text) > 18:
        raise Malformed(f"Content-Length is {text[:32]!r}", expected="the number of bytes in the body")
    length = int(text)
    if length > limit:
        raise TooLarge(
            f"the body has {length} bytes",
            expected=f"at most {limit} bytes",
            action="Send a smaller body, or ask the operator to raise the limit.",
            limit_bytes=limit,
        )
    return length


def read_body(stream: Readable, *, length: int) -> Body:
    """Read exactly `length` bytes.

    A large body waits on disk until it is whole, so slow senders hold no memory; nor do they hold a connection.

    Raises:
        BodyTruncated: the sender stopped early.
        TooManyUpdates: there was no room for it in time.
    """
    give_connection_back()
    digest = hashlib.sha256()
    with tempfile.SpooledTemporaryFile(max_size=IN_MEMORY_BYTES, dir=settings.FILE_UPLOAD_TEMP_DIR) as spool:
        for chunk in _chunks(stream, length):
            digest.update(chunk)
            spool.write(chunk)
        spool.seek(0)
        if length > IN_MEMORY_BYTES:
            large_bodies.room.take(length)
        return Body(spool.read(), digest.hexdigest())


def _chunks(stream: Readable, length: int) -> Iterator[bytes]:
    left = length
    while left:
        try:
            chunk = stream.read(min(left, CHUNK_BYTES))
        except UnreadablePostError:
            chunk = b""
        if not chunk:
            raise BodyTruncated(
                f"{length - left} bytes arrived",
                expected=f"{length} bytes, as Content-Length says",
                action="Send the request again.",
            )
        left -= len(chunk)
        yield chunk
