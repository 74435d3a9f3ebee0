"""Everything that the coordinator stores or logs, and a search of it for what nobody may find there."""

from __future__ import annotations

import base64
import logging
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from django.db import connection
from numpy.typing import NDArray

RUN = 16
_DISTINCT = 6
"""Runs of fewer different bytes are found anywhere; long zeros, mostly."""
_NESTED = 2
"""A key lies in base64 in a signed statement, which lies in base64 in a message."""
_HEX = re.compile(rb"[0-9A-Fa-f]{32,}")
_BASE64 = re.compile(rb"[A-Za-z0-9+/_-]{22,}")


def everything(folder: Path, log: Iterable[logging.LogRecord]) -> list[bytes]:
    """Every value of every row of every table, every file of the folder, and the log."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [*_values(), *files, *(str(vars(record)).encode() for record in log)]


def _values() -> Iterator[bytes]:
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            cursor.execute(f"SELECT * FROM {connection.ops.quote_name(table)}")
            for row in cursor.fetchall():
                yield from (_bytes(value) for value in row)


def _bytes(value: Any) -> bytes:
    return bytes(value) if isinstance(value, bytes | memoryview) else str(value).encode()


def forms(values: NDArray[np.int64]) -> list[bytes]:
    """Integers as bytes: 32 and 64 bits, of either byte order."""
    return [values.astype(form).tobytes() for form in ("<i4", ">i4", "<i8", ">i8")]


def runs(vectors: Iterable[bytes]) -> set[bytes]:
    """Every run of 16 bytes that starts with a value and says something."""
    found = {data[start : start + RUN] for data in vectors for start in range(0, len(data) - RUN + 1, 4)}
    return {run for run in found if len(set(run)) >= _DISTINCT}


def found(sought: set[bytes], places: Iterable[bytes]) -> set[bytes]:
    """Which of the runs of 16 bytes are somewhere: as they are, in hexadecimal or base64, also twice."""
    return {
        run
        for place in places
        for data in (place, *_decoded(place))
        for start in range(len(data) - RUN + 1)
        if (run := data[start : start + RUN]) in sought
    }


def _decoded(data: bytes, depth: int = _NESTED) -> Iterator[bytes]:
    for text in _texts(data):
        yield text
        if depth > 1:
            yield from _decoded(text, depth - 1)


def _texts(data: bytes) -> Iterator[bytes]:
    for match in _HEX.finditer(data):
        for start in (0, 1):
            digits = match[0][start:]
            yield bytes.fromhex(digits[: len(digits) // 2 * 2].decode())
    for match in _BASE64.finditer(data):
        text = match[0].translate(bytes.maketrans(b"-_", b"+/"))
        for start in range(4):
            digits = text[start:] if len(text[start:]) % 4 != 1 else text[start:-1]
            yield base64.b64decode(digits + b"=" * (-len(digits) % 4))


def chi_square(data: bytes) -> float:
    """How far the frequencies of the bytes are from equal ones; of random bytes 255 +- 23."""
    counts = np.bincount(np.frombuffer(data, dtype=np.uint8), minlength=256)
    expected = len(data) / 256
    return float(((counts - expected) ** 2 / expected).sum())
