"""Lines of a plain or gzip-compressed file, one at a time, with a bound on their length."""

from __future__ import annotations

import gzip
import lzma
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from models_ml.adapters.report import ReadReport

MAX_LINE_BYTES = 1 << 16
_GZIP_MAGIC = b"\x1f\x8b"


def open_binary(path: Path) -> BinaryIO:
    """Open a file for reading; gzip is recognised by its first bytes, not by its name."""
    with path.open("rb") as file:
        compressed = file.read(2) == _GZIP_MAGIC
    return cast(BinaryIO, gzip.open(path, "rb")) if compressed else path.open("rb")


def numbered_lines(file: BinaryIO, report: ReadReport) -> Iterator[tuple[int, str]]:
    """Yield (line number from 1, text without its end and byte-order mark); lines that are no text go to `report`.

    A line beyond `MAX_LINE_BYTES` is skipped without being held in memory. A compressed stream that breaks off ends
    the iteration with one entry in the report.
    """
    number = 0
    while True:
        number += 1
        try:
            raw = file.readline(MAX_LINE_BYTES)
            if not raw:
                return
            if len(raw) == MAX_LINE_BYTES and not raw.endswith(b"\n"):
                _skip_rest_of_line(file)
                report.add_malformed(number, f"longer than {MAX_LINE_BYTES} bytes")
                continue
        except (EOFError, OSError, lzma.LZMAError, zlib.error) as error:
            report.add_malformed(number, f"the file cannot be read further: {error}")
            return
        try:
            yield number, raw.decode("utf-8-sig" if number == 1 else "utf-8").rstrip("\r\n")
        except UnicodeDecodeError:
            report.add_malformed(number, "not UTF-8")


def _skip_rest_of_line(file: BinaryIO) -> None:
    while True:
        part = file.readline(MAX_LINE_BYTES)
        if not part or part.endswith(b"\n"):
            return
