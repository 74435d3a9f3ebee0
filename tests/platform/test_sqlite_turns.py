"""Writers of SQLite take turns: nobody is overtaken for long, nobody waits for ever, and a turn never gets lost."""

from __future__ import annotations

import sqlite3
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from django.db import OperationalError, connection, transaction
from django.db.backends.utils import CursorWrapper

from flxdr.platform.models import UsedToken
from flxdr.platform.sqlite import base
from tests.support.processes import eventually

pytestmark = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.skipif(connection.vendor != "sqlite", reason="what others do"),
]
PATIENCE = 0.3
WRITERS = 12
HOLD = 0.005


@pytest.fixture(autouse=True)
def _no_turn_is_left() -> Iterator[None]:
    yield
    assert not any(turn.is_taken() for turn in base._turns.values())


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connection.settings_dict["OPTIONS"], "timeout", PATIENCE)


def other_program() -> sqlite3.Connection:
    """Somebody who does not know of turns."""
    return sqlite3.connect(Path(connection.settings_dict["NAME"]), isolation_level=None, check_same_thread=False)


def token(number: int) -> None:
    with transaction.atomic():
        UsedToken.objects.create(issuer="i", jti=str(number), expires_at="2100-01-01T00:00:00Z")
        time.sleep(HOLD)


def test_a_crowd_writes_one_after_the_other() -> None:
    start = threading.Barrier(WRITERS)

    def write(number: int) -> None:
        start.wait()
        token(number)
        connection.close()

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert UsedToken.objects.count() == WRITERS


@pytest.mark.parametrize(("running", "pauses"), [(2 * base.RUN, [2 * base.ASK_EVERY]), (0.0, [])])
def test_a_queue_that_does_not_end_leaves_gaps(
    running: float, pauses: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In which a writer of another process, who asks every `ASK_EVERY`, finds nobody."""
    turn = base.Turn()
    paused: list[float] = []
    assert turn.take(PATIENCE)
    next_one = threading.Thread(target=turn.take, args=(30,))
    next_one.start()
    eventually(lambda: turn._waiting == 1, what="somebody waits")
    turn._running_since -= running
    monkeypatch.setattr(time, "sleep", paused.append)
    turn.give()
    monkeypatch.undo()
    next_one.join()
    assert paused == pauses
    turn.give()
    assert not turn.is_taken()


def test_one_waits_for_another_program_as_long_as_it_may() -> None:
    with closing(other_program()) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, other.rollback)
        timer.start()
        begin = time.monotonic()
        token(1)
        assert time.monotonic() - begin >= 0.2
        timer.join()


@pytest.mark.usefixtures("impatient")
def test_and_no_longer() -> None:
    with closing(other_program()) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        with pytest.raises(OperationalError, match="locked"):
            token(1)
        assert PATIENCE <= time.monotonic() - begin < 20 * PATIENCE
        other.rollback()
    token(2)
    assert UsedToken.objects.get().jti == "2"


@pytest.mark.usefixtures("impatient")
def test_a_turn_that_is_not_given_on_delays_and_does_not_stop() -> None:
    stuck = base._turns[str(connection.settings_dict["NAME"])]
    assert stuck.take(PATIENCE)
    token(1)
    stuck.give()
    token(2)
    assert UsedToken.objects.count() == 2


def test_what_fails_gives_its_turn_on() -> None:
    with pytest.raises(ZeroDivisionError), transaction.atomic():
        _ = 1 / 0
    with pytest.raises(OperationalError), transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("nonsense")
    with transaction.atomic():
        connection.close()  # as a request does that loses its connection
    token(1)


def update_alone() -> None:
    UsedToken.objects.update(issuer="j")


def test_statements_outside_of_transactions_wait_as_well() -> None:
    token(1)
    with closing(other_program()) as other:
        other.execute("BEGIN IMMEDIATE")
        timer = threading.Timer(0.2, other.rollback)
        timer.start()
        update_alone()
        timer.join()
    assert UsedToken.objects.get().issuer == "j"


@pytest.mark.usefixtures("impatient")
def test_and_no_longer_than_they_may() -> None:
    token(1)
    with closing(other_program()) as other:
        other.execute("BEGIN IMMEDIATE")
        begin = time.monotonic()
        with pytest.raises(OperationalError, match="locked"):
            update_alone()
        assert PATIENCE <= time.monotonic() - begin < 20 * PATIENCE
        other.rollback()


def is_executing(thread: threading.Thread) -> bool:
    """A statement, and for longer than one takes."""
    assert thread.ident is not None
    for _ in range(20):
        stack = traceback.extract_stack(sys._current_frames()[thread.ident])
        if not {"update_alone", "execute"} <= {frame.name for frame in stack}:
            return False
        time.sleep(0.005)
    return True


def test_one_who_writes_can_drop_what_belongs_to_one_who_waits() -> None:
    """As the garbage collection does, in whatever thread it runs: SQLite locks the connection for that."""
    token(1)
    forgotten: list[CursorWrapper] = []
    waits = threading.Event()

    def wait() -> None:
        cursor = connection.cursor()
        cursor.execute("SELECT jti FROM platform_usedtoken UNION SELECT issuer FROM platform_usedtoken")
        forgotten.append(cursor)
        del cursor
        waits.set()
        update_alone()
        connection.close()

    waiting = threading.Thread(target=wait)
    with transaction.atomic():
        UsedToken.objects.create(issuer="i", jti="2", expires_at="2100-01-01T00:00:00Z")
        waiting.start()
        assert waits.wait(10)
        eventually(lambda: is_executing(waiting), what="the other one waits")
        begin = time.monotonic()
        forgotten.clear()
        assert time.monotonic() - begin < 1
    waiting.join()
    assert set(UsedToken.objects.values_list("issuer", flat=True)) == {"j"}
