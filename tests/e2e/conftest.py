"""A running federation on both pairs of database and queue that the product supports, one for each file of tests."""

import contextlib
import os
from collections.abc import Iterator

import pytest

from tests.e2e.federation import Federation, running
from tests.support.nginx import nginx
from tests.support.processes import Coordinator
from tests.support.services import postgres_database, redis_database

if nginx() is None and os.environ.get("CI") != "true":
    collect_ignore = ["test_nginx.py"]

PAIRS = ("sqlite-filesystem", "postgresql-redis")


@pytest.fixture(scope="module", params=PAIRS)
def federation(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Federation]:
    """Three members and their coordinator. Every test leaves it without an open round.

    A module's `ENVIRONMENT` holds settings for its coordinator.
    """
    folder = tmp_path_factory.mktemp("federation")
    with contextlib.ExitStack() as stack:
        environment: dict[str, str] = dict(getattr(request.module, "ENVIRONMENT", {}))
        if request.param == "postgresql-redis":
            environment["DATABASE_URL"] = stack.enter_context(postgres_database(folder / "services"))
            environment["REDIS_URL"] = stack.enter_context(redis_database(folder / "services"))
        coordinator = stack.enter_context(Coordinator(folder / "state", environment))
        yield stack.enter_context(running(coordinator, folder / "organizations", members=3))
