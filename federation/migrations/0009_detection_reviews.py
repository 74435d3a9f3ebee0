"""What operators made of shared detections, written once; and indexes for lists of them."""

import django.db.models.deletion
from django.db import migrations, models

TABLE = "federation_detectionreview"

# As in 0007, whose function PostgreSQL has already.
SQLITE = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE ON {TABLE}
BEGIN SELECT RAISE(ABORT, '{TABLE} is append-only'); END
"""
POSTGRESQL = f"""
CREATE TRIGGER {TABLE}_append_only BEFORE UPDATE OR DELETE ON {TABLE}
FOR EACH ROW EXECUTE FUNCTION federation_append_only()
"""


def create_trigger(apps, schema_editor):
    schema_editor.execute(POSTGRESQL if schema_editor.connection.vendor == "postgresql" else SQLITE, params=None)


def drop_trigger(apps, schema_editor):
    where = f" ON {TABLE}" if schema_editor.connection.vendor == "postgresql" else ""
    schema_editor.execute(f"DROP TRIGGER {TABLE}_append_only{where}")


class Migration(migrations.Migration):
    dependencies = [
        ("federation", "0008_confirmation_requests"),
    ]

    operations = [
        migrations.CreateModel(
            name="DetectionReview",
            fields=[
                ("id", models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name="ID")),
                (
                    "state",
                    models.CharField(
                        choices=[
                            ("new", "New"),
                            ("acknowledged", "somebody looks into it"),
                            ("closed", "nothing is left to do"),
                        ],
                        max_length=16,
                    ),
                ),
                ("note", models.CharField(blank=True, max_length=500)),
                ("reviewed_by", models.CharField(max_length=200)),
                ("reviewed_at", models.DateTimeField()),
            ],
            options={
                "ordering": ("-id",),
            },
        ),
        migrations.AddIndex(
            model_name="shareddetection",
            index=models.Index(fields=["family", "received_at"], name="detections_of_a_family"),
        ),
        migrations.AddIndex(
            model_name="shareddetection",
            index=models.Index(fields=["received_at", "family"], name="detections_of_a_period"),
        ),
        migrations.AddField(
            model_name="detectionreview",
            name="detection",
            field=models.ForeignKey(
                on_delete=django.db.models.deletion.PROTECT, related_name="reviews", to="federation.shareddetection"
            ),
        ),
        migrations.RunPython(create_trigger, drop_trigger),
    ]
