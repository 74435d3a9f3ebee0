"""SQLite: the online backup interface, and a rename."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Literal

from django.db import connection

from flxdr.backup import files
from flxdr.backup.errors import BackupInvalid, RestoreRefused, ToolFailed
from flxdr.platform.storage.files import ensure_private_folder, sync_folder

_BUSY = ("database is locked", "database is busy")


class Sqlite:
    """The file at `FL_BLOCKCHAIN_DB_PATH`."""

    name: Literal["sqlite", "postgresql"] = "sqlite"
    dump_name = "database.sqlite3"

    @property
    def path(self) -> Path:
        return Path(connection.settings_dict["NAME"])

    def version(self) -> str:
        return sqlite3.sqlite_version

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        # Django's own transactions are IMMEDIATE here: they would take the lock that writers need.
        with connection.cursor() as cursor:
            cursor.execute("BEGIN DEFERRED")
            cursor.execute("SELECT count(*) FROM sqlite_master")  # the first read decides on the moment
            try:
                yield
            finally:
                cursor.execute("ROLLBACK")

    def dump(self, target: Path) -> None:
        try:
            with closing(sqlite3.connect(target, isolation_level=None)) as copy:
                connection.connection.backup(copy)
                # In WAL mode it would have to be opened for writing, and `cp` of it alone would not be enough.
                copy.execute("PRAGMA journal_mode=DELETE")
        except sqlite3.Error as error:
            raise ToolFailed(f"the database cannot be copied to {target}: {error}") from error
        target.chmod(0o600)
        self.check(target)

    def check(self, dump: Path) -> None:
        try:
            with closing(_read_only(dump)) as database:
                (answer,) = database.execute("PRAGMA integrity_check(1)").fetchone()
        except sqlite3.DatabaseError as error:
            raise BackupInvalid(f"{dump.name} is no database that can be read: {error}") from error
        if answer != "ok":
            raise BackupInvalid(f"{dump.name} is damaged: {answer}")

    def is_empty(self) -> bool:
        if not self.path.exists():
            return True
        try:
            with closing(_read_only(self.path)) as database:
                (objects,) = database.execute("SELECT count(*) FROM sqlite_master").fetchone()
                return bool(objects == 0)
        except sqlite3.DatabaseError:
            return False  # something is there

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        connection.close()
        if not self.path.exists():
            yield
            return
        with closing(sqlite3.connect(self.path, timeout=2, isolation_level=None)) as own:
            try:
                # In WAL mode every open connection keeps a lock that this one cannot be taken beside.
                own.execute("PRAGMA locking_mode=EXCLUSIVE")
                own.execute("BEGIN EXCLUSIVE")
                own.execute("COMMIT")
                own.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                own.execute("PRAGMA journal_mode=DELETE")  # the file alone is the database now
            except sqlite3.DatabaseError as error:
                if str(error) in _BUSY:
                    raise RestoreRefused(
                        f"another process uses {self.path}",
                        expected="a coordinator that is stopped, its web processes and workers as well",
                        action="`manage.py diagnose` names the process.",
                    ) from error
                # A damaged file is what a restore is for.
            yield

    def put_back(self, dump: Path, *, aside: Path | None) -> None:
        path = self.path
        fresh = path.with_name(f".restoring-{path.name}")
        fresh.unlink(missing_ok=True)
        ensure_private_folder(path.parent)
        files.copy(dump, fresh)
        if aside is not None:
            os.link(path, aside / path.name)
            for suffix in ("-wal", "-shm"):  # of a damaged file, which could not take them in
                with suppress(FileNotFoundError):
                    path.with_name(path.name + suffix).rename(aside / (path.name + suffix))
            sync_folder(aside)
        os.replace(fresh, path)
        sync_folder(path.parent)


def _read_only(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"file:{path}?mode=ro", uri=True)
