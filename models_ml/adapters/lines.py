"""Numbered lines of a plain or gzip-compressed file, in batches, with a bound on their length."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO, cast

MAX_LINE_BYTES = 1 << 16
BLOCK_BYTES = 1 << 17
_GZIP_MAGIC = b"\x1f\x8b"
_WIDEST_CHARACTER = 4

Line = tuple[int, str]
"""A line's number (from 1) and its text without its end."""
Note = Callable[[int, str], None]
"""Takes the number of a bad line, and what is wrong with it."""


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading; gzip is recognised by its first bytes, not by its name.

    The name is opened once: of a named pipe, or a shell's `<(...)`, bytes that were read are gone.
    """
    file = path.open("rb")
    try:
        compressed = file.peek(2)[:2] == _GZIP_MAGIC
    except OSError:
        file.close()
        raise
    if not compressed:
        return file
    unpacked = gzip.GzipFile(fileobj=file)
    unpacked.myfileobj = file  # type: ignore[assignment]  # closed with it, as if it had opened the file itself
    return cast(BinaryIO, unpacked)


def numbered_lines(file: BinaryIO, note: Note) -> Iterator[Line]:
    """The lines of `line_batches`, one at a time."""
    return chain.from_iterable(line_batches(file, note))


def line_batches(file: BinaryIO, note: Note) -> Iterator[list[Line]]:
    """Yield the lines that each read of at most `BLOCK_BYTES` completes; from a pipe, as soon as they are there.

    Lines that are no text go to `note`, and so does a line beyond `MAX_LINE_BYTES`, which is skipped without being
    held in memory. A compressed stream that breaks off ends the iteration with one note.
    """
    number, rest, skipping = 0, b"", False
    read = getattr(file, "read1", file.read)
    while True:
        try:
            block = read(BLOCK_BYTES)
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            note(number + 1, f"the file cannot be read further: {error}")
            return
        if not block:
            break
        if skipping:
            _, end, block = block.partition(b"\n")
            if not end:
                continue
            skipping = False
        data = rest + block
        cut = data.rfind(b"\n") + 1
        if cut:
            lines, read_lines = _numbered(data[:cut], number, note)
            number += read_lines
            yield lines
        rest = data[cut:]
        if len(rest) >= MAX_LINE_BYTES:
            number += 1
            note(number, f"longer than {MAX_LINE_BYTES} bytes")
            rest, skipping = b"", True
    if rest:
        yield _numbered(rest + b"\n", number, note)[0]


def _numbered(data: bytes, before: int, note: Note) -> tuple[list[Line], int]:
    """(the lines of `data`, which follow line `before` and end with a line's end; how many there are, bad ones too)."""
    if not before:
        data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        texts = data.decode().split("\n")
    except UnicodeDecodeError:
        return _one_by_one(data, before, note)
    texts.pop()
    if max(map(len, texts)) * _WIDEST_CHARACTER >= MAX_LINE_BYTES:
        return _one_by_one(data, before, note)
    if b"\r" in data:
        texts = [text.rstrip("\r") for text in texts]
    return list(enumerate(texts, before + 1)), len(texts)


def _one_by_one(data: bytes, before: int, note: Note) -> tuple[list[Line], int]:
    parts = data.split(b"\n")
    parts.pop()
    lines: list[Line] = []
    for number, raw in enumerate(parts, before + 1):
        if len(raw) >= MAX_LINE_BYTES:
            note(number, f"longer than {MAX_LINE_BYTES} bytes")
            continue
        try:
            lines.append((number, raw.decode().rstrip("\r")))
        except UnicodeDecodeError:
            note(number, "not UTF-8")
    return lines, len(parts)
