"""Waiting, within bounds, until the database has something for a caller."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Protocol, TypeVar

from django.db import connection

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")
INTERVAL_SECONDS = 0.1


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
