"""A chain as a file: one JSON document a line, the first one naming the chain, each further one a block.

The last line may hold the log's checkpoint of all these blocks as `{"checkpoint": ...}`, with what its witnesses
cosigned: it shows a file that lost blocks on the way, and it anchors the chain if members cosigned it.

The lines hold header bytes and approvals and nothing that would have to be believed, so `verify_chain` over `records`
proves as much as over a database. Written and read line by line, in constant memory.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from os import SEEK_END
from typing import Any, BinaryIO

import orjson

from flxdr.core.errors import Malformed
from ledger.chain.anchoring import HeldCheckpoint
from ledger.chain.record import ChainRecord

FORMAT = "flxdr.chain"
VERSION = 1
MAX_LINE = 1 << 24
"""Bytes: a block of thousands of approvals is shorter; a file without line ends must not fill the memory."""


_TAIL = 1 << 13
_CHECKPOINT = b'{"checkpoint":'


class ExportMalformed(Malformed):
    """A file that is no export of a chain; the detail names the line."""

    code = "malformed_export"
    title = "Malformed chain export"


def lines(
    chain_id: str, records: Iterable[ChainRecord], checkpoint: Mapping[str, Any] | None = None
) -> Iterator[bytes]:
    """The lines of an export of `records`, which start at genesis; `checkpoint` is the JSON form of theirs."""
    yield orjson.dumps({"format": FORMAT, "v": VERSION, "chain_id": chain_id}) + b"\n"
    for height, record in enumerate(records):
        yield orjson.dumps(record.as_json(height)) + b"\n"
    if checkpoint is not None:
        yield orjson.dumps({"checkpoint": checkpoint}) + b"\n"


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
        document = _document(line, number)
        if "checkpoint" in document:
            if file.read(1):
                raise ExportMalformed(f"line {number} is a checkpoint before the end", expected="a block")
            return
        try:
            yield ChainRecord.from_json(document)
        except Malformed as error:
            raise ExportMalformed(f"line {number}: {error.detail}", expected=error.expected) from error


def own_checkpoint(file: BinaryIO) -> list[HeldCheckpoint]:
    """The checkpoint that the file carries, if it does; the file stands at its start again.

    Raises:
        Malformed: the last line holds a checkpoint that cannot be read.
    """
    end = file.seek(0, SEEK_END)
    tail, length = b"", _TAIL
    while b"\n" not in tail[:-1] and len(tail) < min(end, MAX_LINE):
        length = min(end, 2 * length)
        file.seek(end - length)
        tail = file.read(length)
    file.seek(0)
    last = tail[tail.rfind(b"\n", 0, -1) + 1 :]
    if not last.startswith(_CHECKPOINT):
        return []
    try:
        document = orjson.loads(last)["checkpoint"] if last.endswith(b"\n") else None
    except orjson.JSONDecodeError as error:
        raise ExportMalformed(f"the last line is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ExportMalformed("the last line holds no checkpoint", expected="its JSON form")
    return [HeldCheckpoint.from_json(document, is_anchor=False)]


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
