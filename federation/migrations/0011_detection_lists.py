"""Indexes from which lists of detections are read and counted without the rows, which signatures make long."""

from django.db import migrations, models


class Migration(migrations.Migration):
    dependencies = [("federation", "0010_overview_indexes")]
    operations = [
        migrations.RemoveIndex(model_name="shareddetection", name="detections_of_a_family"),
        migrations.AddIndex(
            model_name="shareddetection",
            index=models.Index(fields=["family", "received_at", "score_ppm"], name="detections_by_family"),
        ),
        migrations.AddIndex(
            model_name="shareddetection",
            index=models.Index(fields=["score_ppm", "received_at", "family"], name="detections_of_a_score"),
        ),
    ]
