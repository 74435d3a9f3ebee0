"""Upgrades of databases that hold something: from the first schema to the newest, back, and under a writer."""

from __future__ import annotations

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from tests.deploy.upgrading import NEW_INDEX
from tests.support.processes import API, REPOSITORY, Coordinator, clean_environment, eventually
from tests.support.services import postgres_database

DATABASES = ("sqlite", "postgresql")


class Database:
    """A database that commands work on, each in a process of its own."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.settings = {"FL_DATA_DIR": str(folder), **({"DATABASE_URL": url} if url else {})}

    def run(self, *command: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            env=clean_environment({**self.settings, "DJANGO_SETTINGS_MODULE": "flxdr.settings"}),
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def migrate(self, *target: str) -> str:
        return self.run("manage.py", "migrate", "--no-input", *target)


@pytest.fixture(params=DATABASES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    with contextlib.ExitStack() as stack:
        url = None
        if request.param == "postgresql":
            url = stack.enter_context(postgres_database(tmp_path / "services"))
        yield Database(tmp_path / "state", url)


def test_rows_of_the_first_schema_reach_the_newest_also_after_a_step_back(database: Database) -> None:
    database.run("-m", "tests.deploy.upgrading", "fill")
    database.migrate()
    database.run("-m", "tests.deploy.upgrading", "check")
    database.run("-m", "tests.deploy.upgrading", "back")
    database.migrate()
    database.run("-m", "tests.deploy.upgrading", "check")
    assert "No migrations to apply" in database.migrate()


def test_an_index_is_built_on_a_table_that_others_write(tmp_path: Path) -> None:
    """A slow writer holds the table, the index waits for it, and meanwhile a coordinator goes on registering."""
    with contextlib.ExitStack() as stack:
        url = stack.enter_context(postgres_database(tmp_path / "services"))
        coordinator = Coordinator(tmp_path / "state", {"DATABASE_URL": url})
        coordinator.start()
        stack.callback(coordinator.stop)
        coordinator.wait_ready(timeout=180)
        slow = stack.enter_context(psycopg.connect(url))
        slow.execute(
            "INSERT INTO platform_auditevent (kind, actor, subject, data, at) VALUES ('k', 'a', 's', '{}', now())"
        )
        looking = stack.enter_context(psycopg.connect(url, autocommit=True))
        upgrade = subprocess.Popen(
            [sys.executable, "-m", "tests.deploy.upgrading", "index"],
            env={**coordinator.environment, "DJANGO_SETTINGS_MODULE": "flxdr.settings"},
            cwd=REPOSITORY,
        )
        waiting = "SELECT 1 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'"
        eventually(lambda: _first(looking, waiting), what="the index waits for the slow writer", timeout=60)
        for number in range(5):
            _register(coordinator, f"org-{number}")
        assert upgrade.poll() is None
        slow.commit()
        assert upgrade.wait(timeout=60) == 0
        valid = f"SELECT indisvalid FROM pg_index WHERE indexrelid = '{NEW_INDEX}'::regclass"
        assert _first(looking, valid) == (True,)


def _first(connection: psycopg.Connection[Any], query: str) -> Any:
    return connection.execute(query).fetchone()


def _register(coordinator: Coordinator, org_id: str) -> None:
    body = {"org_id": org_id, "org_name": org_id}
    response = httpx.post(f"{coordinator.url}{API}/federation/register", json=body, timeout=15)
    assert response.is_success, response.text
