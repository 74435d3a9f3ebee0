"""Django's SQLite backend, in which those who want to write take turns.

SQLite lets a writer that finds another one sleep and try again, for up to a tenth of a second at a time, whoever came
first: with a dozen of them most of the time nobody writes. Here the threads of a process queue, and the first of each
process asks every millisecond, and so does a statement outside of transactions; a process whose queue does not end
pauses now and then, so that others find a gap. How long one waits at most stays the option `timeout`.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import defaultdict
from collections.abc import Callable
from typing import Any

from django.db.backends.sqlite3 import base

ASK_EVERY = 0.001
"""Seconds."""
RUN = 0.05
"""Seconds for which the threads of a process may write one after the other before the process pauses."""


class Turn:
    """Whose turn it is among the threads of this process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting = 0
        self._running_since = 0.0

    def take(self, patience: float) -> bool:
        """Whether the turn has come within `patience` seconds."""
        if self._lock.acquire(blocking=False):
            self._running_since = time.monotonic()
            return True
        self._waiting += 1
        try:
            return self._lock.acquire(timeout=patience)
        finally:
            self._waiting -= 1

    def give(self) -> None:
        """Let the next thread begin, after a pause in which another process can, if it is time for that."""
        if self._waiting and time.monotonic() - self._running_since > RUN:
            time.sleep(2 * ASK_EVERY)
            self._running_since = time.monotonic()
        self._lock.release()

    def is_taken(self) -> bool:
        return self._lock.locked()


_turns: defaultdict[str, Turn] = defaultdict(Turn)
os.register_at_fork(after_in_child=_turns.clear)  # who holds one does not come along


class Cursor(base.SQLiteCursorWrapper):
    """Waits for other writers outside of SQLite."""

    wait: Callable[[Callable[[], Any]], Any]

    def execute(self, query: str, params: Any = None) -> Any:
        return self.wait(lambda: super(Cursor, self).execute(query, params))


class DatabaseWrapper(base.DatabaseWrapper):
    """A transaction takes its turn when it begins and gives it on when it ends.

    No statement waits inside SQLite, which holds the connection's mutex meanwhile. The interpreter may collect a
    forgotten cursor of that connection in another thread, which then waits for the mutex; if that thread is the one
    that writes, both wait until the first gives up.
    """

    _turn: Turn | None = None
    _deadline: float | None = None

    def get_new_connection(self, conn_params: dict[str, Any]) -> sqlite3.Connection:
        new: sqlite3.Connection = super().get_new_connection(conn_params)
        new.execute("PRAGMA busy_timeout = 0")
        return new

    def create_cursor(self, name: str | None = None) -> Cursor:
        cursor: Cursor = self.connection.cursor(factory=Cursor)
        cursor.wait = self._wait
        return cursor

    def set_autocommit(self, autocommit: bool, force_begin_transaction_with_broken_autocommit: bool = False) -> None:
        """What Django's `atomic` calls first and last."""
        if not autocommit and force_begin_transaction_with_broken_autocommit:
            self._begin()
            return
        try:
            super().set_autocommit(autocommit, force_begin_transaction_with_broken_autocommit)
        finally:
            self._give_turn()

    def close(self) -> None:
        """Close the connection; a transaction ends with it."""
        try:
            super().close()
        finally:
            self._give_turn()

    def _begin(self) -> None:
        self._deadline = time.monotonic() + self._patience()
        turn = _turns[str(self.settings_dict["NAME"])]
        if self._turn is None and turn.take(self._patience()):
            self._turn = turn
        try:
            super().set_autocommit(False, True)
        except BaseException:
            self._give_turn()
            raise
        finally:
            self._deadline = None

    def _wait(self, ask: Callable[[], Any]) -> Any:
        """What a statement answers once nobody else is writing.

        Raises:
            sqlite3.OperationalError: the time to wait for that is over, or it is another trouble.
        """
        deadline = self._deadline or time.monotonic() + self._patience()
        while True:
            try:
                return ask()
            except sqlite3.OperationalError as error:
                is_busy = getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")
                if not is_busy or self.connection.in_transaction or time.monotonic() > deadline:
                    raise
            time.sleep(ASK_EVERY)

    def _patience(self) -> float:
        return float(self.settings_dict["OPTIONS"]["timeout"])

    def _give_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give()
