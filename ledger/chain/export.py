"""A chain as a file: one JSON document a line, the first one naming the chain, each further one a block.

The lines hold header bytes and approvals and nothing that would have to be believed, so `verify_chain` over `records`
proves as much as over a database. Written and read line by line, in constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

import orjson

from flxdr.core.errors import Malformed
from ledger.chain.record import ChainRecord

FORMAT = "flxdr.chain"
VERSION = 1
MAX_LINE = 1 << 24
"""Bytes: a block of thousands of approvals is shorter; a file without line ends must not fill the memory."""


class ExportMalformed(Malformed):
    """A file that is no export of a chain; the detail names the line."""

    code = "malformed_export"
    title = "Malformed chain export"


def lines(chain_id: str, records: Iterable[ChainRecord]) -> Iterator[bytes]:
    """The lines of an export of `records`, which start at genesis."""
    yield orjson.dumps({"format": FORMAT, "v": VERSION, "chain_id": chain_id}) + b"\n"
    for height, record in enumerate(records):
        yield orjson.dumps(record.as_json(height)) + b"\n"


def records(file: BinaryIO) -> Iterator[ChainRecord]:
    """The blocks of an export, in the order of its lines.

    Raises:
        ExportMalformed: a line is no document of the format.
    """
    head = _document(file.readline(MAX_LINE), 1)
    if (head.get("format"), head.get("v")) != (FORMAT, VERSION):
        raise ExportMalformed("line 1 does not name the format", expected=f"format {FORMAT}, v {VERSION}")
    number = 1
    while line := file.readline(MAX_LINE):
        number += 1
        try:
            yield ChainRecord.from_json(_document(line, number))
        except ExportMalformed:
            raise
        except Malformed as error:
            raise ExportMalformed(f"line {number}: {error.detail}", expected=error.expected) from error


def _document(line: bytes, number: int) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ExportMalformed(f"line {number} is cut off", expected=f"a line of at most {MAX_LINE} bytes")
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ExportMalformed(f"line {number} is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ExportMalformed(f"line {number} is no JSON object", expected="{height, header, approvals}")
    return document
