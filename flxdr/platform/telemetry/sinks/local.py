"""Telemetry in files: JSON lines, one file a day."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import orjson

from flxdr.platform.storage.files import ensure_private_folder
from flxdr.platform.telemetry.sinks.interface import Event, SinkUnavailable

_BLOCK = 65536


class LocalSink:
    """JSON lines in one file for each day of the events, on the disk when `send` returns; whole lines only."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def send(self, events: Sequence[Event]) -> None:
        by_day: dict[str, list[bytes]] = {}
        for event in events:
            by_day.setdefault(event["at"][:10], []).append(orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE))
        try:
            ensure_private_folder(self.folder)
            for day, lines in by_day.items():
                _append(self.folder / f"events-{day}.jsonl", b"".join(lines))
        except OSError as error:
            raise SinkUnavailable(f"{self.folder} cannot be written: {error}") from error


def _append(path: Path, data: bytes) -> None:
    """Add whole lines, or nothing."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    with os.fdopen(descriptor, "r+b", buffering=0) as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        end = _end_of_last_line(descriptor)
        os.ftruncate(descriptor, end)  # a process that died while it wrote left half a line
        file.seek(end)
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(descriptor, rest) :]
            os.fsync(descriptor)
        except OSError:
            os.ftruncate(descriptor, end)
            raise


def _end_of_last_line(descriptor: int) -> int:
    end = os.fstat(descriptor).st_size
    while end:
        start = max(0, end - _BLOCK)
        newline = os.pread(descriptor, end - start, start).rfind(b"\n")
        if newline >= 0:
            return start + newline + 1
        end = start
    return 0
