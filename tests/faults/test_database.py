"""A database that restarts, dies, freezes or is locked in the middle of a round."""

from __future__ import annotations

import signal
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, suppress

import pytest

from tests.faults.points import PLAIN
from tests.faults.report import Note
from tests.faults.stand import Stand, standing
from tests.support.processes import eventually
from tests.support.services import PostgresServer, own_postgres_server, redis_database

POINTS = {point.name: point for point in PLAIN}
LOCKED_SECONDS = 15.0
FROZEN_SECONDS = 10.0


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with own_postgres_server() as server:
        yield server


@pytest.fixture(scope="module")
def stand(server: PostgresServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    folder = tmp_path_factory.mktemp("faults")
    with (
        redis_database(folder / "services") as queue,
        standing(folder, {"DATABASE_URL": server.url, "REDIS_URL": queue}) as standing_up,
    ):
        yield standing_up


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stand]:
    with standing(tmp_path_factory.mktemp("faults"), {}) as standing_up:
        yield standing_up


def _restart(number: signal.Signals) -> Callable[[PostgresServer], None]:
    def restart(server: PostgresServer) -> None:
        server.end(number)
        server.start()

    return restart


def _freeze(server: PostgresServer) -> None:
    server.freeze(frozen=True)
    let_pass(FROZEN_SECONDS)
    server.freeze(frozen=False)


def let_pass(seconds: float) -> None:
    begin = time.monotonic()
    eventually(lambda: time.monotonic() - begin > seconds, what="time passes", timeout=seconds * 4)


FAULTS = {
    "restarted": _restart(signal.SIGINT),
    "stopped-at-once": _restart(signal.SIGQUIT),
    "killed": _restart(signal.SIGKILL),
    "frozen": _freeze,
}


@pytest.mark.parametrize(
    "point", ["update-uncommitted", "claimed", "proposal-uncommitted", "proposal-committed", "seal-uncommitted"]
)
@pytest.mark.parametrize("fault", FAULTS)
def test_postgresql(stand: Stand, server: PostgresServer, fault: str, point: str, note: Note) -> None:
    stand.survives(POINTS[point], lambda: FAULTS[fault](server), note)


@pytest.mark.parametrize("point", ["update-unanswered", "claimed", "aggregated", "approval-unanswered"])
def test_sqlite_locked_by_another_process(embedded: Stand, point: str, note: Note) -> None:
    """For longer than any transaction of ours takes, and shorter than ours wait.

    The process that was stopped at the point may have stopped in a transaction of another of its threads: then it is
    the one that keeps the lock for that long.
    """

    def lock() -> None:
        database = embedded.coordinator.data_dir / "fl_blockchain.db"
        with (
            closing(sqlite3.connect(database, timeout=LOCKED_SECONDS)) as connection,
            suppress(sqlite3.OperationalError),
        ):
            connection.execute("BEGIN IMMEDIATE")
            let_pass(LOCKED_SECONDS)
            connection.rollback()

    embedded.survives(POINTS[point], lock, note)
