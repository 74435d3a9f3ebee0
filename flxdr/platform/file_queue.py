"""Celery's queue in files, for a coordinator without Redis.

Kombu's own `filesystem` transport opens a file and writes it afterwards: a worker that looks in between reads an empty
message, and falls over. Here every file appears whole, by a rename, and is taken by exactly one reader, by another.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from queue import Empty
from time import time_ns
from typing import Any
from uuid import uuid4

from kombu.transport import TRANSPORT_ALIASES, filesystem
from kombu.utils.json import dumps, loads

from flxdr.platform.storage.files import temporary_file

Bindings = list[Any]
_KombuChannel: Any = filesystem.Channel
_KombuTransport: Any = filesystem.Transport


class Channel(_KombuChannel):
    """Messages and bindings as whole files."""

    def _put(self, queue: str, payload: Any, **_: Any) -> None:
        # The time first and in a fixed width, so that the order of the names is the order of the messages.
        name = f"{time_ns():020d}_{uuid4()}.{queue}.msg"
        _write(Path(self.data_folder_out) / name, payload)

    def _get(self, queue: str) -> Any:
        for name in sorted(os.listdir(self.data_folder_in)):
            if name.partition(".")[2] != f"{queue}.msg":
                continue
            taken = Path(self.processed_folder) / name
            try:
                (Path(self.data_folder_in) / name).rename(taken)
            except FileNotFoundError:  # another reader was faster
                continue
            content = taken.read_bytes()
            taken.unlink()
            return loads(content)
        raise Empty

    def get_table(self, exchange: str) -> Bindings:
        try:
            content = self._exchange_file(exchange).read_bytes()
        except FileNotFoundError:
            return []
        return [filesystem.exchange_queue_t(*binding) for binding in loads(content)]

    def _queue_bind(self, exchange: str, routing_key: str, pattern: str, queue: str) -> None:
        binding = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        if binding not in self.get_table(exchange):
            self._change(exchange, lambda bindings: [binding, *(other for other in bindings if other != binding)])

    def _delete(self, queue: str, exchange: str, routing_key: str, pattern: str, *_: Any, **__: Any) -> None:
        self._purge(queue)
        gone = filesystem.exchange_queue_t(routing_key or "", pattern or "", queue or "")
        if gone in self.get_table(exchange):
            self._change(exchange, lambda bindings: [other for other in bindings if other != gone])

    def _change(self, exchange: str, change: Callable[[Bindings], Bindings]) -> None:
        with _locked(Path(self.control_folder)):
            _write(self._exchange_file(exchange), change(self.get_table(exchange)))


class Transport(_KombuTransport):
    Channel = Channel


def register() -> None:
    """Let `filesystem://` mean this transport."""
    TRANSPORT_ALIASES["filesystem"] = f"{__name__}:{Transport.__name__}"


def _write(path: Path, value: Any) -> None:
    with temporary_file(path.parent) as (file, temporary):
        file.write(dumps(value).encode())
        file.flush()
        temporary.replace(path)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
