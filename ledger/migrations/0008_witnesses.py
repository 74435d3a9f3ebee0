"""Witnesses' keys, and their cosignatures of the log's checkpoints."""

import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models

TABLES = ("witness_keys", "cosignatures")
# As in 0002: SQLite keeps deletions, which Django itself makes there.
SQLITE = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE ON {table}
BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END
"""
POSTGRESQL = """
CREATE TRIGGER {table}_append_only BEFORE UPDATE OR DELETE ON {table}
FOR EACH ROW EXECUTE FUNCTION ledger_append_only()
"""


def create_triggers(apps, schema_editor):
    statement = POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE
    for table in TABLES:
        schema_editor.execute(statement.format(table=table), params=None)


def drop_triggers(apps, schema_editor):
    on_postgresql = schema_editor.connection.vendor == "postgresql"
    for table in TABLES:
        schema_editor.execute(f"DROP TRIGGER {table}_append_only" + (f" ON {table}" if on_postgresql else ""))


class Migration(migrations.Migration):
    dependencies = [("ledger", "0007_verification_passes")]
    operations = [
        migrations.CreateModel(
            name="WitnessKey",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("org_id", models.CharField(max_length=64)),
                ("verifier_key", models.CharField(help_text="C2SP verifier key of kind 0x04", max_length=300)),
                (
                    "key_id",
                    models.CharField(help_text="the organisation's key that signed the statement", max_length=64),
                ),
                ("statement", models.BinaryField()),
                ("signature", models.BinaryField()),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "witness_keys",
                "ordering": ("id",),
                "constraints": [
                    models.UniqueConstraint(
                        fields=("org_id", "verifier_key", "key_id"), name="one_statement_per_witness_key"
                    )
                ],
            },
        ),
        migrations.CreateModel(
            name="Cosignature",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                ("size", models.PositiveBigIntegerField()),
                ("org_id", models.CharField(max_length=64)),
                (
                    "witness",
                    models.ForeignKey(on_delete=django.db.models.deletion.PROTECT, to="ledger.witnesskey"),
                ),
                ("signature", models.BinaryField(help_text="the time in eight bytes, the Ed25519 signature")),
                ("created_at", models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
            ],
            options={
                "db_table": "cosignatures",
                "ordering": ("size", "org_id"),
                "constraints": [
                    models.UniqueConstraint(fields=("size", "org_id"), name="one_cosignature_per_organization_and_size")
                ],
            },
        ),
        migrations.RunPython(create_triggers, drop_triggers),
    ]
