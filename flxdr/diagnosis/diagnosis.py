"""Looking at every part; one that cannot be looked at is trouble, and keeps no other from being looked at."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from django.db import DatabaseError, connection

from flxdr.diagnosis import parts
from flxdr.diagnosis.finding import Finding, trouble
from flxdr.diagnosis.locks import database_locks

Look = Callable[[datetime], Iterator[Finding]]
_WITHOUT_DATABASE: tuple[tuple[str, Look], ...] = (
    ("settings", parts.configuration),
    ("processes", parts.processes),
    ("disk", parts.room),
    ("files", parts.files),
)
_OF_THE_DATABASE: tuple[tuple[str, Look], ...] = (
    ("database", lambda _now: database_locks()),
    ("migrations", parts.migrations),
    ("readiness", parts.readiness),
    ("chain", parts.chain),
    ("rounds", parts.rounds),
    ("conditions", parts.conditions),
    ("backup", parts.backups),
)


def diagnose(now: datetime) -> Iterator[Finding]:
    """Every finding, as it is made; what the database would tell is not asked once it has not answered."""
    for name, look in _WITHOUT_DATABASE:
        yield from _guarded(name, look, now)
    for name, look in _OF_THE_DATABASE:
        try:
            yield from _guarded(name, look, now)
        except DatabaseError as error:
            yield trouble(name, f"the database does not answer: {error}", "database-locked")
            connection.close()
            return


def _guarded(name: str, look: Look, now: datetime) -> Iterator[Finding]:
    try:
        yield from look(now)
    except DatabaseError:
        raise
    except Exception as error:  # noqa: BLE001 - whatever it is, the others are looked at
        yield trouble(name, f"{type(error).__name__}: {error}", "how-to-ask")
