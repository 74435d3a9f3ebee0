"""Range and ETag arithmetic, against a naive model of RFC 9110."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from federation.api.byte_ranges import ByteRange, Unsatisfiable, parse_range, serve
from flxdr.platform.errors import BlobMissing

CONTENT = bytes(range(100))


@given(st.integers(1, 200), st.integers(0, 250), st.none() | st.integers(0, 250))
def test_ranges_select_the_bytes_they_name(size: int, first: int, last: int | None) -> None:
    header = f"bytes={first}-{'' if last is None else last}"
    wanted = [index for index in range(size) if index >= first and (last is None or index <= last)]
    if last is not None and last < first:
        assert parse_range(header, size=size) is None
    elif not wanted:
        with pytest.raises(Unsatisfiable):
            parse_range(header, size=size)
    else:
        assert parse_range(header, size=size) == ByteRange(wanted[0], wanted[-1])


@given(st.integers(1, 200), st.integers(1, 250))
def test_suffix_ranges_select_the_end(size: int, count: int) -> None:
    wanted = list(range(size))[-count:]
    assert parse_range(f"bytes=-{count}", size=size) == ByteRange(wanted[0], wanted[-1])


@pytest.mark.parametrize(
    "header", [None, "", "bytes=-", "bytes=a-b", "bytes=0-1,3-4", "items=0-1", "bytes=5-2", "bytes=" + "9" * 40 + "-"]
)
def test_other_range_headers_are_ignored(header: str | None) -> None:
    assert parse_range(header, size=10) is None


def test_the_last_zero_bytes_are_unsatisfiable() -> None:
    with pytest.raises(Unsatisfiable):
        parse_range("bytes=-0", size=10)


@pytest.mark.django_db  # closing a response ends Django's request, which looks after the connections
@pytest.mark.parametrize(
    ("meta", "status", "body"),
    [
        ({}, 200, CONTENT),
        ({"HTTP_RANGE": "bytes=10-19"}, 206, CONTENT[10:20]),
        ({"HTTP_RANGE": "bytes=90-"}, 206, CONTENT[90:]),
        ({"HTTP_RANGE": "bytes=10-19", "HTTP_IF_RANGE": '"tag"'}, 206, CONTENT[10:20]),
        ({"HTTP_RANGE": "bytes=10-19", "HTTP_IF_RANGE": '"other"'}, 200, CONTENT),
        ({"HTTP_RANGE": "bytes=100-"}, 416, b""),
        ({"HTTP_IF_NONE_MATCH": '"tag"'}, 304, b""),
        ({"HTTP_IF_NONE_MATCH": 'W/"tag", "x"'}, 304, b""),
        ({"HTTP_IF_NONE_MATCH": "*"}, 304, b""),
        ({"HTTP_IF_NONE_MATCH": '"other"'}, 200, CONTENT),
    ],
)
def test_serves_what_the_headers_ask_for(tmp_path: Path, meta: dict[str, str], status: int, body: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(CONTENT)
    response = serve(path, meta=meta, etag="tag", content_type="application/x-test")
    assert response.status_code == status
    assert b"".join(response) == body
    assert response["ETag"] == '"tag"'
    assert response["Accept-Ranges"] == "bytes"
    if status == 206:
        first = CONTENT.index(body)
        assert response["Content-Range"] == f"bytes {first}-{first + len(body) - 1}/100"
        assert response["Content-Length"] == str(len(body))
    if status == 416:
        assert response["Content-Range"] == "bytes */100"
    if status in {200, 206}:
        assert response["Content-Type"] == "application/x-test"
    response.close()


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(BlobMissing):
        serve(tmp_path / "gone", meta={}, etag="tag", content_type="application/x-test")
