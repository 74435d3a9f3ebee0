"""What organisations attest of releases."""

import django.db.models.functions.datetime
from django.db import migrations, models

TABLE = "release_statements"
# As in 0002: SQLite keeps deletions, which Django itself makes there.
SQLITE = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
"""
POSTGRESQL = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
FOR EACH ROW EXECUTE FUNCTION ledger_append_only()
"""


def create_trigger(apps, schema_editor):
    schema_editor.execute(POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE, params=None)


def drop_trigger(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    schema_editor.execute(f"DROP TRIGGER {TABLE}_append_only" + (f" ON {TABLE}" if on_postgresql else ""))


class Migration(migrations.Migration):
    dependencies = [("ledger", "0008_witnesses")]
    operations = [
        migrations.CreateModel(
            name="ReleaseStatement",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("height", models.PositiveBigIntegerField()),
                ("org_id", models.CharField(max_length=64)),
                ("key_id", models.CharField(max_length=64)),
                ("payload", models.BinaryField()),
                ("signature", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": TABLE,
                "ordering": ("height", "org_id"),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("height", "org_id"), name="one_statement_per_organization_and_release"
                    )
                ],
            },
        ),
        migrations.RunPython(create_trigger, drop_trigger),
    ]
