"""How many bytes of updates a process holds in memory at once.

Checking an update takes about four times its size. Bodies wait on disk until they have arrived (see `body`), and then
here until there is room, in the order in which they came.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING

from federation.api.errors import TooManyUpdates

if TYPE_CHECKING:
    from collections.abc import Iterator

BYTES_AT_ONCE = 64 * 2**20
PATIENCE_SECONDS = 45.0
"""Less than an agent's own (60 s), so that it hears why."""

_request: ContextVar[list[int] | None] = ContextVar("request", default=None)


class Room:
    """Room for so many bytes; a body that is larger has it alone.

    Args:
        size: bytes.
        patience: seconds that a body waits for its turn, and then for room.
    """

    def __init__(self, size: int, patience: float) -> None:
        self._size, self._patience = size, patience
        self._used = 0
        self._turn = threading.Lock()
        self._left = threading.Condition()

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request: the room that its body takes is free again after it."""
        taken: list[int] = []
        outer = _request.set(taken)
        try:
            yield
        finally:
            _request.reset(outer)
            with self._left:
                self._used -= sum(taken)
                self._left.notify_all()

    def take(self, count: int) -> None:
        """Wait until there is room for `count` bytes until the end of the request; outside of one, do nothing.

        Raises:
            TooManyUpdates: there was none in time.
        """
        taken = _request.get()
        if taken is None:
            return
        if not self._turn.acquire(timeout=self._patience):
            raise _too_many()
        try:
            with self._left:
                if not self._left.wait_for(lambda: not self._used or self._used + count <= self._size, self._patience):
                    raise _too_many()
                self._used += count
                taken.append(count)
        finally:
            self._turn.release()


room = Room(BYTES_AT_ONCE, PATIENCE_SECONDS)
"""This process's."""


def _too_many() -> TooManyUpdates:
    return TooManyUpdates(
        "too many large updates arrive at once", action="Send the update again, a little later.", retry_after=5
    )
