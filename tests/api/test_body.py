"""Reading a body: its declared length, its limit, its digest."""

from __future__ import annotations

import hashlib
import io
import tracemalloc

import pytest
from django.http import UnreadablePostError
from hypothesis import given
from hypothesis import strategies as st

from federation.api.body import IN_MEMORY_BYTES, declared_length, read_body
from federation.api.errors import BodyTruncated, EncodedBody
from flxdr.core.errors import FlxdrError, LengthRequired, Malformed, TooLarge

GIGABYTE = 10**9


class Endless:
    """A sender that never stops; counts what was taken from it."""

    def __init__(self) -> None:
        self.taken = 0

    def read(self, size: int, /) -> bytes:
        self.taken += size
        return b"x" * size


class Dying:
    """A sender whose connection breaks after some bytes."""

    def __init__(self, data: bytes) -> None:
        self.data = io.BytesIO(data)

    def read(self, size: int, /) -> bytes:
        chunk = self.data.read(size)
        if not chunk:
            raise UnreadablePostError("connection reset")
        return chunk


@pytest.mark.parametrize(
    ("meta", "error"),
    [
        ({}, LengthRequired),
        ({"CONTENT_LENGTH": ""}, LengthRequired),
        ({"CONTENT_LENGTH": "5", "HTTP_TRANSFER_ENCODING": "chunked"}, LengthRequired),
        ({"HTTP_TRANSFER_ENCODING": "gzip, Chunked"}, LengthRequired),
        ({"CONTENT_LENGTH": "-5"}, Malformed),
        ({"CONTENT_LENGTH": "five"}, Malformed),
        ({"CONTENT_LENGTH": "+5"}, Malformed),
        ({"CONTENT_LENGTH": "5 "}, Malformed),
        ({"CONTENT_LENGTH": "٣"}, Malformed),
        ({"CONTENT_LENGTH": "9" * 5000}, Malformed),
        ({"CONTENT_LENGTH": str(GIGABYTE)}, TooLarge),
        ({"CONTENT_LENGTH": "101"}, TooLarge),
        ({"CONTENT_LENGTH": "5", "HTTP_CONTENT_ENCODING": "gzip"}, EncodedBody),
    ],
)
def test_declared_length_refuses(meta: dict[str, str], error: type[FlxdrError]) -> None:
    with pytest.raises(error) as caught:
        declared_length(meta, limit=100)
    assert caught.value.expected


@pytest.mark.parametrize("length", ["0", "100"])
def test_declared_length_accepts_up_to_the_limit(length: str) -> None:
    assert declared_length({"CONTENT_LENGTH": length, "HTTP_CONTENT_ENCODING": "identity"}, limit=100) == int(length)


@given(st.binary(max_size=2000), st.binary(max_size=50))
def test_reads_exactly_the_declared_bytes(body: bytes, following: bytes) -> None:
    stream = io.BytesIO(body + following)
    read = read_body(stream, length=len(body))
    assert read.data == body
    assert read.digest == hashlib.sha256(body).hexdigest()
    assert stream.read() == following


@pytest.mark.parametrize("size", [IN_MEMORY_BYTES - 1, IN_MEMORY_BYTES, IN_MEMORY_BYTES + 1, 3 * IN_MEMORY_BYTES + 7])
def test_large_bodies_are_the_same(size: int) -> None:
    body = bytes(range(256)) * (size // 256 + 1)
    read = read_body(io.BytesIO(body), length=size)
    assert (read.data, read.digest) == (body[:size], hashlib.sha256(body[:size]).hexdigest())


@pytest.mark.parametrize("stream", [io.BytesIO(b"only this"), Dying(b"only this")])
def test_a_body_shorter_than_declared_is_refused(stream: io.BytesIO | Dying) -> None:
    with pytest.raises(BodyTruncated, match="9 bytes arrived"):
        read_body(stream, length=10)


def test_a_lying_length_never_reads_beyond_itself() -> None:
    sender = Endless()
    assert len(read_body(sender, length=3_000_000).data) == 3_000_000
    assert sender.taken == 3_000_000


def test_an_unfinished_large_body_holds_no_memory() -> None:
    class Stops(Endless):
        def read(self, size: int, /) -> bytes:
            return b"" if self.taken >= 64_000_000 else super().read(size)

    tracemalloc.start()
    with pytest.raises(BodyTruncated):
        read_body(Stops(), length=200_000_000)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 3 * IN_MEMORY_BYTES
