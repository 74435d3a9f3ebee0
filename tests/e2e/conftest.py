"""Coordinators on both pairs of database and queue that the product supports."""

import contextlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.federation import Federation, running
from tests.support.processes import Coordinator
from tests.support.services import postgres_database, redis_database

PAIRS = ("sqlite-filesystem", "postgresql-redis")


@pytest.fixture(params=PAIRS)
def coordinator(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Coordinator]:
    """A running coordinator with an empty state, once on each pair."""
    with contextlib.ExitStack() as stack:
        environment = {}
        if request.param == "postgresql-redis":
            environment = {
                "DATABASE_URL": stack.enter_context(postgres_database(tmp_path / "services")),
                "REDIS_URL": stack.enter_context(redis_database(tmp_path / "services")),
            }
        yield stack.enter_context(Coordinator(tmp_path / "state", environment))


@pytest.fixture
def federation(coordinator: Coordinator, tmp_path: Path) -> Iterator[Federation]:
    """Three members of a running federation."""
    with running(coordinator, tmp_path / "organizations", members=3) as made:
        yield made
