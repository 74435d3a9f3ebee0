"""What the migrations do to a PostgreSQL, and what of it hurts a coordinator that serves meanwhile.

Run as a program (`python -m tests.deploy.migrating`, with DATABASE_URL) it prints the SQL of every migration as JSON.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

APPS = ("federation", "ledger", "notifications", "operators", "platform", "privacy")
_CREATE_TABLE = re.compile(r'CREATE TABLE "(?P<table>\w+)"')
_CREATE_INDEX = re.compile(r'CREATE (UNIQUE )?INDEX (?P<how>CONCURRENTLY )?"(?P<name>\w+)" ON "(?P<table>\w+)"')
_ALTER = re.compile(r'ALTER TABLE "(?P<table>\w+)" (?P<change>.*)')
_DROP_TABLE = re.compile(r'DROP TABLE "(?P<table>\w+)"')
_ADD_COLUMN = re.compile(r'ADD COLUMN "(?P<column>\w+)" (?P<definition>.*)')


@dataclass(frozen=True)
class Step:
    """A migration: its SQL on PostgreSQL, and its operations that run code: whether each can be undone."""

    app: str
    name: str
    statements: Sequence[str]
    undoable_code: Sequence[bool]

    @property
    def id(self) -> str:
        return f"{self.app}.{self.name}"

    def hazards(self) -> list[str]:
        """What in it needs a reviewer's word, in order."""
        found = list(_of_statements(self.statements))
        found += ["runs code" if undoable else "runs code that cannot be undone" for undoable in self.undoable_code]
        return found


def _of_statements(statements: Sequence[str]) -> Iterator[str]:
    made: set[str] = set()
    for number, statement in enumerate(statements):
        if created := _CREATE_TABLE.match(statement):
            made.add(created["table"])
        elif (index := _CREATE_INDEX.match(statement)) and index["table"] not in made and not index["how"]:
            yield f"builds the index {index['name']} on {index['table']} while its writers wait"
        elif dropped := _DROP_TABLE.match(statement):
            yield f"drops {dropped['table']}, which the version before still reads"
        elif (altered := _ALTER.match(statement)) and altered["table"] not in made:
            yield from _of_change(altered["table"], altered["change"], statements[number + 1 :])


def _of_change(table: str, change: str, later: Sequence[str]) -> Iterator[str]:
    if added := _ADD_COLUMN.match(change):
        forgotten = f'ALTER TABLE "{table}" ALTER COLUMN "{added["column"]}" DROP DEFAULT;' in later
        if "NOT NULL" in added["definition"] and (forgotten or "DEFAULT" not in added["definition"]):
            yield f"adds {table}.{added['column']}, without which the version before can insert no row"
    elif re.match(r"DROP COLUMN|RENAME", change):
        yield f"drops or renames in {table} what the version before still reads"
    elif re.search(r"ALTER COLUMN \"\w+\" (TYPE|SET NOT NULL)", change):
        yield f"rewrites or reads all of {table} while everybody waits"
    elif change.startswith("ADD CONSTRAINT") and not change.rstrip(";").endswith("NOT VALID"):
        yield f"checks all of {table} for a constraint while its writers wait"


def main() -> None:
    import django  # noqa: PLC0415 - only where it runs as a program

    django.setup()
    from django.db import connection  # noqa: PLC0415
    from django.db.migrations.executor import MigrationExecutor  # noqa: PLC0415
    from django.db.migrations.operations import RunPython  # noqa: PLC0415

    executor = MigrationExecutor(connection)
    state = executor.loader.project_state(())
    steps = []
    for migration, _ in executor.migration_plan(executor.loader.graph.leaf_nodes()):
        with connection.schema_editor(collect_sql=True, atomic=migration.atomic) as editor:
            state = migration.apply(state, editor, collect_sql=True)
        if migration.app_label in APPS:
            statements = [line for line in editor.collected_sql if not line.startswith("--")]
            code = [operation.reversible for operation in migration.operations if isinstance(operation, RunPython)]
            steps.append([migration.app_label, migration.name, statements, code])
    sys.stdout.write(json.dumps(steps))


if __name__ == "__main__":
    main()
