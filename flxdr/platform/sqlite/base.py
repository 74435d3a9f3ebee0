"""Django's SQLite backend, in which those who want to write take turns.

SQLite lets a writer that finds another one sleep and try again, for up to a tenth of a second at a time, whoever came
first: with a dozen of them most of the time nobody writes. Here the threads of a process queue, and the first of each
process asks every millisecond; a process whose queue does not end pauses now and then, so that others find a gap. How
long one waits at most stays the option `timeout`.
"""

from __future__ import annotations

import os
import threading
import time
from collections import defaultdict

from django.db.backends.sqlite3 import base
from django.db.utils import OperationalError

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


class DatabaseWrapper(base.DatabaseWrapper):
    """A transaction takes its turn when it begins and gives it on when it ends."""

    _turn: Turn | None = None

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
        patience = self.settings_dict["OPTIONS"]["timeout"]
        deadline = time.monotonic() + patience
        turn = _turns[str(self.settings_dict["NAME"])]
        if self._turn is None and turn.take(patience):
            self._turn = turn
        self.ensure_connection()
        self.connection.execute("PRAGMA busy_timeout = 0")
        try:
            while not self._has_begun(deadline):
                time.sleep(ASK_EVERY)
        except BaseException:
            self._give_turn()
            raise
        finally:
            self.connection.execute(f"PRAGMA busy_timeout = {round(1000 * patience)}")

    def _has_begun(self, deadline: float) -> bool:
        """Whether nobody else is writing, so that this transaction has begun.

        Raises:
            OperationalError: the time to wait for that is over, or it is another trouble.
        """
        try:
            super().set_autocommit(False, True)
        except OperationalError as error:
            is_busy = getattr(error.__cause__, "sqlite_errorname", "").startswith("SQLITE_BUSY")
            if not is_busy or time.monotonic() > deadline:
                raise
            return False
        return True

    def _give_turn(self) -> None:
        turn, self._turn = self._turn, None
        if turn is not None:
            turn.give()
