"""Many at once: organisations in a round, submitters over hundreds of rounds, coordinators on one database."""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.conftest import PAIRS
from tests.faults.crowd import MODEL, Crowd
from tests.faults.report import Note
from tests.support.processes import Coordinator
from tests.support.services import postgres_database, redis_database

ORGANIZATIONS = 200
SUBMITTERS, ROUNDS = 8, 200
SHARED_ROUNDS = 20


@contextlib.contextmanager
def services(pair: str, folder: Path) -> Iterator[dict[str, str]]:
    """The database and the queue of a pair, as settings."""
    with contextlib.ExitStack() as stack:
        settings = {"FL_MAX_ORG_FAILURE_RATE": "0", "FL_PRIVACY_MODE": "none"}
        if pair == "postgresql-redis":
            settings["DATABASE_URL"] = stack.enter_context(postgres_database(folder / "services"))
            settings["REDIS_URL"] = stack.enter_context(redis_database(folder / "services"))
        yield settings


@pytest.mark.parametrize("pair", PAIRS)
def test_two_hundred_organizations_in_one_round(pair: str, tmp_path: Path, note: Note) -> None:
    with services(pair, tmp_path) as settings, Coordinator(tmp_path / "state", settings) as coordinator:
        crowd = Crowd.of([coordinator], ORGANIZATIONS)
        begin = time.monotonic()
        round_id = str(crowd.post("federation/round/start", model=MODEL, min_orgs_required=ORGANIZATIONS)["round_id"])
        crowd.one_round(round_id, at_once=16)
        note(survived=1, recovery_seconds=time.monotonic() - begin, requests=crowd.outcomes.total(), bytes_lost=0)
        assert set(crowd.outcomes) == {"201"}
        crowd.check(1)


@pytest.mark.parametrize("pair", PAIRS)
def test_eight_submitters_at_once_for_two_hundred_rounds(pair: str, tmp_path: Path, note: Note) -> None:
    with services(pair, tmp_path) as settings, Coordinator(tmp_path / "state", settings) as coordinator:
        crowd = Crowd.of([coordinator], SUBMITTERS)
        begin = time.monotonic()
        crowd.campaign(ROUNDS, timeout=1200)
        note(
            survived=1,
            recovery_seconds=(time.monotonic() - begin) / ROUNDS,
            requests=crowd.outcomes.total(),
            bytes_lost=0,
        )
        assert set(crowd.outcomes) == {"201"}, crowd.outcomes
        crowd.check(ROUNDS)


def test_two_coordinators_on_one_database(tmp_path: Path, note: Note) -> None:
    """Two of everything, beats included, over one database, one queue and one volume of files; one of them dies."""
    with services("postgresql-redis", tmp_path) as settings, contextlib.ExitStack() as stack:
        first = stack.enter_context(Coordinator(tmp_path / "first", settings))
        other = Coordinator(tmp_path / "other", settings)
        other.data_dir.mkdir()
        for shared in ("blobs", "scratch", "keys"):
            (first.data_dir / shared).mkdir(exist_ok=True)
            (other.data_dir / shared).symlink_to(first.data_dir / shared)
        stack.enter_context(other)
        crowd = Crowd.of([first, other], SUBMITTERS)
        killer = threading.Timer(5, lambda: other.kill("worker"))
        killer.start()
        begin = time.monotonic()
        crowd.campaign(SHARED_ROUNDS, timeout=400)
        killer.join()
        note(
            survived=1,
            recovery_seconds=(time.monotonic() - begin) / SHARED_ROUNDS,
            requests=crowd.outcomes.total(),
            bytes_lost=0,
        )
        assert set(crowd.outcomes) == {"201"}, crowd.outcomes
        crowd.check(SHARED_ROUNDS)
