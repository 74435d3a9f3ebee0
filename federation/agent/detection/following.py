"""Flows of a log that still grows, or of a pipe: pieces as soon as they are there, through the log's rotation."""

from __future__ import annotations

import os
import queue
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, Protocol, cast

from federation.agent.detection.reading import STDIN, FlowSource, unpacked
from federation.agent.errors import DataInvalid
from flxdr.core.errors import FlxdrError
from models_ml.adapters import ReadReport
from models_ml.adapters.lines import line_batches
from models_ml.adapters.reading import FlowReader
from models_ml.edge_stream import EdgeStream, concat

POLL_SECONDS = 0.2
"""How often a log that stands still is looked at."""
MOST_RECORDS = 8192
_WAITING_BATCHES = 64


class _Reads(Protocol):
    def read(self, size: int, /) -> bytes: ...


class Following:
    """Reads on in a thread of its own, so that waiting for flows and scoring them do not wait for each other.

    Args:
        source: a file, read from its beginning and then as it grows, or standard input until it ends.
        wait: seconds after which what has come is handed out, however little it is.
        most: records after which it is handed out at once.
        stdin: what to read in the place of standard input.
    """

    def __init__(
        self,
        source: FlowSource,
        *,
        wait: float,
        most: int = MOST_RECORDS,
        poll: float = POLL_SECONDS,
        stdin: BinaryIO | None = None,
    ) -> None:
        self._source = source
        self._wait, self._most, self._poll = wait, most, poll
        self._stdin = stdin
        self._batches: queue.Queue[EdgeStream | Exception | None] = queue.Queue(_WAITING_BATCHES)
        self._stop = threading.Event()
        self.reports: list[ReadReport] = []

    def pieces(self) -> Iterator[EdgeStream]:
        """Pieces until standard input ends, or for ever; an empty one whenever `wait` passed without flows.

        Raises:
            DataInvalid: the file cannot be read, or what comes is in no known format.
        """
        reader = threading.Thread(target=self._read, name="flows", daemon=True)
        reader.start()
        try:
            while True:
                batches, ended = self._collected()
                yield concat(batches)
                if ended:
                    return
        finally:
            self._stop.set()

    def _collected(self) -> tuple[list[EdgeStream], bool]:
        """The batches of the next piece, and whether there will be no more."""
        batches: list[EdgeStream] = []
        deadline, held = time.monotonic() + self._wait, 0
        while held < self._most:
            try:
                batch = self._batches.get(timeout=max(0.0, deadline - time.monotonic()))
            except queue.Empty:
                break
            if isinstance(batch, FlxdrError):
                raise DataInvalid(batch.detail, expected=batch.expected, action=batch.action)
            if isinstance(batch, Exception):
                raise batch
            if batch is None:
                return batches, True
            batches.append(batch)
            held += len(batch)
        return batches, False

    def _read(self) -> None:
        try:
            if self._source.path == STDIN:
                self._read_lines(unpacked(sys.stdin.buffer if self._stdin is None else self._stdin), "stdin")
            else:
                self._read_file(self._source.path)
                while not self._stop.is_set():
                    self._read_next(self._source.path)
            self._hand_over(None)
        except OSError as error:
            self._hand_over(DataInvalid(f"{self._source.name} cannot be read: {error.strerror or error}"))
        except Exception as error:  # noqa: BLE001 - whatever it is, the other thread must not wait for ever
            self._hand_over(error)

    def _read_file(self, path: Path) -> None:
        """One file from its beginning until another takes its name."""
        with path.open("rb", buffering=0) as file:
            growing = _Growing(cast(BinaryIO, file), path, self._stop, self._poll)
            self._read_lines(growing, path.name.split(".", 1)[0] or path.name)

    def _read_next(self, path: Path) -> None:
        try:
            self._read_file(path)
        except FileNotFoundError:  # taken away again at once
            self._stop.wait(self._poll)

    def _read_lines(self, file: _Reads, capture: str) -> None:
        report = self._source.report()
        self.reports.append(report)
        reader = FlowReader(report, self._source.reading, capture=capture)
        for lines in line_batches(cast(BinaryIO, file), reader.note):
            self._hand_over(reader.feed(lines))
        reader.flush()

    def _hand_over(self, batch: EdgeStream | Exception | None) -> None:
        while not self._stop.is_set():
            try:
                self._batches.put(batch, timeout=self._poll)
            except queue.Full:
                continue
            return


class _Growing:
    """A log as a pipe: a read waits for what is written next, and finds the end once another file has the log's name.

    A log that was cut short in place (`copytruncate`) has ended as well. While no file has the name, the log is in the
    middle of its rotation.
    """

    def __init__(self, file: BinaryIO, path: Path, stop: threading.Event, poll: float) -> None:
        self._file, self._path = file, path
        self._stop, self._poll = stop, poll

    def read(self, size: int, /) -> bytes:
        """At least one byte, up to `size`; none at the end."""
        while True:
            moved = self._is_moved()  # asked before the read: what is written until then belongs to this file
            data = self._file.read(size)
            if data or moved or self._stop.is_set():
                return data
            self._stop.wait(self._poll)

    def _is_moved(self) -> bool:
        try:
            named = self._path.stat()
        except FileNotFoundError:
            return False
        own = os.fstat(self._file.fileno())
        is_other = (named.st_dev, named.st_ino) != (own.st_dev, own.st_ino)
        return is_other or named.st_size < self._file.tell()
