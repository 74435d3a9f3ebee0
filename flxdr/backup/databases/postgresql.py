"""PostgreSQL: `pg_dump` of an exported snapshot, and one transaction of `psql`."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

import psycopg
from django.conf import settings
from django.db import connection, connections, transaction
from django.db.backends.postgresql.base import DatabaseWrapper
from psycopg.conninfo import make_conninfo

from flxdr.backup.errors import BackupInvalid, RestoreRefused, ToolFailed
from flxdr.platform.storage.files import PRIVATE
from flxdr.supervisor import die_with_parent

_OURS = (
    "SELECT format('DROP TABLE IF EXISTS %I.%I CASCADE;', schemaname, tablename) FROM pg_tables"
    " WHERE schemaname = current_schema()"
    " UNION ALL SELECT format('DROP FUNCTION IF EXISTS %s CASCADE;', p.oid::regprocedure) FROM pg_proc p"
    " WHERE p.pronamespace = current_schema()::regnamespace"
    " AND NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.objid = p.oid AND d.deptype = 'e')"
)
"""What a restore removes first: dumps of another version have other tables. Extensions' functions stay."""

_OTHERS = (
    "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()"
    " AND backend_type = 'client backend'"
)
_OPTIONS = {"service", "passfile", "options", "target_session_attrs", "connect_timeout", "gssencmode"}
"""Of the connection and not of Django, beside those of TLS."""


class Postgresql:
    """The database of `DATABASE_URL`."""

    name: Literal["sqlite", "postgresql"] = "postgresql"
    dump_name = "database.pgdump"

    def version(self) -> str:
        return _fetch("SHOW server_version")[0]

    @contextmanager
    def one_moment(self) -> Iterator[None]:
        with transaction.atomic():
            with connection.cursor() as cursor:
                cursor.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY")
            yield

    def dump(self, target: Path) -> None:
        (snapshot,) = _fetch("SELECT pg_export_snapshot()")
        target.touch(mode=PRIVATE)
        self._dump(target, f"--snapshot={snapshot}")

    def _dump(self, target: Path, *arguments: str) -> None:
        options = ["--format=custom", "--no-owner", "--no-privileges", "--no-password", *arguments]
        _run(["pg_dump", *options, f"--file={target}", f"--dbname={_target()}"])

    def check(self, dump: Path) -> None:
        try:
            _run(["pg_restore", "--list", str(dump)])
        except ToolFailed as error:
            if error.fields.get("missing"):
                raise
            raise BackupInvalid(f"{dump.name} cannot be read: {error.detail}") from error

    def is_empty(self) -> bool:
        return not connection.introspection.table_names()

    @contextmanager
    def exclusive(self) -> Iterator[None]:
        self._let_go()
        with psycopg.connect(_target(), password=connection.settings_dict["PASSWORD"] or None) as own:
            # A connection beside the pool, whose own ones would count as well.
            (others,) = own.execute(_OTHERS).fetchone() or (0,)
        if others:
            raise RestoreRefused(
                f"{others} other session(s) use the database {connection.settings_dict['NAME']}",
                expected="a coordinator that is stopped, its web processes and workers as well",
                action="`SELECT * FROM pg_stat_activity` names them.",
            )
        yield

    def put_back(self, dump: Path, *, aside: Path | None) -> None:
        target = _target()
        statements = [drop for (drop,) in _rows(_OURS)]
        if aside is not None:
            self._dump(aside / self.dump_name)
        self._let_go()
        with tempfile.TemporaryDirectory(prefix="restoring-", dir=settings.FLXDR.data_dir / "run") as folder:
            script, emptying = Path(folder, "restore.sql"), Path(folder, "empty.sql")
            # A file, no pipe: where one of the two programs fails, the other must not commit a part.
            _run(["pg_restore", "--no-owner", "--no-privileges", f"--file={script}", str(dump)])
            emptying.write_text("\n".join(statements) + "\n", encoding="utf-8")
            options = ["--no-psqlrc", "--quiet", "--no-password", "--set=ON_ERROR_STOP=1", "--single-transaction"]
            _run(["psql", *options, f"--dbname={target}", f"--file={emptying}", f"--file={script}"])

    def _let_go(self) -> None:
        """Close this process's connections: the programs need every lock."""
        connection.close()
        own = connections["default"]
        assert isinstance(own, DatabaseWrapper)
        own.close_pool()


def _fetch(statement: str) -> tuple[str, ...]:
    return _rows(statement)[0]


def _rows(statement: str) -> Sequence[tuple[str, ...]]:
    with connection.cursor() as cursor:
        cursor.execute(statement)
        rows: Sequence[tuple[str, ...]] = cursor.fetchall()
    return rows


def _target() -> str:
    """How the programs reach the database: as this process does, the password apart."""
    values = connection.settings_dict
    named = {"dbname": values["NAME"], "user": values["USER"], "host": values["HOST"], "port": values["PORT"]}
    options = {name: value for name, value in values["OPTIONS"].items() if name.startswith("ssl") or name in _OPTIONS}
    return make_conninfo(**{name: str(value) for name, value in (named | options).items() if value})


def _run(command: Sequence[str]) -> None:
    """Run a program of PostgreSQL; it ends with this process.

    Raises:
        ToolFailed: it is not installed, or failed; `missing` says which.
    """
    program = shutil.which(command[0])
    if program is None:
        raise ToolFailed(
            f"{command[0]} is not installed",
            expected="the programs of PostgreSQL's client, of the server's version or newer",
            action="Install postgresql-client.",
            missing=True,
        )
    password = connection.settings_dict["PASSWORD"]
    environment = {**os.environ, **({"PGPASSWORD": password} if password else {})}  # arguments can be seen by others
    parent = os.getpid()
    done = subprocess.run(  # noqa: S603 - our own command line, no shell
        [program, *command[1:]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        check=False,
        preexec_fn=lambda: die_with_parent(parent),
    )
    if done.returncode != 0:
        raise ToolFailed(f"{command[0]} failed: {done.stderr.strip()}", missing=False)
