"""Operations for migrations that run while the previous version still serves (docs/upgrading.md)."""

from __future__ import annotations

from typing import Any

from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.backends.postgresql.schema import DatabaseSchemaEditor as PostgresqlSchemaEditor
from django.db.migrations.operations import AddIndex
from django.db.migrations.state import ProjectState


class AddIndexConcurrently(AddIndex):
    """An index on a table that has rows already: PostgreSQL builds it while others write.

    The migration must say `atomic = False` and hold nothing else. SQLite, which has one writer at a time and no such
    thing, builds it as ever; `django.contrib.postgres` has the same operation for PostgreSQL alone.
    """

    def database_forwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._change("add_index", app_label, schema_editor, to_state)

    def database_backwards(
        self, app_label: str, schema_editor: BaseDatabaseSchemaEditor, from_state: ProjectState, to_state: ProjectState
    ) -> None:
        self._change("remove_index", app_label, schema_editor, from_state)

    def _change(self, how: str, app_label: str, schema_editor: BaseDatabaseSchemaEditor, state: ProjectState) -> None:
        model = state.apps.get_model(app_label, self.model_name)
        if self.allow_migrate_model(schema_editor.connection.alias, model):
            options: dict[str, Any] = {}
            if isinstance(schema_editor, PostgresqlSchemaEditor):
                options["concurrently"] = True
            getattr(schema_editor, how)(model, self.index, **options)
