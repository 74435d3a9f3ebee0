"""Waiting, within bounds, until the database has something for a caller.

Hundreds of agents poll. Each that waits holds a thread of the web process, so that only some may; the others are told
at once when to come back. And reading what each of them might be waiting for ten times a second would keep the database
busy with nothing: while nobody did anything, only the number of the newest audit event is read, once for all waiters of
the process. Every change writes one, in its own transaction.
"""

from __future__ import annotations

import math
import threading
import time
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol, TypeVar

from django.db import connection

from federation.api.errors import TooManyPolls
from flxdr.platform.audit.selectors import newest_event_number

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

T = TypeVar("T")
INTERVAL_SECONDS = 0.1
"""Between two looks at the newest event's number."""
REREAD_SECONDS = 3.0
"""From a new event to a read without one, and twice as long to each that follows: a transaction may commit after one
that took a later number."""
READS_AT_ONCE = 2
"""Of those that wait in this process. An event wakes all of them, and the process has other things to answer."""
LONGEST_TURN = 1.0
"""Seconds after which one reads although it is not its turn: the database is slow, and a poll ends when it said."""
MAX_POLLS = 4
"""Polls of one organisation that wait at once in one process: each holds one of its threads. An agent needs one, and
one more for each that it gave up and that has not noticed yet."""
MAX_WAITING = 24
"""Polls that wait at once in one process; its other threads (`flxdr.gunicorn_config` has 32) serve everything else."""
SHORTEST_ABSENCE = 2.0
LONGEST_ABSENCE = 20.0
RETURNS_PER_SECOND = 10.0
"""How many that found no place come back to one process: the more there are, the later each."""

_turns = threading.BoundedSemaphore(READS_AT_ONCE)
_lock = threading.Lock()
_waiting: Counter[str] = Counter()


class NoPlaceLeft(Exception):
    """As many polls wait in this process as may.

    Args:
        seconds: when to come back; everybody who is sent away gets a time of their own.
    """

    def __init__(self, seconds: int) -> None:
        super().__init__(f"no place to wait for {seconds} s")
        self.seconds = seconds


class Waiter(Protocol):
    """Something that tells monotonic time and can let it pass."""

    def monotonic(self) -> float: ...

    def sleep(self, seconds: float, /) -> None: ...


class _Changes:
    """The newest event's number, read by whoever finds it old, for all waiters of the process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._number = 0
        self._read_at = -math.inf

    def newest(self, now: float) -> int:
        """The number as it was at most `INTERVAL_SECONDS` ago, or a little longer while another thread reads it."""
        if not 0 <= now - self._read_at < INTERVAL_SECONDS and self._lock.acquire(blocking=False):
            try:
                self._number = newest_event_number()
                self._read_at = now
            finally:
                self._lock.release()
        return self._number


class _Absences:
    """Gives those who found no place times to come back, `RETURNS_PER_SECOND` apart."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = -math.inf

    def next(self, now: float) -> int:
        """Whole seconds from `now` on."""
        with self._lock:
            self._last = max(now + SHORTEST_ABSENCE, self._last + 1 / RETURNS_PER_SECOND)
            self._last = min(self._last, now + LONGEST_ABSENCE)
            return math.ceil(self._last - now)


_changes = _Changes()
_absences = _Absences()


def poll(read: Callable[[], T], *, due: Callable[[T], bool], wait: float, waiter: Waiter | None = None) -> T:
    """Call `read` until `due` holds for what it returns, or `wait` seconds have passed; the last answer either way.

    It is called at first, after something happened in the federation, and ever more seldom while nothing does. Between
    two reads no transaction is open, and a pooled connection goes back to its pool: hundreds of waiting organisations
    share a few connections.
    """
    waiter = waiter or time
    begun = waiter.monotonic()
    known = _changes.newest(begun)  # before the read: what happens in between is then read once more, not missed
    answer, read_at, patience = read(), begun, REREAD_SECONDS
    while not due(answer):
        now = waiter.monotonic()
        left = begun + wait - now
        if left <= 0:
            break
        if connection.vendor == "postgresql" and not connection.in_atomic_block:
            connection.close()
        waiter.sleep(min(INTERVAL_SECONDS, left))
        now = waiter.monotonic()
        newest = _changes.newest(now)
        if newest != known or now - read_at >= patience or now - begun >= wait:
            patience = REREAD_SECONDS if newest != known else 2 * patience
            known, read_at = newest, now
            with _turn():
                answer = read()
    return answer


@contextmanager
def _turn() -> Iterator[None]:
    """Few read at once, so that those who wait do not hold up those who ask."""
    is_ours = _turns.acquire(timeout=LONGEST_TURN)
    try:
        yield
    finally:
        if is_ours:
            _turns.release()


@contextmanager
def place_to_wait(org_id: str) -> Iterator[None]:
    """One of the organisation's places among those that wait in this process.

    Raises:
        TooManyPolls: the organisation has none left.
        NoPlaceLeft: nobody has.
    """
    with _lock:
        if _waiting[org_id] >= MAX_POLLS:
            raise TooManyPolls(
                f"{MAX_POLLS} polls of {org_id} wait already",
                expected="one poll at a time",
                action="Wait for the answer to an earlier poll, or ask with wait=0.",
                retry_after=1,
            )
        if _waiting.total() >= MAX_WAITING:
            raise NoPlaceLeft(_absences.next(time.monotonic()))
        _waiting[org_id] += 1
    try:
        yield
    finally:
        with _lock:
            _waiting[org_id] -= 1
            if not _waiting[org_id]:
                del _waiting[org_id]
