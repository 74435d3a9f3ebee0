"""A queue that forgets, dies or freezes in the middle of a round: it only carries hints."""

from __future__ import annotations

import contextlib
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.faults.points import PLAIN
from tests.faults.report import Note
from tests.faults.stand import Stand, standing
from tests.support.processes import eventually, free_port
from tests.support.services import RedisServer, own_redis, postgres_database

FROZEN_SECONDS = 10.0
SILENT_SECONDS = 50.0
"""Less than the minute after which the organisations' client gives up waiting."""
POINTS = {point.name: point for point in PLAIN}


class Broker:
    """A Redis that a test does to what it likes."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._life = contextlib.ExitStack()
        self.server: RedisServer
        self.start()

    @property
    def url(self) -> str:
        return self.server.url

    def start(self) -> None:
        self.server = self._life.enter_context(own_redis(self._folder, self._port))

    def stop(self) -> None:
        self._life.close()

    def flush(self) -> None:
        with redis.Redis.from_url(self.url) as client:
            client.flushall()

    def killed_and_restarted(self) -> None:
        self.server.process.kill()
        self.server.process.wait()
        self.start()

    def frozen(self) -> None:
        self.server.process.send_signal(signal.SIGSTOP)
        begin = time.monotonic()
        eventually(lambda: time.monotonic() - begin > FROZEN_SECONDS, what="time passes")
        self.server.process.send_signal(signal.SIGCONT)


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    broker = Broker(tmp_path_factory.mktemp("redis"))
    yield broker
    broker.stop()


@pytest.fixture(scope="module")
def stand(broker: Broker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("faults")
    with postgres_database(folder / "services") as database:
        environment = {"DATABASE_URL": database, "REDIS_URL": broker.url}
        with standing(folder, environment) as standing_up:
            yield standing_up


FAULTS: dict[str, Callable[[Broker], None]] = {
    "flushed": Broker.flush,
    "killed": Broker.killed_and_restarted,
    "frozen": Broker.frozen,
}


@pytest.mark.parametrize("point", ["closed-message-unsent", "claimed", "proposal-uncommitted", "approval-uncommitted"])
@pytest.mark.parametrize("fault", FAULTS)
def test_a_round_goes_on_without_its_messages(stand: Stand, broker: Broker, fault: str, point: str, note: Note) -> None:
    stand.survives(POINTS[point], lambda: FAULTS[fault](broker), note)


def test_no_request_waits_for_a_queue_that_does_not_answer(stand: Stand, broker: Broker, note: Note) -> None:
    """A connection that stays open and says nothing is worse than one that is refused."""
    broker.server.process.send_signal(signal.SIGSTOP)
    stand.wire.outcomes.clear()
    try:
        begin = time.monotonic()
        round_id = stand.start_round()
        stand.work()
        waited = time.monotonic() - begin
    finally:
        broker.server.process.send_signal(signal.SIGCONT)
    outcomes = dict(stand.wire.outcomes)
    freed = time.monotonic()
    assert stand.finish(round_id) == "completed"
    stand.check(round_id)
    note(survived=1, recovery_seconds=time.monotonic() - freed, requests=stand.wire.sent, bytes_lost=0)
    assert set(outcomes) <= {"200", "201"}, outcomes
    assert waited < SILENT_SECONDS


def test_requests_are_answered_while_the_queue_is_away(stand: Stand, broker: Broker, note: Note) -> None:
    """The broker dies before the round and comes back after its collection: no request fails because of it."""
    broker.server.process.kill()
    broker.server.process.wait()
    stand.wire.outcomes.clear()
    round_id = stand.start_round()
    stand.work()
    outcomes = dict(stand.wire.outcomes)
    broker.start()
    freed = time.monotonic()
    assert stand.finish(round_id) == "completed"
    stand.check(round_id)
    note(survived=1, recovery_seconds=time.monotonic() - freed, requests=stand.wire.sent, bytes_lost=0)
    assert set(outcomes) <= {"200", "201"}, outcomes
