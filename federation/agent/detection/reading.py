"""Flows in pieces for the detector: of a whole file, read in a process of its own where that pays, or of a pipe."""

from __future__ import annotations

import gzip
import io
import multiprocessing
import signal
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, BinaryIO, cast

from federation.agent.detection.addresses import AddressBook
from federation.agent.errors import DataInvalid
from flxdr.core.errors import FlxdrError
from models_ml.adapters import ReadReport, iterate
from models_ml.adapters.lines import line_batches
from models_ml.adapters.reading import CHUNK, FlowReader, Reading
from models_ml.edge_stream import EdgeStream, concat

STDIN = Path("-")
ALONE_BELOW = 4 * 1024 * 1024
"""Bytes of a file below which starting another process costs more than it saves."""
_GZIP_MAGIC = b"\x1f\x8b"


@dataclass(frozen=True)
class FlowSource:
    """Where flows come from, and how they are read.

    Args:
        path: a file, or `STDIN`.
        form: a format by name, or empty: recognised.
        book: learns the addresses behind pseudonyms, if it is there.
    """

    path: Path
    form: str
    how: Reading
    book: AddressBook | None = None

    @property
    def name(self) -> str:
        return "standard input" if self.path == STDIN else str(self.path)

    def report(self) -> ReadReport:
        """A fresh report on what is read."""
        return ReadReport(source=self.name, format=self.form)

    @property
    def reading(self) -> Reading:
        """How it is read, the book included."""
        return self.how if self.book is None else replace(self.how, is_listed=self.book)


def whole(source: FlowSource, report: ReadReport, *, stdin: BinaryIO | None = None) -> Iterator[EdgeStream]:
    """All flows of a source in pieces of at most `CHUNK`.

    Args:
        stdin: what to read in the place of standard input.

    Raises:
        DataInvalid: it cannot be read, or holds no flow records in a known format.
    """
    try:
        if source.path == STDIN:
            yield from _piped(source, report, sys.stdin.buffer if stdin is None else stdin)
        elif source.path.is_file() and source.path.stat().st_size >= ALONE_BELOW:
            yield from _apart(source, report)
        else:
            yield from iterate(source.path, report, how=source.reading)
    except FlxdrError as error:
        raise DataInvalid(error.detail, expected=error.expected, action=error.action) from error


def unpacked(file: BinaryIO) -> BinaryIO:
    """A pipe's bytes, decompressed if its first two say that they are gzip."""
    peeked = file if hasattr(file, "peek") else io.BufferedReader(cast(io.RawIOBase, file))
    compressed = cast(io.BufferedReader, peeked).peek(2)[:2] == _GZIP_MAGIC
    return cast(BinaryIO, gzip.GzipFile(fileobj=peeked)) if compressed else peeked


def _piped(source: FlowSource, report: ReadReport, stdin: BinaryIO) -> Iterator[EdgeStream]:
    reader = FlowReader(report, source.reading, capture="stdin")
    waiting: list[EdgeStream] = []
    held = 0
    for lines in line_batches(unpacked(stdin), reader.note):
        waiting.append(reader.feed(lines))
        held += len(waiting[-1])
        if held >= CHUNK:
            yield concat(waiting)
            waiting, held = [], 0
    reader.flush()
    if held:
        yield concat(waiting)


def _apart(source: FlowSource, report: ReadReport) -> Iterator[EdgeStream]:
    """Read in a second process while this one scores; it is one piece ahead at most."""
    context = multiprocessing.get_context("spawn")
    receiving, sending = context.Pipe(duplex=False)
    process = context.Process(target=_read_apart, args=(source, sending), daemon=True)
    process.start()
    sending.close()
    try:
        with closing(receiving):
            while True:
                kind, content = _received(receiving)
                if kind == "error":
                    raise DataInvalid(content["detail"], expected=content["expected"], action=content["action"])
                piece, counted, addresses = content
                vars(report).update(vars(counted))
                if source.book is not None:
                    source.book.learn(addresses)
                if kind == "end":
                    return
                yield piece
    finally:
        process.terminate()
        process.join()


def _received(connection: Connection) -> tuple[str, Any]:
    try:
        kind, content = connection.recv()
    except EOFError:
        raise DataInvalid(
            "the process that reads the file ended", action="Try again; is there enough memory?"
        ) from None
    return kind, content


def _read_apart(source: FlowSource, connection: Connection) -> None:
    """The second process: sends pieces, and at the end the report."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started this process ends it
    report, book = source.report(), source.book
    try:
        for piece in iterate(source.path, report, how=source.reading):
            connection.send(("piece", (piece, report, book.take_new() if book is not None else {})))
        connection.send(("end", (None, report, {})))
    except FlxdrError as error:
        connection.send(("error", {"detail": error.detail, "expected": error.expected, "action": error.action}))
