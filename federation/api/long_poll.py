"""Waiting, within bounds, until the database has something for a caller."""

from __future__ import annotations

import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from django.db import connection

from federation.api.errors import TooManyPolls

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
INTERVAL_SECONDS = 0.1
MAX_POLLS = 4
"""Polls of one organisation that wait at once in one process: each holds one of its threads. An agent needs one, and
one more for each that it gave up and that has not noticed yet."""

_lock = threading.Lock()
_waiting: Counter[str] = Counter()


class Waiter(Protocol):
    """Something that tells monotonic time and can let it pass."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


def poll(read: Callable[[], T], *, due: Callable[[T], bool], wait: float, waiter: Waiter | None = None) -> T:
    """Call `read` until `due` holds for what it returns, or `wait` seconds have passed; the last answer either way.

    Between two reads no transaction is open, and a pooled connection goes back to its pool: hundreds of waiting
    organisations share a few connections.
    """
    waiter = waiter or time
    end = waiter.monotonic() + wait
    while True:
        answer = read()
        left = end - waiter.monotonic()
        if due(answer) or left <= 0:
            return answer
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            connection.close()
        waiter.sleep(min(INTERVAL_SECONDS, left))


@contextmanager
def place_to_wait(org_id: str) -> Iterator[None]:
    """One of the organisation's places among those that wait in this process.

    Raises:
        TooManyPolls: it has none left.
    """
    with _lock:
        if _waiting[org_id] >= MAX_POLLS:
            raise TooManyPolls(
                f"{MAX_POLLS} polls of {org_id} wait already",
                expected="one poll at a time",
                action="Wait for the answer to an earlier poll, or ask with wait=0.",
                retry_after=1,
            )
        _waiting[org_id] += 1
    try:
        yield
    finally:
        with _lock:
            _waiting[org_id] -= 1
            if not _waiting[org_id]:
                del _waiting[org_id]
