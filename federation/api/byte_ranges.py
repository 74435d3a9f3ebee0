"""Serving an immutable file with `ETag`, `If-None-Match` and a single `Range` (RFC 9110, sections 13 and 14)."""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from django.http import FileResponse, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.utils.http import parse_etags

from flxdr.platform.errors import BlobMissing

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

CHUNK_BYTES = 256 * 1024
_RANGE = re.compile(r"bytes=(\d{1,18})?-(\d{1,18})?\Z")


@dataclass(frozen=True)
class ByteRange:
    """Bytes `first` to `last`, both included."""

    first: int
    last: int

    @property
    def length(self) -> int:
        return self.last - self.first + 1


class Unsatisfiable(Exception):
    """A range outside the file."""


def parse_range(header: str | None, *, size: int) -> ByteRange | None:
    """The one range that `header` asks for; None where the whole file is the right answer (no, or another, range).

    Raises:
        Unsatisfiable: it starts at or beyond `size`, or asks for the last 0 bytes.
    """
    match = _RANGE.match(header.strip()) if header else None
    if match is None:
        return None
    first, last = match.groups()
    if first is None:
        if last is None:
            return None
        if int(last) == 0 or size == 0:
            raise Unsatisfiable
        return ByteRange(max(0, size - int(last)), size - 1)
    if last is not None and int(last) < int(first):
        return None
    if int(first) >= size:
        raise Unsatisfiable
    return ByteRange(int(first), size - 1 if last is None else min(int(last), size - 1))


def serve(path: Path, *, meta: Mapping[str, str], etag: str, content_type: str) -> HttpResponseBase:
    """The file at `path`, or the part of it that the request asks for.

    Args:
        meta: the request's WSGI headers.
        etag: the file's name for its bytes, without quotes.

    Raises:
        BlobMissing: there is no such file.
    """
    try:
        file = path.open("rb")
    except FileNotFoundError as error:
        raise BlobMissing("the file is not stored here any more", action="Ask the operator to restore it.") from error
    quoted = f'"{etag}"'
    response = _conditional(file, meta, quoted)
    if response.status_code in {200, 206}:
        response["Content-Type"] = content_type
    else:
        file.close()
    response["ETag"] = quoted
    response["Accept-Ranges"] = "bytes"
    response["Cache-Control"] = "private, max-age=31536000, immutable"
    return response


def _conditional(file: BinaryIO, meta: Mapping[str, str], quoted: str) -> HttpResponseBase:
    wanted = parse_etags(meta.get("HTTP_IF_NONE_MATCH", ""))
    if "*" in wanted or quoted in {tag.removeprefix("W/") for tag in wanted}:
        return HttpResponse(status=304)
    size = os.fstat(file.fileno()).st_size
    # A range continues a download only of the very bytes that it began with.
    fresh = meta.get("HTTP_IF_RANGE", quoted) == quoted
    try:
        part = parse_range(meta.get("HTTP_RANGE"), size=size) if fresh else None
    except Unsatisfiable:
        return HttpResponse(status=416, headers={"Content-Range": f"bytes */{size}"})
    if part is None:
        return FileResponse(file)
    headers = {"Content-Range": f"bytes {part.first}-{part.last}/{size}", "Content-Length": str(part.length)}
    return StreamingHttpResponse(FilePart(file, part), status=206, headers=headers)


class FilePart:
    """A part of a file in chunks; the response closes it, read or not."""

    def __init__(self, file: BinaryIO, part: ByteRange) -> None:
        self._file, self._part = file, part

    def __iter__(self) -> Iterator[bytes]:
        self._file.seek(self._part.first)
        left = self._part.length
        while left and (chunk := self._file.read(min(left, CHUNK_BYTES))):
            left -= len(chunk)
            yield chunk

    def close(self) -> None:
        self._file.close()
