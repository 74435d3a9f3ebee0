"""Indexes for what the overview asks at every refresh."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [
        ("federation", "0009_detection_reviews"),
    ]

    operations = [
        migrations.AddIndex(
            model_name="modelversion",
            index=models.Index(fields=["model_name", "status", "version"], name="versions_by_status"),
        ),
        migrations.AddIndex(
            model_name="traininground",
            index=models.Index(fields=["status", "finished_at"], name="rounds_by_status"),
        ),
    ]
