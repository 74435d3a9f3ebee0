"""Who holds up the database."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from django.db import connection

from flxdr.diagnosis.finding import Finding, ok, trouble

PATIENCE = 2.0
"""Seconds; a write of this software takes milliseconds."""
_WAL_WRITE_LOCK = 120
"""The byte of the `-shm` file that a writer locks (SQLite, "WAL-mode file format", locking bytes)."""
_LONG = "5 minutes"


def database_locks() -> Iterator[Finding]:
    if connection.vendor == "sqlite":
        yield from _sqlite(Path(connection.settings_dict["NAME"]))
    else:
        yield from _postgresql()


def _sqlite(path: Path) -> Iterator[Finding]:
    with connection.cursor() as cursor:
        (mode,) = cursor.execute("PRAGMA journal_mode").fetchone()
    if mode != "wal":
        yield trouble("database", f"journal mode {mode}: readers and writers wait for each other", "database-locked")
    with closing(sqlite3.connect(path, timeout=PATIENCE, isolation_level=None)) as own:
        try:
            own.execute("BEGIN IMMEDIATE")
            own.execute("ROLLBACK")
        except sqlite3.OperationalError as error:
            holders = ", ".join(_holders(path)) or "a process of another user"
            yield trouble("database", f"{error} for more than {PATIENCE:g} s by {holders}", "database-locked")
            return
    yield ok("database", f"SQLite {path}, journal mode {mode}, nobody holds the write lock")


def _holders(path: Path) -> Iterator[str]:
    """The processes that hold the write lock, from the kernel's list of locks."""
    shared = path.with_name(f"{path.name}-shm")
    if not shared.exists():
        return
    inode = str(shared.stat().st_ino)
    for line in Path("/proc/locks").read_text(encoding="ascii").splitlines():
        fields = line.split()
        if len(fields) < 8 or fields[1] == "->":
            continue
        kind, pid, place, first, last = fields[3], fields[4], fields[5], fields[6], fields[7]
        covers = int(first) <= _WAL_WRITE_LOCK and (last == "EOF" or int(last) >= _WAL_WRITE_LOCK)
        if kind == "WRITE" and place.rsplit(":", 1)[-1] == inode and covers:
            yield f"process {pid} ({_command(pid)})"


def _command(pid: str) -> str:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        return "of another user"
    return b" ".join(words).decode("utf-8", errors="replace").strip()[:200]


def _postgresql() -> Iterator[Finding]:
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_blocking_pids(pid), pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'")
        waiting = cursor.fetchall()
        cursor.execute(
            "SELECT pid, application_name, state, now() - xact_start FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
            " AND xact_start < now() - %s::interval",
            [_LONG],
        )
        long = cursor.fetchall()
        cursor.execute("SELECT current_setting('server_version'), count(*) FROM pg_stat_activity")
        server, sessions = cursor.fetchone()
    for blockers, pid in waiting:
        who = ", ".join(map(str, blockers))
        yield trouble("database", f"session {pid} waits for a lock of session {who}", "database-locked")
    for pid, name, state, age in long:
        yield trouble(
            "database", f"session {pid} ({name}, {state}) is in one transaction since {age}", "database-locked"
        )
    if not waiting and not long:
        yield ok("database", f"PostgreSQL {server}, {sessions} sessions, nobody waits for a lock")
