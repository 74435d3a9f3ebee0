"""The two pairs of database and queue that a coordinator runs on, for what is measured on both."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.support.services import postgres_database, redis_database

SQLITE, POSTGRESQL = "sqlite", "postgresql"
SERVICES = (SQLITE, POSTGRESQL)


@contextmanager
def services(name: str, scratch: Path) -> Iterator[Mapping[str, str]]:
    """The settings of a coordinator on `name`: on PostgreSQL with Redis both are new, and gone at the end."""
    with ExitStack() as stack:
        if name == SQLITE:
            yield {}
            return
        yield {
            "DATABASE_URL": stack.enter_context(postgres_database(scratch)),
            "REDIS_URL": stack.enter_context(redis_database(scratch)),
        }


def described(name: str) -> str:
    """For the note of a row."""
    return "`manage.py up` on " + {SQLITE: "SQLite and files", POSTGRESQL: "PostgreSQL and Redis"}[name]
