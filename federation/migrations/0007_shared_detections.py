"""Detections that organisations share, written once."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "federation_shareddetection"

# As in the ledger's 0002: SQLite keeps deletions, which Django itself makes there; PostgreSQL refuses both.
SQLITE = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
"""
POSTGRESQL_FUNCTION = """
CREATE FUNCTION federation_append_only() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION '% is append-only', TG_TABLE_NAME; END $$
"""
POSTGRESQL = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
FOR EACH ROW EXECUTE FUNCTION federation_append_only()
"""


def create_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(POSTGRESQL_FUNCTION, params=None)  # no parameters, so % stands for itself
        schema_editor.execute(POSTGRESQL)
    else:
        schema_editor.execute(SQLITE, params=None)


def drop_trigger(apps, schema_editor):
    if schema_editor.connection.vendor == "postgresql":
        schema_editor.execute(f"DROP TRIGGER {TABLE}_append_only ON {TABLE}")
        schema_editor.execute("DROP FUNCTION federation_append_only()")
    else:
        schema_editor.execute(f"DROP TRIGGER {TABLE}_append_only")


class Migration(migrations.Migration):
    dependencies = [("federation", "0006_masked_rounds")]
    operations = [
        migrations.CreateModel(
            name="SharedDetection",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "alert_id",
                    models.CharField(help_text="the organisation's own, from which nothing follows", max_length=32),
                ),
                ("family", models.CharField(max_length=32)),
                ("technique", models.CharField(help_text="ATT&CK id", max_length=16)),
                ("score_ppm", models.PositiveIntegerField(help_text="calibrated, in millionths")),
                ("flows", models.PositiveBigIntegerField()),
                ("first_seen", models.DateTimeField()),
                ("last_seen", models.DateTimeField()),
                ("model_name", models.CharField(max_length=64)),
                ("model_hash", models.CharField(max_length=64)),
                (
                    "block_height",
                    models.PositiveBigIntegerField(blank=True, help_text="that released the model", null=True),
                ),
                ("statement", models.BinaryField(help_text="canonical bytes that were signed")),
                ("signature", models.BinaryField()),
                ("key_id", models.CharField(max_length=64)),
                ("received_at", models.DateTimeField()),
                (
                    "organization",
                    models.ForeignKey(
                        on_delete=django.db.models.deletion.PROTECT,
                        related_name="shared_detections",
                        to="federation.organization",
                    ),
                ),
            ],
            options={
                "ordering": ("-id",),
                "indexes": [models.Index(fields=["organization", "received_at"], name="detections_of_an_hour")],
                "constraints": [
                    models.UniqueConstraint(fields=("organization", "alert_id"), name="one_statement_per_alert"),
                    models.CheckConstraint(
                        condition=models.Q(("last_seen__gte", models.F("first_seen"))),
                        name="detection_is_seen_in_order",
                    ),
                ],
            },
        ),
        migrations.RunPython(create_trigger, drop_trigger),
    ]
